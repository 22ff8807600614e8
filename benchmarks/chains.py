"""Chains: training next to CRFsuite with the same weights, and to logistic regression where there are no edges."""

import time
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from benchmarks._crfsuite import CRFsuite
from benchmarks._machine import Seconds
from benchmarks._measure import case
from benchmarks._peers import TorchCRF
from benchmarks._sequences import chunking, letters, tagging
from benchmarks._text import chunk_f1
from benchmarks._training import chain_crf, flat_coef, places, stopped_fit, with_objective
from skstruct import GraphCRFClassifier
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import add_pairs, aligned_zeros, lanes, padded
from skstruct.optim import LBFGS, AveragedSGD

C2 = 1.0  # of the objective NLL + c2 |w|^2
IN_SEQUENCE = 5  # evaluations that are timed at a time, as in a training: the first one finds the data out of the cache


@case
def letters_evaluation(run):
    """OCR letters: CRFsuite's objective at its weights (1e-4); then a value and gradient.

    The mean of five in a row. CRFsuite's own clock includes its L-BFGS step, ours does not: other cases compare whole
    trainings.
    pytorch-crf has all weights, not only those of what occurs in training.
    """
    problem = letters(run)
    engines = {}
    torchcrf = run.peer("torchcrf", "pytorch-crf")
    if torchcrf is not None:
        import torch

        peer = TorchCRF(torch, torchcrf, problem, C2)
        n_nodes, n_states = problem.X.n_nodes, len(problem.classes)
        run.check("objective of pytorch-crf at zero", peer.objective(), n_nodes * np.log(n_states), rtol=1e-9)
        engines["pytorch-crf"] = peer.objective
    _evaluation(run, problem, engines)


@case
def chunking_evaluation(run):
    """CoNLL-2000 chunking: CRFsuite's objective at its weights (1e-4); then a value and gradient.

    The mean of five in a row. CRFsuite's own clock includes its L-BFGS step, ours does not: other cases compare whole
    trainings.
    """
    _evaluation(run, chunking(run))


@case
def tagging_evaluation(run):
    """Universal parts of speech, UD English EWT: CRFsuite's objective at its weights (1e-4); then a value and gradient.

    The mean of five in a row. Trained on the dev part of the treebank. The clocks are those of the other evaluations.
    """
    _evaluation(run, tagging(run))


@case
def fine_tagging_evaluation(run):
    """As ``tagging_evaluation``, with the treebank's own parts of speech, some fifty."""
    _evaluation(run, tagging(run, "XPOS"))


@case
def chunking_profile(run):
    """CoNLL-2000 chunking: where the time of one value and gradient goes, and what its arithmetic alone would take.

    The parts, each summed over all chunks, are asserted to give the same value. The arithmetic of forward pass,
    backward pass and pair counts is three times n_states**2 multiplications and additions per token, at the pace of
    pair counts of data that stay in the first-level cache.
    """
    problem = chunking(run)
    spent = dict.fromkeys(["scores from features", "forward-backward", "labels", "gradient of weights"], 0.0)

    def measure(fun, coef):
        """Do what the training loss does, with a look at the clock between the steps."""
        plan, value = fun.feature_plan, 0.0
        gradient = np.zeros_like(coef)
        for loss in fun.losses:
            clock = [time.process_time()]
            scores, context = plan.scores(loss.inputs, coef)
            clock.append(time.process_time())
            loss.inference.plan.marginals(scores, loss.targets.graph_weight)
            clock.append(time.process_time())
            losses, d_scores = loss.objective.value_and_gradient(loss.inference, scores, loss.targets)
            clock.append(time.process_time())
            plan.pullback(context, d_scores, gradient)
            clock.append(time.process_time())
            steps = np.diff(clock)
            steps[2] -= steps[1]  # the objective runs the marginals, too
            for name, seconds in zip(spent, steps):
                spent[name] += seconds
            value += loss.targets.graph_weight @ losses
        return fun.factor * value + 0.5 * (fun.l2 * coef) @ coef

    def body(fun, _):
        coef = np.random.default_rng(0).normal(0, 0.1, len(fun.l2)) * fun.feature_plan.free
        measure(fun, coef)  # compiles
        spent.update(dict.fromkeys(spent, 0.0))
        rounds = run.pick(1, 3, 9)
        for _ in range(rounds):
            run.check("value", measure(fun, coef), fun(coef)[0], rtol=1e-12)
        for name, seconds in spent.items():
            run.record("skstruct", name, 1e3 * seconds / rounds, "ms")

    with_objective(chain_crf(C2), problem.X, problem.y, body)
    n_states, n_rows = len(problem.classes), 64
    rows, out = aligned_zeros(n_rows, padded(n_states)), aligned_zeros(n_states, padded(n_states))
    repeats = 1000
    repeat_pairs(rows, out, n_states, 10, lanes(n_states))
    seconds = [
        timed(lambda: repeat_pairs(rows, out, n_states, repeats, lanes(n_states))) / (repeats * (n_rows - 1))
        for _ in range(5)
    ]
    run.record("skstruct", "arithmetic alone, estimated", 3e3 * min(seconds) * problem.X.n_nodes, "ms")


