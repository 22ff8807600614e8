"""Explanations, by enumeration: every part on its own, and their sum."""

import itertools

import networkx as nx
import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import logsumexp
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.exceptions import InfeasibleGraph
from skstruct.features import ConstrainedFeatures, LinearFeatures, NetworkFeatures
from skstruct.inference import BACKENDS, LoopyBP, MeanField, TreeReweightedBP
from skstruct.inspection import explain
from skstruct.preprocessing import NodeTransformer

SHAPES = {
    "one node": ([], 1),
    "no edge": ([], 2),
    "chain": ([(0, 1), (1, 2), (2, 3)], 4),
    "reversed": ([(1, 0), (1, 2), (3, 2)], 4),
    "star": ([(0, 1), (2, 0), (0, 3), (4, 0)], 5),
    "cycle": ([(0, 1), (1, 2), (2, 3), (3, 0)], 4),
    "triangle and tails": ([(0, 1), (1, 2), (2, 0), (2, 3), (4, 2), (4, 5)], 6),
    "grid": ([(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)], 6),
    "repeated": ([(0, 1), (1, 0), (0, 1), (1, 2)], 3),
    "two components": ([(0, 1), (2, 3), (3, 4)], 5),
}
EXACT = ["auto", "junction_tree", "enumeration"]


@pytest.fixture(scope="module")
def graphs():
    rng = np.random.default_rng(0)
    X = GraphDataset.from_graphs(
        [(rng.normal(size=(n, 2)), np.reshape(e, (-1, 2)), rng.normal(size=(len(e), 2))) for e, n in SHAPES.values()]
    )
    return X, RaggedArray(rng.integers(3, size=X.n_nodes), X.node_ptr)


@pytest.fixture(scope="module")
def crf(graphs):
    return GraphCRFClassifier(C=10.0).fit(*graphs)


def log_sum(node_scores, edges, edge_scores, nodes, given):
    """Log of the sum over the labellings of `nodes`, given labels of other nodes; without the scores of these nodes."""
    total = []
    for states in itertools.product(range(node_scores.shape[1]), repeat=len(nodes)):
        label = dict(zip(nodes, states)) | given
        inside = [k for k, (i, j) in enumerate(edges) if (i in label and j in label) and (i in nodes or j in nodes)]
        total.append(
            sum(node_scores[i, label[i]] for i in nodes)
            + sum(edge_scores[k, label[edges[k][0]], label[edges[k][1]]] for k in inside)
        )
    return logsumexp(total) if total else 0.0


def parts_by_enumeration(model, X, g, node, a, b):
    """Contribution of each group of neighbours, by the numbers of the neighbours."""
    node_scores, edge_scores = (scores[g] for scores in model.scores(X))
    edges = [tuple(edge) for edge in X[g].edges.tolist()]
    graph = nx.Graph(edges)
    graph.add_nodes_from(range(len(node_scores)))
    neighbours = set(graph[node])
    graph.remove_node(node)
    found = {}
    for component in nx.connected_components(graph):
        group = sorted(neighbours & component)
        if group:
            sums = [log_sum(node_scores, edges, edge_scores, sorted(component), {node: state}) for state in (a, b)]
            found[("node " if len(group) == 1 else "nodes ") + ", ".join(map(str, group))] = sums[0] - sums[1]
    return found


def log_odds(model, X, g, node, a, b):
    node_scores, edge_scores = (scores[g] for scores in model.scores(X))
    edges = [tuple(edge) for edge in X[g].edges.tolist()]
    others = [i for i in range(len(node_scores)) if i != node]
    sums = [log_sum(node_scores, edges, edge_scores, others, {node: state}) for state in (a, b)]
    return sums[0] - sums[1] + node_scores[node, a] - node_scores[node, b]


