"""Memory of training and prediction on datasets that are mapped into memory."""

import tempfile
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from benchmarks._children import anonymous_peak, run_child
from benchmarks._measure import case
from skstruct import GraphDataset, RaggedArray
from skstruct.io import DatasetWriter

LABELS = np.array(["B-NP", "I-NP", "B-VP", "I-VP", "O"])
LENGTH, PIECE = 20, 1000  # nodes of a chain, and chains that are written at once
N_DENSE = 200  # features
N_SPARSE, N_COLUMNS = 18, 6000  # ones in a row, each in a range of columns of its own
LIMIT = 300.0  # MB


def _write(folder, n_chains, features):
    """Write chains, piece by piece, with features from ``features(rng, codes)``; the size in MB."""
    rng = np.random.default_rng(0)
    with DatasetWriter(folder) as writer:
        for start in range(0, n_chains, PIECE):
            n = min(PIECE, n_chains - start)
            codes = np.repeat(rng.integers(len(LABELS), size=n * LENGTH // 4), 4)
            ptr, n_edges = np.arange(n + 1) * LENGTH, LENGTH - 1
            edges = np.tile(np.arange(n_edges)[:, None] + [0, 1], (n, 1))
            X = GraphDataset(features(rng, codes), edges, None, ptr, np.arange(n + 1) * n_edges)
            writer.write(X, RaggedArray(LABELS[codes], ptr))
    return sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6


def _dense(rng, codes):
    table = rng.normal(size=(len(codes), N_DENSE))
    table[:, : len(LABELS)] += np.eye(len(LABELS))[codes]
    return table


def _sparse(rng, codes):
    """Ones, as many in each row; a few columns are frequent, and the first ones depend on the label."""
    columns = (N_COLUMNS * rng.random((len(codes), N_SPARSE)) ** 4).astype(np.int32)
    columns[:, :3] = columns[:, :3] // len(LABELS) * len(LABELS) + codes[:, None]
    columns += np.arange(N_SPARSE, dtype=np.int32) * N_COLUMNS
    ptr = np.arange(len(codes) + 1, dtype=np.int32) * N_SPARSE
    return csr_array((np.ones(columns.size), columns.ravel(), ptr), shape=(len(codes), N_SPARSE * N_COLUMNS))


@case("Datasets larger than memory: anonymous memory")
def memory(run):
    """Training and prediction on folders that are mapped into memory, each in a new process.

    The numbers are peaks of the anonymous memory, which the operating system cannot take back, above that after the
    import. `DatasetWriter` writes the folders, of dense and of sparse features, to a temporary directory. L-BFGS runs
    for 12 iterations, after which it has allocated all its vectors, and SGD for one epoch. Predictions are written to a
    file. The rows "without data" are the same on 50 chains: compiler, compiled code and the parameters. Asserted: each
    is within 300 MB.
    """
    tasks = {
        "L-BFGS": ("fit_mapped", "all", "lbfgs", 12),
        "L-BFGS, observed weights": ("fit_mapped", "observed", "lbfgs", 12),
        "SGD": ("fit_mapped", "all", "sgd", 1),
        "SGD, observed weights": ("fit_mapped", "observed", "sgd", 1),
        "partial_fit in 20 parts": ("partial_fit_mapped", 20),
        "labels to a file": ("predict_mapped", "predict"),
        "probabilities to a file": ("predict_mapped", "predict_proba"),
    }
    n_dense, n_sparse = run.pick((400, 1000), (9_500, 23_000), (95_000, 231_500))
    with tempfile.TemporaryDirectory() as temporary:
        for kind, features, n_chains in (("dense", _dense, n_dense), ("sparse", _sparse, n_sparse)):
            small, large = (str(Path(temporary) / f"{kind}-{size}") for size in ("small", "large"))
            _write(small, 50, features)
            size = _write(large, n_chains, features)
            for name, (task, *arguments) in tasks.items():
                if "observed" in name and kind == "dense":
                    continue
                run_child(task, small, *arguments)  # compiles and fills the cache
                without = anonymous_peak(task, small, *arguments)
                found = anonymous_peak(task, large, *arguments)
                quantity = f"{kind}, {size:.0f} MB: {name}"
                run.record("skstruct", quantity, found, "MB")
                run.record("skstruct, without data", quantity, without, "MB")
                run.require(f"{quantity}: {found:.0f} MB are within {LIMIT:.0f} MB", found < LIMIT)
