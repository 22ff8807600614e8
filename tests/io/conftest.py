"""Chains on which trainings are compared, for tests of checkpoints."""

import numpy as np
import pytest

from skstruct.datasets import make_chain


@pytest.fixture(scope="session")
def chains():
    return make_chain(n_graphs=30, return_X_y=True, random_state=0)


@pytest.fixture
def same():
    """Assert that two trainings have the same bits."""

    def compare(first, second):
        np.testing.assert_array_equal(first._model.coef, second._model.coef)
        np.testing.assert_array_equal(first.loss_curve_, second.loss_curve_)
        np.testing.assert_array_equal(first.validation_scores_, second.validation_scores_)

    return compare
