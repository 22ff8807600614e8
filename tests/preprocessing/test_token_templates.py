"""TokenTemplates against templates that plain Python fills in."""

import gzip
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.preprocessing import SequencesToGraphs, TokenTemplates
from skstruct.preprocessing._template_notation import DERIVATIONS, parse_templates, shape

"""TokenTemplates against templates that plain Python fills in."""


DATA = Path(__file__).parents[3] / "shared" / "data"


CHUNKING = [
    *["w[-2..2]", "w[-1..0]|w[0..1]", "pos[-2..2]", "pos[-2..1]|pos[-1..2]"],
    *["pos[-2..0]|pos[-1..1]|pos[0..2]", "__BOS__", "__EOS__"],
]
TAGGING = [
    *["bias", "w[0]", "w.lower[0]", "w.shape[0]", "w.prefix(1..4)[0]", "w.suffix(1..4)[0]"],
    *["w.digit[0]", "w.capital[0]", "w.hyphen[0]", "w.lower[-2..-1]", "w.lower[1..2]"],
    *["w[-1..0]|w[0..1]", "w.shape[-1..0]|w.shape[0..1]", "__BOS__", "__EOS__"],
]


def chunking_attributes(sentence):
    """Attributes of the tokens of a sentence of (word, tag), as lists of strings."""
    templates = [[("w", o)] for o in range(-2, 3)] + [[("w", -1), ("w", 0)], [("w", 0), ("w", 1)]]
    for length in (1, 2, 3):
        templates += [[("pos", o + k) for k in range(length)] for o in range(-2, 4 - length)]
    rows = [dict(zip(("w", "pos"), token)) for token in sentence]
    found = [[] for _ in rows]
    for i, attributes in enumerate(found):
        for template in templates:
            if all(0 <= i + offset < len(rows) for _, offset in template):
                name = "|".join(f"{column}[{offset}]" for column, offset in template)
                attributes.append(f"{name}=" + "|".join(rows[i + offset][column] for column, offset in template))
    found[0].append("__BOS__")
    found[-1].append("__EOS__")
    return found


def ascii_shape(word):
    """A shape in which digits come out as x, as they do where they are replaced by d before letters by x."""
    return re.sub(r"(.)\1+", r"\1\1", re.sub("[A-Z]", "X", re.sub("[a-z]", "x", re.sub("[0-9]", "d", word))))


def tagging_attributes(words, shape=ascii_shape):
    """Attributes of the tokens of a sentence of words."""
    found = []
    for i, word in enumerate(words):
        attributes = ["bias", f"w[0]={word}", f"w.lower[0]={word.lower()}", f"w.shape[0]={shape(word)}"]
        for k in (1, 2, 3, 4):
            if len(word) >= k:
                attributes += [f"w.prefix({k})[0]={word[:k]}", f"w.suffix({k})[0]={word[-k:]}"]
        attributes += ["w.digit[0]=True"] * any(c.isdigit() for c in word)
        attributes += ["w.capital[0]=True"] * word[0].isupper() + ["w.hyphen[0]=True"] * ("-" in word)
        for offset in (-2, -1, 1, 2):
            if 0 <= i + offset < len(words):
                attributes.append(f"w.lower[{offset}]={words[i + offset].lower()}")
        for offset in (-1, 0):
            if i + offset >= 0 and i + offset + 1 < len(words):
                a, b = words[i + offset : i + offset + 2]
                attributes.append(f"w[{offset}]|w[{offset + 1}]={a}|{b}")
                attributes.append(f"w.shape[{offset}]|w.shape[{offset + 1}]={shape(a)}|{shape(b)}")
        found.append(attributes)
    found[0].append("__BOS__")
    found[-1].append("__EOS__")
    return found


