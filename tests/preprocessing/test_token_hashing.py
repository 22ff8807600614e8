"""The numbers and names that TokenTemplates gives to features: hashes, pairs, all characters."""

import itertools
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skstruct.preprocessing import TokenTemplates
from skstruct.preprocessing._sequence_vectorizer import stack_tokens
from skstruct.preprocessing._template_columns import TokenCodes
from skstruct.preprocessing._token_codes import HashedPairs, PairTable


def names_per_token(vectorizer, dataset):
    """The sets of names of the features of each token."""
    names, X = vectorizer.get_feature_names_out(), dataset.node_features
    assert (X.data == 1).all()
    assert len(X.indices) == len(set(zip(np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), X.indices)))
    return [set(names[X.indices[a:b]]) for a, b in zip(X.indptr, X.indptr[1:])]


def test_hashes_of_pairs_spread():
    left, right = (codes.ravel() for codes in np.mgrid[:300, :300])
    codes = HashedPairs(31).find(left, right)
    assert codes.min() >= 0
    assert codes.max() < 2**31
    assert len(set(codes.tolist())) > 90000 - 10  # two expected collisions
    counts = np.bincount(HashedPairs(8).find(left, right), minlength=256)
    assert ((counts - 90000 / 256) ** 2).sum() / (90000 / 256) < 350  # chi-squared, 255 degrees of freedom
    assert_array_equal(HashedPairs(8).find(np.array([-1, 0, -1]), np.array([0, -1, -1])), [-1, -1, -1])


def test_hashes_of_pairs_are_those_of_plain_integers():
    def mix(left, right):
        mixed = left << 32 | right
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            mixed = (mixed ^ mixed >> 33) * factor % 2**64
        return mixed

    left, right = np.random.default_rng(2).integers(0, 2**31, (2, 100))
    expected = [mix(a, b) for a, b in zip(left.tolist(), right.tolist())]
    for n_bits in (1, 20, 31):
        assert HashedPairs(n_bits).find(left, right).tolist() == [mixed >> 64 - n_bits for mixed in expected]


