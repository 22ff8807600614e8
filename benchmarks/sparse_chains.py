"""Training of chains with an L1 and an L2 penalty, compared with CRFsuite on the same weights."""

import time

import numpy as np

from benchmarks._crfsuite import CRFsuite
from benchmarks._measure import case
from benchmarks._sequences import Attributes, chunk_words
from benchmarks._text import chunk_attributes
from benchmarks._training import chain_crf, flat_coef, with_objective
from skstruct.optim import OWLQN

C1 = C2 = 0.1  # of the objective NLL + c1 |w|_1 + c2 |w|^2, as in the tutorial of sklearn-crfsuite
LEVELS = {1e-2: (2.5, 5.0), 1e-3: (2.0, 5.0)}  # relative distances from the minimum; at least, and the goal


class Recorded(OWLQN):
    """OWL-QN that records the CPU time and the value after each iteration."""

    def minimize(self, loss, start, *, callback, **options):
        begin, self.curve = time.process_time(), []

        def record(state):
            self.curve.append((time.process_time() - begin, state.value))
            return callback(state)

        return super().minimize(loss, start, callback=record, **options)


@case("Chunking: training with an L1 and an L2 penalty")
def chunking_l1_l2(run):
    """CoNLL-2000 chunking with c1 = c2 = 0.1: CPU time until the objective is within 1 % and 0.1 % of its minimum.

    The minimum is the smallest objective of all trainings. The time of CRFsuite is read when it writes its log. The
    times of both programs contain evaluations and optimisation steps, and neither reading nor planning. Asserted: the
    objective at CRFsuite's weights (1e-4), and that skstruct reaches both distances.
    """
    train, test = chunk_words(run)
    parts = ([(chunk_attributes(words), labels) for words, labels in part] for part in (train[:1500], test[:10]))
    problem = Attributes(*parts)
    X, y = problem.X, problem.y
    crf = chain_crf(C2, c1=C1, optimizer=Recorded())

    def ours():
        crf.fit(X, y)
        seconds, values = np.array(crf.optimizer.curve).T
        return seconds, values * X.n_nodes

    engines = {"skstruct": ours}
    ours()  # compiles
    pycrfsuite = run.peer("pycrfsuite", "python-crfsuite")
    if pycrfsuite is not None:
        peer = CRFsuite(pycrfsuite, zip(problem.sequences, problem.labels), C2, C1)

        def theirs():
            peer.train(run.pick(100, 300, 300))
            return np.array(peer.curve)

        engines["python-crfsuite"] = theirs
    curves = {name: [] for name in engines}
    for _ in range(run.pick(1, 2, 2)):
        for name, function in engines.items():
            curves[name].append(function())
    if pycrfsuite is not None:

        def body(fun, coef):
            value = fun(coef)[0] * X.n_nodes + C1 * np.abs(coef).sum()
            run.check("objective at CRFsuite's weights", value, peer.objective, rtol=1e-4)

        weights = peer.weights(problem.columns, problem.classes)
        with_objective(chain_crf(C2, c1=C1), X, y, body, flat_coef(chain_crf(C2), X, y, *weights))
    best = min(curve[1].min() for found in curves.values() for curve in found)
    sizes = (
        f"{X.n_nodes} nodes, {len(problem.classes)} labels, {np.count_nonzero(crf._model.feature_plan.free)} weights"
    )
    for level, (at_least, goal) in LEVELS.items():
        taken = {name: [reached(curve, best * (1 + level)) for curve in found] for name, found in curves.items()}
        run.require(f"skstruct is within {level:g}", np.isfinite(taken["skstruct"]).all())
        for name, seconds in taken.items():
            if not np.isfinite(seconds).all():
                run.record(name, f"not within {level:g}", None, "")
                continue
            run.record(
                name,
                f"training to within {level:g} of the minimum, {sizes}",
                float(np.median(seconds)),
                "s",
                low=min(seconds),
                high=max(seconds),
                rounds=len(seconds),
                ratio=float(np.median(np.array(seconds) / taken["skstruct"])),
            )
        if pycrfsuite is not None:
            ratio = np.median(np.array(taken["python-crfsuite"]) / taken["skstruct"])
            run.goal(f"CRFsuite's time to within {level:g}", ratio, at_least=at_least, goal=goal)


def reached(curve, target):
    """Seconds after which the values of a training reach a target; inf if they do not."""
    seconds, values = curve
    found = np.flatnonzero(values <= target)
    return float(seconds[found[0]]) if len(found) else np.inf