def read(name):
    """Sentences of a file, each a list of tuples of columns."""
    if not (DATA / name).exists():
        pytest.skip(f"needs ../shared/data/{name}")
    text = gzip.decompress((DATA / name).read_bytes()).decode()
    lines = [[line.split("\t" if "conllu" in name else None) for line in s.split("\n")] for s in text.split("\n\n")]
    tokens = [[tuple(line) for line in sentence if len(line) > 1] for sentence in lines]
    return [sentence for sentence in tokens if sentence]


def words_of(name):
    return [[token[1].replace(" ", "_") for token in s if token[0].isdigit()] for s in read(name)]


def names_per_token(vectorizer, dataset):
    """The sets of names of the features of each token."""
    names, X = vectorizer.get_feature_names_out(), dataset.node_features
    assert (X.data == 1).all()
    assert len(X.indices) == len(set(zip(np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), X.indices)))
    return [set(names[X.indices[a:b]]) for a, b in zip(X.indptr, X.indptr[1:])]


def agree(vectorizer, attributes, train, test):
    """Whether the sets of names are those that a function of a sentence makes."""
    expected = [set(token) for sentence in train for token in attributes(sentence)]
    vocabulary = set().union(*expected)
    assert names_per_token(vectorizer, vectorizer.fit_transform(train)) == expected
    assert len(vectorizer.get_feature_names_out()) == len(vocabulary)
    expected = [set(token) & vocabulary for sentence in test for token in attributes(sentence)]
    assert names_per_token(vectorizer, vectorizer.transform(test)) == expected


TAGGED = [
    [("the", "DT"), ("dog", "NN"), ("of", "IN"), ("the", "DT"), ("dog", "NN")],
    [("Yes", "UH")],
    [("dog", "NN"), ("the", "DT")],
    [("it's", "PRP"), ("5-fold", "JJ"), ("Ünder", "XX")],
]
TAGGED_TEST = [[("the", "NN"), ("cat", "NN"), ("of", "DT")], [("fold", "??")], [("dog", "NN"), ("of", "IN")]]


def test_templates_of_chunking():
    assert len(parse_templates(CHUNKING, ["w", "pos"], DERIVATIONS)) == 19 + 2
    agree(TokenTemplates(CHUNKING, ["w", "pos"]), chunking_attributes, TAGGED, TAGGED_TEST)


def test_templates_of_chunking_on_conll2000():
    train, test = [[[t[:2] for t in s] for s in read(f"conll2000.{part}.txt.gz")[:400]] for part in ("train", "test")]
    agree(TokenTemplates(CHUNKING, ["w", "pos"]), chunking_attributes, train, test)


def test_templates_of_tagging():
    train, test = [[[word for word, _ in sentence] for sentence in part] for part in (TAGGED, TAGGED_TEST)]
    agree(TokenTemplates(TAGGING, derivations={"shape": ascii_shape}), tagging_attributes, train, test)
    agree(TokenTemplates(TAGGING), lambda words: tagging_attributes(words, shape), train, test)


def test_templates_of_tagging_on_ewt():
    train, test = (words_of(f"en_ewt-ud-{part}.conllu.gz")[:400] for part in ("dev", "test"))
    agree(TokenTemplates(TAGGING, derivations={"shape": ascii_shape}), tagging_attributes, train, test)


def test_a_matrix_of_known_numbers():
    vectorizer = TokenTemplates(["w[-1..0]", "pos[0]|w[-1]", "bias"], columns=["w", "pos"])
    dataset = vectorizer.fit_transform([[("a", "X"), ("b", "Y"), ("a", "X")], [("b", "X")]])
    assert vectorizer.templates_ == ["w[-1]", "w[0]", "pos[0]|w[-1]", "bias"]
    names = ["w[-1]=a", "w[-1]=b", "w[0]=a", "w[0]=b", "pos[0]|w[-1]=Y|a", "pos[0]|w[-1]=X|b", "bias"]
    assert vectorizer.get_feature_names_out().tolist() == names
    X = [[0, 0, 1, 0, 0, 0, 1], [1, 0, 0, 1, 1, 0, 1], [0, 1, 1, 0, 0, 1, 1], [0, 0, 0, 1, 0, 0, 1]]
    assert_array_equal(dataset.node_features.toarray(), X)
    assert dataset.edges.tolist() == [[0, 1], [1, 2]]
    assert dataset.node_ptr.tolist() == [0, 3, 4]
    assert dataset.edge_ptr.tolist() == [0, 2, 2]
    assert dataset.node_features.indices.dtype == dataset.node_features.indptr.dtype == np.int32
    assert dataset.node_features.dtype == np.float32
    small = clone(vectorizer).set_params(dtype=np.uint8)
    assert small.fit_transform([[("a", "b")]]).node_features.dtype == np.uint8


