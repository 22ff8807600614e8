"""A program for sklearn-crfsuite runs with one changed import, and reaches the same F1."""

import gzip
from pathlib import Path

import pytest

pytest.importorskip("sklearn_crfsuite")

SOURCE = Path(__file__).with_name("ner_tutorial.py").read_text(encoding="utf-8")
OLD, NEW = "import sklearn_crfsuite  #", "from skstruct import compat as sklearn_crfsuite  #"


def sentences(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        blocks = file.read().strip().split("\n\n")
    return [[tuple(line.split()) for line in block.splitlines()] for block in blocks]


def tutorial(changed):
    """Function `run` of the tutorial."""
    assert SOURCE.count(OLD) == 1
    namespace = {"__name__": "tutorial"}
    exec(SOURCE.replace(OLD, NEW) if changed else SOURCE, namespace)
    return namespace["run"]


def compare(train, test):
    expected, found = (tutorial(changed)(train, test) for changed in (False, True))
    assert abs(found["f1"] - expected["f1"]) < 0.002
    transitions, others = ({key for key, _ in result["transitions"]} for result in (found, expected))
    assert len(transitions & others) > 0.7 * len(others)
    assert {name: type(value) for name, value in found.items()} == {name: type(expected[name]) for name in found}
    return found, expected


def test_a_few_sentences(shared_data):
    chunks = sentences(shared_data("conll2000.train.txt.gz"))
    phrases = [
        [(word, tag, label if label[2:] == "NP" else "O") for word, tag, label in chunk] for chunk in chunks[:250]
    ]
    found, expected = compare(phrases[:150], phrases[150:])
    assert found["f1"] > 0.8
    assert found["transitions"][0][0] == expected["transitions"][0][0]


@pytest.mark.slow
def test_all_sentences(shared_data):
    found, expected = compare(*(sentences(shared_data(f"conll2000.{part}.txt.gz")) for part in ("train", "test")))
    assert min(found["f1"], expected["f1"]) > 0.95
