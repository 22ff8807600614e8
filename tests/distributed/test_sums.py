"""Sums over partitions have the same bits, however the partitions are divided among workers."""

from itertools import pairwise

import numpy as np
import pytest

from skstruct.distributed._pieces import Piece, _add_pieces, _add_sums, add_vectors, root


def tree(vectors):
    """Sum of the vectors by a complete binary tree, from the leaves up; a node without a sibling moves up."""
    while len(vectors) > 1:
        pairs = [vectors[k : k + 2] for k in range(0, len(vectors), 2)]
        vectors = [pair[0] + pair[1] if len(pair) == 2 else pair[0] for pair in pairs]
    return vectors[0]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13])
def test_any_division_has_the_bits_of_the_tree(n):
    rng = np.random.default_rng(n)
    vectors = rng.normal(size=(n, 20)) * 10.0 ** rng.integers(-8, 8, (n, 1))
    pieces = [Piece(k, "", vector) for k, vector in enumerate(vectors)]
    expected = tree(list(vectors))
    for n_tasks in range(1, n + 1):
        ends = np.sort(rng.choice(np.arange(n + 1), n_tasks + 1))
        ends[[0, -1]] = 0, n
        tasks = [
            _add_pieces(add_vectors, n, start, pieces[start:end], lambda vector: (0.5, vector.copy()), ())
            for start, end in pairwise(ends)
        ]
        kept = [{node: value[1].copy() for node, value in task.items()} for task in tasks]
        halves = [_add_sums(add_vectors, n, tasks[: n_tasks // 2]), _add_sums(add_vectors, n, tasks[n_tasks // 2 :])]
        value, vector = root(_add_sums(add_vectors, n, halves[::-1]))
        np.testing.assert_array_equal(vector, expected)
        assert value == 0.5 * n
        for task, before in zip(tasks, kept):  # the results of tasks, which may be needed again, are unchanged
            assert all((task[node][1] == before[node]).all() for node in task)