@pytest.mark.parametrize("inference", EXACT)
@pytest.mark.parametrize("shape", SHAPES)
def test_parts_and_their_sum(crf, graphs, shape, inference, monkeypatch):
    monkeypatch.setattr(crf, "inference", inference)
    X, g = graphs[0], list(SHAPES).index(shape)
    log_proba = crf.predict_log_proba(X)[g]
    for node in range(len(log_proba)):
        for a, b in [(0, 1), (2, 0)]:
            frame = explain(crf, X, g, node, a, b)
            assert frame["contribution"].sum() == pytest.approx(log_odds(crf, X, g, node, a, b), abs=1e-9)
            assert frame["contribution"].sum() == pytest.approx(log_proba[node, a] - log_proba[node, b], abs=1e-9)
            parts = frame.groupby("part")
            sent = parts.get_group("neighbour") if "neighbour" in parts.groups else frame[:0]
            expected = parts_by_enumeration(crf, X, g, node, a, b)
            assert dict(zip(sent["name"], sent["contribution"])) == pytest.approx(expected, abs=1e-9)
            features = parts.get_group("feature").set_index("name")
            for k, name in enumerate(["x0", "x1"]):
                value = X[g].node_features[node, k]
                assert features.loc[name, "value"] == value
                difference = value * (crf.coef_[a, k] - crf.coef_[b, k])
                assert features.loc[name, "contribution"] == pytest.approx(difference, abs=1e-12)
            (intercept,) = parts.get_group("intercept")["contribution"]
            assert intercept == crf.intercept_[a] - crf.intercept_[b]
            assert set(frame["part"]) <= {"feature", "intercept", "neighbour"}


def test_labels_by_default(crf, graphs):
    X, _ = graphs
    for g, proba in enumerate(crf.predict_proba(X)):
        first, second = np.argsort(-proba[0])[:2]
        frame = explain(crf, X, g, 0)
        assert frame.attrs == {"graph": g, "node": 0, "label": first, "against": second}
        assert frame["contribution"].abs().is_monotonic_decreasing
        assert explain(crf, X, g, 0, against=first).attrs["label"] == second
        assert explain(crf, X, g, 0, second).attrs["against"] == first


@pytest.mark.parametrize("name", ["chain", "tree", "edgeless"])
def test_backends_that_support_some_graphs(crf, graphs, name, monkeypatch):
    monkeypatch.setattr(crf, "inference", name)
    shape = {"chain": "chain", "tree": "star", "edgeless": "no edge"}[name]
    X, g = graphs[0], list(SHAPES).index(shape)
    for node in range(SHAPES[shape][1]):
        found = explain(crf, X[[g]], 0, node, 1, 2)["contribution"].sum()
        assert found == pytest.approx(log_odds(crf, X, g, node, 1, 2), abs=1e-9)


def fixed_point(node_scores, edges, edge_scores, weights):
    """Log-messages ``[source, target]`` of tree-reweighted belief propagation; weights of 1: loopy BP."""
    pairs = {(i, j): score / w for (i, j), score, w in zip(edges, edge_scores, weights)}
    pairs |= {(j, i): score.T for (i, j), score in pairs.items()}
    weight = dict(zip(edges, weights)) | {(j, i): w for (i, j), w in zip(edges, weights)}
    messages = {pair: np.zeros(node_scores.shape[1]) for pair in pairs}
    for _ in range(150):
        new = {}
        for i, j in pairs:
            incoming = sum(weight[k, n] * messages[k, n] for k, n in pairs if n == i) - messages[j, i]
            new[i, j] = logsumexp(pairs[i, j] + (node_scores[i] + incoming)[:, None], axis=0)
        messages = {pair: (messages[pair] + new[pair] - new[pair].mean()) / 2 for pair in pairs}
    return {(i, j): weight[i, j] * message for (i, j), message in messages.items()}


SHARP = {
    "loopy_bp": LoopyBP(tol=1e-12, max_iter=2000),
    "tree_reweighted": TreeReweightedBP(tol=1e-12, max_iter=2000),
    "half": TreeReweightedBP(rho=0.5, tol=1e-12, max_iter=2000),
}


