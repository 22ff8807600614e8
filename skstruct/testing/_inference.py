"""The conformance battery of inference backends.

A backend declares that it is ``exact``, that its log-partition is a bound (``bound = "upper"`` or ``"lower"``), or
neither. The battery checks this on every family of graphs that the backend accepts. It compares results with an
enumeration that uses no code of any backend.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2

from skstruct.data.topology import Topology
from skstruct.inference import InferenceBackend
from skstruct.scores import Scores, edge_rows, score_labelling
from skstruct.testing._decoding import check_decoded
from skstruct.testing._models import (
    ACCURACY,
    SCORES,
    assert_unchanged,
    chosen_families,
    enumerate_covariances,
    enumerate_exactly,
    random_scores,
)

__all__ = ["check_inference_backend"]

EASY = ("zero", "random")  # kinds of scores for which the frequencies of approximate samplers must be right
N_SAMPLES = 1000
DIFFERENCES = 1e-6  # accuracy of derivatives by differences, of marginals with huge scores
CHI_SQUARE_LEVEL = 1e-7  # level of one test; it is small since a battery does thousands of tests
CORRELATED = 3.0  # number of samples of a Gibbs chain that count as one independent sample


def check_inference_backend(
    backend: InferenceBackend,
    n_models: int = 3,
    random_state: int = 0,
    *,
    samples: bool = True,
    families: Sequence[str] | None = None,
    derivative_accuracy: float = DIFFERENCES,
) -> int:
    """Run the whole battery on a backend.

    The laws are checked on every family of graphs that the backend accepts:

    - Log-partition, node marginals and pair marginals are exact, or the log-partition is a bound, as declared.
    - Node and pair marginals are distributions.
    - Weights of graphs multiply node marginals and pair counts.
    - Derivatives along a direction are the mean and the covariances of the score by this direction, if the plan is
      exact. Derivatives of probabilities of states sum to zero, also if the plan is not exact.
    - The result of `linearize` contains the same marginals, and computes the same derivatives.
    - The score of a decoded labelling is the score of its labels, the bound is valid, and "optimal" is true.
    - The best labellings of an exact backend are different, and their scores are those of the labels, in descending
      order from the maximum.
    - Results of an exact backend do not depend on the numbers of nodes and the directions of edges, and constants
      change the log-partition only.
    - Infeasible graphs have ``log Z = -inf``.
    - Frequencies of states and pairs of states in samples agree with the true marginals, by chi-square tests. If the
      plan is not exact, samples are checked only for scores that are neither huge nor -inf.
    - Arguments are not changed.

    Parameters
    ----------
    backend : InferenceBackend
    n_models : int, default=3
        Random models for each family and kind of scores.
    random_state : int, default=0
    samples : bool, default=True
        Whether to check ``plan.sample``, too. For approximate samplers this takes most of the time.
    families : sequence of str, default=None
        Names of the families of graphs to check, of `skstruct.testing.FAMILIES`; None checks all. One test for each
        family keeps tests short. The models of a family are the same, whatever the other families are.
    derivative_accuracy : float, default=1e-6
        Largest error of ``plan.derivative`` of an exact plan, relative to the size of the numbers. The default is for
        backends with the derivative of the base class, which computes differences.

    Returns
    -------
    n_checked : int
        Number of models on which the backend was checked. 0 if it accepts none of the given `families`.

    Raises
    ------
    AssertionError
        If a law is broken, or if `families` is None and the backend accepts no family. The message names the family,
        the scores and the law.

    Examples
    --------
    >>> from skstruct.inference import Tree
    >>> from skstruct.testing import check_inference_backend
    >>> check_inference_backend(Tree(), n_models=1) > 0
    True
    """
    n_checked = 0
    for family, topology, rng in chosen_families(families, random_state):
        for _, kind, shared in itertools.product(range(n_models), SCORES, (False, True)):
            n_states = int(rng.integers(1, 4 if topology.n_nodes < 6 else 3))
            if not backend.accepts(topology, n_states).all():
                continue
            plan = backend.plan(topology, n_states)
            scores = random_scores(rng, topology, n_states, SCORES[kind], shared)
            context = f"{backend!r}, family {family!r}, {kind} scores, {n_states} states, shared={shared}"
            before = scores._replace(node=scores.node.copy(), edge=scores.edge.copy())
            truth = enumerate_exactly(topology, scores)
            check_answers(backend, plan, scores, truth, context, rng)
            _check_derivative(plan, scores, context, derivative_accuracy, rng)
            _check_linearization(plan, scores, context, rng)
            if plan.exact:
                _check_invariance(backend, plan, scores, context, rng)
            if samples and (plan.exact or kind in EASY) and (truth.best_score > -np.inf).all():
                _check_samples(plan, scores, truth, context)
            assert_unchanged(before, scores, context)
            n_checked += 1
        if topology.n_nodes and backend.accepts(topology, 2).all():
            _check_infeasible(backend.plan(topology, 2), topology, f"{backend!r}, family {family!r}, infeasible")
    assert n_checked or families is not None, f"{backend!r} accepts none of the families of graphs"
    return n_checked


# ------------------------------------------------------------------------------------------ laws
def _close(found, wanted, context, accuracy=ACCURACY):
    size = max(1.0, float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=accuracy * size, err_msg=context)


def check_answers(backend, plan, scores, truth, context, rng):
    """Compare marginals and labellings of a batch with exact results."""
    _check_marginals(backend, plan, scores, truth, context, rng)
    check_decoded(plan.decode(scores), plan.topology, scores, truth, plan.exact, context)
    if plan.exact:
        _check_k_best(plan, scores, truth, context)


def _check_marginals(backend, plan, scores, truth, context, rng):
    t = plan.topology
    found, pairs = plan.marginals(scores), plan.edge_marginals(scores)
    feasible = truth.log_partition > -np.inf
    nodes, edges = feasible[t.node_graph], feasible[t.edge_graph]
    slack = ACCURACY * (1 + np.abs(np.where(feasible, truth.log_partition, 0.0)))
    if plan.exact:
        _close(found.log_partition, truth.log_partition, f"log-partition: {context}")
        _close(found.node[nodes], truth.node[nodes], f"node marginals: {context}")
        _close(pairs[edges], truth.edge[edges], f"pair marginals: {context}")
        assert found.converged.all(), f"exact, but not converged: {context}"
    if backend.bound == "upper":
        assert (found.log_partition >= truth.log_partition - slack).all(), f"not an upper bound: {context}"
    if backend.bound == "lower":
        assert (found.log_partition <= truth.log_partition + slack).all(), f"not a lower bound: {context}"
    has_marginals = found.log_partition > -np.inf  # an approximate backend may find no allowed labelling
    nodes, edges = has_marginals[t.node_graph], has_marginals[t.edge_graph]
    assert (found.node[nodes] >= 0).all(), f"negative probability: {context}"
    _close(found.node[nodes].sum(axis=1), np.ones(nodes.sum()), f"node marginals sum to one: {context}")
    _close(pairs[edges].sum(axis=(1, 2)), np.ones(edges.sum()), f"pair marginals sum to one: {context}")
    weights = rng.integers(0, 3, t.n_graphs).astype(float)
    counts = np.zeros_like(scores.edge)
    np.add.at(counts, edge_rows(scores, t.n_edges), weights[t.edge_graph][:, None, None] * pairs)
    if has_marginals.all():
        weighted = plan.marginals(scores, weights)
        _close(weighted.edge, counts, f"weighted pair counts: {context}", 1e-7)
        _close(weighted.node, weights[t.node_graph][:, None] * found.node, f"weighted node marginals: {context}", 1e-7)


def _check_derivative(plan, scores, context, accuracy, rng):
    t, weights = plan.topology, rng.integers(0, 3, plan.topology.n_graphs).astype(float)
    node, edge = (rng.normal(size=array.shape) for array in scores[:2])
    direction = Scores(node, edge, scores.edge_matrix)
    if not plan.exact:
        _, found = plan.derivative(scores, direction, weights)
        node = found.node[np.isfinite(found.node).all(axis=1)]
        _close(
            node.sum(axis=1), np.zeros(len(node)), f"derivatives of probabilities sum to zero: {context}", DIFFERENCES
        )
        return
    mean, covariances = enumerate_covariances(t, scores, direction)
    feasible = np.isfinite(mean)
    if not feasible.all():
        return
    wanted = Scores(weights[t.node_graph][:, None] * covariances.node, np.zeros_like(scores.edge))
    np.add.at(wanted.edge, edge_rows(scores, t.n_edges), weights[t.edge_graph][:, None, None] * covariances.edge)
    found_mean, found = plan.derivative(scores, direction, weights)
    _close(found_mean, mean, f"derivative of the log-partition: {context}", accuracy)
    _close(found.node, wanted.node, f"derivatives of node marginals: {context}", accuracy)
    _close(found.edge, wanted.edge, f"derivatives of pair counts: {context}", accuracy)


def _check_linearization(plan, scores, context, rng):
    t, weights = plan.topology, rng.integers(0, 3, plan.topology.n_graphs).astype(float)
    linearization, expected = plan.linearize(scores, weights), plan.marginals(scores, weights)
    for name in expected._fields:
        found, wanted = (np.asarray(getattr(each, name), float) for each in (linearization.marginals, expected))
        where = np.isfinite(wanted)
        np.testing.assert_array_equal(np.isfinite(found), where, err_msg=f"{name} of the linearization: {context}")
        _close(found[where], wanted[where], f"{name} of the linearization: {context}")
    for _ in range(2):
        node, edge = (rng.normal(size=array.shape) for array in scores[:2])
        direction = Scores(node, edge, scores.edge_matrix)
        mean, found = linearization.derivative(direction)
        wanted_mean, wanted = plan.derivative(scores, direction, weights)
        feasible = np.isfinite(wanted_mean)
        nodes = feasible[t.node_graph]
        _close(mean[feasible], wanted_mean[feasible], f"mean, of the linearization: {context}", DIFFERENCES)
        _close(found.node[nodes], wanted.node[nodes], f"nodes, of the linearization: {context}", DIFFERENCES)
        _close(found.edge, wanted.edge, f"pairs, of the linearization: {context}", DIFFERENCES)


def _check_k_best(plan, scores, truth, context):
    t = plan.topology
    labels, score = plan.k_best(scores, 3)
    totals = np.stack([score_labelling(t, scores, row) for row in labels], axis=1)
    listed = score > -np.inf
    _close(score[:, 0], truth.best_score, f"score of the best of several labellings: {context}")
    _close(score[listed], totals[listed], f"scores of the best labellings: {context}")
    assert (score[:, 1:] <= score[:, :-1]).all(), f"scores of the best labellings rise: {context}"
    for g in range(t.n_graphs):
        rows = labels[listed[g], t.node_ptr[g] : t.node_ptr[g + 1]]
        assert len(np.unique(rows, axis=0)) == len(rows), f"a labelling is listed twice: {context}"


def _check_samples(plan, scores, truth, context):
    """Frequencies of states and of pairs of states agree with the true marginals."""
    t = plan.topology
    labels = plan.sample(scores, N_SAMPLES, np.random.default_rng(0))
    assert labels.shape == (N_SAMPLES, t.n_nodes), f"shape of samples {labels.shape}: {context}"
    again = plan.sample(scores, N_SAMPLES, np.random.default_rng(0))
    np.testing.assert_array_equal(labels, again, err_msg=f"equal generators, other samples: {context}")
    n_states = scores.node.shape[1]
    i, j = t.edges.T
    found = [labels, labels[:, i] * n_states + labels[:, j]]
    for states, wanted in zip(found, (truth.node, truth.edge.reshape(t.n_edges, n_states**2))):
        n_items, n_cells = wanted.shape
        count = np.zeros((n_items, n_cells))
        np.add.at(count, (np.arange(n_items), states), 1)
        assert (wanted[count > 0] > 0).all(), f"a forbidden sample: {context}"
        expected = N_SAMPLES * wanted
        common = expected >= 5  # the chi-square approximation needs 5; rarer cells of an item are added to one cell
        rare, rare_count = (np.where(common, 0.0, each).sum(axis=1) for each in (expected, count))
        excess = np.divide((count - expected) ** 2, expected, out=np.zeros_like(count), where=common)
        statistic = excess.sum(axis=1) + (rare_count - rare) ** 2 / np.maximum(rare, 5.0)
        freedom = np.maximum(common.sum(axis=1), 1)
        statistic /= 1.0 if plan.exact else CORRELATED
        assert (chi2.sf(statistic, freedom) > CHI_SQUARE_LEVEL).all(), f"frequencies of samples: {context}"


def _check_invariance(backend, plan, scores, context, rng):
    """Constants change log Z only; renumbering nodes and reversing edges changes nothing else."""
    t, base = plan.topology, plan.marginals(scores)
    shift = rng.normal(size=(t.n_nodes, 1))
    moved = plan.marginals(scores._replace(node=scores.node + shift))
    _close(moved.log_partition, base.log_partition + t.sum_nodes(shift[:, 0]), f"constant: {context}", 1e-8)
    _close(moved.node, base.node, f"constant: {context}", 1e-8)
    new_number = np.concatenate([rng.permutation(np.arange(a, b)) for a, b in itertools.pairwise(t.node_ptr)])
    new_number = new_number.astype(np.int32)
    flipped = Topology(new_number[t.edges][:, ::-1], t.node_ptr, t.edge_ptr)
    n_states = scores.node.shape[1]
    if not backend.accepts(flipped, n_states).all():
        return
    node = np.empty_like(scores.node)
    node[new_number] = scores.node
    renamed = backend.plan(flipped, n_states).marginals(
        Scores(node, scores.edge.transpose(0, 2, 1), scores.edge_matrix)
    )
    _close(renamed.log_partition, base.log_partition, f"renumbered and flipped: {context}", 1e-8)
    _close(renamed.node[new_number], base.node, f"renumbered and flipped: {context}", 1e-8)


def _check_infeasible(plan, topology, context):
    """One node without an allowed state makes its graph infeasible, and no other graph."""
    node = np.zeros((topology.n_nodes, 2))
    node[0] = -np.inf
    found = plan.marginals(Scores(node, np.zeros((1, 2, 2)), np.zeros(topology.n_edges, np.int32)))
    infeasible = np.arange(topology.n_graphs) == topology.node_graph[0]
    np.testing.assert_array_equal(np.isneginf(found.log_partition), infeasible, err_msg=context)
