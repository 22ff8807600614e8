"""RaggedArray, and what turns labels into one."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold, train_test_split
from sklearn.utils import resample, shuffle
from sklearn.utils.multiclass import type_of_target

from skstruct.data.indexing import sample_key
from skstruct.data.labels import flatten_labels
from skstruct.data.missing import missing_mask
from skstruct.data.ragged import RaggedArray, as_ragged, is_ragged

PARTS = [[0, 1, 1], [2], [], [1, 0]]


@pytest.fixture
def ragged():
    return RaggedArray.from_list(PARTS)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (slice(1, 3), [1, 2]),
        (slice(None, None, -1), [3, 2, 1, 0]),
        (slice(3, 1), []),
        ([0, -1, 0], [0, 3, 0]),
        (np.array([True, False, False, True]), [0, 3]),
        ((np.array([2, 1]), Ellipsis), [2, 1]),
        ([], []),
        (np.uint8([3]), [3]),
    ],
)
def test_selecting_graphs(ragged, key, expected):
    part = ragged[key]
    assert isinstance(part, RaggedArray)
    assert part.tolist() == [PARTS[g] for g in expected]


def test_one_graph_and_slices_are_views(ragged):
    assert ragged[-1].tolist() == [1, 0]
    assert ragged[np.int64(1)].tolist() == [2]
    assert np.shares_memory(ragged[0], ragged.values)
    assert np.shares_memory(ragged[1:].values, ragged.values)


@pytest.mark.parametrize("key", [4, -5, [4], [-5], 1.0, [0.5], "a", np.ones(3, bool), (0, 1, 2), [[0]], True])
def test_bad_keys(ragged, key):
    with pytest.raises(IndexError):
        ragged[key]


def test_sample_key_keeps_slices_of_step_one():
    assert sample_key(slice(-2, None), 5) == slice(3, 5)
    assert sample_key(np.int32(-1), 5) == 4
    assert sample_key((slice(None), Ellipsis), 2) == slice(0, 2)


def test_columns_and_arithmetic():
    proba = RaggedArray([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5]], [0, 2, 3])
    assert proba.shape == (2, 2)
    assert proba.ndim == 2
    assert proba.size == 4
    assert proba[:, 1].values.tolist() == [0.9, 0.2, 0.5]
    assert proba[[1], 1].values.tolist() == [0.5]
    assert proba[0, 1].tolist() == [0.9, 0.2]
    assert (-proba).values[0, 0] == -0.1
    assert (2 * proba).values[0, 1] == (proba * 2).values[0, 1] == 1.8
    assert (proba[:, 1] == 0.5).tolist() == [[False, False], [True]]
    assert (proba == proba).values.all()


def test_equality_needs_the_same_sizes(ragged):
    assert (ragged == as_ragged([[0], [0, 0]])) is False
    assert np.array_equal(ragged, RaggedArray.from_list(PARTS))
    assert not np.array_equal(ragged, RaggedArray(ragged.values, [0, 6]))
    with pytest.raises(TypeError, match="unhashable"):
        hash(ragged)


@pytest.mark.parametrize("parts", [PARTS, [[1, 2], [3, 4]], [[1], [2]]])
def test_asarray_is_one_object_per_graph(parts):
    array = np.asarray(RaggedArray.from_list(parts))
    assert array.shape == (len(parts),)
    assert array.dtype == object
    assert [a.tolist() for a in array] == parts


def test_asarray_refuses_numbers(ragged):
    with pytest.raises(ValueError, match=r"use .values|Use \.values"):
        np.asarray(ragged, dtype=float)


def test_numpy_functions(ragged):
    joined = np.concatenate([ragged, ragged[[0]]])
    assert isinstance(joined, RaggedArray)
    assert joined.tolist() == [*PARTS, PARTS[0]]
    assert np.concatenate(list(ragged)).tolist() == ragged.values.tolist()
    assert np.shape(ragged) == (4,)
    assert np.ndim(ragged) == 1
    assert np.take(ragged, [3, 0], axis=0).tolist() == [PARTS[3], PARTS[0]]
    assert np.size(ragged) == 4
    with pytest.raises(ValueError, match=r"axis must be 0 \(graphs\), got 1"):
        np.take(ragged, [0], axis=1)
    with pytest.raises(TypeError):
        np.concatenate([ragged, ragged], axis=1)


def test_pickle_copy_and_hash_of_joblib(ragged):
    again = pickle.loads(pickle.dumps(ragged))
    assert np.array_equal(again, ragged)
    assert joblib.hash(again) == joblib.hash(ragged)
    assert not np.shares_memory(ragged.copy().values, ragged.values)


def test_repr_shows_values(ragged):
    rows = ["[0, 1, 1]", "[2]", "[]", "[1, 0]"]
    expected = f"RaggedArray([{(',' + chr(10) + ' ' * 13).join(rows)}], n_graphs=4, n_values=6, dtype=int64)"
    assert repr(ragged) == expected
    assert repr(as_ragged([["a"]])) == "RaggedArray([['a']], n_graphs=1, n_values=1, dtype='<U1')"
    assert repr(ragged[:0]) == "RaggedArray([], n_graphs=0, n_values=0, dtype=int64)"
    assert "[None]" in repr(RaggedArray(np.array([None]), [0, 1]))


@pytest.mark.parametrize(("trailing", "n_lines"), [((), 7), ((30,), 11), ((30, 30), 25), ((2, 3, 4), 40)])
def test_repr_is_short(trailing, n_lines):
    text = repr(RaggedArray(np.zeros((5000, *trailing)), np.arange(0, 5001, 50)))
    assert len(text.splitlines()) <= n_lines
    assert "...," in text
    assert "n_graphs=100, n_values=5000" in text


PROBA = RaggedArray([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5]], [0, 2, 3])
PER_NODE = RaggedArray([1.0, 2.0, 4.0], [0, 2, 3])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (PROBA + 1, PROBA.values + 1),
        (1 - PROBA, 1 - PROBA.values),
        (np.float64(2) * PROBA, 2 * PROBA.values),
        (PROBA / 2, PROBA.values / 2),
        (PROBA**2, PROBA.values**2),
        (-PROBA, -PROBA.values),
        (np.log(PROBA), np.log(PROBA.values)),
        (np.maximum(PROBA, 0.5), np.maximum(PROBA.values, 0.5)),
        (PROBA + PROBA, 2 * PROBA.values),
        (PROBA * PER_NODE, PROBA.values * [[1], [2], [4]]),
        (PROBA - PROBA[:, [0]], PROBA.values - PROBA.values[:, [0]]),
        (PER_NODE * PROBA, PROBA.values * [[1], [2], [4]]),
        (PER_NODE - 1, [0, 1, 3]),
        (PROBA * [1, 10], PROBA.values * [1, 10]),
        (np.array([1, 10]) * PROBA, PROBA.values * [1, 10]),
        (PROBA * np.array([3.0]), 3 * PROBA.values),
        (PROBA > 0.4, PROBA.values > 0.4),
        (0.4 < PROBA, PROBA.values > 0.4),  # noqa: SIM300  # the reflected operator is tested
        (PROBA != 0.5, PROBA.values != 0.5),
        (PROBA != PROBA, np.zeros((3, 2), bool)),
        (~(PROBA > 0.4) & (PROBA < 0.2), PROBA.values < 0.2),
        (PROBA[:, 1] // 0.3, PROBA.values[:, 1] // 0.3),
        (np.modf(PROBA * 10)[1], [[1, 9], [8, 2], [5, 5]]),
        (np.where(PROBA > 0.4, PROBA, 0.0), np.where(PROBA.values > 0.4, PROBA.values, 0.0)),
        (np.where(PER_NODE > 1, PROBA, -1), [[-1, -1], *PROBA.values[1:]]),
        (np.where(PER_NODE > 1, "a", "b") == "a", [False, True, True]),
        (np.clip(PROBA, 0.2, 0.8), np.clip(PROBA.values, 0.2, 0.8)),
        (np.round(PER_NODE / 3, 1), [0.3, 0.7, 1.3]),
        (np.isclose(PROBA, 0.5), PROBA.values == 0.5),
    ],
)
def test_arithmetic_of_nodes(found, expected):
    assert isinstance(found, RaggedArray)
    assert found.ptr.tolist() == [0, 2, 3]
    np.testing.assert_allclose(found.values, expected, rtol=1e-15)


def test_arithmetic_in_place():
    y = PER_NODE.copy()
    again = y
    y += 1
    y *= PER_NODE
    assert y is not PER_NODE
    assert again.tolist() == [[2.0, 6.0], [20.0]]
    assert np.add(y, 1, out=again).tolist() == [[3.0, 7.0], [21.0]]
    assert PER_NODE.tolist() == [[1.0, 2.0], [4.0]]


def test_matrices_of_nodes():
    matrices = RaggedArray(np.arange(12.0).reshape(3, 2, 2), [0, 2, 3])
    np.testing.assert_array_equal((matrices / PER_NODE).values[2], matrices.values[2] / 4)
    np.testing.assert_array_equal((matrices * np.eye(2)).values[1], [[4, 0], [0, 7]])
    with pytest.raises(ValueError, match=r"np.multiply got values of shape \(2,\) and of shape \(2, 2\) per node"):
        matrices * PROBA


@pytest.mark.parametrize(
    ("operation", "error", "message"),
    [
        (
            lambda: np.add(PER_NODE, [1, 2, 3]),
            ValueError,
            r"np.add got an array of shape \(3,\).*one value per node use",
        ),
        (lambda: np.ones(2) - PER_NODE, ValueError, r"np.subtract got.*per graph RaggedArray\(np.repeat\(x, np.diff"),
        (lambda: PROBA * np.ones(3), ValueError, r"shape \(3,\), and the values of a node have shape \(2,\)"),
        (lambda: PROBA * np.ones((3, 2)), ValueError, r"np.multiply got an array of shape \(3, 2\)"),
        (lambda: np.equal(np.ones(3), PROBA), ValueError, r"np.equal got an array of shape \(3,\)"),
        (lambda: PROBA + RaggedArray([1, 2, 3], [0, 1, 3]), ValueError, "np.add needs graphs of equal sizes; got 2"),
        (lambda: np.where(PER_NODE > 1, PROBA, [1, 2, 3]), ValueError, r"np.where got an array of shape \(3,\)"),
        (lambda: PROBA @ np.eye(2), TypeError, r"np.matmul is not defined for a RaggedArray; use .values"),
        (lambda: np.add.reduce(PROBA), TypeError, r"np.add.reduce is not defined for a RaggedArray; use .values"),
    ],
)
def test_arithmetic_that_raises_with_advice(operation, error, message):
    with pytest.raises(error, match=message):
        operation()


def test_functions_of_whole_arrays():
    assert np.allclose(PROBA, PROBA + 1e-12)
    assert not np.allclose(PROBA, PROBA + 1e-3)
    for function in (np.sum, np.mean, np.max, np.argmax, np.any, np.sort):
        with pytest.raises(TypeError, match=rf"np.{function.__name__}\(y.values\) for all nodes, or \[np"):
            function(PROBA)


def test_to_frame():
    frame = PROBA.to_frame(columns=np.array(["N", "V"]))
    assert frame.index.names == ["graph", "node"]
    assert frame.index.tolist() == [(0, 0), (0, 1), (1, 0)]
    assert frame["V"].tolist() == [0.9, 0.2, 0.5]
    assert PROBA.to_frame().columns.tolist() == [0, 1]
    assert as_ragged([["a"], [], ["b"]]).to_frame()["value"].to_dict() == {(0, 0): "a", (2, 0): "b"}
    assert as_ragged([["a"]]).to_frame(["label"]).columns.tolist() == ["label"]
    assert PROBA[:0].to_frame(["N", "V"]).shape == (0, 2)
    for columns in (["N"], "NV", [["N", "V"]]):
        with pytest.raises(ValueError, match="columns must have 2 names"):
            PROBA.to_frame(columns)
    with pytest.raises(ValueError, match=r"values of a node have shape \(2, 2\)"):
        RaggedArray(np.zeros((3, 2, 2)), [0, 3]).to_frame()


def test_bad_offsets():
    with pytest.raises(ValueError, match="rise from 0 to the number of values, 3; got 0 to 2"):
        RaggedArray([1, 2, 3], [0, 2])
    with pytest.raises(ValueError, match="one row per node"):
        RaggedArray(1, [0, 1])


def test_scikit_learn_splits_by_graph(ragged):
    assert type_of_target(ragged) == "unknown"
    a, b = train_test_split(ragged, random_state=0)
    assert len(a) == 3
    assert isinstance(b, RaggedArray)
    assert isinstance(shuffle(ragged, random_state=0), RaggedArray)
    assert len(resample(ragged, n_samples=7, random_state=0)) == 7
    assert len(list(KFold(2).split(ragged))) == 2


def test_array_api_dispatch(ragged, array_api_dispatch):
    assert len(train_test_split(ragged, random_state=0)[0]) == 3


FORMS = {
    "lists": PARTS,
    "arrays": [np.array(p, dtype=np.int64) for p in PARTS],
    "tuple": tuple(PARTS),
    "series": pd.Series(PARTS),
    "objects": np.asarray(RaggedArray.from_list(PARTS)),
    "list of series": [pd.Series(p, dtype="int64") for p in PARTS],
    "ragged": RaggedArray.from_list(PARTS),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_labels(form):
    y = FORMS[form]
    assert is_ragged(y)
    ragged = as_ragged(y)
    assert ragged.tolist() == PARTS
    assert ragged.values.dtype == np.int64
    assert flatten_labels(y, np.array([0, 3, 4, 4, 6])).tolist() == [0, 1, 1, 2, 1, 0]


def test_a_matrix_is_graphs_of_equal_size():
    y = np.array([["a", "b"], ["b", "b"]])
    assert is_ragged(y)
    assert as_ragged(y).tolist() == [["a", "b"], ["b", "b"]]


@pytest.mark.parametrize(
    "y",
    [
        [0, 1],
        np.array([0, 1]),
        ["ab", "cd"],
        "ab",
        None,
        3,
        [],
        np.array(["a"], object),
        pd.Series([0, 1]),
        {0: 1},
    ],
)
def test_not_ragged(y):
    assert not is_ragged(y)


def test_types_of_labels_are_kept():
    assert as_ragged([["a"], [], ["long"]]).values.dtype == np.dtype("<U4")
    assert as_ragged([[1], []]).values.dtype.kind == "i"
    assert as_ragged([[True], [False]]).values.dtype == bool
    objects = as_ragged([np.array(["a"], object), np.array(["b"], object)]).values
    assert objects.dtype == object
    assert as_ragged([[], []]).tolist() == [[], []]
    assert len(as_ragged([])) == 0


@pytest.mark.parametrize(
    "y", [[["a", 1]], [["a"], [1]], [np.array(["a", 1], object)], [np.array(["a"], object), [2.0]]]
)
def test_mixed_labels(y):
    with pytest.raises(ValueError, match="y mixes strings and numbers"):
        as_ragged(y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([[0, 1], [0]], r"inconsistent numbers of samples: \[3, 2\]"),
        ([[0, 1], [0], [0]], r"graph 1 has 2 nodes but y\[1\] has 1 values \(2 of 3 graphs disagree\)"),
        ([[[0], [1]]] * 3, r"y\[0\] must be 1-D with one value per node, got shape \(2, 1\)"),
        ([["a", None], ["b", "b"], ["a", "a"]], r"y\[0\]\[1\] is None \(1 such values\).*missing_label"),
        (np.zeros(6), r"y has shape \(6,\), but one array per graph.*RaggedArray\(y, X.node_ptr\)"),
        ([0, 1, 0], r"y\[0\] is 0, but one array per graph is needed"),
        ([[0, 1], [[0], 1], [0, 1]], r"y\[1\] must hold one value per node"),
        ([[[0], [1]], [[0, 1], [1, 1]], [[0], [1]]], "y has values of different shapes"),
        (None, "y is needed here, got None"),
    ],
)
def test_labels_that_do_not_fit(y, message):
    with pytest.raises(ValueError, match=message):
        flatten_labels(y, np.array([0, 2, 4, 6]))


def test_name_in_messages():
    with pytest.raises(ValueError, match=r"sample_weight\[0\] has 1 values"):
        flatten_labels([[1.0]], np.array([0, 2]), "sample_weight")


def test_missing_labels_may_be_allowed():
    y = [["a", None], [np.nan]]
    assert flatten_labels(y, np.array([0, 2, 3]), missing_label=np.nan)[0] == "a"
    with pytest.raises(ValueError, match=r"y\[0\]\[1\] is None \(2 such values\)"):
        flatten_labels(y, np.array([0, 2, 3]))
    with pytest.raises(ValueError, match=r"is <NA>"):
        flatten_labels([np.array([1, pd.NA], dtype=object)], np.array([0, 2]))


def test_a_missing_label_of_another_type():
    y = [["a", -1], [-1], np.array([-1])]
    flat = flatten_labels(y, np.array([0, 2, 3, 4]), missing_label=-1)
    assert flat.tolist() == ["a", -1, -1, -1]
    assert missing_mask(flat, -1).tolist() == [False, True, True, True]
    with pytest.raises(ValueError, match="mixes strings and numbers"):
        as_ragged(y)
    with pytest.raises(ValueError, match="is None"):
        flatten_labels([["a", None]], np.array([0, 2]), missing_label=-1)


@pytest.mark.parametrize(
    ("labels", "missing", "expected"),
    [
        (np.array([0, 1, -1]), -1, [0, 0, 1]),
        (np.array([0, np.nan]), np.nan, [0, 1]),
        (np.array([0, 1]), np.nan, [0, 0]),
        (np.array(["a", "?"]), "?", [0, 1]),
        (np.array(["a", "b"]), -1, [0, 0]),
        (np.array([0, 1]), "?", [0, 0]),
        (np.array(["a", None, np.nan, pd.NA], dtype=object), np.nan, [0, 1, 1, 1]),
        (np.array(["a", pd.NA], dtype=object), "a", [1, 0]),
        (np.array(["a", None], dtype=object), None, [0, 0]),
    ],
)
def test_missing_mask(labels, missing, expected):
    assert missing_mask(labels, missing).tolist() == list(map(bool, expected))
