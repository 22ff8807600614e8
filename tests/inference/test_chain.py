"""Chains that are processed side by side, against the kernels of trees, which process them one by one."""

from itertools import pairwise

import numpy as np
import pytest

from skstruct import Topology
from skstruct.inference import Chain, Tree
from skstruct.inference._chain_kernels import ROWS, SIDE_BY_SIDE, n_rows
from skstruct.scores import Scores


def chains(lengths):
    ptr = np.cumsum([0, *lengths])
    edges = [(t, t + 1) for start, stop in pairwise(ptr) for t in range(start, stop - 1)]
    edge_ptr = np.cumsum([0, *(max(n - 1, 0) for n in lengths)])
    return Topology(np.reshape(edges, (-1, 2)).astype(np.int32), ptr, edge_ptr)


@pytest.mark.parametrize("n_states", [3, 9])
@pytest.mark.parametrize("n_matrices", [1, 3])
@pytest.mark.parametrize("lengths", [[9], [5, 5], [70, 3, 1], [1] * 40, [2, 9, 0, 4] * 8, [6] * 30 + [90]])
def test_marginals_are_those_of_trees(n_states, n_matrices, lengths):
    rng, t = np.random.default_rng(len(lengths)), chains(lengths)
    node, edge = rng.normal(size=(t.n_nodes, n_states)), rng.normal(size=(n_matrices, n_states, n_states))
    edge[0, 1, 0] = -np.inf
    for g, start in enumerate(t.node_ptr[:-1]):
        if t.node_ptr[g + 1] > start:
            match g % 5:
                case 1:
                    node[start, 0] = -np.inf
                case 2:
                    node[start, 1] = -1e4
                case 3 if g % 2:
                    node[start] = -np.inf
    scores, weights = (
        Scores(node, edge, rng.integers(0, n_matrices, t.n_edges).astype(np.int32)),
        rng.random(t.n_graphs),
    )
    found, expected = (backend.plan(t, n_states).marginals(scores, weights) for backend in (Chain(), Tree()))
    np.testing.assert_allclose(found.log_partition, expected.log_partition, rtol=1e-12)
    np.testing.assert_allclose(found.node, expected.node, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.edge, expected.edge, rtol=1e-9, atol=1e-12)


def test_rows_suffice_for_chains_side_by_side():
    least, most = SIDE_BY_SIDE
    rng = np.random.default_rng(0)
    for size in (1, 2, 5, 40, 200):
        for longest in (1, 3, 30, 400):
            lengths = np.sort(rng.integers(0, longest + 1, size))[::-1]
            done = 0
            while done < size:
                n, used = 0, 0
                while done + n < size and n < most and (n < least or used < ROWS):
                    used += lengths[done + n]
                    n += 1
                assert used <= n_rows(lengths)
                done += n
