"""Chains: next to CRFsuite with identical weights, and to logistic regression where there are no edges."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from benchmarks._measure import case
from benchmarks._peers import CRFsuite
from benchmarks._problems import chain_crf, chunking, letters, with_coef, with_objective
from skstruct import GraphCRFClassifier

C2 = 1.0  # of the objective NLL + c2 |w|^2


@case
def letters_evaluation(run):
    """OCR letters: CRFsuite's objective at CRFsuite's weights (1e-4); then one value and gradient.

    CRFsuite's own clock includes its L-BFGS step, ours does not: whole trainings are compared in the next cases.
    """
    _evaluation(run, letters(run))


@case
def chunking_evaluation(run):
    """CoNLL-2000 chunking: CRFsuite's objective at CRFsuite's weights (1e-4); then one value and gradient.

    CRFsuite's own clock includes its L-BFGS step, ours does not: whole trainings are compared in the next cases.
    """
    _evaluation(run, chunking(run))


@case
def letters_training(run):
    """OCR letters: objective at convergence (1e-4) and test accuracy (0.5 %) of CRFsuite; then time to train."""
    problem = letters(run)
    engines = {}
    sklearn_crfsuite = run.peer("sklearn_crfsuite", "sklearn-crfsuite")
    if sklearn_crfsuite is not None:
        settings = {"c1": 0.0, "c2": C2, "all_possible_states": True, "all_possible_transitions": True}
        wrapper = sklearn_crfsuite.CRF(**settings)
        engines["sklearn-crfsuite"] = lambda: wrapper.fit(problem.sequences, problem.labels)
    _training(run, problem, engines)


@case
def chunking_training(run):
    """CoNLL-2000 chunking: objective at convergence (1e-4) and test accuracy (0.5 %); then time to train."""
    _training(run, chunking(run))


@case
def letters_decoding(run):
    """OCR letters: labels of CRFsuite with its weights (99.9 % of nodes); then letters decoded per second."""
    _decoding(run, letters(run))


@case
def chunking_decoding(run):
    """CoNLL-2000 chunking: labels of CRFsuite with its weights (99.9 % of nodes); then tokens decoded per second."""
    _decoding(run, chunking(run))


@case
def logistic(run):
    """Letters without edges: objective of LogisticRegression (1e-4) and probabilities (1e-2); then time to train.

    Both stop when no component of the gradient of the mean loss exceeds 1e-6.
    """
    problem = letters(run)
    X, y = problem.X.node_features[:, 1:], problem.y.values
    ours, theirs = GraphCRFClassifier(C=0.1), LogisticRegression(C=0.1, tol=1e-6, max_iter=1000)
    ours.fit(X, y)
    theirs.fit(X, y)
    codes = np.searchsorted(ours.classes_, y)

    def objective(model):
        return 0.5 * (model.coef_**2).sum() - 0.1 * model.predict_log_proba(X)[np.arange(len(y)), codes].sum()

    run.check("objective", objective(ours), objective(theirs), rtol=1e-4)
    run.check("probabilities", ours.predict_proba(X), theirs.predict_proba(X), atol=1e-2)
    engines = {"skstruct": lambda: ours.fit(X, y), "LogisticRegression": lambda: theirs.fit(X, y)}
    run.compare(f"training, {X.shape[0]} rows, {X.shape[1]} features, {len(ours.classes_)} classes", engines)


def _sizes(problem):
    n_weights = len(problem.columns) * len(problem.classes) + len(problem.classes) ** 2
    return f"{problem.X.n_nodes} nodes, {len(problem.classes)} labels, {n_weights} weights"


def _evaluation(run, problem):
    pycrfsuite = run.peer("pycrfsuite", "python-crfsuite")
    peer = None if pycrfsuite is None else CRFsuite(pycrfsuite, problem, C2)
    coef = None
    if peer is not None:
        peer.train(10)
        coef = peer.coef()

    def body(fun, coef):
        engines = {"skstruct": lambda: fun(coef)}
        if peer is not None:
            run.check("objective", fun(coef)[0] * problem.X.n_nodes, peer.objective, rtol=1e-4)
            engines["python-crfsuite, with its L-BFGS step"] = lambda: peer.train(20)
        run.compare(f"value and gradient, {_sizes(problem)}", engines)

    with_objective(chain_crf(C2), problem.X, problem.y, body, coef)


def _training(run, problem, more_engines=None):
    crf = chain_crf(C2)

    def train():
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            return crf.fit(problem.X, problem.y)

    objective = train().loss_curve_[-1] / crf.C
    accuracy = np.mean(crf.predict(problem.X_test).values == problem.y_test.values)
    engines = {"skstruct": train}
    pycrfsuite = run.peer("pycrfsuite", "python-crfsuite")
    if pycrfsuite is not None:
        peer = CRFsuite(pycrfsuite, problem, C2)
        peer.train()
        tagger = peer.tagger()
        found = [label for sequence in problem.test_sequences for label in tagger.tag(sequence)]
        run.check("objective", objective, peer.objective, rtol=1e-4)
        run.check("test accuracy", accuracy, np.mean(found == problem.y_test.values), atol=5e-3)
        run.record("python-crfsuite", "objective", peer.objective, "nats")
        run.record("python-crfsuite", "evaluations", peer.n_evaluations, "")

        def train_peer():
            peer.train()  # not its own clock: all of it

        engines["python-crfsuite"] = train_peer
    run.record("skstruct", "objective", objective, "nats")
    run.record("skstruct", "evaluations", crf.n_evaluations_, "")
    run.record("skstruct", "test accuracy", accuracy, "")
    run.compare(f"training, {_sizes(problem)}", engines | (more_engines or {}), unit="s")


def _decoding(run, problem):
    pycrfsuite = run.peer("pycrfsuite", "python-crfsuite")
    n_nodes = problem.X_test.n_nodes
    if pycrfsuite is None:
        crf = chain_crf(C2).fit(problem.X, problem.y)
        run.compare(
            "decoding", {"skstruct": lambda: crf.predict(problem.X_test)}, unit="nodes/s", count=n_nodes, rate=True
        )
        return
    peer = CRFsuite(pycrfsuite, problem, C2)
    peer.train(30)
    crf = with_coef(chain_crf(C2), problem.X, problem.y, peer.coef())
    tagger = peer.tagger()
    items = [pycrfsuite.ItemSequence(sequence) for sequence in problem.test_sequences]

    def tag():
        return [tagger.tag(sequence) for sequence in items]

    theirs = np.array([label for labels in tag() for label in labels])
    run.check("share of equal labels", np.mean(crf.predict(problem.X_test).values == theirs), 1.0, atol=1e-3)
    engines = {
        "skstruct": lambda: crf.predict(problem.X_test),
        "python-crfsuite, from its item sequences": tag,
        "python-crfsuite, from strings": lambda: [tagger.tag(sequence) for sequence in problem.test_sequences],
    }
    run.compare(f"decoding, {n_nodes} nodes", engines, unit="nodes/s", count=n_nodes, rate=True)
