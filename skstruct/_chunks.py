"""Cache-sized chunks of a dataset: the unit of work, and the only place where work is spread over threads."""

from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed

from skstruct._dataset import GraphDataset
from skstruct.exceptions import numbered_from
from skstruct.inference import InferencePlan

CHUNK_SCORES = 2**15  # numbers: scores of a chunk take 256 kB, so that its few arrays stay in a 1-2 MB L2 cache
N_SHARDS = 8  # threads that can share an evaluation; fixed, so that sums do not depend on n_jobs


class Chunk(NamedTuple):
    """Consecutive graphs of a dataset, and the inference plan for them."""

    graphs: slice
    nodes: slice
    edges: slice
    batch: GraphDataset
    plan: InferencePlan


def cut(dataset, n_states, backend):
    """Cut a dataset into chunks and plan inference on each. Depends on the data only."""
    t = dataset.topology
    per_edge = n_states**2 if dataset.edge_features is not None else 1
    size = np.diff(t.node_ptr) * n_states + np.diff(t.edge_ptr) * per_edge
    number = (np.cumsum(size) - size) // CHUNK_SCORES
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    chunks = []
    for a, b in zip(starts, [*starts[1:], t.n_graphs]):
        batch = dataset[a:b]
        nodes, edges = slice(t.node_ptr[a], t.node_ptr[b]), slice(t.edge_ptr[a], t.edge_ptr[b])
        with numbered_from(a):
            chunks.append(Chunk(slice(a, b), nodes, edges, batch, backend.plan(batch.topology, n_states)))
    return chunks


def loss_function(chunks, feature_plan, objective, y, weights, pool):
    """Sum of the chunks' losses as a function of the parameters: ``fun(coef) -> value, gradient``.

    Chunks are dealt to shards, each with a gradient buffer of its own; shards are added in their order, so
    that the result has the same bits for any number of threads.

    Parameters
    ----------
    chunks : list of Chunk
    feature_plan : FeaturePlan
    objective : Objective
    y : ndarray of shape (n_nodes,)
        State codes.
    weights : ndarray of shape (n_graphs,)
    pool : joblib.Parallel
        Runs shards, in threads.
    """
    shards = [list(shard) for shard in np.array_split(np.arange(len(chunks)), min(len(chunks), N_SHARDS))]

    def evaluate(shard, coef):
        value, gradient = 0.0, np.zeros(feature_plan.n_coef)
        for number in shard:
            c = chunks[number]
            scores = feature_plan.scores(c.batch, coef)
            with numbered_from(c.graphs.start):
                part, d_scores = objective.value_and_gradient(c.plan, scores, y[c.nodes], weights[c.graphs])
            value += part
            feature_plan.pullback(c.batch, coef, d_scores, gradient)
        return value, gradient

    def loss(coef):
        results = pool(delayed(evaluate)(shard, coef) for shard in shards)
        return sum(value for value, _ in results), sum(gradient for _, gradient in results)

    return loss


def in_threads(function, items, n_jobs):
    """``[function(item) for item in items]`` with `n_jobs` threads."""
    return Parallel(n_jobs=n_jobs, require="sharedmem")(delayed(function)(item) for item in items)
