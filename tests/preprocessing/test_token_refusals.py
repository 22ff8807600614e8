"""TokenTemplates refuses malformed templates, tokens and parameters."""

import pytest

from skstruct import GraphDataset
from skstruct.preprocessing import TokenTemplates, _token_templates

TAGGED = [[("the", "DT"), ("dog", "NN")], [("a", "DT")]]


@pytest.mark.parametrize(
    ("templates", "message"),
    [
        ("w[0]", r"write \['w\[0\]'\]"),
        ([], "templates is empty"),
        (["w"], r"'w': cannot read 'w'; write column\[offset\]"),
        (["w[0]|"], r"cannot read ''"),
        (["w[0]w[1]"], "cannot read"),
        (["w[1..-1]"], r"range 1\.\.-1 is empty"),
        (["v[0]"], r"unknown column 'v'; columns are \['w', 'pos'\]"),
        (["w.stem[0]"], "unknown derivation 'stem'; known are"),
        (["w[-1..1]|pos[0..1]"], r"equally long, got lengths \[3, 2\]"),
        (["w[0]", "w[-1..1]"], r"w\[0\] comes twice"),
    ],
)
def test_templates_that_cannot_be_read(templates, message):
    with pytest.raises(ValueError, match=message):
        TokenTemplates(templates, ["w", "pos"]).fit(TAGGED)


def test_derivations_that_are_no_dict():
    with pytest.raises(TypeError, match="derivations must be None or a dict of functions, got 3"):
        TokenTemplates(["w[0]"], ["w", "pos"], derivations=3).fit(TAGGED)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("the dog", TypeError, "X must be a list of sequences of tokens or a GraphDataset, got a str"),
        (3, TypeError, "X must be a list of sequences"),
        ([], ValueError, "Found no sequences"),
        (["the dog"], TypeError, "sequence 0 is a str; X must be a list of sequences"),
        (
            [[("a", "b")], [], [("a", "b"), "ab"]],
            TypeError,
            r"sequence 2, token 1: got 'ab' \(str\); a token is a tuple",
        ),
        (
            [[("a", "b"), ("a", "b", "c")]],
            ValueError,
            "sequence 0, token 1: got .*; a token is a tuple of 2 strings: w, pos",
        ),
        ([["ab"]], TypeError, "sequence 0, token 0: got 'ab'"),
        ([[("a", "b")], [("a", 3)]], TypeError, r"sequence 1, token 0: got 3 \(int\); column 'pos' of a token must be"),
        ([[("a", "b"), (["a"], "b")]], TypeError, r"sequence 0, token 1: got \['a'\] \(list\); column 'w'"),
        ([[{"w": "a", "pos": "b"}, {"w": "a"}]], TypeError, "sequence 0, token 1: got None .* column 'pos'"),
        ([[{"w": "a", "pos": "b"}, ("a", "b")]], TypeError, "sequence 0, token 1: got .* tokens must all be dicts"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "transform"])
def test_malformed_tokens(X, error, message, method):
    vectorizer = TokenTemplates(["w[0]", "pos[0]"], ["w", "pos"]).fit(TAGGED)
    with pytest.raises(error, match=message):
        getattr(vectorizer, method)(X)
    assert vectorizer.transform(TAGGED).shape == (2, 5)  # a failed fit changes nothing


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"columns": []}, ValueError, "columns must be different names"),
        ({"columns": ["w", "w"]}, ValueError, "columns must be different names"),
        ({"columns": ["w", "a b"]}, ValueError, "columns must be different names"),
        ({"columns": ["w", "bias"]}, ValueError, "columns must be different names"),
        ({"min_count": 0}, ValueError, "min_count == 0, must be >= 1"),
        ({"min_count": 2.5}, TypeError, "min_count must be an instance of"),
        ({"n_bits": 31}, ValueError, "n_bits == 31, must be <= 30"),
        ({"n_bits": 10, "min_count": 2}, ValueError, "min_count=2 needs a vocabulary"),
    ],
)
def test_bad_parameters(parameters, error, message):
    with pytest.raises(error, match=message):
        TokenTemplates(["w[0]"]).set_params(**parameters).fit([["a"]])


def test_too_many_features(monkeypatch):
    monkeypatch.setattr(_token_templates, "MAX_FEATURES", 2)
    with pytest.raises(ValueError, match="3 features are too many for 32-bit indices; raise min_count"):
        TokenTemplates(["w[0]"]).fit([["a", "b", "c"]])


def test_a_frame_that_lacks_a_column():
    pd = pytest.importorskip("pandas")
    dataset = GraphDataset.from_frame(pd.DataFrame({"i": [1, 1], "w": ["a", "b"]}), graph="i")
    with pytest.raises(ValueError, match=r"X has no column 'pos'; its columns are \['w'\]"):
        TokenTemplates(["w[0]"], ["w", "pos"]).fit(dataset)
