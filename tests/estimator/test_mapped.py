"""Training on large datasets that are mapped into memory: the same bits, and memory for a few chunks only."""

import gc
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.datasets import make_chain, make_grid
from skstruct.estimator import _chunks, _input
from skstruct.features import LinearFeatures
from skstruct.features import _base as features_base
from skstruct.io import DatasetWriter, load_dataset, predict_to_file, save_dataset

LENGTH = 60  # nodes of a chain: 4 bytes per node are more than CPython's cache of attributes, which grows to 60 kB


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """All mapped datasets count as large, and consist of many chunks and pieces."""
    monkeypatch.setattr(_chunks, "MAPPED_BYTES", 0)
    monkeypatch.setattr(_chunks, "CHUNK_SCORES", 2**12)
    monkeypatch.setattr(_chunks, "MINIBATCH_SCORES", 2**9)
    monkeypatch.setattr(_input, "LABELS", 2**10)
    monkeypatch.setattr(features_base, "PIECE", 2**13)


CHAINS = make_chain(n_graphs=300, return_X_y=True, random_state=0)
SPARSE = CHAINS[0].with_node_features(csr_array(np.round(CHAINS[0].node_features))), CHAINS[1]
GRIDS = make_grid(8, 5, 5, n_sweeps=1, return_X_y=True, random_state=0)
HIDDEN = CHAINS[0], RaggedArray(np.where(np.arange(CHAINS[0].n_nodes) % 3, CHAINS[1].values, -1), CHAINS[1].ptr)
OBSERVED = LinearFeatures(node_weights="observed", edge_weights="observed")
TRAININGS = {
    "L-BFGS": (CHAINS, {}),
    "threads": (CHAINS, {"n_jobs": 2}),
    "SGD": (SPARSE, {"optimizer": "sgd"}),
    "observed weights": (SPARSE, {"features": OBSERVED}),
    "SGD with observed weights": (SPARSE, {"features": OBSERVED, "optimizer": "sgd"}),
    "Newton": (CHAINS, {"optimizer": "newton_cg", "max_iter": 3}),
    "hidden labels": (HIDDEN, {"missing_label": -1}),
    "without inference": (GRIDS, {"objective": "pseudolikelihood"}),
    "approximate inference": (GRIDS, {"inference": "loopy_bp", "max_iter": 3, "C": 0.01}),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # trainings are short
@pytest.mark.parametrize("name", TRAININGS)
def test_the_same_bits_as_in_memory(name, tmp_path):
    (X, y), parameters = TRAININGS[name]
    save_dataset(tmp_path / "saved", X, y)
    mapped = load_dataset(tmp_path / "saved")
    crf = GraphCRFClassifier(**{"max_iter": 10, "random_state": 0, **parameters})
    kept = crf.fit(X, y)._model.coef
    assert_array_equal(crf.fit(*mapped)._model.coef, kept)
    assert_array_equal(crf.predict_proba(mapped[0]).values, crf.predict_proba(X).values)


def test_chunks_are_made_on_demand(tmp_path):
    save_dataset(tmp_path / "saved", *CHAINS)
    backend = GraphCRFClassifier().fit(*CHAINS).inference_
    chunks = _chunks.cut(load_dataset(tmp_path / "saved")[0], 3, backend)
    kept = _chunks.cut(CHAINS[0], 3, backend)
    assert isinstance(chunks, _chunks.ChunksOnDemand)
    assert len(chunks) == len(kept) > 1
    assert chunks[0] is not chunks[0]
    for chunk, other in zip(chunks, kept, strict=True):
        assert chunk.graphs == other.graphs
        assert_array_equal(chunk.batch.node_features, other.batch.node_features)
    pieces = [piece for chunk in kept for piece in _chunks.cut_minibatches(chunk, 4)]
    for piece, other in zip(chunks.minibatches(4), pieces, strict=True):
        assert_array_equal(piece.batch.node_features, other.batch.node_features)


def write(folder, n_chains, n_columns):
    """Chains with ones in 18 of `n_columns` sparse features, or with `n_columns` dense ones if negative."""
    rng, n_nodes = np.random.default_rng(0), 100 * LENGTH
    with DatasetWriter(folder) as writer:
        for _ in range(0, n_chains, 100):
            codes = np.repeat(rng.integers(3, size=n_nodes // 4), 4)
            table = rng.normal(size=(n_nodes, max(-n_columns, 0)))
            if n_columns > 0:
                columns = np.sort(rng.permuted(np.tile(np.arange(n_columns), (n_nodes, 1)), axis=1)[:, :18], axis=1)
                columns = columns.astype(np.int32).ravel()
                pointers = np.arange(0, 18 * n_nodes + 1, 18, dtype=np.int32)
                table = csr_array((np.ones(columns.size), columns, pointers), shape=(n_nodes, n_columns))
            edges = np.tile(np.arange(LENGTH - 1)[:, None] + [0, 1], (100, 1))
            ptr = np.arange(101) * LENGTH
            X = GraphDataset(table, edges, None, ptr, np.arange(101) * (LENGTH - 1))
            writer.write(X, RaggedArray(np.array(["B-NP", "I-NP", "O"])[codes], ptr))


def peak(function, folder, target):
    X, y = load_dataset(folder)
    tracemalloc.start()
    try:
        function(X, y, target)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def fit(optimizer, node_weights):
    def run(X, y, target):
        features = LinearFeatures(node_weights=node_weights)
        GraphCRFClassifier(features, optimizer=optimizer, max_iter=1, random_state=0).fit(X, y)

    return run


def stream(X, y, target):
    crf = GraphCRFClassifier(optimizer="sgd", random_state=0, classes=np.unique(y[:100].values))
    for start in range(0, len(X), 100):
        crf.partial_fit(X[start : start + 100], y[start : start + 100])
        gc.collect()  # threadpoolctl 3.5 leaves 20 kB of cycles in each call


def predict(X, y, target):
    crf = GraphCRFClassifier(max_iter=2).fit(X[:50], y[:50])
    for method in ("predict", "predict_proba"):
        predict_to_file(f"{target}-{method}.npy", crf, X, method=method, n_nodes=1000)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of two sizes, of sparse and dense features."""
    found = tmp_path_factory.mktemp("mapped")
    for kind, n_columns in (("sparse", 60), ("dense", -100)):
        for n_chains in (300, 900):
            write(found / f"{kind}-{n_chains}", n_chains, n_columns)
    return found


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # trainings are short
@pytest.mark.parametrize(
    ("kind", "function", "most"),
    [
        ("sparse", fit("lbfgs", "all"), 64),
        ("sparse", fit("lbfgs", "observed"), 64),
        ("sparse", fit("sgd", "observed"), 64),
        ("sparse", stream, 4),
        ("sparse", predict, 4),
        ("dense", fit("lbfgs", "all"), 64),
        ("dense", predict, 4),
    ],
)
def test_bytes_per_node(kind, function, most, folders, tmp_path):
    """Memory grows by much less than the 216 or 800 bytes per node of the features, and not at all in parts.

    With 64 bytes per node, 4 million nodes need 256 MB: their labels and offsets.
    """
    small, large = (folders / f"{kind}-{n_chains}" for n_chains in (300, 900))
    peak(function, small, tmp_path / "first")  # compiles
    grown = peak(function, large, tmp_path / "large") - peak(function, small, tmp_path / "small")
    assert grown < most * LENGTH * 600
