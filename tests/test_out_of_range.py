"""Numbers that point beyond a table: refused where they enter, as kernels read and write where they point to."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from skstruct import Graph, GraphCRFClassifier, GraphDataset, Topology, functional
from skstruct.decoding import DECODERS
from skstruct.features import LinearFeatures
from skstruct.inference import BACKENDS, Chain, LazyPlan
from skstruct.objectives import Likelihood
from skstruct.preprocessing import EdgeTransformer, NodeTransformer
from skstruct.scores import Scores, Targets

# ---------------------------------------------------------------------------------------- sparse matrices
N_ROWS = 6
EDGES = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0)]
Y = list("abcabc")


def table():
    return np.arange(1.0, 2 * N_ROWS + 1).reshape(N_ROWS, 2)


def set_index(value, place=3, dtype=None):
    def damage(m):
        m.indices = m.indices.astype(dtype or m.indices.dtype)
        m.indices[place] = value

    return damage


def set_pointer(place, value):
    def damage(m):
        m.indptr[place] = value

    return damage


def cut_pointers(m):
    m.indptr = m.indptr[:-1].copy()


def float_indices(m):
    m.indices = m.indices.astype(float)


def set_coordinate(name, value):
    def damage(m):
        numbers = getattr(m, name).copy()
        numbers[4] = value
        setattr(m, name, numbers)

    return damage


def set_lil(m):
    m.rows[1] = [0, 10**7]


DAMAGES = {
    "csr, far beyond": (sp.csr_matrix, set_index(10**7)),
    "csr, beyond by one": (sp.csr_array, set_index(2)),
    "csr, last entry": (sp.csr_array, set_index(5, -1)),
    "csr, negative": (sp.csr_array, set_index(-1)),
    "csr, far negative": (sp.csr_array, set_index(-(2**31))),
    "csr, 64 bits": (sp.csr_array, set_index(2**32 + 1, dtype=np.int64)),
    "csr, unsigned": (sp.csr_array, set_index(2**63, dtype=np.uint64)),
    "csr, last pointer": (sp.csr_array, set_pointer(-1, 10**6)),
    "csr, middle pointer": (sp.csr_array, set_pointer(3, 10**6)),
    "csr, negative pointer": (sp.csr_array, set_pointer(3, -5)),
    "csr, first pointer": (sp.csr_array, set_pointer(0, -1)),
    "csr, falling pointers": (sp.csr_array, set_pointer(2, 1)),
    "csr, few pointers": (sp.csr_array, cut_pointers),
    "csr, fractions": (sp.csr_array, float_indices),
    "csc, far beyond": (sp.csc_matrix, set_index(10**7)),
    "csc, beyond by one": (sp.csc_array, set_index(6)),
    "csc, negative": (sp.csc_array, set_index(-7)),
    "csc, last pointer": (sp.csc_array, set_pointer(-1, 10**6)),
    "bsr, beyond": (lambda x: sp.bsr_array(x, blocksize=(2, 1)), set_index(2)),
    "bsr, pointer": (lambda x: sp.bsr_array(x, blocksize=(2, 1)), set_pointer(1, 10**6)),
    "coo, column": (sp.coo_matrix, set_coordinate("col", 10**7)),
    "coo, negative column": (sp.coo_matrix, set_coordinate("col", -1)),
    "coo, row": (sp.coo_matrix, set_coordinate("row", 6)),
    "lil": (sp.lil_array, set_lil),
}


def damaged(case):
    make, damage = DAMAGES[case]
    m = make(table())
    damage(m)
    return m


def after_construction(method, field):
    """Damage what a dataset shares, then use it."""

    def use(m):
        whole = sp.csr_array(table())
        dataset = GraphDataset(whole, EDGES, whole.copy())
        crf = GraphCRFClassifier(max_iter=2, tol=10.0).fit(dataset, [Y])
        shared = getattr(dataset, field)
        bad = m.tocsr() if m.format != "csr" else m
        shared.data, shared.indices, shared.indptr = bad.data, bad.indices, bad.indptr
        return getattr(crf, method)(dataset, *([Y] if method == "fit" else []))

    return use


ENTRIES = {
    "Graph": Graph,
    "GraphDataset": GraphDataset,
    "edge features": lambda m: GraphDataset(table(), EDGES, m),
    "from_graphs": lambda m: GraphDataset.from_graphs([(table(), EDGES), (m, EDGES)]),
    "from_graphs, edge features": lambda m: GraphDataset.from_graphs([(table(), EDGES, table()), (table(), EDGES, m)]),
    "from_sequences": lambda m: GraphDataset.from_sequences([table(), m]),
    "from_nodes": GraphDataset.from_nodes,
    "with_node_features": lambda m: GraphDataset(table(), EDGES).with_node_features(m),
    "with_edge_features": lambda m: GraphDataset(table(), EDGES).with_edge_features(m),
    "fit a table": lambda m: GraphCRFClassifier().fit(m, Y),
    "fit observed weights": lambda m: GraphCRFClassifier(LinearFeatures(node_weights="observed")).fit(m, Y),
    "fit graphs": lambda m: GraphCRFClassifier().fit([(m, EDGES)], [Y]),
    "predict": lambda m: GraphCRFClassifier(max_iter=2, tol=10.0).fit(sp.csr_array(table()), Y).predict(m),
    "NodeTransformer": lambda m: NodeTransformer(MaxAbsScaler()).fit(m),
}
SHARED = {
    "fit a dataset": after_construction("fit", "node_features"),
    "fit a dataset, edges": after_construction("fit", "edge_features"),
    "predict a dataset": after_construction("predict", "node_features"),
    "predict_proba of a dataset, edges": after_construction("predict_proba", "edge_features"),
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("case", DAMAGES)
def test_damaged_sparse_matrix(case, entry):
    with pytest.raises(ValueError, match=r"sparse matrix, has the|pointers \(indptr\) of|must be integers"):
        ENTRIES[entry](damaged(case))


@pytest.mark.parametrize("entry", SHARED)
@pytest.mark.parametrize("case", [case for case in DAMAGES if case.startswith("csr")])
def test_matrix_damaged_after_construction(case, entry):
    with pytest.raises(ValueError, match=r"sparse matrix, has the|pointers \(indptr\) of|must be integers"):
        SHARED[entry](damaged(case))


SCALER = StandardScaler(with_mean=False)


@pytest.mark.parametrize(
    "use",
    [
        lambda dataset, plan: NodeTransformer(SCALER).fit(dataset),
        lambda dataset, plan: NodeTransformer(SCALER).fit(dataset.nodes),
        lambda dataset, plan: EdgeTransformer(SCALER).fit(dataset),
        lambda dataset, plan: plan.prepare(dataset),
    ],
)
def test_other_users_of_a_dataset(use):
    whole = sp.csr_array(table())
    dataset = GraphDataset(whole, EDGES, whole)
    plan = LinearFeatures().plan(dataset, np.array(Y))
    whole.indices[3] = 10**7
    with pytest.raises(ValueError, match="column number 10000000 in row 1, but only 2 columns"):
        use(dataset, plan)


def test_message_names_the_graph_and_the_row():
    with pytest.raises(ValueError, match=r"node_features of graph 1, a sparse.* number 10000000 in row 1, but only 2"):
        GraphDataset.from_graphs([(table(), EDGES), (damaged("csr, far beyond"), EDGES)])


@pytest.mark.parametrize("make", [sp.csr_array, sp.csr_matrix, sp.csc_array])
@pytest.mark.parametrize(
    "damage", [set_index(10**7), set_index(2), set_index(-1), set_pointer(-1, 10**6), cut_pointers]
)
def test_damaged_adjacency_matrix(make, damage):
    m = make(np.ones((2, 2)))
    damage(m)
    with pytest.raises(ValueError, match="adjacency matrix of graph 0"):
        GraphDataset.from_scipy([m], [np.zeros((2, 1))])


@pytest.mark.parametrize("columns", [1, 3])
def test_feature_plan_of_another_number_of_features(columns):
    plan = LinearFeatures().plan(GraphDataset(sp.csr_array(table())), np.array(Y))
    with pytest.raises(ValueError, match=f"has {columns} columns, but the weights are of 2"):
        plan.prepare(GraphDataset(sp.csr_array(np.ones((N_ROWS, columns)))))


@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_matrix, sp.coo_array, sp.lil_array, sp.dok_matrix])
def test_sound_matrices_are_accepted(container):
    m = sp.csr_array(table())
    m.indices, m.indptr = m.indices.astype(np.int64), m.indptr.astype(np.int64)
    dataset = GraphDataset(container(m))
    np.testing.assert_array_equal(dataset.node_features.toarray(), table())
    assert GraphDataset(sp.csr_array((0, 2))).n_nodes == 0


def test_entries_beyond_the_last_pointer_do_not_count():
    m = sp.csr_array(table())
    m.indices, m.data = np.append(m.indices, 99), np.append(m.data, 1.0)
    np.testing.assert_array_equal(GraphDataset(m)[0].node_features.toarray(), table())


# -------------------------------------------------------------------------------------------------- edges
BAD_EDGES = {
    "beyond": [(0, 1), (1, 3)],
    "far beyond": [(0, 1), (1, 10**9)],
    "negative": [(0, 1), (-1, 2)],
    "32 bits": [(0, 1), (1, 2**31)],
    "wraps to 1": [(0, 1), (0, 2**32 + 1)],
    "far negative": [(0, 1), (0, -(2**32) + 1)],
    "64 bits": [(0, 1), (0, 2**63 - 1)],
    "unsigned": np.array([(0, 1), (0, 2**64 - 1)], np.uint64),
    "beyond 64 bits": [(0, 1), (0, 2**70)],
    "infinite": [(0, 1), (0, np.inf)],
    "nan": [(0, 1), (0, np.nan)],
    "large float": [(0, 1), (0, 1e300)],
    "fraction": [(0, 1), (0, 1.5)],
    "loop": [(0, 1), (1, 1)],
    "flat": [0, 1, 1, 2],
    "triples": [(0, 1, 2)],
    "strings": [("0", "1")],
    "None": [(0, None)],
}
TAKES_EDGES = {
    "from_edges": lambda edges: Topology.from_edges(edges, 3),
    "Topology": lambda edges: Topology(edges, [0, 3], [0, len(edges)]),
    "GraphDataset": lambda edges: GraphDataset(np.zeros((3, 1)), edges),
    "from_graphs": lambda edges: GraphDataset.from_graphs([(np.zeros((3, 1)), edges)]),
    "marginals": lambda edges: functional.marginals(np.zeros((3, 2)), edges, np.zeros((1, 2, 2))),
    "decode": lambda edges: functional.decode(np.zeros((3, 2)), edges, np.zeros((1, 2, 2))),
}


@pytest.mark.parametrize("entry", TAKES_EDGES)
@pytest.mark.parametrize("case", BAD_EDGES)
def test_bad_edges(case, entry):
    with pytest.raises(ValueError, match="edge"):
        TAKES_EDGES[entry](BAD_EDGES[case])


@pytest.mark.parametrize(
    ("edges", "node_ptr", "edge_ptr"),
    [
        ([(0, 3)], [0, 3, 5], [0, 1, 1]),  # to the next graph
        ([(3, 1)], [0, 3, 5], [0, 0, 1]),  # to the graph before
        ([(3, 4)], [0, 3, 5], [0, 1, 1]),  # of the next graph
        ([(0, 1)], [0, 3], [0, 2]),
        ([(0, 1)], [0, 3], [0]),
        ([(0, 1)], [0, 3], [1, 1]),
        ([(0, 1)], [0, 3, 2], [0, 1, 1]),
        ([(0, 1)], [1, 3], [0, 1]),
        ([(0, 1)], [], []),
        ([(0, 1)], [[0, 3]], [0, 1]),
        ([(0, 1)], [0, 2.5], [0, 1]),
        ([(0, 1)], [0, np.nan], [0, 1]),
        ([(0, 1)], [0, np.inf], [0, 1]),
        ([(0, 1)], [0, 2**31], [0, 1]),
        ([(0, 1)], np.array([0, 2**64 - 1], np.uint64), [0, 1]),
        ([(0, 1)], [0, "3"], [0, 1]),
        ([(0, 1)], [0, -3], [0, 1]),
    ],
)
def test_bad_offsets(edges, node_ptr, edge_ptr):
    with pytest.raises(ValueError, match=r"_ptr must|graph|nodes"):
        Topology(edges, node_ptr, edge_ptr)


def test_message_names_the_graph_and_the_edge():
    with pytest.raises(ValueError, match=r"graph 1, edge 0 is \(0, 2\) but the graph has 2 nodes"):
        Topology([(0, 1), (3, 5)], [0, 3, 5], [0, 1, 2])


def test_topology_reads_lists():
    topology = Topology([(0, 1), (3, 4)], [0, 3, 5], [0, 1, 2])
    assert (topology.edges.dtype, topology.n_nodes, topology.n_edges, topology.n_graphs) == (np.int32, 5, 2, 2)


# ------------------------------------------------------------------------------------------------- scores
CHAIN = Topology.from_edges([(0, 1), (1, 2)], 3)
NODE, EDGE = np.zeros((3, 2)), np.zeros((2, 2, 2))
BAD_SCORES = {
    "row beyond": Scores(NODE, EDGE, np.array([0, 2])),
    "row far beyond": Scores(NODE, EDGE, np.array([10**9, 0], np.int32)),
    "row beyond 32 bits": Scores(NODE, EDGE, np.array([0, 2**32 + 1])),
    "row negative": Scores(NODE, EDGE, np.array([0, -1])),
    "row far negative": Scores(NODE, EDGE, np.array([0, -(2**31)])),
    "row unsigned": Scores(NODE, EDGE, np.array([0, 2**64 - 1], np.uint64)),
    "rows of floats": Scores(NODE, EDGE, np.array([0.0, 1.0])),
    "few rows": Scores(NODE, EDGE, np.array([0])),
    "many rows": Scores(NODE, EDGE, np.array([0, 1, 1])),
    "no matrix": Scores(NODE, EDGE[:0], np.array([0, 0])),
    "few matrices": Scores(NODE, EDGE[:1]),
    "many matrices": Scores(NODE, np.zeros((3, 2, 2))),
    "flat matrices": Scores(NODE, EDGE.reshape(2, 4)),
    "other states of edges": Scores(NODE, np.zeros((2, 3, 3))),
    "no nodes": Scores(NODE[:0], EDGE),
    "few nodes": Scores(NODE[:2], EDGE),
    "many nodes": Scores(np.zeros((4, 2)), EDGE),
    "one state": Scores(np.zeros((3, 1)), EDGE),
    "flat nodes": Scores(np.zeros(6), EDGE),
}


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "edgeless"])
@pytest.mark.parametrize("case", BAD_SCORES)
def test_bad_scores_for_inference(case, backend):
    plan = BACKENDS[backend]().plan(CHAIN, 2)
    with pytest.raises(ValueError, match="scores"):
        plan.marginals(BAD_SCORES[case])
    with pytest.raises(ValueError, match="scores"):
        plan.decode(BAD_SCORES[case])
    with pytest.raises(ValueError, match="scores"):
        plan.sample(BAD_SCORES[case], 2, np.random.default_rng(0))


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("case", BAD_SCORES)
def test_bad_scores_for_decoding(case, decoder):
    with pytest.raises(ValueError, match="scores"):
        DECODERS[decoder]().decode(CHAIN, BAD_SCORES[case])
    with pytest.raises(ValueError, match="scores"):
        DECODERS[decoder]().accepts(CHAIN, BAD_SCORES[case])


@pytest.mark.parametrize("edges", [[(0, 1), (1, 2)], [(0, 1), (1, 2), (2, 0)], [(0, 1), (1, 0), (1, 2)]])
def test_message_names_the_edge(edges):
    topology = Topology(np.array([(0, 1), *np.add(edges, 2)]), [0, 2, 5], [0, 1, 1 + len(edges)])
    rows = np.array([0, 0, 7, 1, 1])[: topology.n_edges]
    with pytest.raises(ValueError, match=r"edge_matrix\[2\] is 7, but .* has 2 matrices \(graph 1, edge 1\)"):
        BACKENDS["auto"]().plan(topology, 2).marginals(Scores(np.zeros((5, 2)), EDGE, rows))


@pytest.mark.parametrize("weights", [np.ones(0), np.ones(3), np.ones((1, 2))])
def test_bad_weights(weights):
    with pytest.raises(ValueError, match="a number for each of 1 graphs"):
        Chain().plan(CHAIN, 2).marginals(Scores(NODE, EDGE), weights)


@pytest.mark.parametrize("y", [[0, 1, 2], [0, 1, 10**9], [0, -2, 1], [0, 1], [[0, 1, 1]]])
def test_bad_codes(y):
    with pytest.raises(ValueError, match=r"y of graph 0, node [12] is|y must hold 3 state codes"):
        Likelihood().value_and_gradient(
            LazyPlan(Chain(), CHAIN, 2), Scores(NODE, EDGE), Targets(np.array(y), np.ones(1))
        )


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "edgeless"])
@pytest.mark.parametrize("form", ["fortran", "strided", "integers", "lists"])
def test_layout_of_scores_in_memory(backend, form):
    """Kernels know rows by their length: other layouts are copied."""
    rng = np.random.default_rng(3)
    node, edge = rng.integers(-2, 3, (3, 5)).astype(float), rng.integers(-2, 3, (2, 5, 5)).astype(float)
    forms = {
        "fortran": Scores(np.asfortranarray(node), np.asfortranarray(edge)),
        "strided": Scores(np.repeat(node, 2, axis=1)[:, ::2], np.repeat(edge, 2, axis=2)[:, :, ::2]),
        "integers": Scores(node.astype(int), edge.astype(np.int8)),
        "lists": Scores(node.tolist(), edge.tolist()),
    }
    plan = BACKENDS[backend]().plan(CHAIN, 5)
    found, right = plan.marginals(forms[form]), plan.marginals(Scores(node, edge))
    np.testing.assert_array_equal(found.node, right.node)
    np.testing.assert_array_equal(plan.decode(forms[form]).labels, plan.decode(Scores(node, edge)).labels)


@pytest.mark.parametrize("decoder", DECODERS)
def test_layout_of_scores_for_decoders(decoder):
    rng = np.random.default_rng(3)
    node, edge = rng.normal(size=(3, 2)), 0.1 * np.stack([np.eye(2), np.eye(2)])
    found = DECODERS[decoder]().decode(CHAIN, Scores(np.asfortranarray(node), np.asfortranarray(edge)))
    right = DECODERS[decoder]().decode(CHAIN, Scores(node, edge))
    np.testing.assert_array_equal(found.labels, right.labels)


def test_plan_is_copied_with_its_check():
    plan = copy.deepcopy(Chain().plan(CHAIN, 2))
    np.testing.assert_allclose(plan.marginals(Scores(NODE, EDGE)).node, 0.5)
    with pytest.raises(ValueError, match="scores"):
        plan.decode(BAD_SCORES["few nodes"])
