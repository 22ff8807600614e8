"""Labels keep their identity and may be missing, whatever holds them."""

import enum

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray, as_ragged
from skstruct.data.missing import missing_mask


class Tag(str, enum.Enum):  # noqa: UP042 - a StrEnum is converted by its value, this one by its name
    PERSON = "B-PER"
    PLACE = "B-LOC"
    OTHER = "O"


class Kind(enum.Enum):
    A = 1
    B = 2


class Loud(str):
    def __str__(self):
        return "LOUD"


Number = enum.IntEnum("Number", "ONE TWO THREE")
NAN, BIG = float("nan"), 2**53
HAS_STRING_DTYPE = hasattr(getattr(np, "dtypes", None), "StringDType")  # from NumPy 2 on
GRAPHS = [(np.array([[0.0], [1.0], [2.0]]), [(0, 1), (1, 2)]), (np.array([[0.5], [1.5]]), [(0, 1)])]
TABLE = np.array([[0.0], [1.0], [2.0], [0.5], [1.5]])
CHARACTERS = [["x", "y", "z"], ["x", "y"]]  # what the forms of labels below stand for


def forms(*labels):
    """The labels x, y, z in graphs: lists, arrays, and lists of one with an array of the other."""
    lists = [[labels["xyz".index(c)] for c in part] for part in CHARACTERS]
    return lists, [np.array(part, object) for part in lists], [lists[0], np.array(lists[1], object)]


KEPT = {
    "string enumeration": (*forms(*Tag), ["B-LOC", "B-PER", "O"]),
    "StrEnum": (*forms(*enum.StrEnum("S", {"X": "aa1", "Y": "aa2", "Z": "aa3"})), ["aa1", "aa2", "aa3"]),
    "subclass of str": (*forms(Loud("a"), Loud("b"), Loud("c")), ["a", "b", "c"]),
    "IntEnum": (*forms(*Number), [1, 2, 3]),
    "integers beyond 2**53": (*forms(BIG, BIG + 1, BIG + 2), [BIG, BIG + 1, BIG + 2]),
    "negative ones": (*forms(-BIG, -BIG - 1, 0), [-BIG - 1, -BIG, 0]),
    "unsigned": (*forms(2**63, 2**63 + 1, 5), [5, 2**63, 2**63 + 1]),
    "booleans": (*forms(True, False, True), [False, True]),
}


@pytest.mark.parametrize("form", [0, 1, 2])
@pytest.mark.parametrize("name", KEPT)
def test_classes(name, form):
    """Of labels in graphs, flat labels, the parameter classes, and labels with missing ones."""
    y, expected = KEPT[name][form], KEPT[name][-1]
    flat = [label for part in y for label in part]
    for crf in (
        GraphCRFClassifier().fit(GRAPHS, y),
        GraphCRFClassifier().fit(TABLE, flat),
        GraphCRFClassifier(classes=list(flat)).fit(GRAPHS, y),
        GraphCRFClassifier(missing_label=NAN).fit([*GRAPHS, GRAPHS[1]], [*y, [None, NAN]]),
        GraphCRFClassifier(missing_label=NAN).fit([*GRAPHS, GRAPHS[1]], [*y, [flat[0], NAN]]),
        GraphCRFClassifier(missing_label=NAN).fit(np.vstack([TABLE, TABLE[:1]]), [*flat, None]),
    ):
        assert crf.classes_.tolist() == expected
        if name != "IntEnum":  # small integers may become floats beside NaN: that merges none
            assert set(map(type, crf.classes_.tolist())) == set(map(type, expected))


