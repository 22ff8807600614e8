"""Letters, chunking and Snakes: 1, 2 and 3 workers have the same bits, and the objective of a local training."""

import gzip
from itertools import pairwise

import numpy as np
import pytest

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray, as_ragged
from skstruct.distributed import DaskGraphCRFClassifier
from skstruct.features import LinearFeatures
from skstruct.inference import Auto, TreeReweightedBP
from skstruct.io import save_dataset
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


# After more iterations, L-BFGS amplifies rounding, and trainings in one process and in parts differ by more than 1e-9
# before they meet again at the optimum.
CASES = {
    "letters": (letters, {"C": 0.1, "max_iter": 6}),
    "chunking": (chunking, {"features": OBSERVED, "max_iter": 6}),
    "snakes": (snakes, {"inference": Auto(approximate=TreeReweightedBP(tol=1e-3)), "max_iter": 6}),
}


@pytest.mark.timeout(1800)
@pytest.mark.slow  # starts six processes, and trains four times: about two minutes
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # a fixed number of iterations
@pytest.mark.parametrize("name", CASES)
def test_workers_and_a_local_training_agree(name, shared_data, start_cluster, tmp_path):
    load, parameters = CASES[name]
    X, y = load(shared_data)
    ends = np.linspace(0, len(X), 7).astype(int)
    folders = [tmp_path / str(k) for k in range(6)]
    for folder, a, b in zip(folders, ends, ends[1:]):
        save_dataset(folder, X[a:b], y[a:b])
    local = GraphCRFClassifier(**parameters).fit(X, y)
    found = []
    for n_workers in (1, 2, 3):
        with start_cluster(n_workers, processes=True) as client:
            crf = DaskGraphCRFClassifier(**parameters, client=client).fit(folders)
            found.append(np.r_[crf.loss_curve_, crf._model.coef])
    np.testing.assert_array_equal(found[1:], found[:1] * 2)
    np.testing.assert_allclose(crf.loss_curve_, local.loss_curve_, rtol=1e-9)
