"""The conformance battery of feature maps."""

import pickle
from functools import reduce

import numpy as np
from scipy.sparse import csr_array

from skstruct.data.dataset import GraphDataset
from skstruct.data.tables import is_sparse
from skstruct.features import FeatureMap
from skstruct.scores import Scores, unshared

__all__ = ["check_feature_map"]

STEP = 1e-6
N_STATES, N_FEATURES = 3, 4
SIZES = (3, 1, 4, 0, 2, 5)  # nodes of the graphs, which are chains


def check_feature_map(
    feature_map: FeatureMap, *, sparse: bool = True, accuracy: float = 1e-6, random_state: int = 0
) -> None:
    """Run the whole battery on a feature map.

    The map is checked on small chains with dense and sparse features, with and without edge features:

    - The plan from pieces of the data equals the plan of the whole data.
    - Plan and inputs can be pickled.
    - `pullback` adds the derivative of the scores, compared with central differences. It does not read `out` and does
      not write to `coef`.
    - `step` is `pullback` times the rate.
    - `tangent` is the derivative, and `input_gradient` the gradient of the features, if they are implemented.
    - `slice_inputs` returns the inputs of the graphs.
    - The scores of a graph do not depend on its batch.
    - Arguments are not changed.

    Parameters
    ----------
    feature_map : FeatureMap
    sparse : bool, default=True
        Whether the map supports sparse features.
    accuracy : float, default=1e-6
        Accuracy of derivatives, relative to the size of the numbers.
    random_state : int, default=0

    Raises
    ------
    AssertionError
        The message names the data and the law that is broken.

    Examples
    --------
    >>> from skstruct.features import LinearFeatures
    >>> from skstruct.testing import check_feature_map
    >>> check_feature_map(LinearFeatures())
    """
    rng = np.random.default_rng(random_state)
    for stores_sparse in (False, True) if sparse else (False,):
        for n_edge_features in (None, 2):
            batch, codes = _chains(rng, stores_sparse, n_edge_features)
            case = _Case(feature_map, batch, codes, accuracy, rng)
            case.context = f"{feature_map!r}, sparse={stores_sparse}, {n_edge_features} edge features"
            _check_plan(case)
            _check_derivatives(case)
            _check_input_gradient(case)
            _check_slices(case)


def _chains(rng, stores_sparse, n_edge_features):
    node_ptr = np.concatenate([[0], np.cumsum(SIZES)])
    x = rng.normal(size=(node_ptr[-1], N_FEATURES))
    x[rng.random(x.shape) < 0.4] = 0.0
    edges = np.array([(i, i + 1) for n in SIZES for i in range(n - 1)])
    edge_ptr = np.concatenate([[0], np.cumsum([max(n - 1, 0) for n in SIZES])])
    f = None if n_edge_features is None else rng.normal(size=(len(edges), n_edge_features))
    codes = rng.integers(N_STATES, size=len(x))
    return GraphDataset(csr_array(x) if stores_sparse else x, edges, f, node_ptr, edge_ptr), codes


class _Case:
    """A feature map with a batch and its plan."""

    context = ""

    def __init__(self, feature_map, batch, codes, accuracy, rng):
        self.map, self.batch, self.codes, self.accuracy, self.rng = feature_map, batch, codes, accuracy, rng
        self.classes = np.arange(N_STATES)
        self.plan = feature_map.plan(batch, self.classes, codes)
        self.inputs = self.plan.prepare(batch)
        start = self.plan.initial_coef(np.random.RandomState(0))
        self.coef = (start + 0.3 * rng.normal(size=len(start))) * self.plan.free

    def scores(self, coef=None):
        return self.plan.scores(self.inputs, self.coef if coef is None else coef)

    def close(self, found, wanted, law):
        finite = np.abs(wanted[np.isfinite(wanted)])
        size = max(1.0, float(finite.max(initial=0.0)))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=self.accuracy * size, err_msg=f"{law}: {self.context}")


def _check_plan(case):
    plan, ptr = case.plan, case.batch.node_ptr
    for name in ("penalized", "free"):
        assert np.shape(getattr(plan, name)) == (plan.n_coef,), f"{name} needs a number per parameter: {case.context}"
    starts = [plan.initial_coef(np.random.RandomState(0)) for _ in range(2)]
    assert starts[0].shape == (plan.n_coef,), f"initial_coef has the shape {starts[0].shape}: {case.context}"
    assert np.array_equal(*starts), f"initial_coef differs for equal seeds: {case.context}"
    assert not starts[0][~plan.free].any(), f"initial_coef is not zero where it is not free: {case.context}"
    pieces = [slice(0, 2), slice(2, 3), slice(3, len(case.batch))]
    statistics = [
        pickle.loads(
            pickle.dumps(case.map.collect(case.batch[p], case.codes[ptr[p.start] : ptr[p.stop]], case.classes))
        )
        for p in pieces
    ]
    assert case.map.plan_from(reduce(case.map.merge, statistics), case.classes) == plan, (
        f"the plan of pieces is another one: {case.context}"
    )
    copy, inputs = pickle.loads(pickle.dumps((plan, case.inputs)))
    assert copy == plan, f"a pickled plan is another one: {case.context}"
    found, wanted = copy.scores(inputs, case.coef)[0], case.scores()[0]
    assert np.array_equal(found.node, wanted.node), f"a pickled plan gives other scores: {case.context}"
    names = list(plan.attributes(case.coef))
    assert all(name.endswith("_") for name in names), f"attributes {names} do not end in an underscore: {case.context}"