@pytest.mark.parametrize("name", SHARP)
@pytest.mark.parametrize("shape", ["cycle", "triangle and tails", "grid"])
def test_messages_of_belief_propagation(crf, graphs, shape, name, monkeypatch):
    """Each neighbour has a row, also on cycles, if inference is approximate."""
    monkeypatch.setattr(crf, "inference", SHARP[name])
    X, g = graphs[0], list(SHAPES).index(shape)
    node_scores, edge_scores = (scores[g] for scores in crf.scores(X))
    plan = SHARP[name].plan(X[[g]].topology, 3)
    edges = [tuple(edge) for edge in X[g].edges.tolist()]
    messages = fixed_point(node_scores, edges, edge_scores, plan.edge_weights)
    for node in range(len(node_scores)):
        frame = explain(crf, X[[g]], 0, node, 1, 2).set_index("name")
        sent = frame[frame["part"] == "neighbour"]["contribution"]
        expected = {f"node {i}": message[1] - message[2] for (i, j), message in messages.items() if j == node}
        assert sent.to_dict() == pytest.approx(expected, abs=1e-8)
        assert abs(frame.loc[plan.name, "contribution"]) < 1e-8


def test_messages_along_repeated_edges(crf, graphs, monkeypatch):
    monkeypatch.setattr(crf, "inference", TreeReweightedBP(rho=0.5, tol=1e-12, max_iter=2000))
    edges = [(0, 1), (2, 0), (1, 0), (1, 2), (0, 2)]
    rng = np.random.default_rng(1)
    X = GraphDataset(rng.normal(size=(3, 2)), edges, rng.normal(size=(5, 2)))
    assert crf.inference.plan(X.topology, 3).edge_weights.tolist() == [0.5] * 5
    node_scores, scores = (scores[0] for scores in crf.scores(X))
    merged = [scores[0] + scores[2].T, scores[1] + scores[4].T, scores[3]]
    messages = fixed_point(node_scores, [(0, 1), (2, 0), (1, 2)], merged, [0.5] * 3)
    frame = explain(crf, X, 0, 0, 0, 1).set_index("name")["contribution"]
    for neighbour in (1, 2):
        assert frame[f"node {neighbour}"] == pytest.approx(np.subtract(*messages[neighbour, 0][:2]), abs=1e-8)
    merge = crf.inference.plan(X.topology, 3).merge
    assert merge.of_edges(np.array([10, 11, 12])).tolist() == [10, 11, 10, 12, 11]


def test_mean_field_sums_expected_scores(crf, graphs, monkeypatch):
    monkeypatch.setattr(crf, "inference", MeanField(tol=1e-12, max_iter=5000))
    X, g = graphs[0], list(SHAPES).index("grid")
    proba, edge_scores = crf.predict_proba(X)[g], crf.scores(X)[1][g]
    frame = explain(crf, X, g, 4, 0, 1).set_index("name")["contribution"]
    for e, (i, j) in enumerate(X[g].edges.tolist()):
        if 4 in (i, j):
            matrix, other = (edge_scores[e], j) if i == 4 else (edge_scores[e].T, i)
            assert frame[f"node {other}"] == pytest.approx(proba[other] @ (matrix[0] - matrix[1]), abs=1e-8)
    assert abs(frame["mean_field"]) < 1e-8


@pytest.mark.parametrize("name", [name for name, backend in BACKENDS.items() if not backend.exact])
def test_approximate_inference(crf, graphs, name, monkeypatch):
    """The parts sum to the log-odds of the same backend."""
    monkeypatch.setattr(crf, "inference", name)
    X = graphs[0]
    for g, shape in enumerate(SHAPES):
        proba = crf.predict_proba(X[[g]])[0]
        frame = explain(crf, X[[g]], 0, 0, 1, 0)
        assert frame["contribution"].sum() == pytest.approx(np.log(proba[0, 1] / proba[0, 0]), abs=1e-9)
        if shape == "grid" and name != "auto":
            rest = frame.set_index("part").loc["approximation"]
            assert rest["name"] == name
            assert abs(rest["contribution"]) < 0.1


def test_marginals_that_are_zero(crf, graphs, monkeypatch):
    """They say nothing about messages; log-partitions of the components do."""
    monkeypatch.setattr(crf, "inference", "loopy_bp")
    X, g = graphs[0], list(SHAPES).index("cycle")
    X = X.with_node_features(1e4 * X.node_features)
    frame = explain(crf, X[[g]], 0, 0, 0, 1)
    assert np.isfinite(frame["contribution"]).all()
    assert frame["contribution"].sum() == pytest.approx(log_odds(crf, X, g, 0, 0, 1), rel=1e-9)
    assert "nodes 1, 3" in set(frame["name"])