@kernel
def repeat_pairs(rows, out, n_states, repeats, lanes):
    """Sum pair counts of the same rows again and again."""
    for _ in range(repeats):
        add_pairs(rows, rows, len(rows), n_states, out, lanes)


def in_sequence(fun, coef):
    """CPU time of an evaluation, the mean of a few in sequence."""
    return Seconds(timed(lambda: [fun(coef) for _ in range(IN_SEQUENCE)]) / IN_SEQUENCE)


def timed(function):
    """CPU time of a call."""
    start = time.process_time()
    function()
    return time.process_time() - start


@case
def letters_training(run):
    """OCR letters: time to train to convergence. Objective (1e-4) and test accuracy (0.5 points) are those of CRFsuite.

    The default `tol` asks for more digits than CRFsuite's default does; 4e-6 gives as many.
    """
    problem = letters(run)
    engines = {}
    sklearn_crfsuite = run.peer("sklearn_crfsuite", "sklearn-crfsuite")
    if sklearn_crfsuite is not None:
        wrapper = sklearn_crfsuite.CRF(c1=0.0, c2=C2)
        engines["sklearn-crfsuite"] = lambda: wrapper.fit(problem.sequences, problem.labels)
    _training(run, problem, "test accuracy", _accuracy, 5e-3, engines)


@case
def chunking_training(run):
    """CoNLL-2000 chunking: time to train to convergence. Objective (1e-4) and test F1 (0.1 points) are CRFsuite's.

    The default `tol` asks for more digits than CRFsuite's default does; 4e-6 gives as many.
    """
    _training(run, chunking(run), "test F1 of chunks", chunk_f1, 1e-3)


@case
def chunking_time_to_f1(run):
    """CoNLL-2000 chunking: CPU time of the shortest training with an F1 at most 0.1 points below that of convergence.

    The number of iterations, or passes of SGD, is searched before (to a tenth); the time is that of a whole training
    that stops there. Asserted at the end: the F1.
    """
    problem = chunking(run)
    X, y = problem.X, problem.y
    converged = chain_crf(C2).fit(X, y)
    target = chunk_f1(problem.test_labels, converged.predict(problem.X_test)) - 1e-3
    run.record("skstruct", "F1 to reach", target, "")
    engines, predictions = {}, {}

    def add(name, train, predict, guess, most):
        """Search how many iterations an engine needs, and enter it."""

        def reaches(n):
            train(n)
            return chunk_f1(problem.test_labels, predict()) >= target

        few = fewest(reaches, guess, most)
        if few is None:
            run.record(name, f"not within {most} iterations or passes", None, "")
        else:
            run.record(name, "iterations or passes", few, "")
            engines[name], predictions[name] = partial(train, few), predict

    ways = {
        "averaged SGD": (lambda n: {"optimizer": AveragedSGD(n, random_state=0)}, 6, 50),
        "L-BFGS": (lambda n: {"max_iter": n}, 60, converged.n_iter_),
    }
    for name, (limit, guess, most) in ways.items():
        crf = chain_crf(C2)

        def train(n, crf=crf, limit=limit):
            stopped_fit(crf.set_params(**limit(n)), X, y)

        add(f"skstruct, {name}", train, lambda crf=crf: crf.predict(problem.X_test), guess, most)
    pycrfsuite = run.peer("pycrfsuite", "python-crfsuite")
    if pycrfsuite is not None:
        peer = CRFsuite(pycrfsuite, zip(problem.sequences, problem.labels), C2)

        def train_peer(n):
            peer.train(n)  # not its own clock: all of it

        add("python-crfsuite, L-BFGS", train_peer, lambda: peer.tag(problem.test_sequences), 60, 1000)
    if engines:
        run.compare("shortest training to that F1", engines, unit="s", cold_rounds=2)
    for name, predict in predictions.items():
        run.require(f"{name} reaches the F1", chunk_f1(problem.test_labels, predict()) >= target)


@case
def logistic(run):
    """Letters without edges: time to train; objective (1e-4) and probabilities (1e-2) are LogisticRegression's.

    Both stop when no component of the gradient of the mean loss exceeds 1e-6. The letters of one fold.
    """
    problem = letters(replace(run, size=run.pick("tiny", "small", "small")))
    X, y = problem.X.node_features[:, 1:], problem.y.values
    ours, theirs = GraphCRFClassifier(C=0.1), LogisticRegression(C=0.1, tol=1e-6, max_iter=1000)
    ours.fit(X, y)  # compiles
    engines = {"skstruct": lambda: ours.fit(X, y), "LogisticRegression": lambda: theirs.fit(X, y)}
    run.compare(f"training, {X.shape[0]} rows, {X.shape[1]} features, {len(problem.classes)} classes", engines)
    codes = np.searchsorted(ours.classes_, y)

    def objective(model):
        return 0.5 * (model.coef_**2).sum() - 0.1 * model.predict_log_proba(X)[np.arange(len(y)), codes].sum()

    run.check("objective", objective(ours), objective(theirs), rtol=1e-4)
    run.check("probabilities", ours.predict_proba(X), theirs.predict_proba(X), atol=1e-2)


