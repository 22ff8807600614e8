"""What a training evaluates: partial sums over groups of chunks, and their vectors of memory."""

from itertools import permutations

import numpy as np
import pytest

from skstruct import GraphCRFClassifier
from skstruct.estimator import _chunks, _training
from skstruct.estimator._training import _OrderedSum
from skstruct.kernels.simd import aligned_zeros
from skstruct.optim import Optimizer


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_vectors_are_added_in_the_order_of_their_numbers(order):
    vectors = np.random.default_rng(0).normal(size=(4, 50))
    expected = ((vectors[0] + vectors[1]) + vectors[2]) + vectors[3]
    spare = []
    total = _OrderedSum(spare)
    for number in order:
        total.add(number, vectors[number].copy())
    np.testing.assert_array_equal(total.value, expected)
    assert len(spare) == 3
    assert not any(np.shares_memory(total.value, vector) for vector in spare)


class _Body(Optimizer):
    """An optimiser that hands the function to ``body(fun, coef0)``, and minimises nothing."""

    def __init__(self, body=None):
        self.body = body

    def minimize(self, fun, coef0, *, l1=None, max_iter, tol, callback=None):
        self.body(fun, coef0)
        raise StopIteration


@pytest.fixture
def with_loss(make_data, monkeypatch):
    """Call ``body(fun, coef0)`` with the function that a training on many chunks minimises."""
    monkeypatch.setattr(_chunks, "CHUNK_SCORES", 20)
    monkeypatch.setattr(_training, "SCORES_PER_COEF", 1)
    X, y = make_data(sizes=[4] * 40)

    def run(body, **parameters):
        with pytest.raises(StopIteration):
            GraphCRFClassifier(optimizer=_Body(body), **parameters).fit(X, y)

    return run


def test_gradients_are_the_callers_own(with_loss):
    def body(fun, coef):
        at_zero = fun(coef)[1]
        kept = at_zero.copy()
        fun(coef + 1.0)
        np.testing.assert_array_equal(at_zero, kept)

    with_loss(body)


def test_a_single_thread_needs_one_vector_beside_the_gradient(with_loss):
    def body(fun, coef):
        assert len(fun.groups) > 3
        for _ in range(3):
            fun(coef)
            assert len(fun.spare) == 1

    with_loss(body)


def test_groups_are_equal(with_loss, monkeypatch):
    """With unequal groups, threads wait for the one that has most to do."""
    monkeypatch.setattr(_chunks, "CHUNK_SCORES", 30)  # 2 or 3 graphs

    def body(fun, coef):
        assert len(fun.groups) == 8
        assert {len(group) for group in fun.groups} == {2}
        assert np.array_equal(np.concatenate(fun.groups), np.arange(len(fun.losses)))

    with_loss(body)


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_the_place_of_coef_in_memory_does_not_matter(with_loss, n_jobs):
    def body(fun, coef):
        rng = np.random.default_rng(0)
        values = rng.normal(size=len(coef))
        found = []
        for offset in range(3):
            place = aligned_zeros(len(coef) + offset)[offset:]
            place[:] = values
            value, gradient = fun(place)
            found.append(np.r_[value, gradient])
            np.testing.assert_array_equal(place, values)
        np.testing.assert_array_equal(found, [found[0]] * 3)

    with_loss(body, n_jobs=n_jobs)


def test_spare_vectors_survive_an_error(with_loss):
    def body(fun, coef):
        expected = np.r_[fun(coef)]
        with pytest.raises(ValueError, match="graph 0"):
            fun(np.full_like(coef, np.nan))
        np.testing.assert_array_equal(np.r_[fun(coef)], expected)

    with_loss(body)