def test_known_labels_and_approximate_inference(crf, graphs, monkeypatch):
    monkeypatch.setattr(crf, "inference", LoopyBP(tol=1e-12, max_iter=2000))
    X, g = graphs[0], list(SHAPES).index("grid")
    known = [[None, 2, None, None, None, None]]
    frame = explain(crf, X[[g]], 0, 0, 0, 1, known=known).set_index("name")["contribution"]
    edge_scores = crf.scores(X)[1][g]
    assert frame["node 1"] == pytest.approx(edge_scores[0, 0, 2] - edge_scores[0, 1, 2], abs=1e-9)
    assert "node 3" in frame.index
    assert abs(frame["loopy_bp"]) < 1e-8
    assert explain(crf, X[[g]], 0, 1, 2, 1, known=known)["contribution"].sum() == np.inf


def test_large_scores(crf, graphs):
    X = graphs[0]
    X = X.with_node_features(1e4 * X.node_features).with_edge_features(1e4 * X.edge_features)
    for g, (_, n_nodes) in enumerate(SHAPES.values()):
        for node in range(n_nodes):
            found = explain(crf, X, g, node)["contribution"]
            assert np.isfinite(found).all()
            frame = explain(crf, X, g, node, 0, 1)
            expected = log_odds(crf, X, g, node, 0, 1)
            assert frame["contribution"].sum() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("storage", [np.asarray, csr_array])
@pytest.mark.parametrize("node_weights", ["all", "observed"])
def test_sparse_features_and_weights(graphs, storage, node_weights):
    X, y = graphs
    features = np.where(np.abs(X.node_features) > 0.5, X.node_features, 0.0)
    X = X.with_node_features(storage(features))
    crf = GraphCRFClassifier(LinearFeatures(node_weights=node_weights)).fit(X, y)
    for g in range(len(X)):
        frame = explain(crf, X, g, 0, 0, 1)
        assert frame["contribution"].sum() == pytest.approx(log_odds(crf, X, g, 0, 0, 1), abs=1e-9)
        assert (frame["part"] == "feature").sum() == np.count_nonzero(features[X.node_ptr[g]])


def test_a_network_has_one_part_for_its_score(graphs):
    X, y = graphs
    crf = GraphCRFClassifier(NetworkFeatures(hidden_layer_sizes=(3,)), max_iter=20, tol=1.0, random_state=0).fit(X, y)
    frame = explain(crf, X, 3, 1, 0, 2)
    assert frame["contribution"].sum() == pytest.approx(log_odds(crf, X, 3, 1, 0, 2), abs=1e-9)
    assert sorted(frame["part"]) == ["neighbour", "neighbour", "score"]


def test_constraints(graphs):
    """A label that is forbidden at the node, or by a neighbour that has one label, has the log-odds inf."""
    X = GraphDataset.from_sequences([[[1.0, 0.0], [0.0, 0.3], [0.0, -1.0]]] * 2)
    y = [["a", "b", "c"], ["a", "b", "b"]]
    map_ = ConstrainedFeatures(forbidden_pairs=[("a", "c")], allowed_labels={0: ["a"]})
    crf = GraphCRFClassifier(map_).fit(X, y)
    at_first = explain(crf, X, 0, 0, "a", "b")
    assert at_first.set_index("part").loc["constraint", "contribution"] == np.inf
    assert np.isfinite(at_first["contribution"]).sum() == len(at_first) - 1
    at_second = explain(crf, X, 0, 1, "c", "b").set_index("name")
    assert at_second.loc["node 0", "contribution"] == -np.inf
    assert np.isfinite(at_second.loc["node 2", "contribution"])
    with pytest.raises(ValueError, match="'b' and 'c' are both forbidden at node 0 of graph 1"):
        explain(crf, X, 1, 0, "b", "c")
    impossible = X.with_node_features(np.ones((6, 2)))  # all nodes are "a"
    assert explain(crf, impossible, 0, 1)["contribution"].sum() == np.inf
    crf = GraphCRFClassifier(
        ConstrainedFeatures(forbidden_pairs=[("a", "a")], allowed_labels={0: ["a"]}), classes=["a", "b", "c"]
    ).fit(X, [["a", "b", "c"]] * 2)
    with pytest.raises(InfeasibleGraph, match="graph 1"):
        explain(crf, impossible, 1, 0)