def _check_derivatives(case):
    plan, coef, rng = case.plan, case.coef, case.rng
    before, frozen = coef.copy(), coef.copy()
    frozen.flags.writeable = False
    scores, context = case.scores(frozen)
    n_matrices = len(scores.edge)
    shape = (case.batch.n_nodes, N_STATES)
    assert scores.node.shape == shape, f"node scores of shape {scores.node.shape}, not {shape}: {case.context}"
    assert scores.node.dtype == coef.dtype, f"scores of type {scores.node.dtype}: {case.context}"
    assert scores.edge_matrix is not None or n_matrices == case.batch.n_edges, f"{n_matrices} matrices: {case.context}"
    assert not np.shares_memory(scores.node, frozen), f"the node scores are a view of coef: {case.context}"
    d_scores = _random_like(scores, rng)
    gradient = np.zeros_like(coef)
    plan.pullback(context, _copied(d_scores), gradient)
    added = np.full_like(coef, 7.0)
    plan.pullback(context, _copied(d_scores), added)
    case.close(added - 7.0, gradient, "pullback does not add to out, or reads it")
    assert np.array_equal(coef, before), f"coef was changed: {case.context}"
    gradient *= plan.free
    for _ in range(3):
        direction = rng.normal(size=len(coef)) * plan.free
        (ahead, _), (behind, _) = (case.scores(coef + step * direction) for step in (STEP, -STEP))
        node, edge = (_slope(a, b) for a, b in zip(ahead[:2], behind[:2]))
        slope = np.array((d_scores.node * node).sum() + (d_scores.edge * edge).sum())
        case.close(gradient @ direction, slope, "pullback is not the derivative of the scores")
        if plan.has_tangent:
            tangent = plan.tangent(context, direction)
            case.close(tangent.node, node, "tangent of the node scores")
            case.close(tangent.edge, edge, "tangent of the edge scores")
    stepped = coef.copy()
    _, context = case.scores(stepped)
    plan.step(context, _copied(d_scores), stepped, 0.01)
    case.close(stepped * plan.free, coef - 0.01 * gradient, "step is not pullback times the rate")


def _check_input_gradient(case):
    plan, coef, batch, rng = case.plan, case.coef, case.batch, case.rng
    d_scores = _random_like(unshared(case.scores()[0]), rng)
    try:
        node, edge = plan.input_gradient(case.inputs, coef, d_scores)
    except NotImplementedError:
        return
    stored = batch.node_features != 0  # features that are 0 stay 0: constraints apply to nodes with other features
    direction = rng.normal(size=node.shape) * (stored.toarray() if is_sparse(stored) else stored)
    d_features = None if batch.edge_features is None else rng.normal(size=batch.edge_features.shape)
    assert (edge is None) == (d_features is None), f"input_gradient returns {edge!r} for edges: {case.context}"
    gradient = (node * direction).sum() + (0.0 if edge is None else (edge * d_features).sum())
    slopes, store = [], csr_array if is_sparse(batch.node_features) else np.asarray
    for step in (STEP, -STEP):
        moved = batch.with_node_features(store(batch.node_features + step * direction))
        if d_features is not None:
            moved = moved.with_edge_features(batch.edge_features + step * d_features)
        scores = unshared(plan.scores(plan.prepare(moved), coef)[0])
        arrays = zip(scores[:2], d_scores[:2])
        slopes.append(sum((np.where(np.isfinite(array), array, 0.0) * d).sum() for array, d in arrays))
    case.close(gradient, np.array((slopes[0] - slopes[1]) / (2 * STEP)), "input_gradient is not the derivative")


def _random_like(scores, rng):
    """Random gradient with respect to the scores; 0 where forbidden."""
    node, edge = (rng.normal(size=array.shape) * np.isfinite(array) for array in scores[:2])
    return Scores(node, edge, scores.edge_matrix)


def _slope(ahead, behind):
    """Central difference; 0 where both are -inf."""
    both = np.isfinite(ahead) & np.isfinite(behind)
    return np.subtract(ahead, behind, out=np.zeros_like(ahead), where=both) / (2 * STEP)


def _copied(scores):
    return Scores(scores.node.copy(), scores.edge.copy(), scores.edge_matrix)


def _check_slices(case):
    """Scores of some graphs are the same whether they are prepared alone or with their batch."""
    whole, _ = case.scores()
    edge = whole.edge if whole.edge_matrix is None else whole.edge[whole.edge_matrix]
    for graphs in (slice(0, 2), slice(2, 4), slice(3, 4), slice(4, 6)):
        nodes, edges = (slice(p[graphs.start], p[graphs.stop]) for p in (case.batch.node_ptr, case.batch.edge_ptr))
        alone = case.plan.prepare(case.batch[graphs])
        for inputs in (alone, case.plan.slice_inputs(case.inputs, case.batch, graphs)):
            scores, _ = case.plan.scores(inputs, case.coef)
            own = scores.edge if scores.edge_matrix is None else scores.edge[scores.edge_matrix]
            case.close(scores.node, whole.node[nodes], f"node scores of graphs {graphs}")
            case.close(own, edge[edges], f"edge scores of graphs {graphs}")
