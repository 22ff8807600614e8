"""The shipped data are complete, and equal to the files they were made from."""

import numpy as np
import pytest
from scipy.sparse import issparse

from skstruct.datasets import load_letters, load_snakes


def test_letters_sizes_and_totals():
    letters = load_letters()
    assert letters.data.n_graphs == len(letters.target) == len(letters.words) == len(letters.folds) == 1330
    assert letters.data.shape == (1330, 128)
    assert letters.data.n_nodes == 9992
    assert letters.data.n_edges == 9992 - 1330
    assert letters.data.node_features.dtype == np.float64
    assert np.bincount(letters.folds).tolist() == [626, 704]
    assert set(np.unique(letters.data.node_features)) == {0.0, 1.0}
    assert sorted(set(letters.target.values)) == [chr(code) for code in range(ord("a"), ord("z") + 1)]
    assert "Taskar" in letters.DESCR


def test_letters_are_words():
    letters = load_letters(folds=1)
    assert "".join(letters.target[0]) == letters.words[0] == "ommanding"
    pixels = letters.data[0].node_features[0].reshape(16, 8)
    assert ["".join(".#"[int(pixel)] for pixel in row) for row in pixels] == [
        "........",
        "........",
        ".##.....",
        "#######.",
        ".#.....#",
        ".#.....#",
        "##.....#",
        "#......#",
        "#......#",
        "#.....##",
        "#.....#.",
        "#....##.",
        "#...##..",
        "#####...",
        "........",
        "........",
    ]


@pytest.mark.parametrize(("folds", "n_words", "n_letters"), [(0, 626, 4617), ([1], 704, 5375), ([0, 1], 1330, 9992)])
def test_letters_folds(folds, n_words, n_letters):
    letters = load_letters(folds=folds)
    assert set(letters.folds) == set(np.atleast_1d(folds))
    data, target = load_letters(folds=folds, return_X_y=True)
    assert len(data) == len(target) == len(letters.data) == n_words
    assert data.n_nodes == len(target.values) == n_letters


def test_letters_refuse_a_fold_that_is_not_shipped():
    with pytest.raises(ValueError, match=r"folds must be among \[0, 1\], got 2"):
        load_letters(folds=2)


def test_letters_equal_their_source(shared_data):
    letters = load_letters()
    with np.load(shared_data("letters.npz")) as source:
        words = np.flatnonzero(np.isin(source["folds"], [0, 1]))
        ptr = source["word_ptr"]
        rows = np.concatenate([np.arange(ptr[w], ptr[w + 1]) for w in words])
        np.testing.assert_array_equal(letters.data.node_features, source["pixels"][rows])
        labels = [ord(letter) - ord("a") for letter in letters.target.values]
        np.testing.assert_array_equal(labels, source["labels"][rows])
        np.testing.assert_array_equal(np.diff(letters.data.node_ptr), np.diff(ptr)[words])
        np.testing.assert_array_equal(letters.folds, source["folds"][words])


@pytest.mark.parametrize(
    ("subset", "n_graphs", "n_nodes", "n_edges"),
    [("train", 200, 7566, 12652), ("test", 100, 3750, 6267), ("all", 300, 11316, 18919)],
)
def test_snakes_sizes_and_totals(subset, n_graphs, n_nodes, n_edges):
    snakes = load_snakes(subset)
    data = snakes.data
    assert (data.n_graphs, data.n_nodes, data.n_edges) == (n_graphs, n_nodes, n_edges)
    assert issparse(data.edge_features)
    assert data.edge_features.format == "csr"
    assert data.edge_features.dtype == data.node_features.dtype == np.float64
    assert data.node_features.sum() == 9 * n_nodes  # the colours of 9 cells
    assert data.edge_features.sum() <= 18 * n_edges
    assert np.bincount(snakes.target.values).tolist() == [n_nodes - 10 * n_graphs, *[n_graphs] * 10]
    np.testing.assert_array_equal(snakes.shapes.prod(axis=1), np.diff(data.node_ptr))
    X, y = load_snakes(subset, return_X_y=True)
    assert len(X) == len(y) == n_graphs


def test_snakes_features_mean_what_the_description_says():
    snakes = load_snakes("all")
    for graph, labels, (height, width) in zip(snakes.data, snakes.target, snakes.shapes):
        colour = graph.node_features.reshape(height, width, 5, 9)
        assert ((colour[..., 8].argmax(axis=2) == 3) == (labels.reshape(height, width) == 0)).all()
        ends = graph.edge_features.toarray().reshape(-1, 45, 4)
        across = graph.edges[:, 1] - graph.edges[:, 0] == 1
        for kind, columns in ((across, [0, 1]), (~across, [2, 3])):
            expected = graph.node_features[graph.edges[kind]].transpose(0, 2, 1)
            np.testing.assert_array_equal(ends[kind][:, :, columns], expected)
            assert not ends[kind][:, :, [c for c in range(4) if c not in columns]].any()


def test_snakes_refuse_an_unknown_subset():
    with pytest.raises(ValueError, match="subset must be one of"):
        load_snakes("validation")


def test_snakes_equal_their_source(shared_data):
    data, target = load_snakes("all", return_X_y=True)
    with np.load(shared_data("snakes.npz")) as source:
        both = {
            name: np.concatenate([source[f"train_{name}"], source[f"test_{name}"]])
            for name in ("node_features", "edge_features", "edges", "labels")
        }
        np.testing.assert_array_equal(data.node_features, both["node_features"])
        np.testing.assert_array_equal(data.edge_features.toarray(), both["edge_features"])
        np.testing.assert_array_equal(data.edges, both["edges"])
        np.testing.assert_array_equal(target.values, both["labels"])
        for name in ("node_ptr", "edge_ptr"):
            sizes = np.concatenate([np.diff(source[f"train_{name}"]), np.diff(source[f"test_{name}"])])
            np.testing.assert_array_equal(np.diff(getattr(data, name)), sizes)
