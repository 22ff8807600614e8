"""A dataset of graphs of several sizes."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from skstruct.data.dataset import GraphDataset

SIZES = [3, 1, 4, 0, 2]
EDGES = [[(0, 1), (2, 1)], [], [(0, 3), (1, 2), (1, 2)], [], [(0, 1)]]


def parts(kind="dense"):
    """Graphs as tuples, with tables of a kind for their node features."""
    rng = np.random.default_rng(0)
    graphs = []
    for n, edges in zip(SIZES, EDGES):
        x = rng.integers(0, 3, (n, 4)).astype(float)
        table = {
            "dense": lambda x: x,
            "csr": sp.csr_array,
            "csr_matrix": sp.csr_matrix,
            "pandas": lambda x: pd.DataFrame(x, columns=list("abcd")),
            "polars": lambda x: pl.DataFrame(x, schema=list("abcd")),
            "dicts": lambda x: [{"a": row[0], "b": str(row[1])} for row in x],
        }[kind](x)
        graphs.append((table, edges, rng.normal(size=(len(edges), 2))))
    return graphs


@pytest.fixture
def make_parts():
    return parts


@pytest.fixture
def dataset():
    return GraphDataset.from_graphs(parts())