def fewest(reaches, guess, most):
    """Find a number up to `most` where ``reaches(number)`` begins to hold, to a tenth; None if `most` fails.

    From the guess it goes up or down by halves, then halves the gap. Were there several such numbers, one is found.
    """
    guess = min(guess, most)
    if reaches(guess):
        low, high = guess - max(1, guess // 3), guess
        while low > 0 and reaches(low):
            low, high = low - max(1, low // 3), low
    else:
        low, high = guess, min(guess + max(1, guess // 2), most)
        while not reaches(high):
            if high == most:
                return None
            low, high = high, min(high + max(1, high // 2), most)
    while high - low > max(1, 0.1 * low):  # it fails at `low`, or that is 0, and holds at `high`
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def _accuracy(labels, predicted):
    return float(np.mean(np.concatenate(labels) == np.concatenate(list(predicted))))


def _sizes(problem):
    """Sizes in words, and the number of weights."""
    n_weights = sum(map(np.count_nonzero, places(chain_crf(C2), problem.X, problem.y)))
    return f"{problem.X.n_nodes} nodes, {len(problem.classes)} labels, {n_weights} weights", n_weights


def _evaluation(run, problem, more_engines=None):
    X, y = problem.X, problem.y
    sizes, n_weights = _sizes(problem)
    pycrfsuite = run.peer("pycrfsuite", "python-crfsuite")
    peer = coef = None
    if pycrfsuite is not None:
        peer = CRFsuite(pycrfsuite, zip(problem.sequences, problem.labels), C2)
        peer.train(IN_SEQUENCE)
        run.check("number of weights", n_weights, peer.n_weights)
        coef = flat_coef(chain_crf(C2), X, y, *peer.weights(problem.columns, problem.classes))

    def body(fun, coef):
        with_objective(chain_crf(C2, "float32"), X, y, lambda single, _: measure(fun, single, coef))

    def measure(fun, single, coef):
        (value, gradient), (single_value, single_gradient) = fun(coef), single(coef)
        run.check("objective in float32", single_value, value, rtol=1e-6)
        largest = abs(gradient).max()
        run.check("gradient in float32, by its largest entry", single_gradient / largest, gradient / largest, atol=1e-4)
        engines = {"skstruct": partial(in_sequence, fun, coef), "skstruct, float32": partial(in_sequence, single, coef)}
        if peer is not None:
            run.check("objective", value * X.n_nodes, peer.objective, rtol=1e-4)
            engines["python-crfsuite, with its L-BFGS step"] = lambda: peer.train(IN_SEQUENCE)
        run.compare(f"value and gradient, {sizes}", engines | (more_engines or {}))

    with_objective(chain_crf(C2), X, y, body, coef)


def _training(run, problem, measure, quality, tolerance, more_engines=None):
    """Train in turn; `quality` judges a list of labels by the true ones, and differs by at most `tolerance`."""
    X, y = problem.X, problem.y
    stopped_fit(chain_crf(C2, max_iter=3), X, y)  # compiles
    started = LBFGS(start_with=AveragedSGD(n_epochs=2))
    models = {
        "skstruct, tol=4e-6, started by 2 epochs of SGD": chain_crf(C2, tol=4e-6, optimizer=started, random_state=0),
        "skstruct, the same in float32": chain_crf(C2, "float32", tol=4e-6, optimizer=started, random_state=0),
        "skstruct, tol=4e-6": chain_crf(C2, tol=4e-6),
        "skstruct, tol=1e-6 (default)": chain_crf(C2),
    }

    def train(crf):
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            crf.fit(X, y)

    engines = {name: partial(train, crf) for name, crf in models.items()}
    pycrfsuite = run.peer("pycrfsuite", "python-crfsuite")
    if pycrfsuite is not None:
        peer = CRFsuite(pycrfsuite, zip(problem.sequences, problem.labels), C2)

        def train_peer():
            peer.train()  # not its own clock: all of it

        engines["python-crfsuite"] = train_peer
    run.compare(f"training, {_sizes(problem)[0]}", engines | (more_engines or {}), unit="s", cold_rounds=2)
    found = {
        name: (
            crf.loss_curve_[-1] / crf.C,
            crf.n_evaluations_,
            quality(problem.test_labels, crf.predict(problem.X_test)),
        )
        for name, crf in models.items()
    }
    if pycrfsuite is not None:
        theirs = (peer.objective, peer.n_evaluations, quality(problem.test_labels, peer.tag(problem.test_sequences)))
        for name, ours in found.items():
            run.check(f"objective, {name}", ours[0], theirs[0], rtol=1e-4)
            run.check(f"{measure}, {name}", ours[2], theirs[2], atol=tolerance)
        found["python-crfsuite"] = theirs
    for name, values in found.items():
        for what, value, unit in zip(("objective", "evaluations", measure), values, ("nats", "", "")):
            run.record(name, what, value, unit)
