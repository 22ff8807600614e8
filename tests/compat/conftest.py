"""Random sequences with attributes of all kinds, and a model that is trained on them."""

import numpy as np
import pytest

from skstruct.compat import CRF


def _make_sequences(rng, n, labels="ABCD"):
    """Random sequences with attributes of all kinds, some of which depend on the label."""
    X, y = [], []
    for length in rng.integers(1, 8, n):
        codes = rng.integers(len(labels), size=length)
        X.append(
            [
                {
                    "w": f"w{rng.integers(3) + 2 * code}",
                    "upper": bool(rng.random() < 0.3),
                    "x": float(rng.normal()),
                    "nested": {"a": float(rng.normal() + code), "l": ["x", "y"][: rng.integers(3)], "d": {"s": "t"}},
                    **({"first": True, "zero": 0} if i == 0 else {"more": {"p", "q"}}),
                }
                for i, code in enumerate(codes)
            ]
        )
        y.append([labels[code] for code in codes])
    return X, y


@pytest.fixture(scope="module")
def train():
    return _make_sequences(np.random.default_rng(0), 50)


@pytest.fixture(scope="module")
def test():
    return _make_sequences(np.random.default_rng(1), 20)


@pytest.fixture(scope="module")
def fitted(train):
    return CRF(c1=0.1, c2=0.1, max_iterations=50, all_possible_transitions=True).fit(*train)


@pytest.fixture
def make_sequences():
    """``make_sequences(rng, n, labels) -> (X, y)``."""
    return _make_sequences
