"""Gradients of the log-likelihood with respect to the features, compared with differences."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skstruct import GraphCRFClassifier, RaggedArray
from skstruct.exceptions import InfeasibleGraph
from skstruct.features import ConstrainedFeatures, FeaturePlan, LinearFeatures, NetworkFeatures
from skstruct.features._linear import LinearPlan

MAPS = {
    "linear": LinearFeatures("symmetric"),
    "network": NetworkFeatures((4, 3), "tanh", edges="network"),
    "constrained": ConstrainedFeatures(NetworkFeatures((4,), "logistic"), forbidden_pairs=[(0, 7)]),
}
STEP = 1e-5


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("kind", ["tree", "cycle"])
@pytest.mark.parametrize("n_edge_features", [0, 2])
@pytest.mark.parametrize("name", MAPS)
def test_saliency_is_the_gradient(make_data, name, n_edge_features, kind, missing):
    X, y = make_data(kind, sizes=(3, 1, 4, 0, 2), n_edge_features=n_edge_features)
    crf = GraphCRFClassifier(MAPS[name], classes=[0, 1, 2, 7], missing_label=-1, tol=1e-3, random_state=0)
    crf.fit(X, y)
    if missing:
        y = RaggedArray(np.where(np.arange(len(y.values)) % 3 == 1, y.values, -1), y.ptr)
    node, edge = crf.saliency(X, y)
    rng = np.random.default_rng(0)
    direction = rng.normal(size=node.values.shape)
    found = (node.values * direction).sum()
    moved = [X.with_node_features(X.node_features + step * direction) for step in (STEP, -STEP)]
    if n_edge_features:
        direction = rng.normal(size=edge.values.shape)
        found += (edge.values * direction).sum()
        np.testing.assert_array_equal(edge.ptr, X.edge_ptr)
        moved = [
            part.with_edge_features(X.edge_features + step * direction) for part, step in zip(moved, (STEP, -STEP))
        ]
    else:
        assert edge is None
    ahead, behind = (crf.log_likelihood(part, y).sum() for part in moved)
    assert abs(found) > 1e-3
    assert found == pytest.approx((ahead - behind) / (2 * STEP), rel=1e-6, abs=1e-7)


def test_a_table_gets_a_table(make_data):
    X, y = make_data("edgeless", sizes=(5, 4))
    crf = GraphCRFClassifier().fit(X.node_features, y.values)
    node, edge = crf.saliency(X.node_features, y.values)
    proba = crf.predict_proba(X.node_features)
    np.testing.assert_allclose(node, (np.eye(3)[y.values] - proba) @ crf.coef_, atol=1e-12)
    assert edge is None
    np.testing.assert_allclose(crf.saliency(csr_array(X.node_features), y.values)[0], node)


def test_the_influence_of_a_neighbour(make_data):
    """The label of the last node of a chain depends on the features of the other nodes, less with the distance."""
    X, y = make_data("chain", sizes=[6] * 20)
    crf = GraphCRFClassifier(C=10, missing_label=-1).fit(X, np.sort(y.values.reshape(20, 6), axis=1).tolist())
    only = [[-1] * 5 + [int(graph[-1])] for graph in y]
    size = np.abs(crf.saliency(X, only)[0].values).sum(axis=1).reshape(20, 6).mean(axis=0)
    assert (size > 0).all()
    assert (np.diff(size) > 0).all()


def test_forbidden_labels_and_maps_without_gradient(make_data):
    X, y = make_data("chain", sizes=[3] * 4, n_states=2)
    y = [[0, 0, 1]] * 4
    crf = GraphCRFClassifier(ConstrainedFeatures(forbidden_pairs=[(1, 0)])).fit(X, y)
    with pytest.raises(InfeasibleGraph, match="graph 2"):
        crf.saliency(X, [y[0], y[0], [1, 0, 0], y[0]])

    class Plan(LinearPlan):
        input_gradient = FeaturePlan.input_gradient

    class Map(LinearFeatures):
        def plan_from(self, statistics, classes):
            return Plan(**vars(super().plan_from(statistics, classes)))

    with pytest.raises(NotImplementedError, match="Plan does not implement input_gradient"):
        GraphCRFClassifier(Map()).fit(X, y).saliency(X, y)
