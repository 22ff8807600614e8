"""AttributeVectorizer against DictVectorizer and plain Python."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction import DictVectorizer
from sklearn.pipeline import make_pipeline

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.preprocessing import AttributeVectorizer, NodeTransformer, SequencesToGraphs

LISTS = [[["w=the", "first"], ["w=dog", "w[-1]=the"]], [["w=dog", "first"]], [[], ["w=the", "w[-1]="]]]
DICTS = [
    [{"w": "the", "length": 3, "upper": False, "weight": 0.5}, {"w": "dog", "length": 3.5, "upper": np.True_}],
    [{"w": "Rex", "upper": True, "weight": np.float32(-2)}, {}],
]


def random_dicts(rng, n_sequences):
    """Tokens with strings, numbers and bools; every value but 0 occurs."""
    return [
        [
            {
                "w": str(rng.integers(20)),
                "w[-1]": str(rng.integers(20)),
                **{f"x{j}": float(rng.standard_normal()) for j in rng.choice(5, 2, replace=False)},
                **({"flag": True} if rng.random() < 0.5 else {}),
                "n": int(rng.integers(1, 4)),
            }
            for _ in range(rng.integers(0, 9))
        ]
        for _ in range(n_sequences)
    ]


def test_lists_of_strings():
    vectorizer = AttributeVectorizer()
    dataset = vectorizer.fit_transform(LISTS)
    assert vectorizer.vocabulary_ == {"w=the": 0, "first": 1, "w=dog": 2, "w[-1]=the": 3, "w[-1]=": 4}
    assert vectorizer.get_feature_names_out().tolist() == list(vectorizer.vocabulary_)
    X = [[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 1]]
    assert_array_equal(dataset.node_features.toarray(), X)
    assert dataset.edges.tolist() == [[0, 1], [0, 1]]
    assert dataset.node_ptr.tolist() == [0, 2, 3, 5]
    assert dataset.node_features.indices.dtype == dataset.node_features.indptr.dtype == np.int32
    assert dataset.node_features.has_canonical_format
    new = vectorizer.transform([(("w=cat", "w[-1]=the"), ["first"])]).node_features
    assert_array_equal(new.toarray(), [[0, 0, 0, 1, 0], [0, 1, 0, 0, 0]])


def test_attributes_that_come_twice_add_up():
    vectorizer = AttributeVectorizer()
    assert vectorizer.fit_transform([[["b", "a", "b"], ["a"]]]).node_features.toarray().tolist() == [[2, 1], [0, 1]]
    assert vectorizer.transform([[["c", "a", "c", "a"]]]).node_features.toarray().tolist() == [[0, 2]]


def test_dicts():
    vectorizer = AttributeVectorizer()
    X = vectorizer.fit_transform(DICTS).node_features
    assert list(vectorizer.vocabulary_) == ["w=the", "length", "upper", "weight", "w=dog", "w=Rex"]
    expected = [[1, 3, 0, 0.5, 0, 0], [0, 3.5, 1, 0, 1, 0], [0, 0, 1, -2, 0, 1], [0] * 6]
    assert_array_equal(X.toarray(), expected)
    assert X.nnz == 9  # zeros are not stored
    assert AttributeVectorizer(dtype=np.float32).fit_transform(DICTS).node_features.dtype == np.float32
    lists = vectorizer.transform([[["w=the", "weight"]]]).node_features  # the same attributes in the other form
    assert lists.toarray().tolist() == [[1, 0, 0, 1, 0, 0]]


def with_lists(rng, sequences):
    """Add attributes whose values are collections of strings, some empty or with repetitions."""
    kinds = [list, tuple, set, frozenset, np.array, lambda strings: np.array(strings, dtype=object)]
    for token in (token for sequence in sequences for token in sequence):
        for name in ("m", "w", "x0"):
            if rng.random() < 0.4:
                strings = rng.choice(["a", "b", "c", "", "a=b"], rng.integers(4)).tolist()
                token[name] = kinds[rng.integers(len(kinds))](strings)
    return sequences


def test_lists_of_strings_as_values():
    vectorizer = AttributeVectorizer()
    tokens = [
        {"g": ["x", "y", "x"], "w": "a"},
        {"g": []},
        {"w": ("b", "a"), "n": 2, "g": {"z", "y"}},
        {"g": np.array("x")},
    ]
    X = vectorizer.fit_transform([tokens[:2], tokens[2:]]).node_features.toarray()
    assert list(vectorizer.vocabulary_) == ["g=x", "g=y", "w=a", "w=b", "n", "g=z"]
    assert_array_equal(X, [[2, 1, 1, 0, 0, 0], [0] * 6, [0, 1, 1, 1, 2, 1], [1, 0, 0, 0, 0, 0]])
    assert_array_equal(vectorizer.transform([[{"g": ["new", "x"]}]]).node_features.toarray(), [[1, 0, 0, 0, 0, 0]])
    assert list(AttributeVectorizer(min_count=2).fit([tokens]).vocabulary_) == ["g=x", "g=y", "w=a"]


def test_dicts_as_values():
    tokens = [{"a": {"n": 2, "s": "t", "l": ["x", "y"], "d": {"n": 3, "f": False}}, "b": 1}, {"a": {}}, {"a:n": 1}]
    vectorizer = AttributeVectorizer(separator=":")
    X = vectorizer.fit_transform([tokens[:1], tokens[1:]])
    assert vectorizer.vocabulary_ == {"a:n": 0, "a:s:t": 1, "a:l:x": 2, "a:l:y": 3, "a:d:n": 4, "b": 5}
    assert_array_equal(X.node_features.toarray(), [[2, 1, 1, 1, 3, 1], [0] * 6, [1] + [0] * 5])


def test_zeros_are_kept_on_demand():
    vectorizer = AttributeVectorizer(min_count=2, keep_zeros=True)
    X = vectorizer.fit_transform([[{"a": 0, "b": False}, {"a": 1.5}], [{"c": {"d": 0.0}}, {"c": {"d": 2}}]])
    assert list(vectorizer.vocabulary_) == ["a", "c=d"]
    assert_array_equal(X.node_features.toarray(), [[0, 0], [1.5, 0], [0, 0], [0, 2]])
    assert X.node_features.nnz == 4
    assert vectorizer.transform([[{"a": 0, "new": 0}]]).node_features.nnz == 1


def test_the_separator_must_be_a_string():
    with pytest.raises(ValueError, match="AttributeVectorizer: separator must be a string, got None"):
        AttributeVectorizer(separator=None).fit(DICTS)


@pytest.mark.parametrize("change", [lambda rng, sequences: sequences, with_lists])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_dict_vectorizer(change, seed):
    rng = np.random.default_rng(seed)
    train, test = change(rng, random_dicts(rng, 40)), change(rng, random_dicts(rng, 20))
    peer = make_pipeline(SequencesToGraphs(), NodeTransformer(DictVectorizer()))
    mine = AttributeVectorizer()
    for method, X in (("fit_transform", train), ("transform", test)):
        expected, found = getattr(peer, method)(X), getattr(mine, method)(X)
        order = np.argsort(mine.get_feature_names_out())
        assert_array_equal(mine.get_feature_names_out()[order], peer.get_feature_names_out())
        assert_array_equal(found.node_features.toarray()[:, order], expected.node_features.toarray())
        assert_array_equal(found.node_ptr, expected.node_ptr)
        assert_array_equal(found.edges, expected.edges)


@pytest.mark.parametrize("X", [LISTS * 2 + [[["w=the"], ["rare"]]], DICTS * 2 + [[{"w": "cat", "upper": False}]]])
def test_min_count(X):
    everything = AttributeVectorizer()
    full = everything.fit_transform(X).node_features
    frequent = np.flatnonzero((full != 0).sum(axis=0) >= 3)
    assert 0 < len(frequent) < full.shape[1]
    vectorizer = AttributeVectorizer(min_count=3)
    assert_array_equal(vectorizer.fit_transform(X).node_features.toarray(), full[:, frequent].toarray())
    assert_array_equal(vectorizer.get_feature_names_out(), everything.get_feature_names_out()[frequent])
    assert_array_equal(vectorizer.transform(X).node_features.toarray(), full[:, frequent].toarray())


def test_a_dataset_keeps_its_edges():
    star = GraphDataset([{"w": "a"}, {"w": "b"}, {}], [(0, 1), (0, 2)])
    dataset = AttributeVectorizer().fit_transform(star)
    assert dataset.edges.tolist() == [[0, 1], [0, 2]]
    assert dataset.node_features.toarray().tolist() == [[1, 0], [0, 1], [0, 0]]


def test_no_tokens():
    vectorizer = AttributeVectorizer().fit(LISTS)
    assert vectorizer.transform([[], []]).node_features.shape == (0, 5)
    assert AttributeVectorizer().fit_transform([[]]).node_features.shape == (0, 0)


def test_tags_in_a_pipeline():
    y = RaggedArray.from_list([["D", "N"], ["N"], ["X", "D"]])
    model = make_pipeline(AttributeVectorizer(), GraphCRFClassifier())
    assert model.fit(LISTS, y).predict(LISTS) == y
    assert pickle.loads(pickle.dumps(model)).predict(LISTS) == y
    assert model[:-1].get_feature_names_out()[0] == "w=the"
    with pytest.raises(NotFittedError):
        clone(model[0]).transform(LISTS)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("the dog", TypeError, "X must be a list of sequences"),
        ([], ValueError, "Found no sequences"),
        ([{"w": "the"}], TypeError, "sequence 0 is a dict; X must be a list of sequences"),
        ([[["a"]], [["a"], "the"]], TypeError, r"sequence 1, token 1: got 'the' \(str\); a token is a list of strings"),
        ([[["a"], {"w": "a"}]], TypeError, "sequence 0, token 1: got .* a token is a list of strings, or all are"),
        ([[{"w": "a"}], [["a"]]], TypeError, "sequence 1, token 0: got .* tokens must all be dicts"),
        ([[["a"], []], [["a", 3]]], TypeError, r"sequence 1, token 0: got 3 \(int\); the name of an attribute"),
        ([[{"w": "a"}, {"v": "b", 3: "a"}]], TypeError, r"sequence 0, token 1: got 3 \(int\); the name"),
        ([[{"w": "a"}, {}], [{"v": None}]], TypeError, r"sequence 1, token 0: got None \(NoneType\); the value"),
        (
            [[{}, {"v": 1, "w": {"a": {"b": None}}}]],
            TypeError,
            r"sequence 0, token 1: got None \(NoneType\); the value",
        ),
        ([[{"w": {"a": "b"}}, {"w": {"a": {3: 4}}}]], TypeError, r"sequence 0, token 1: got 3 \(int\); the name"),
        ([[{"w": b"a"}]], TypeError, r"sequence 0, token 0: got b'a' \(bytes\); the value"),
        ([[{"w": iter("ab")}]], TypeError, r"sequence 0, token 0: got <.*; the value"),
        ([[{"w": 1j}]], TypeError, r"sequence 0, token 0: got 1j \(complex\); the value"),
        (
            [[{}, {"v": "c", "w": ["a", 3]}]],
            TypeError,
            r"sequence 0, token 1: got 3 \(int\); a list .* must hold strings",
        ),
        ([[{"w": ["a"]}], [{"w": {None}}]], TypeError, r"sequence 1, token 0: got None \(NoneType\); a list"),
        ([[{"w": [["a"]]}]], TypeError, r"sequence 0, token 0: got \['a'\] \(list\); a list"),
        ([[{"w": np.array([1, 2])}]], TypeError, r"sequence 0, token 0: got 1 \(int\); a list"),
        ([[{"w": np.array([["a"]])}]], TypeError, r"sequence 0, token 0: got \['a'\] \(list\); a list"),
        ([[["a", ["b"]]]], TypeError, r"sequence 0, token 0: got \['b'\] \(list\); the name"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "transform"])
def test_malformed_tokens(X, error, message, method):
    vectorizer = AttributeVectorizer().fit(LISTS)
    with pytest.raises(error, match=message):
        getattr(vectorizer, method)(X)
    assert vectorizer.transform(LISTS).shape == (3, 5)  # a failed fit changes nothing


def test_values_that_are_not_finite_are_left_to_the_classifier():
    X = AttributeVectorizer().fit_transform([[{"x": np.nan}, {"x": 1}]])
    with pytest.raises(ValueError, match="graph 0, node 0, feature 0"):
        GraphCRFClassifier().fit(X, [["a", "b"]])


def test_tables_are_refused():
    numbers = AttributeVectorizer().fit_transform(LISTS)
    with pytest.raises(TypeError, match="X has tokens that are rows of a sparse matrix"):
        AttributeVectorizer().fit(numbers)
    pd = pytest.importorskip("pandas")
    frame = GraphDataset.from_frame(pd.DataFrame({"i": [1, 1], "w": ["a", "b"]}), graph="i")
    with pytest.raises(TypeError, match="rows of a data frame; TokenTemplates or"):
        AttributeVectorizer().fit(frame)


def test_bad_min_count():
    with pytest.raises(ValueError, match="min_count == 0, must be >= 1"):
        AttributeVectorizer(min_count=0).fit(LISTS)
