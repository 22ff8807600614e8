"""Templates in CRF++'s notation: the same features as CRF++ makes, away from the ends of a sequence."""

import re
from itertools import chain

import numpy as np
import pytest

from skstruct.cli._templates import read_templates
from skstruct.preprocessing import TokenTemplates

RNG = np.random.default_rng(0)
SEQUENCES = [
    [tuple(RNG.choice(["a", "b", "c", "a/b", "|"], 2).tolist()) for _ in range(RNG.integers(1, 9))] for _ in range(30)
]
TEMPLATES = """
# Unigram
U00:%x[-2,0]
U01:%x[0,0]
U02:%x[+1,1]
U05:%x[-1,0]/%x[0,0]
U06:%x[0,0]/%x[1,1]/%x[2,0]
U07
"""


def crfpp_features(templates, sequence, i):
    """Feature strings of a token as CRF++ builds them; None where a macro leaves the sequence."""
    found = []
    for line in filter(None, map(str.strip, templates.splitlines())):
        if line.startswith("U"):
            inside = all(0 <= i + int(row) < len(sequence) for row, _ in re.findall(r"%x\[(.*?),(.*?)\]", line))
            text = re.sub(r"%x\[(.*?),(.*?)\]", lambda m: sequence[(i + int(m[1])) % len(sequence)][int(m[2])], line)
            found.append(text if inside else None)
    return found


@pytest.fixture
def read(tmp_path):
    def read(text, columns=("w", "pos")):
        path = tmp_path / "template"
        path.write_text(text)
        return read_templates(str(path), columns)

    return read


def test_features_of_crfpp(read):
    found, edges = read(TEMPLATES + "B\n")
    assert edges == ["bias"]
    assert found[-2:] == ["__BOS__", "__EOS__"]
    vectorizer = TokenTemplates(found[:-2], columns=["w", "pos"])
    X = vectorizer.fit_transform(SEQUENCES).node_features
    expected = [crfpp_features(TEMPLATES, sequence, i) for sequence in SEQUENCES for i in range(len(sequence))]
    # one column for each string, and the same tokens have it
    names = list(dict.fromkeys(filter(None, chain(*zip(*expected)))))
    assert X.shape == (len(expected), len(names))
    table = np.array([[name in row for name in names] for row in expected])
    order = np.lexsort(table)  # columns in any order
    ours = X.toarray() > 0
    assert np.array_equal(table[:, order], ours[:, np.lexsort(ours)])


def test_both_notations(read):
    text = "U1:%x[0,1]\nB\n# comment\n\nw.suffix(1..2)[0]\nbias\n*2:%x[-1,0]%x[0,0]\nU:%X[1,0]"
    nodes = ["pos[0]", "w.suffix(1..2)[0]", "bias", "w[-1]|w[0]", "w.lower[1]", "__BOS__", "__EOS__"]
    assert read(text) == (nodes, ["bias", "w[-1]|w[0]"])
    assert read("*\nb01:%x[0,1]\nu02:%x[0,1]") == (["bias", "pos[0]"], ["bias", "pos[0]"])
    assert read("B1:%x[0,1]\nU1:%x[0,0]") == (["w[0]"], ["pos[0]"])


def test_own_notation_is_left_alone(read):
    for text in ("w[-2..2]\npos[-1]|pos[0]\n__BOS__", "U[0]\nB[0]|U[0]\nb.lower[1]"):
        assert read(text, ["w", "pos", "U", "B", "b"]) == (text.split(), ["bias"])


def test_without_transitions(read):
    with pytest.warns(UserWarning, match="no line B"):
        read("U00:%x[0,0]")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("U0:%x[0,0]\nU1:%x[0,2]\nB", "template, line 2: there is no column 2"),
        ("U0:%x[0]\nB", "line 1: cannot read '%x"),
        ("U0:%m[0,0,'a']\nB", "line 1: cannot read .%m"),
        ("U0:%x[0,0]\n*1:%x[1,0]\nB1:%x[0,0]", "line 3: the identifier 'B1' occurs in .*template, line 2"),
        ("\nU:%x[0,0]\nU:%x[1,0]\nB", "line 3: the identifier 'U' occurs in .*template, line 2"),
        ("w[0]\nnan\n", "template, line 2: template 'nan': cannot read 'nan'"),
        ("w[0]\npos[0]\nw[0]", "line 3: the features of this template are those of .*template, line 1"),
        ("U1:%x[0,0]\nU2:%x[0,0]\nB", "line 2: the features of this template are those of .*template, line 1"),
        ("w[0]\nB\nB", "line 3: the features of this template are those of .*template, line 2"),
        ("# nothing\n\n", "contains no template of tokens"),
        ("B", "contains no template of tokens"),
    ],
)
def test_refusals(read, text, message):
    with pytest.raises(ValueError, match=message):
        read(text)