def test_shape_of_matrix_does_not_depend_on_what_is_transformed():
    vectorizer = TokenTemplates(["w[0]", "w.suffix(1)[0]"]).fit([["cat", "hat"], ["dog"]])
    assert vectorizer.transform([["bat"]]).node_features.toarray().tolist() == [[0, 0, 0, 1, 0]]
    assert vectorizer.transform([["?"], []]).node_features.toarray().tolist() == [[0] * 5]
    assert vectorizer.transform([[]]).node_features.shape == (0, 5)


def test_conjunctions_of_many_terms_are_exact():
    rng = np.random.default_rng(0)
    X = [[f"{v:x}" for v in rng.integers(0, 300, 40)] for _ in range(20)]
    vectorizer = TokenTemplates(["w[-7]|w[-6]|w[-5]|w[-4]|w[-3]|w[-2]|w[-1]|w[0]"])
    dataset = vectorizer.fit_transform(X)
    expected = [{"|".join(words[i - 7 : i + 1])} if i > 6 else set() for words in X for i in range(40)]
    found = names_per_token(vectorizer, dataset)
    assert [{name.split("=")[1] for name in names} for names in found] == expected


def test_words_that_contain_separators_are_told_apart():
    vectorizer = TokenTemplates(["w[0]|w[1]"])
    assert vectorizer.fit_transform([["a|b", "c"], ["a", "b|c"]]).shape == (2, 2)


def test_constants_in_conjunctions():
    vectorizer = TokenTemplates(["w[0]|__BOS__", "__EOS__|w.capital[0]"]).fit([["a", "B"], ["b", "c"]])
    names = ["w[0]|__BOS__=a", "w[0]|__BOS__=b", "__EOS__|w.capital[0]=True"]
    assert vectorizer.get_feature_names_out().tolist() == names


def test_ranges_of_lengths_and_offsets():
    names = list(parse_templates(["w.prefix(2..3)[-1..0]", "w.suffix(1..2)[0] | w[-1]"], ["w"], DERIVATIONS))
    assert names == [
        *["w.prefix(2)[-1]", "w.prefix(2)[0]", "w.prefix(3)[-1]", "w.prefix(3)[0]"],
        *["w.suffix(1)[0]|w[-1]", "w.suffix(2)[0]|w[-1]"],
    ]


@pytest.mark.parametrize("min_count", [2, 3])
@pytest.mark.parametrize("templates", [CHUNKING, ["w[0]"], ["bias", "w[-1]|w[0]"]])
def test_min_count(templates, min_count):
    sentences = [[token for token in s for _ in (0, 1)] for s in TAGGED] + TAGGED_TEST
    everything = TokenTemplates(templates, ["w", "pos"])
    X = everything.fit_transform(sentences).node_features
    frequent = np.flatnonzero(X.sum(axis=0) >= min_count)
    assert 0 < len(frequent) < X.shape[1]
    vectorizer = TokenTemplates(templates, ["w", "pos"], min_count=min_count)
    assert_array_equal(vectorizer.fit_transform(sentences).node_features.toarray(), X[:, frequent].toarray())
    assert_array_equal(vectorizer.get_feature_names_out(), everything.get_feature_names_out()[frequent])
    assert_array_equal(vectorizer.transform(sentences).node_features.toarray(), X[:, frequent].toarray())