@pytest.mark.parametrize("name", KEPT)
def test_queries_tell_labels_apart(name):
    y = KEPT[name][0]
    crf = GraphCRFClassifier(C=1e3).fit(GRAPHS, y)
    state = {label: code for code, label in enumerate(crf.classes_.tolist())}
    for label in set(y[0]):
        proba = crf.predict_proba(GRAPHS, known=[[None, label, None], [label, None]])
        np.testing.assert_allclose([proba[0][1, state[label]], proba[1][0, state[label]]], 1.0, atol=1e-12)
    predicted = crf.predict(GRAPHS).values.tolist()
    right = [a == b for a, b in zip(predicted, [label for part in y for label in part])]
    assert crf.score(GRAPHS, y) == np.mean(right)
    assert crf.score(GRAPHS, crf.predict(GRAPHS)) == 1.0
    np.testing.assert_allclose(crf.log_likelihood(GRAPHS, y), crf.log_likelihood(GRAPHS, as_ragged(y)), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([np.array([2**63, 2**63 + 1], np.uint64), np.array([1, 2])], [1, 2, 2**63, 2**63 + 1]),
        ([np.array([7], np.uint64), np.array([-1])], [-1, 7]),
        ([np.array([BIG, BIG + 1]), np.array([1.0, NAN])], [1, BIG, BIG + 1]),
        ([np.array([True, False]), np.array([NAN, NAN])], [False, True]),
        ([np.array([1, 2]), np.array([2.0, NAN])], [1, 2]),
        ([pd.array([BIG, BIG + 1, None], dtype="Int64"), [1]], [1, BIG, BIG + 1]),
        ([pd.Series([BIG, BIG + 1, None], dtype="Int64"), [1]], [1, BIG, BIG + 1]),
        ([pl.Series([BIG, BIG + 1, None]), [1]], [1, BIG, BIG + 1]),
        ([pl.Series([True, None]), pd.array([False, None], dtype="boolean")], [False, True]),
        ([pl.Series(["a", None]), pd.Series(["b", None], dtype="string")], ["a", "b"]),
        ([pd.Series(["a", None], dtype="category"), ["b"]], ["a", "b"]),
        ([np.ma.array([1, 2, 3], mask=[0, 1, 0]), [1]], [1, 3]),
        ([np.ma.array(["a", "b"], mask=[0, 1]), ["c"]], ["a", "c"]),
        ([[1, np.ma.masked], [2]], [1, 2]),
    ],
)
def test_containers(parts, expected):
    """Each part alone in its type; a missing label changes no other."""
    graphs = [(np.ones((len(part), 1)), None) for part in parts]
    assert GraphCRFClassifier(missing_label=NAN).fit(graphs, parts).classes_.tolist() == expected


@pytest.mark.parametrize(
    ("y", "params", "message"),
    [
        ([["a", "a\0", "b"], ["a", "b"]], {}, r"y\[0\]\[1\] is 'a\\x00', whose null character"),
        ([[b"a", b"a\0", b"b"], [b"a", b"b"]], {}, r"y\[0\]\[1\] is b'a\\x00', whose null character"),
        ([np.array(["a", "a\0", "b"], object), ["a", "b"]], {}, r"y\[0\]\[1\] is 'a\\x00'"),
        ([["a", None, "\0"], ["a", "b"]], {"missing_label": NAN}, r"y\[0\]\[2\] is '\\x00'"),
        (RaggedArray(np.array(["a", "b", "c", "a", "a\0"], object), [0, 3, 5]), {}, r"y.values\[4\] is 'a\\x00'"),
        ([["a", "b", "c"], ["a", "b"]], {"classes": ["a", "b", "c", "c\0"]}, r"classes\[3\] is 'c\\x00'"),
        ([["a", b"a", "b"], ["a", "b"]], {}, "y mixes strings and bytes"),
        ([["a", "b", "b"], [b"a", b"b"]], {}, "y mixes strings and bytes"),
        ([["a", 1, "b"], ["a", "b"]], {"classes": ["a", "b", 1]}, "classes mixes strings and numbers"),
        ([[0, 1, 0], [0, 1]], {"classes": [0, 1, None]}, r"classes\[2\] is None.*remove it"),
        ([[0, 1, 0], [0, 1]], {"classes": [0, 1, NAN]}, r"classes\[2\] is nan.*remove it"),
        ([[0, BIG + 1, 0.5], [0, 1]], {}, "y has integers from 0 to 9007199254740993.*to strings"),
        ([[2**64, 1, 0], [0, 1]], {}, "y has integers from 0 to 18446744073709551616.*to strings"),
        (
            [np.array([2**63, 1, 1], np.uint64), np.array([-1, 1])],
            {},
            "y has integers from -1 to 92233720",
        ),
        ([[Kind.A, Kind.B, Kind.A], [Kind.B, Kind.A]], {}, "y has the label <Kind.A: 1> of type Kind.*their names"),
        ([np.ma.array([0, 1, 2], mask=[0, 1, 0]), [0, 1]], {}, r"y\[0\]\[1\] is None"),
        (np.ma.array([[0, 1, 2], [0, 1, 2]], mask=[[0, 0, 0], [0, 1, 0]]), {}, r"y\[1\]\[1\] is None"),
    ],
)
def test_refused(y, params, message):
    graphs = [GRAPHS[0], GRAPHS[0]] if isinstance(y, np.ndarray) else GRAPHS
    with pytest.raises(ValueError, match=message):
        GraphCRFClassifier(**params).fit(graphs, y)


