"""Every decoder against enumeration, on all sorts of small graphs and scores."""

import itertools

import numpy as np
import pytest
from sklearn.base import clone

from skstruct import Topology
from skstruct.decoding import (
    DECODERS,
    ICM,
    AlphaExpansion,
    AutoDecoder,
    Decoder,
    GraphCut,
    IntegerProgram,
    LinearProgram,
    TreeReweightedMaxProduct,
)
from skstruct.exceptions import UnsupportedTopology
from skstruct.scores import Scores
from skstruct.testing import FAMILIES, check_decoder, enumerate_exactly
from skstruct.testing._decoding import check_decoding
from skstruct.testing._models import SCORES, families, random_scores

EXACT = {"auto", "graph_cut", "integer_program"}
CHOOSY = {"graph_cut", "alpha_expansion"}  # what they accept depends on the scores


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", DECODERS)
def test_battery(name, family):
    n_checked = check_decoder(DECODERS[name](), exact=name in EXACT, families=[family])
    assert n_checked > 0 if name in CHOOSY else n_checked == 24


def balanced(rng, topology, kind, shared):
    """Two states, every cycle with an even number of edges that favour unequal states."""
    scores = random_scores(rng, topology, 2, SCORES[kind], shared)
    edge = scores.edge.copy()
    with np.errstate(invalid="ignore"):  # -inf - -inf
        against = edge[:, 0, 0] + edge[:, 1, 1] < edge[:, 0, 1] + edge[:, 1, 0]
    edge[against] = edge[against][:, ::-1]  # favours equal states now
    if shared:
        return Scores(scores.node, edge, scores.edge_matrix)
    exchanged = rng.random(topology.n_nodes) < 0.5
    first, second = exchanged[topology.edges].T
    edge[first] = edge[first][:, ::-1]
    edge[second] = edge[second][:, :, ::-1]
    return Scores(scores.node, edge, None)


def expandable(rng, topology, n_states, kind, shared):
    """Minus a metric of the states, plus terms of the ends, in several kinds."""
    scores = random_scores(rng, topology, n_states, SCORES[kind], shared)
    finite = np.where(np.isneginf(scores.edge), 0.0, scores.edge)
    states = np.arange(n_states)
    distance = np.abs(states[:, None] - states)
    metrics = [distance > 0, distance, np.minimum(distance, 2)]
    edge = np.stack([-np.abs(m[0, 0]) * metrics[rng.integers(3)] for m in finite]) if len(finite) else finite
    return Scores(scores.node, edge + finite[:, :1] + finite[:, :, :1], scores.edge_matrix)


@pytest.mark.parametrize("kind", SCORES)
def test_graph_cut_is_exact_where_signs_are_balanced(kind):
    rng = np.random.default_rng(1)
    n_checked = n_models = 0
    for _ in range(6):
        for family, topology in families(rng):
            for shared in (False, True):
                scores = balanced(rng, topology, kind, shared)
                n_models += 1
                n_checked += check_decoding(GraphCut(), topology, scores, True, f"family {family!r}, {kind}")
    assert n_checked > 0.8 * n_models


def test_graph_cut_accepts_what_forbidden_states_decouple():
    rng = np.random.default_rng(2)
    triangle = Topology.from_edges([(0, 1), (1, 2), (2, 0)], 3)
    n_accepted = 0
    for _ in range(300):
        scores = random_scores(rng, triangle, 2, (2.0, 0.35), False)
        n_accepted += check_decoding(GraphCut(), triangle, scores, True, str(scores))
    assert n_accepted > 150


@pytest.mark.parametrize("kind", SCORES)
def test_expansion_moves(kind):
    rng = np.random.default_rng(3)
    optimal = total = 0
    for _ in range(4):
        for family, topology in families(rng):
            n_states = int(rng.integers(2, 4 if topology.n_nodes < 6 else 3))
            scores = expandable(rng, topology, n_states, kind, False)
            assert check_decoding(AlphaExpansion(), topology, scores, False, f"family {family!r}, {kind}")
            found, icm = AlphaExpansion().decode(topology, scores), ICM().decode(topology, scores)
            assert (found.score >= icm.score).all()
            best = enumerate_exactly(topology, scores).best_score
            total += topology.n_graphs
            optimal += np.isclose(found.score, best, rtol=1e-9).sum()
    assert optimal >= 0.8 * total


def test_linear_program_is_exact_on_forests_and_on_balanced_signs():
    rng = np.random.default_rng(4)
    for family, topology in families(rng):
        for kind in SCORES:
            assert check_decoding(
                LinearProgram(),
                topology,
                balanced(rng, topology, kind, False),
                kind != "forbidding",
                f"{family}, {kind}",
            )


def test_ranges_of_ten_orders_in_one_graph():
    rng = np.random.default_rng(5)
    edges = [(i, j) for i, j in itertools.combinations(range(9), 2) if rng.random() < 0.5]
    topology = Topology.from_edges(edges, 9)
    for _ in range(30):
        node = rng.normal(size=(9, 2)) * 10.0 ** rng.integers(-6, 5, size=(9, 1))
        strength = np.abs(rng.normal(size=len(edges))) * 10.0 ** rng.integers(-6, 5, size=len(edges))
        scores = Scores(node, strength[:, None, None] * np.eye(2))
        found, best = GraphCut().decode(topology, scores), enumerate_exactly(topology, scores).best_score
        assert found.score[0] == pytest.approx(best[0], rel=1e-14)
        assert found.bound[0] == pytest.approx(best[0], rel=1e-14)