def test_derivations():
    assert shape("McDonald's") == "XxXxx'x"
    assert shape("ÉCOLE-1999...") == "XX-dd.."
    assert shape("") == ""
    clusters = {"dog": 7, "cat": 7, "the": 3}
    calls = []

    def vowels(word, at_least):
        calls.append(word)
        n = sum(c in "aeiou" for c in word)
        return n if n >= at_least else None

    vectorizer = TokenTemplates(
        ["w.cluster[0]", "w.vowels(1)[0]", "w.upper[0]"],
        derivations={"cluster": clusters.get, "vowels": vowels, "upper": str.upper},
    )
    dataset = vectorizer.fit_transform([["the", "dog", "hmm", "dog"]])
    assert calls == ["the", "dog", "hmm"]  # once for each distinct value
    names = ["w.cluster[0]=3", "w.cluster[0]=7", "w.vowels(1)[0]=1"]
    assert vectorizer.get_feature_names_out().tolist() == [*names, *(f"w.upper[0]={w}" for w in ("THE", "DOG", "HMM"))]
    assert dataset.node_features[[2]].sum() == 1
    assert vectorizer.transform([["cat", "dog", "cat"]]).node_features.toarray()[0].tolist() == [0, 1, 1, 0, 0, 0]
    assert calls == ["the", "dog", "hmm", "cat"]


def test_forms_of_tokens():
    templates = ["w[0]", "pos[-1]|w[0]"]
    expected = TokenTemplates(templates, ["w", "pos"]).fit_transform(TAGGED)
    frame = [(i, *token) for i, sentence in enumerate(TAGGED) for token in sentence]
    pd = pytest.importorskip("pandas")
    forms = [
        [[list(token) for token in sentence] for sentence in TAGGED],
        tuple(tuple(sentence) for sentence in TAGGED),
        [[{"pos": pos, "w": w, "other": 1} for w, pos in sentence] for sentence in TAGGED],
        [np.array(sentence) for sentence in TAGGED],
        [np.array(sentence, dtype=object) for sentence in TAGGED],
        GraphDataset.from_sequences([np.array(sentence) for sentence in TAGGED]),
        GraphDataset.from_sequences([[{"pos": pos, "w": w} for w, pos in sentence] for sentence in TAGGED]),
        GraphDataset.from_frame(pd.DataFrame(frame, columns=["i", "w", "pos"]), graph="i"),
        (sentence for sentence in TAGGED),
    ]
    for X in forms:
        dataset = TokenTemplates(templates, ["w", "pos"]).fit_transform(X)
        assert_array_equal(dataset.node_features.toarray(), expected.node_features.toarray())
        assert_array_equal(dataset.edges, expected.edges)
        assert_array_equal(dataset.node_ptr, expected.node_ptr)
    for X in (
        [["a", "b"]],
        [("a", "b")],
        [np.array(["a", "b"])],
        [[("a",), ("b",)]],
        SequencesToGraphs().transform([["a", "b"]]),
    ):
        assert TokenTemplates(["w[0]"]).fit_transform(X).node_features.toarray().tolist() == [[1, 0], [0, 1]]
    one = TokenTemplates(["w[0]"], ["a", "w"]).fit([[(3, "x"), (None, "y")]])  # the first column is not used
    assert one.get_feature_names_out().tolist() == ["w[0]=x", "w[0]=y"]


def test_a_dataset_keeps_its_edges():
    star = GraphDataset(["a", "b", "c"], [(0, 1), (0, 2)])
    dataset = TokenTemplates(["w[-1]"]).fit_transform(star)
    assert dataset.edges.tolist() == [[0, 1], [0, 2]]
    assert dataset.node_features.toarray().tolist() == [[0, 0], [1, 0], [0, 1]]


