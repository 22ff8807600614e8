"""Letters, chunking and Snakes: 1, 2 and 3 workers have the same bits, and the objective of a local training.

Gradients of partitions are added in another order than those of chunks in one process. L-BFGS amplifies the rounding
from iteration to iteration. Both trainings therefore have the same objective, to 1e-9, in the first iterations, and
again near the optimum. In between, and where ``tol=1e-6`` stops them, the objectives differ by more than that.

The history of L-BFGS has 8 bits on large problems. This rounding amplifies differences of 1e-14 to as much as 1e-7
within six iterations of chunking, so that the test of the first iterations keeps 64 bits.
"""

import gzip
from itertools import pairwise

import numpy as np
import pytest

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray, as_ragged
from skstruct.distributed import DaskGraphCRFClassifier
from skstruct.features import LinearFeatures
from skstruct.inference import Auto, TreeReweightedBP
from skstruct.io import save_dataset
from skstruct.optim import _history
from skstruct.preprocessing import TokenTemplates

pytest.importorskip("distributed")

OBSERVED = LinearFeatures("observed", node_weights="observed")


def letters(shared_data):
    with np.load(shared_data("letters.npz")) as file:
        X = [file["pixels"][a:b].astype(np.float32) for a, b in pairwise(file["word_ptr"])]
        return GraphDataset.from_sequences(X), RaggedArray(file["labels"], file["word_ptr"])


def chunking(shared_data):
    with gzip.open(shared_data("conll2000.train.txt.gz"), "rt") as file:
        sentences = [[line.split() for line in text.splitlines()] for text in file.read().strip().split("\n\n")]
    words = [[tuple(token[:2]) for token in sentence] for sentence in sentences]
    templates = TokenTemplates(["w[-2..2]", "w[-1..0]|w[0..1]", "t[-2..2]", "t[-1..0]|t[0..1]"], columns=["w", "t"])
    return templates.fit_transform(words), as_ragged([[token[2] for token in sentence] for sentence in sentences])


def snakes(shared_data):
    with np.load(shared_data("snakes.npz")) as file:
        names = "node_features", "edges", "edge_features", "node_ptr", "edge_ptr"
        X = GraphDataset(*(file[f"train_{name}"] for name in names))
        return X, RaggedArray(file["train_labels"], file["train_node_ptr"])


CASES = {
    "letters": (letters, {"C": 0.1}),
    "chunking": (chunking, {"features": OBSERVED}),
    "snakes": (snakes, {"inference": Auto(approximate=TreeReweightedBP(tol=1e-3))}),
}
# With messages that converge to 1e-3 only, L-BFGS stops before the optimum, where the objectives differ by 1e-5.
AT_OPTIMUM = {"snakes": {"inference": Auto(approximate=TreeReweightedBP(tol=1e-10, max_iter=10_000))}}


def read(name, shared_data, tmp_path):
    """Parameters of a case, all data, and the folders of six partitions."""
    load, parameters = CASES[name]
    X, y = load(shared_data)
    ends = np.linspace(0, len(X), 7).astype(int)
    folders = [tmp_path / str(k) for k in range(6)]
    for folder, a, b in zip(folders, ends, ends[1:]):
        save_dataset(folder, X[a:b], y[a:b])
    return parameters, (X, y), folders


@pytest.mark.timeout(1800)
@pytest.mark.slow  # starts six processes, and trains four times: about two minutes
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # a fixed number of iterations
@pytest.mark.parametrize("name", CASES)
def test_workers_and_a_local_training_agree(name, shared_data, start_cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(_history, "LONG", 10**9)
    parameters, data, folders = read(name, shared_data, tmp_path)
    parameters = {**parameters, "max_iter": 6}
    local = GraphCRFClassifier(**parameters).fit(*data)
    found = []
    for n_workers in (1, 2, 3):
        with start_cluster(n_workers, processes=True) as client:
            crf = DaskGraphCRFClassifier(**parameters, client=client).fit(folders)
            found.append(np.r_[crf.loss_curve_, crf._model.coef])
    np.testing.assert_array_equal(found[1:], found[:1] * 2)
    np.testing.assert_allclose(crf.loss_curve_, local.loss_curve_, rtol=1e-9)


@pytest.mark.timeout(3600)
@pytest.mark.slow  # trains twice to a tolerance of 1e-8: minutes
@pytest.mark.parametrize("name", CASES)
def test_the_optimum_is_that_of_a_local_training(name, shared_data, start_cluster, tmp_path):
    parameters, data, folders = read(name, shared_data, tmp_path)
    parameters = {**parameters, **AT_OPTIMUM.get(name, {}), "tol": 1e-8}
    local = GraphCRFClassifier(**parameters).fit(*data)
    with start_cluster(2, processes=True) as client:
        crf = DaskGraphCRFClassifier(**parameters, client=client).fit(folders)
    assert crf.loss_curve_[-1] == pytest.approx(local.loss_curve_[-1], rel=1e-9)
