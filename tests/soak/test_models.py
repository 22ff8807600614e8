"""Many random models: every backend and decoder that accepts a model, against an enumeration of its labellings."""

import numpy as np
import pytest

from skstruct.decoding import DECODERS
from skstruct.inference import BACKENDS
from skstruct.scores import Scores, edge_rows
from skstruct.testing import Exact, enumerate_exactly
from skstruct.testing._decoding import check_decoded
from skstruct.testing._inference import check_answers
from skstruct.testing._models import SCORES, batch_of, random_scores

N_MODELS = 100_000
BATCH = 500  # graphs, of one number of states and one kind of scores
LARGEST = {1: 8, 2: 7, 3: 4, 4: 3}  # number of nodes by number of states: an enumeration of about 100 labellings
SHORT = {  # the bounds and distributions of few iterations are checked as well as those of many
    "gibbs": {"n_samples": 20, "burn_in": 20},
    "loopy_bp": {"max_iter": 100},
    "tree_reweighted": {"max_iter": 100},
}
DECODED = 5  # solvers of programs take longer than backends: one of so many batches is decoded
EXACT_DECODERS = {"auto", "graph_cut", "integer_program"}


def random_graph(rng, n_nodes):
    """Edges of a chain, a forest, or any graph; some are reversed, some are repeated."""
    nodes = range(1, n_nodes)
    shape = rng.integers(4)
    if shape == 0:
        edges = [(i - 1, i) for i in nodes if rng.random() < 0.8]
    elif shape == 1:
        edges = [(int(rng.integers(i)), i) for i in nodes if rng.random() < 0.9]
    else:
        density = rng.random()
        edges = [(j, i) for i in nodes for j in range(i) if rng.random() < density]
    edges += [edge for edge in edges if rng.random() < 0.05]
    return [edge[::-1] if rng.random() < 0.3 else edge for edge in edges]


def selected(graphs, topology, scores, truth):
    """The batch of some graphs, with its scores and exact results."""
    part, nodes, edges = topology.take(graphs)
    rows = edge_rows(scores, topology.n_edges)[edges]
    own = Scores(scores.node[nodes], scores.edge, rows)
    return part, own, Exact(truth.log_partition[graphs], truth.best_score[graphs], truth.node[nodes], truth.edge[edges])


def check_batch(seed):
    """Check all algorithms on a batch of random models; returns how many results for a graph were checked."""
    rng = np.random.default_rng(seed)
    n_states, kind, shared = int(rng.integers(1, 5)), str(rng.choice(list(SCORES))), bool(rng.integers(2))
    sizes = rng.integers(0, LARGEST[n_states] + 1, BATCH)
    topology = batch_of([(random_graph(rng, int(n)), n) for n in sizes])
    scores = random_scores(rng, topology, n_states, SCORES[kind], shared)
    truth, context = enumerate_exactly(topology, scores), f"seed {seed}, {kind} scores, {n_states} states"
    n_results = 0
    for name, make in BACKENDS.items():
        backend = make(**SHORT.get(name, {}))
        graphs = np.flatnonzero(backend.accepts(topology, n_states))
        part, own, wanted = selected(graphs, topology, scores, truth)
        check_answers(backend, backend.plan(part, n_states), own, wanted, f"{context}, {name}", rng)
        n_results += len(graphs)
    for name, make in DECODERS.items() if seed % DECODED == 0 else ():
        graphs = np.flatnonzero(make().accepts(topology, scores))
        part, own, wanted = selected(graphs, topology, scores, truth)
        check_decoded(make().decode(part, own), part, own, wanted, name in EXACT_DECODERS, f"{context}, {name}")
        n_results += len(graphs)
    return n_results


@pytest.mark.slow  # all models take about half an hour
def test_random_models(soak, figure):
    n_batches = max(1, round(soak * N_MODELS / BATCH))
    n_results = sum(check_batch(seed) for seed in range(n_batches))
    algorithms = f"{len(BACKENDS)} backends and {len(DECODERS)} decoders"
    figure(f"random models: {n_batches * BATCH}, {n_results} results of {algorithms}: 0 wrong")