def test_tags_strings_in_a_pipeline():
    X = [["the", "dog", "barks"], ["a", "cat", "sleeps"], ["the", "cat", "walks"], ["dogs", "walk"]] * 3
    y = [["D", "N", "V"]] * 3 + [["N", "V"]]
    y = RaggedArray.from_list(y * 3)
    templates = ["w[-1..1]", "w[-1]|w[0]", "w.suffix(1..2)[0]", "__BOS__"]
    model = make_pipeline(TokenTemplates(templates), GraphCRFClassifier())
    search = GridSearchCV(model, {"tokentemplates__min_count": [1, 2]}, cv=3, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.9
    assert search.predict([["a", "dog", "talks"]]).tolist() == [["D", "N", "V"]]
    assert search.best_estimator_[:-1].get_feature_names_out()[0] == "w[-1]=the"
    hashed = clone(model).set_params(tokentemplates__n_bits=12).fit(X, y)
    assert hashed.predict([["a", "dog", "talks"]]).tolist() == [["D", "N", "V"]]


def test_pickle_and_clone():
    vectorizer = TokenTemplates(TAGGING, min_count=2, derivations={"upper": str.upper}).fit([["a", "B-2", "a"]])
    copy = pickle.loads(pickle.dumps(vectorizer))
    X = [["a", "new", "B-2"]]
    assert_array_equal(copy.transform(X).node_features.toarray(), vectorizer.transform(X).node_features.toarray())
    assert_array_equal(copy.get_feature_names_out(), vectorizer.get_feature_names_out())
    fresh = clone(vectorizer)
    assert fresh.get_params() == vectorizer.get_params()
    with pytest.raises(NotFittedError):
        fresh.transform(X)
    with config_context(transform_output="pandas"):
        assert isinstance(vectorizer.set_output(transform="pandas").transform(X), GraphDataset)


def test_derivations_as_dicts():
    clusters = {"the": "1", "dog": 2, "none": None}
    X = [["the", "dog", "none", "other"]]
    found, expected = (TokenTemplates(["w.cluster[0]"], derivations={"cluster": c}) for c in (clusters, clusters.get))
    assert_array_equal(
        found.fit_transform(X).node_features.toarray(), expected.fit_transform(X).node_features.toarray()
    )
    assert found.get_feature_names_out().tolist() == ["w.cluster[0]=1", "w.cluster[0]=2"]
    found.set_params(derivations=None)  # parameters are read in fit only
    assert found.transform(X).node_features.sum() == 2
    for odd in (["a"], "lower", None, 3):
        with pytest.raises(TypeError, match=r"derivations\['cluster'\] must be a function or a dict, got"):
            TokenTemplates(["w[0]"], derivations={"cluster": odd}).fit(X)


def test_hashing():
    exact = TokenTemplates(CHUNKING, ["w", "pos"]).fit(TAGGED)
    hashed = TokenTemplates(CHUNKING, ["w", "pos"], n_bits=20).fit(TAGGED[:1])
    X = hashed.transform(TAGGED).node_features
    assert X.shape == (11, 2**20)
    assert (X.data == 1).all()
    # the same rows share the same features, whatever they are called
    full = exact.transform(TAGGED).node_features
    assert_array_equal((X @ X.T).toarray(), (full @ full.T).toarray())
    again = clone(hashed).fit(TAGGED_TEST).transform(TAGGED).node_features
    assert (again != X).nnz == 0
    assert X.indices[:3].tolist() == [59018, 248219, 260932]  # in every process
    few = TokenTemplates(CHUNKING, ["w", "pos"], n_bits=2).fit_transform(TAGGED).node_features
    assert few.shape == (11, 4)
    assert_array_equal(few.sum(axis=1), full.sum(axis=1))
    assert few.data.max() > 1
    assert few.has_canonical_format
    assert not hasattr(hashed, "get_feature_names_out")


@pytest.mark.parametrize(
    "parameters", [{}, {"n_bits": 12}, {"min_count": 2}, {"min_count": 3}], ids=lambda parameters: str(parameters)
)
def test_partial_fit_is_fit_on_all_sequences(parameters):
    rng = np.random.default_rng(0)
    words, tags = np.array(["a", "b|c", "The", "x1", "y-z", "\\"]), np.array(["N", "V", "D"])
    sentences = [list(zip(words[rng.integers(6, size=n)], tags[rng.integers(3, size=n)])) for n in [3, 1, 4, 5, 2, 3]]
    sentences = [[tuple(map(str, token)) for token in sentence] for sentence in sentences]
    templates = ["w[-1]|pos[0]", "w.prefix(1..2)[0]", "w[-1..0]|w[0..1]", "bias", "__BOS__", "pos[1]"]
    part, so_far = TokenTemplates(templates, columns=["w", "pos"], **parameters), []
    for some in (sentences[:1], sentences[1:4], sentences[4:], sentences[:2]):
        so_far += some
        assert part.partial_fit(some) is part
        part = pickle.loads(pickle.dumps(part))
        whole = clone(part).fit(so_far)
        assert_array_equal(
            part.transform(sentences).node_features.toarray(), whole.transform(sentences).node_features.toarray()
        )
        if "n_bits" not in parameters:
            assert_array_equal(part.get_feature_names_out(), whole.get_feature_names_out())


def test_min_count_may_change_between_calls_that_count():
    part = TokenTemplates(["w[0]", "w[-1]|w[0]"], min_count=3)
    for sentence in (["a", "b", "a"], ["a", "b"], ["b", "a", "c"]):
        part.partial_fit([sentence])
    assert part.get_feature_names_out().tolist() == ["w[0]=a", "w[0]=b"]
    part.set_params(min_count=2).partial_fit([["d"]])
    assert part.get_feature_names_out().tolist() == ["w[0]=a", "w[0]=b", "w[-1]|w[0]=a|b", "w[-1]|w[0]=b|a"]
    part.set_params(min_count=1).partial_fit([["d"]])
    assert part.get_feature_names_out().tolist()[:4] == ["w[0]=a", "w[0]=b", "w[0]=c", "w[0]=d"]


@pytest.mark.parametrize("name", ["keys", "n_tokens", "sizes"])
def test_damaged_counts_are_refused(name):
    state = TokenTemplates(["w[0]", "w[1]"], min_count=2).partial_fit([["a", "b", "a"]]).__getstate__()
    counts = state["_vocabulary"]["counts"]
    counts[name] = counts[name][:-1]
    with pytest.raises(ValueError, match="the state of TokenTemplates is damaged"):
        TokenTemplates([]).__setstate__(state)


def test_partial_fit_refuses_what_does_not_fit_to_earlier_calls():
    for uncounted in (
        TokenTemplates(["w[0]"]).partial_fit([["a"]]),
        TokenTemplates(["w[0]"], min_count=2).fit([["a"]]),
    ):
        with pytest.raises(ValueError, match=r"partial_fit with min_count=2 needs the counts of all earlier features"):
            uncounted.set_params(min_count=2).partial_fit([["a"]])
    with pytest.raises(ValueError, match="n_bits=None differs from that of the earlier calls of partial_fit, 8"):
        TokenTemplates(["w[0]"], n_bits=8).partial_fit([["a"]]).set_params(n_bits=None).partial_fit([["a"]])
    vectorizer = TokenTemplates(["w[0]"]).partial_fit([["a"]])
    with pytest.raises(TypeError, match="sequence 0, token 1"):
        vectorizer.partial_fit([["b", 1]])
    assert vectorizer.get_feature_names_out().tolist() == ["w[0]=a"]
    with pytest.raises(ValueError, match="the templates differ"):
        vectorizer.set_params(templates=["w[1]"]).partial_fit([["a"]])
