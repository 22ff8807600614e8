"""Every row of the table of backends passes the battery; a backend written here shows the extension point."""

from dataclasses import dataclass

import numpy as np
import pytest

from skstruct import Topology
from skstruct.exceptions import UnsupportedTopology
from skstruct.inference import BACKENDS, InferenceBackend, InferencePlan
from skstruct.scores import Scores, direct_marginals, exact_decoding, weigh_nodes
from skstruct.testing import FAMILIES, check_inference_backend

# What backends accept that refuse some graphs: one that refuses all graphs would pass any battery.
EDGELESS = {"no node", "one node", "no edge"}
CHAINS = {*EDGELESS, "one edge", "chain", "chain with gaps and reversed edges", "chain with repeated edges"}
FORESTS = {*CHAINS, "star", "forest", "forest, repeated and reversed edges", "batch of forests"}
ACCEPTED = {"edgeless": EDGELESS, "chain": CHAINS, "tree": FORESTS}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", BACKENDS)
def test_battery(name, family):
    n_checked = check_inference_backend(BACKENDS[name](), n_models=4, families=[family], derivative_accuracy=1e-10)
    assert n_checked == (32 if family in ACCEPTED.get(name, FAMILIES) else 0)


def test_battery_does_not_know_a_family():
    with pytest.raises(ValueError, match=r"unknown families of graphs \['chains'\]; known are \('no node'"):
        check_inference_backend(BACKENDS["auto"](), families=["chain", "chains"])


@dataclass(frozen=True)
class _ToyPlan(InferencePlan):
    topology: Topology
    spoil: float
    name = "toy"
    exact = True

    def marginals(self, scores, weights=None):
        node = np.exp(scores.node - scores.node.max(axis=1, keepdims=True))
        total = node.sum(axis=1, keepdims=True)
        log_total = np.log(total[:, 0]) + scores.node.max(axis=1)
        node = weigh_nodes(self.topology, node / total, weights)
        return direct_marginals(self.topology.sum_nodes(log_total) + self.spoil, node, np.zeros_like(scores.edge))

    def decode(self, scores):
        return exact_decoding(self.topology, scores, scores.node.argmax(axis=1))


class Toy(InferenceBackend):
    """A third-party backend for single nodes: two classes and no other change."""

    name = "toy"
    exact = True
    family = "graphs of one node"

    def __init__(self, spoil=0.0):
        self.spoil = spoil

    def accepts(self, topology, n_states):
        return (np.diff(topology.node_ptr) == 1) & (np.diff(topology.edge_ptr) == 0)

    def _plan(self, topology, n_states):
        return _ToyPlan(topology, self.spoil)


def test_toy_backend_breaks_where_it_is_careless():
    """Its softmax yields nan for a node without an allowed state, which the battery finds."""
    with pytest.raises(AssertionError, match=r"infeasible|constant|log-partition"), np.errstate(invalid="ignore"):
        check_inference_backend(Toy(), n_models=20)


def test_battery_finds_a_wrong_log_partition():
    with pytest.raises(AssertionError, match="log-partition"):
        check_inference_backend(Toy(spoil=1e-6))


def test_toy_backend_in_the_estimator():
    from skstruct import GraphCRFClassifier

    X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 1, 1]
    toy = GraphCRFClassifier(inference=Toy()).fit(X, y)
    np.testing.assert_allclose(toy.coef_, GraphCRFClassifier().fit(X, y).coef_, atol=1e-12)
    with pytest.raises(UnsupportedTopology, match=r"graph 1: inference='toy' supports graphs of one node.*'auto'"):
        toy.predict([(np.ones((1, 1)), []), (np.ones((2, 1)), [(0, 1)])])


@pytest.mark.parametrize(
    ("name", "edges", "n_nodes", "family"),
    [
        ("edgeless", [(0, 1)], 2, "graphs without edges"),
        ("chain", [(0, 2), (1, 2)], 3, "consecutive nodes"),
        ("tree", [(0, 1), (1, 2), (2, 0)], 3, "without cycles"),
    ],
)
def test_refusal_names_graph_and_remedy(name, edges, n_nodes, family):
    with pytest.raises(UnsupportedTopology, match=f"graph 0: inference='{name}'.*{family}.*Use inference='auto'"):
        BACKENDS[name]().plan(Topology.from_edges(edges, n_nodes), 2)


@pytest.mark.parametrize("n_states", [2, 3])
@pytest.mark.parametrize("name", BACKENDS)
def test_no_edge_and_no_matrix(name, n_states):
    """The scores of a linear map that was trained on graphs without edges: edges share matrices, and there is none."""
    plan = BACKENDS[name]().plan(Topology.from_edges([], 3), n_states)
    none = np.zeros((0, n_states, n_states)), np.zeros(0, np.int32)
    rng = np.random.default_rng(0)
    scores, direction = (Scores(rng.normal(size=(3, n_states)), *none) for _ in range(2))
    found = plan.marginals(scores)
    p = np.exp(scores.node) / np.exp(scores.node).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.node, p, atol=0.2 if name == "gibbs" else 1e-12)
    assert found.edge.shape == none[0].shape
    mean, derivative = plan.derivative(scores, direction)
    tangent = p * (direction.node - (p * direction.node).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(derivative.node, tangent, atol=1e-9)
    assert mean == pytest.approx((p * direction.node).sum(), abs=1e-9)
    assert derivative.edge.shape == none[0].shape


def test_enumeration_refuses_by_number_of_labellings():
    backend, pair = BACKENDS["enumeration"](max_labellings=8), Topology.from_edges([], 2)
    assert backend.plan(pair, 2).decode(Scores(np.zeros((2, 2)), np.zeros((0, 2, 2)))).optimal.all()
    with pytest.raises(UnsupportedTopology, match="at most 8 labellings"):
        backend.plan(pair, 3)


def test_auto_makes_one_plan_of_chains_and_single_nodes():
    chains = Topology(
        np.array([[0, 1], [3, 4], [4, 5]], np.int32), np.array([0, 2, 3, 3, 6]), np.array([0, 1, 1, 1, 3])
    )
    assert BACKENDS["auto"]().plan(chains, 2).name == "chain"
    assert BACKENDS["auto"]().plan(Topology.from_edges([], 1), 2).name == "edgeless"


def test_auto_gives_each_graph_the_cheapest_exact_backend():
    from skstruct import GraphCRFClassifier

    one = np.ones((4, 1))
    X = [
        (one, []),
        (one, [(0, 1), (2, 1), (2, 3)]),
        (one, [(0, 1), (0, 2), (0, 3)]),
        (one, [(0, 1), (1, 2), (2, 3), (3, 0)]),
    ]
    y = [[0, 1, 1, 0]] * 4
    report = GraphCRFClassifier().fit(X, y).inference_report(X)
    assert report["backend"].tolist()[:3] == ["edgeless", "chain", "tree"]
    assert report["exact"][:3].all()
    assert report["converged"].all()