def test_pairs_are_numbered_by_appearance():
    rng = np.random.default_rng(1)
    left, right = rng.integers(-1, 2**31 - 1, (2, 50)) // rng.choice([1, 2**29, 2**31], (2, 50))
    rows = rng.integers(0, 50, 2000)
    left, right = left[rows], right[rows]
    numbers = {}
    expected = [
        -1 if a < 0 or b < 0 else numbers.setdefault((a, b), len(numbers))
        for a, b in zip(left.tolist(), right.tolist())
    ]
    table, codes = PairTable.learn(left, right)
    assert codes.tolist() == expected
    assert table.find(left, right).tolist() == expected
    assert [(key >> 32, key & (2**32 - 1)) for key in table.keys.tolist()] == list(numbers)
    some = PairTable(table.keys[::2])
    assert some.find(left, right).tolist() == [-1 if c % 2 else c // 2 for c in expected]
    assert PairTable(table.keys[:0]).find(left, right).tolist() == [-1] * 2000


@pytest.mark.parametrize(
    "tokens",
    [
        [("a|b", "c"), ("a", "b|c")],
        [("a|", "b"), ("a", "|b"), ("a", "b")],
        [("|", ""), ("", "|"), ("", ""), ("|", "|")],
        [("\\", "|"), ("\\|", ""), ("", "\\|"), ("|", "\\")],
        [("a\\", "b"), ("a", "b"), ("a\\|b", "c"), ("a", "\\b|c"), ("a\\\\", "b|c"), ("a\\\\|b", "c")],
        [("=", "w=|"), ("=|w=", ""), ("=", "|")],
    ],
)
def test_names_are_unique(tokens):
    """Pairs and triples of strings with bars and backslashes have names of their own."""
    templates = ["w[0]|p[0]", "w[0]", "p[0]", "w[0]|p[0]|w[0]", "bias|w[0]", "bias|w[0]|p[0]", "w.shape[0]|p.lower[0]"]
    vectorizer = TokenTemplates(templates, ["w", "p"])
    X = vectorizer.fit_transform([[token] for token in tokens])
    names = vectorizer.get_feature_names_out().tolist()
    assert len(set(names)) == len(names) == X.node_features.shape[1]
    assert f"w[0]={tokens[0][0]}" in names


def test_every_pair_of_short_strings_has_its_name():
    strings = ["".join(letters) for n in range(4) for letters in itertools.product("a|\\", repeat=n)]
    vectorizer = TokenTemplates(["w[0]|p[0]"], ["w", "p"]).fit([list(itertools.product(strings, repeat=2))])
    names = vectorizer.get_feature_names_out().tolist()
    assert len(set(names)) == len(names) == len(strings) ** 2
    plain = [f"w[0]|p[0]={a}|{b}" for a, b in itertools.product(strings, repeat=2) if "|" not in a + b]
    assert set(plain) <= set(names)  # nothing is escaped that needs not


@pytest.mark.parametrize("n_bits", [None, 1, 10])
@pytest.mark.parametrize("token", ["\ud800", "a\udfff", "\ud83d\ude00", "\0", "", " ", "\U0010ffff", np.str_("\ud800")])
def test_tokens_of_any_characters(token, n_bits):
    templates = ["w[0]", "w.suffix(1)[0]", "w.lower[0]|w.shape[0]", "w[-1]|w[0]"]
    X = [[token, "b", token], ["b"]]
    dataset = TokenTemplates(templates, n_bits=n_bits).fit_transform(X)
    rows = dataset.node_features.toarray()
    assert_array_equal(TokenTemplates(templates, n_bits=n_bits).fit(X).transform(X).node_features.toarray(), rows)
    vocabulary = TokenTemplates(["w[0]"], n_bits=n_bits and 20).fit_transform(X).node_features.toarray()
    assert (vocabulary[0] == vocabulary[2]).all()
    assert (vocabulary[0] != vocabulary[1]).any()


def test_hashes_of_strings_stay():
    """Columns of a model on disk: those of murmurhash3 of the UTF-8 bytes."""
    X = TokenTemplates(["w[0]"], n_bits=20).fit_transform([["the", "Übung", "\U0001f600"]]).node_features
    assert X.indices.tolist() == [762877, 173689, 796826]


@pytest.mark.parametrize("n_bits", [None, 7, 20])
def test_joint_tables_are_the_templates_one_by_one(n_bits):
    rng = np.random.default_rng(0)
    words = np.array(["a", "b", "c", "d", "e", "unknown"])
    sentences = [words[rng.integers(0, 5, n)].tolist() for n in (7, 1, 0, 12, 3)]
    others = [words[rng.integers(0, 6, n)].tolist() for n in (0, 9, 1, 2)]
    templates = ["w[-2..2]", "w[-1]|w[0]|w[1]", "bias", "__BOS__", "__EOS__|w[-3]", "w.suffix(1)[0]|__BOS__", "w[40]"]
    vectorizer = TokenTemplates(templates, n_bits=n_bits).fit(sentences)
    stack = stack_tokens(others)
    encoded = vectorizer._codes["w"].encode(stack, str, lambda: vectorizer._functions()["w"])
    token_codes = TokenCodes(encoded, stack.ptr)
    expected = np.stack([template.columns(token_codes) for template in vectorizer._templates], axis=1)
    X = vectorizer.transform(others).node_features
    assert X.has_canonical_format
    for row, columns in enumerate(expected):
        found = X[[row]]
        assert sorted(np.repeat(found.indices, found.data.astype(int))) == sorted(columns[columns >= 0])
    again = pickle.loads(pickle.dumps(vectorizer))
    assert (again.transform(others).node_features != X).nnz == 0