def test_repeated_edges_are_judged_together():
    attract = np.eye(2)
    triangle = [(0, 1), (1, 2), (2, 0)]
    scores = Scores(np.array([[0.3, 0.0], [0.0, 0.2], [0.1, 0.0]]), np.stack([attract, attract, -attract]))
    assert not GraphCut().accepts(Topology.from_edges(triangle, 3), scores)[0]
    repeated = Topology.from_edges([*triangle, (0, 2)], 3)
    outweighed = scores._replace(edge=np.concatenate([scores.edge, 1.5 * attract[None]]))
    assert check_decoding(GraphCut(), repeated, outweighed, True, "repeated")


def test_a_refusal_names_the_graph_and_the_remedy():
    topology = Topology(np.array([(0, 1), (2, 3), (3, 4), (4, 2)], np.int32), np.array([0, 2, 5]), np.array([0, 1, 4]))
    scores = Scores(np.zeros((5, 2)), -np.eye(2)[None], np.zeros(4, int))
    assert GraphCut().accepts(topology, scores).tolist() == [True, False]
    with pytest.raises(UnsupportedTopology, match=r"graph 1: decoding='graph_cut' takes .* decoding='auto'"):
        GraphCut().decode(topology, scores)
    with pytest.raises(UnsupportedTopology, match=r"graph 0: decoding='alpha_expansion' .*2 of 2 graphs"):
        AlphaExpansion().decode(topology, scores)
    three = Scores(np.zeros((5, 3)), np.eye(3)[None], np.zeros(4, int))
    with pytest.raises(UnsupportedTopology, match=r"2 nodes, 1 edges and 3 states, is not"):
        GraphCut().decode(topology, three)
    for program in (LinearProgram(max_variables=30), IntegerProgram(max_variables=30)):
        with pytest.raises(UnsupportedTopology, match=r"graph 1: .*max_variables=30 .* has 36; raise max_variables"):
            program.decode(topology, three)


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (ICM(max_iter=0), "max_iter must be an integer >= 1, got 0"),
        (AlphaExpansion(max_cycles=0), "max_cycles must be an integer >= 1, got 0"),
        (LinearProgram(max_variables=0), "max_variables must be a number >= 1, got 0"),
    ],
)
def test_wrong_parameters(decoder, message):
    with pytest.raises(ValueError, match=message):
        decoder.decode(Topology.from_edges([(0, 1)], 2), Scores(np.zeros((2, 2)), np.eye(2)[None]))


@pytest.mark.parametrize("name", DECODERS)
def test_parameter_holders(name):
    assert DECODERS[name].name == name
    assert clone(DECODERS[name]()).get_params() == DECODERS[name]().get_params()


def test_a_decoder_of_ones_own():
    class Constant(Decoder):
        name = "constant"
        family = "any graph"

        def _decode_graph(self, edges, scores):
            return np.zeros(len(scores.node), int), np.inf

    found = Constant().decode(Topology.from_edges([(0, 1)], 2), Scores(np.ones((2, 2)), np.eye(2)[None]))
    assert (found.score[0], found.bound[0], found.optimal[0]) == (3.0, np.inf, False)


def grid(n):
    number = np.arange(n * n).reshape(n, n)
    pairs = [(number[:, :-1], number[:, 1:]), (number[:-1], number[1:])]
    return Topology.from_edges(np.concatenate([np.stack([a.ravel(), b.ravel()], 1) for a, b in pairs]), n * n)


def test_graph_cut_of_a_grid_reaches_the_linear_bound():
    rng, topology = np.random.default_rng(0), grid(32)
    scores = Scores(rng.normal(size=(1024, 2)), 0.7 * np.eye(2)[None], np.zeros(topology.n_edges, int))
    found = GraphCut().decode(topology, scores)
    linear = LinearProgram().decode(topology, scores)
    assert found.optimal[0]
    assert linear.bound[0] == pytest.approx(found.score[0], rel=1e-9)
    assert IntegerProgram().decode(topology, scores).score[0] == pytest.approx(found.score[0], rel=1e-9)
    sweeps = TreeReweightedMaxProduct().decode(topology, scores)
    assert sweeps.score[0] <= found.score[0] + 1e-9 <= sweeps.bound[0] + 2e-9


def test_auto_keeps_the_best_of_all():
    rng, topology = np.random.default_rng(1), grid(30)
    scores = Scores(rng.normal(size=(900, 4)), 0.8 * np.eye(4)[None], np.zeros(topology.n_edges, int))
    found = AutoDecoder(max_variables=0).decode(topology, scores)
    for other in (ICM(), TreeReweightedMaxProduct()):
        one = other.decode(topology, scores)
        assert found.score[0] >= one.score[0] - 1e-9
        assert found.bound[0] <= one.bound[0] + 1e-9


def test_auto_without_anything_exact():
    class Approximate(AutoDecoder):
        _decode = AutoDecoder._approximate

    rng = np.random.default_rng(6)
    for family, topology in families(rng):
        for kind, shared in itertools.product(SCORES, (False, True)):
            scores = random_scores(rng, topology, 3 if topology.n_nodes < 6 else 2, SCORES[kind], shared)
            context = f"family {family!r}, {kind}, shared={shared}"
            assert check_decoding(Approximate(), topology, scores, True, context)
            assert check_decoding(Approximate(max_variables=0), topology, scores, False, context)


def test_limits_of_the_integer_program_leave_a_bound():
    rng, topology = np.random.default_rng(2), grid(12)  # too wide for a junction tree
    scores = Scores(rng.normal(size=(144, 3)), rng.normal(size=(topology.n_edges, 3, 3)) * 2)
    limited = IntegerProgram(node_limit=1).decode(topology, scores)
    best = IntegerProgram().decode(topology, scores)
    assert best.optimal[0]
    assert limited.score[0] <= best.score[0] + 1e-9 <= limited.bound[0] + 2e-9
    assert AutoDecoder().decode(topology, scores).score[0] == pytest.approx(best.score[0], rel=1e-9)