@pytest.mark.parametrize(
    ("labels", "missing", "expected"),
    [
        (np.array([BIG, BIG + 1]), float(BIG), [1, 0]),
        (np.array([BIG, BIG + 1]), BIG + 1, [0, 1]),
        (np.array([float(BIG), 1.0]), BIG + 1, [0, 0]),
        (np.array([2**63, 2**63 + 1], np.uint64), 2**63 + 1, [0, 1]),
        (np.array([2**63 - 1, 1]), 2**63, [0, 0]),
        (np.array([2**63, 1], np.uint64), -1, [0, 0]),
        (np.array([0, 1]), 10**400, [0, 0]),
        (np.array([0, 1]), float("inf"), [0, 0]),
        (np.array([0, 1]), 0.5, [0, 0]),
        (np.array(["B-PER", "Tag.P"]), Tag.PERSON, [1, 0]),
        (np.array(["a", "b"]), "a\0", [0, 0]),
        (np.array([1, np.ma.masked, pd.NaT, np.datetime64("NaT")], object), NAN, [0, 1, 1, 1]),
    ],
)
def test_missing_label_is_exact(labels, missing, expected):
    assert missing_mask(labels, missing).tolist() == list(map(bool, expected))


@pytest.mark.parametrize("missing", [Tag.OTHER, "O"])
def test_an_enumeration_may_have_the_missing_label(missing):
    crf = GraphCRFClassifier(missing_label=missing).fit(GRAPHS, KEPT["string enumeration"][0])
    assert crf.classes_.tolist() == ["B-LOC", "B-PER"]


# ---- missing labels of every type


LABELS = {"strings": ["a", "b", "c"], "integers": [3, 1, 2], "booleans": [True, False, True]}
HOLDERS = {
    "None in lists": lambda parts: parts,
    "NaN in lists": lambda parts: [[NAN if v is None else v for v in part] for part in parts],
    "object arrays": lambda parts: [np.array(part, object) for part in parts],
    "pandas.NA": lambda parts: [np.array([pd.NA if v is None else v for v in part], object) for part in parts],
    "Series": lambda parts: [pd.Series(part, dtype=extension(parts)) for part in parts],
    "extension arrays": lambda parts: [pd.array(part, dtype=extension(parts)) for part in parts],
    "polars": lambda parts: [pl.Series(part) for part in parts],
    "masked": lambda parts: [
        np.ma.array([parts[0][0] if v is None else v for v in part], mask=[v is None for v in part]) for part in parts
    ],
    "ragged": lambda parts: RaggedArray([v for part in parts for v in part], [0, 3, 5]),
    "StringDType": lambda parts: [np.array(part, np.dtypes.StringDType(na_object=None)) for part in parts],
}