def test_known_labels(crf, graphs):
    X = graphs[0]
    g = list(SHAPES).index("triangle and tails")
    known = RaggedArray(np.full(X.n_nodes, None), X.node_ptr)
    known[g][3] = 1
    frame = explain(crf, X, g, 2, 0, 1, known=known)
    proba = crf.predict_proba(X, known)[g][2]
    assert frame["contribution"].sum() == pytest.approx(np.log(proba[0] / proba[1]), abs=1e-9)
    assert explain(crf, X, g, 3, 1, 0, known=known)["contribution"].sum() == np.inf
    one = GraphCRFClassifier(missing_label=-1, transductive=True, C=5.0).fit(X[[g]], [[0, 1, -1, -1, 2, -1]])
    proba = one.predict_proba(X[[g]])[0][3]
    frame = explain(one, X[[g]], 0, 3, 0, 1)
    assert frame["contribution"].sum() == pytest.approx(np.log(proba[0] / proba[1]), abs=1e-9)


def test_pipelines_tables_and_views(graphs):
    X, y = graphs
    pipe = make_pipeline(NodeTransformer(StandardScaler()), GraphCRFClassifier()).fit(X, y)
    log_proba = pipe.predict_log_proba(X)
    for form in (X, list(X), X.nodes):
        frame = explain(pipe, form, 5, -1, 0, 1)
        assert frame.attrs["node"] == 3
        assert frame["contribution"].sum() == pytest.approx(log_proba[5][3, 0] - log_proba[5][3, 1], abs=1e-9)
    table = X.node_features
    logistic = GraphCRFClassifier().fit(table, y.values)
    frame = explain(logistic, table, 4, 0, 1, 0)
    assert frame["contribution"].sum() == pytest.approx(np.subtract(*logistic.predict_log_proba(table)[4, [1, 0]]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 0), "graph is 10, but X has 10 graphs"),
        ((-11, 0), "graph is -11, but X has 10 graphs"),
        ((0, 1), "node is 1, but graph 0 has 1 nodes"),
        ((0, 0, "a"), r"label is 'a', which is not among the classes \[0, 1, 2\]"),
        ((0, 0, None, 7), r"against is 7, which is not"),
        ((0, 0, 1, 1), "label and against are both 1"),
    ],
)
def test_bad_arguments(crf, graphs, arguments, message):
    with pytest.raises(ValueError, match=message):
        explain(crf, graphs[0], *arguments)


@pytest.mark.parametrize("number", ["a", 1.5, None])
def test_numbers_of_graphs_and_nodes_are_integers(crf, graphs, number):
    for name, arguments in (("graph", (number, 0)), ("node", (0, number))):
        with pytest.raises(TypeError, match=f"{name} must be the number of a {name}, an integer, got {number!r}"):
            explain(crf, graphs[0], *arguments)


def test_many_neighbours_and_one_class():
    hub = [(0, i) for i in range(1, 12)] + [(i, i + 1) for i in range(1, 11)]
    X = [(np.eye(12), hub)]
    frame = explain(GraphCRFClassifier().fit(X, [[0, 1] * 6]), X, 0, 0)
    assert "nodes 1, 2, 3, 4, 5, 6, 7, 8, ... (11 nodes)" in frame["name"].tolist()
    single = GraphCRFClassifier().fit([(np.eye(2), [(0, 1)])], [["a", "a"]])
    with pytest.raises(ValueError, match="two classes, and the model has one, 'a'"):
        explain(single, [(np.eye(2), [(0, 1)])], 0, 0)


def test_a_map_of_another_kind_is_not_split_into_features(crf, graphs, monkeypatch):
    monkeypatch.setattr(crf, "coef_", crf.coef_ + 1.0 * np.arange(3)[:, None])
    frame = explain(crf, graphs[0], 2, 1, 0, 1)
    assert "score" in set(frame["part"])
    assert frame["contribution"].sum() == pytest.approx(log_odds(crf, graphs[0], 2, 1, 0, 1), abs=1e-9)
