"""The weights that CRFsuite creates; test_crf.py compares their numbers with CRFsuite."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from skstruct import GraphDataset
from skstruct.compat._features import CRFsuiteFeatures
from skstruct.scores import MISSING
from skstruct.testing import check_feature_map

CLASSES = np.array(["a", "b", "c"])


@pytest.mark.parametrize(
    "features",
    [CRFsuiteFeatures(), CRFsuiteFeatures(1.5), CRFsuiteFeatures(0, True, True), CRFsuiteFeatures(-1, True)],
    ids=str,
)
def test_battery(features):
    check_feature_map(features)


@pytest.mark.parametrize("all_states", [False, True])
@pytest.mark.parametrize("all_transitions", [False, True])
@pytest.mark.parametrize("min_freq", [-1.0, 0.0, 0.5, 2.0])
def test_frequencies(min_freq, all_transitions, all_states):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 5)).round(1) * rng.integers(2, size=(20, 5))
    is_stored, codes = rng.random((20, 5)) < 0.5, rng.integers(3, size=20)
    codes[[3, 11]] = MISSING
    rows, columns = np.nonzero(is_stored)
    node = csr_array((x[rows, columns], (rows, columns)), shape=x.shape)  # with stored zeros
    edges = [[(i, i + 1) for i in range(9)]] * 2
    dataset = GraphDataset.from_graphs([(node[:10], edges[0]), (node[10:], edges[1])])
    plan = CRFsuiteFeatures(min_freq, all_states, all_transitions).plan(dataset, CLASSES, codes)
    found = plan.attributes(np.arange(1.0, 1 + plan.n_coef))
    has_state, has_transition = np.zeros((3, 5), bool), np.zeros((3, 3), bool)
    for label in range(3):
        for k in range(5):
            where = is_stored[:, k] & (codes == label)
            has_state[label, k] = (all_states or where.any()) and x[where, k].sum() >= min_freq
        for after in range(3):
            n = sum((codes[i], codes[i + 1]) == (label, after) for i in range(19) if i != 9)
            has_transition[label, after] = (all_transitions or n > 0) and n >= min_freq
    assert_array_equal(found["coef_"].toarray() != 0, has_state)
    assert_array_equal(found["edge_coef_"][0] != 0, has_transition)
    assert_array_equal(found["intercept_"], 0)