def extension(parts):
    return {str: "string", int: "Int64", bool: "boolean"}[type(parts[0][0])]


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("kind", LABELS)
def test_missing_labels(kind, holder):
    """fit, score, log_likelihood and the queries with `known` do the same as with integers, -1 for missing."""
    if holder == "StringDType" and (kind != "strings" or not HAS_STRING_DTYPE):
        pytest.skip("StringDType holds strings, from NumPy 2 on")
    x, y, z = LABELS[kind]
    y = HOLDERS[holder]([[x, None, y], [z, None]])
    classes = sorted(set(LABELS[kind]))
    code = {label: number for number, label in enumerate(classes)}
    numbers = [[code[LABELS[kind][0]], -1, code[LABELS[kind][1]]], [code[LABELS[kind][2]], -1]]
    crf = GraphCRFClassifier(missing_label=NAN).fit(GRAPHS, y)
    plain = GraphCRFClassifier(missing_label=-1).fit(GRAPHS, numbers)
    assert crf.classes_.tolist() == classes
    np.testing.assert_array_equal(crf.coef_, plain.coef_)
    assert crf.score(GRAPHS, y) == plain.score(GRAPHS, numbers)
    np.testing.assert_array_equal(crf.log_likelihood(GRAPHS, y), plain.log_likelihood(GRAPHS, numbers))
    for missing in (NAN, None):  # None: `known` may have missing labels all the same
        crf.set_params(missing_label=missing)
        assert crf.predict(GRAPHS, known=y).tolist() == [
            [classes[c] for c in part] for part in plain.predict(GRAPHS, known=numbers)
        ]
        for query in ("predict_proba", "predict_log_proba"):
            found, expected = (getattr(m, query)(GRAPHS, known=k).values for m, k in ((crf, y), (plain, numbers)))
            np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(crf.entropy(GRAPHS, known=y), plain.entropy(GRAPHS, known=numbers))
        drawn, expected = (m.sample(GRAPHS, 3, k, random_state=0) for m, k in ((crf, y), (plain, numbers)))
        assert drawn.values.tolist() == [[classes[c] for c in row] for row in expected.values]


@pytest.mark.parametrize("holder", [name for name in HOLDERS if name not in ("ragged", "StringDType")])
@pytest.mark.parametrize("kind", LABELS)
def test_missing_labels_of_tables_and_views(kind, holder):
    x, y, z = LABELS[kind]
    (flat,) = HOLDERS[holder]([[x, None, y, z, None]])
    rows = [0, 2, 3]
    crf = GraphCRFClassifier(missing_label=NAN, tol=1e-9).fit(TABLE, flat)
    without = GraphCRFClassifier(tol=1e-9).fit(TABLE[rows], [x, y, z])
    np.testing.assert_allclose(crf.coef_, without.coef_, atol=1e-6)
    assert crf.classes_.tolist() == without.classes_.tolist()
    assert crf.score(TABLE, flat) == without.score(TABLE[rows], [x, y, z])
    repeated = GraphDataset.from_graphs(GRAPHS).nodes[[0, 1, 2, 1]]
    (labels,) = HOLDERS[holder]([[x, None, y, None]])
    known = GraphCRFClassifier().fit(GRAPHS, [[x, y, z], [x, y]]).predict(repeated, known=labels)
    assert known[[0, 2]].tolist() == [x, y]
    assert known[1] == known[3]


def test_known_may_be_all_missing():
    crf = GraphCRFClassifier().fit(GRAPHS, [[1, 0, 1], [0, 1]])
    for known in ([[None] * 3, [None] * 2], [[NAN] * 3, [NAN] * 2], np.array([[None] * 3] * 2)[:1]):
        graphs = GRAPHS[: len(known)]
        assert crf.predict(graphs, known=known).tolist() == crf.predict(graphs).tolist()


def test_strings_of_numpy_without_missing_ones():
    if not HAS_STRING_DTYPE:
        pytest.skip("from NumPy 2 on")
    y = [np.array(part, np.dtypes.StringDType()) for part in CHARACTERS]
    crf = GraphCRFClassifier(classes=np.array(["x", "y", "z"], np.dtypes.StringDType())).fit(GRAPHS, y)
    assert crf.score(GRAPHS, y) == crf.score(GRAPHS, CHARACTERS)
    assert GraphCRFClassifier().fit(TABLE, np.concatenate(y)).classes_.tolist() == ["x", "y", "z"]
