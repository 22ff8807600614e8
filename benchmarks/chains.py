"""Chains: training compared with CRFsuite with the same weights, and without edges with logistic regression."""

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
from skstruct.datasets import make_chain
from skstruct.kernels.chains import add_pairs
from skstruct.kernels.jit import kernel
from skstruct.kernels.simd import aligned_zeros, lanes, padded
from skstruct.optim import LBFGS, AveragedSGD

C2 = 1.0  # of the objective NLL + c2 |w|^2
GOALS = {  # evaluations: at least, and the goal, in 64 bits and in 32 bits
    "chains.letters_evaluation": {"float64": (9.0, 11.0), "float32": (14.0, 16.0)},
    "chains.chunking_evaluation": {"float64": (6.5, 8.0), "float32": (9.5, 12.0)},
    "chains.tagging_evaluation": {"float64": (6.0, 8.0), "float32": (8.0, 12.0)},
}
IN_SEQUENCE = 5  # evaluations per measurement, as in a training: the first one finds other data in the cache


@case("Letters: one evaluation")
def letters_evaluation(run):
    """OCR letters: time of value and gradient; asserted: the objective at CRFsuite's weights (1e-4).

    The time is the mean of five consecutive evaluations. The time of CRFsuite includes its L-BFGS step, that of
    skstruct does not; other cases compare whole trainings. pytorch-crf has all weights, not only observed ones.
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


@case("Chunking: one evaluation")
def chunking_evaluation(run):
    """CoNLL-2000 chunking: time of value and gradient; asserted: the objective at CRFsuite's weights (1e-4).

    The time is the mean of five consecutive evaluations. The time of CRFsuite includes its L-BFGS step, that of
    skstruct does not; other cases compare whole trainings.
    """
    _evaluation(run, chunking(run))


@case("Parts of speech: one evaluation")
def tagging_evaluation(run):
    """UD English EWT, UPOS: time of value and gradient; asserted: the objective at CRFsuite's weights (1e-4).

    The model is trained on the dev set of the treebank. Times are measured as in the other evaluation cases.
    """
    _evaluation(run, tagging(run))


@case("Fine parts of speech: one evaluation")
def fine_tagging_evaluation(run):
    """The same as tagging_evaluation, with about fifty fine-grained parts of speech (XPOS)."""
    _evaluation(run, tagging(run, "XPOS"))


@case("Chunking: the steps of an evaluation")
def chunking_profile(run):
    """CoNLL-2000 chunking: times of the steps of one value and gradient, and an estimate for the arithmetic alone.

    Asserted: the steps give the same value. Times are sums over all chunks. The arithmetic of forward pass, backward
    pass and pair counts is three times n_states**2 multiplications and additions per token. The estimate uses the
    speed of pair counts of data in the first-level cache.
    """
    problem = chunking(run)
    spent = dict.fromkeys(["scores from features", "forward-backward", "labels", "gradient of weights"], 0.0)

    def measure(fun, coef):
        """Evaluate the training loss, and measure the time of each step."""
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
            steps[2] -= steps[1]  # the objective also computes the marginals
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
    rows, out = aligned_zeros(n_rows, padded(n_states)), aligned_zeros(1, n_states, padded(n_states))
    repeats = 1000
    repeat_pairs(rows, out, 10, lanes(n_states))
    seconds = [
        timed(lambda: repeat_pairs(rows, out, repeats, lanes(n_states))) / (repeats * (n_rows - 1)) for _ in range(5)
    ]
    run.record("skstruct", "arithmetic alone, estimated", 3e3 * min(seconds) * problem.X.n_nodes, "ms")


@kernel
def repeat_pairs(rows, out, repeats, lanes):
    """Sum pair counts of the same rows repeatedly."""
    for _ in range(repeats):
        add_pairs(rows, 0, rows, 1, len(rows) - 1, out, 0, lanes)


def in_sequence(fun, coef):
    """Mean CPU time of a few consecutive evaluations."""
    return Seconds(timed(lambda: [fun(coef) for _ in range(IN_SEQUENCE)]) / IN_SEQUENCE)


def timed(function, clock=time.process_time):
    """CPU time of a call, or time by another clock."""
    start = clock()
    function()
    return clock() - start


@case("Chains with types of edges: one evaluation")
def edge_types(run):
    """Chains of 20 nodes with one-hot edge types: value and gradient next to one matrix for all edges.

    Asserted: a constant edge feature, and types that cannot be told apart by the weights, give the value of the shared
    matrix (1e-12), and the gradients of the types sum to that of the shared matrix.
    """
    n_states, n_types = 12, 3
    X, y = make_chain(run.pick(20, 300, 3000), 20, n_states=n_states, random_state=0, return_X_y=True)
    rng = np.random.default_rng(0)
    data = {
        "one-hot types": X.with_edge_features(np.eye(n_types)[rng.integers(0, n_types, X.n_edges)]),
        "one matrix": X,
        "a constant edge feature": X.with_edge_features(np.ones((X.n_edges, 1))),
        "a random edge feature": X.with_edge_features(rng.normal(size=(X.n_edges, 1))),
    }
    node, edge = rng.normal(0, 0.1, (X.node_features.shape[1] + 1) * n_states), rng.normal(0, 0.1, n_states**2)
    functions, found = {}, {}

    def body(name, rest, fun, coef0):
        coef = np.concatenate([node, np.tile(edge, (len(coef0) - len(node)) // len(edge))])
        functions[name] = partial(fun, coef)
        value, gradient = fun(coef)
        data_gradient = gradient - fun.l2 * coef
        found[name] = (
            value - 0.5 * (fun.l2 * coef) @ coef,
            data_gradient[len(node) :].reshape(-1, len(edge)).sum(axis=0),
        )
        compare(rest)

    def compare(names):
        if names:
            with_objective(GraphCRFClassifier(), data[names[0]], y, partial(body, names[0], names[1:]))
            return
        for name in ("one-hot types", "a constant edge feature"):
            run.check(f"value, {name}", found[name][0], found["one matrix"][0], rtol=1e-12)
            run.check(f"gradient, {name}", found[name][1], found["one matrix"][1], atol=1e-12)
        run.compare(f"value and gradient, {X.n_nodes} nodes, {n_states} labels, {n_types} types", functions)

    compare(list(data))


@case("Letters: a Hessian product")
def hessian_product(run):
    """OCR letters: time of a Hessian product next to value and gradient, and of derivatives next to marginals.

    Asserted: the product is the difference of gradients (1e-6 of its largest entry). Derivatives are along a change of
    the node scores.
    """
    problem = letters(run)
    rng = np.random.default_rng(0)

    def body(fun, coef0):
        coef, step = rng.normal(0, 0.1, (2, len(coef0))) * fun.feature_plan.free
        ahead, behind = (fun(coef + width * step)[1] for width in (1e-4, -1e-4))
        product = fun.product(coef, step)
        run.check("product", product / abs(product).max(), (ahead - behind) / 2e-4 / abs(product).max(), atol=1e-6)
        engines = {"skstruct": partial(fun, coef), "skstruct, Hessian product": partial(fun.product, coef, step)}
        run.compare(f"value and gradient, {_sizes(problem)[0]}", engines)
        chunks = [(loss.inference.plan, fun.feature_plan.scores(loss.inputs, coef)[0]) for loss in fun.losses]
        directions = [
            scores._replace(node=rng.normal(size=scores.node.shape), edge=np.zeros_like(scores.edge))
            for _, scores in chunks
        ]

        def derive():
            for (plan, scores), direction in zip(chunks, directions):
                plan.derivative(scores, direction)

        def marginals():
            for plan, scores in chunks:
                plan.marginals(scores)

        run.compare("marginals", {"skstruct": marginals, "skstruct, derivatives": derive})

    with_objective(chain_crf(C2), problem.X, problem.y, body)


@case("Letters: training")
def letters_training(run):
    """OCR letters: time to train to convergence; asserted: CRFsuite's objective (1e-4), test accuracy (0.5 points).

    The default `tol` is stricter than the stopping criterion of CRFsuite. 4e-6 gives the same accuracy.
    """
    problem = letters(run)
    engines = {}
    sklearn_crfsuite = run.peer("sklearn_crfsuite", "sklearn-crfsuite")
    if sklearn_crfsuite is not None:
        wrapper = sklearn_crfsuite.CRF(c1=0.0, c2=C2)
        engines["sklearn-crfsuite"] = lambda: wrapper.fit(problem.sequences, problem.labels)
    _training(run, problem, "test accuracy", _accuracy, 5e-3, engines)


@case("Chunking: training")
def chunking_training(run):
    """CoNLL-2000 chunking: time to train to convergence; asserted: CRFsuite's objective (1e-4), test F1 (0.1 points).

    The default `tol` is stricter than the stopping criterion of CRFsuite. 4e-6 gives the same accuracy.
    """
    _training(run, chunking(run), "test F1 of chunks", chunk_f1, 1e-3)


@case("Chunking: training to the final F1")
def chunking_time_to_f1(run):
    """CoNLL-2000 chunking: CPU time of the shortest training whose F1 is within 0.1 points of convergence.

    A search determines the number of iterations, or passes of SGD, to a tenth. The time is that of a whole training
    that stops at this number. Asserted: the F1.
    """
    problem = chunking(run)
    X, y = problem.X, problem.y
    converged = chain_crf(C2).fit(X, y)
    target = chunk_f1(problem.test_labels, converged.predict(problem.X_test)) - 1e-3
    run.record("skstruct", "F1 to reach", target, "")
    engines, predictions = {}, {}

    def add(name, train, predict, guess, most):
        """Find the number of iterations that an engine needs, and add the engine."""

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
            peer.train(n)  # the whole training, not the time in its log

        add("python-crfsuite, L-BFGS", train_peer, lambda: peer.tag(problem.test_sequences), 60, 1000)
    if engines:
        run.compare("shortest training to that F1", engines, unit="s", cold_rounds=2)
    for name, predict in predictions.items():
        run.require(f"{name} reaches the F1", chunk_f1(problem.test_labels, predict()) >= target)


@case("Letters without edges: training")
def logistic(run):
    """Letters without edges: time to train; asserted: LogisticRegression's objective (1e-4), probabilities (1e-2).

    The data are the letters of one fold. Both stop when no component of the gradient of the mean loss exceeds 1e-6.
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
    """Smallest number up to `most` for which ``reaches(number)`` holds, to a tenth; None if `most` fails.

    The search doubles or halves the first guess, then bisects. If there are several such numbers, it finds one.
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
    while high - low > max(1, 0.1 * low):  # `low` fails or is 0, and `high` succeeds
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
        taken = run.compare(f"value and gradient, {sizes}", engines | (more_engines or {}))
        if peer is not None:
            *ours, theirs = list(taken.values())[:3]
            for seconds, (dtype, (at_least, goal)) in zip(ours, GOALS.get(run.name, {}).items()):
                run.goal(f"CRFsuite's time of an evaluation, {dtype}", theirs / seconds, at_least=at_least, goal=goal)

    with_objective(chain_crf(C2), X, y, body, coef)


def _training(run, problem, measure, quality, tolerance, more_engines=None):
    """Train in turn. `quality` compares predicted with true labels, and may differ by at most `tolerance`."""
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
            peer.train()  # the whole training, not the time in its log

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
