"""Forbidden pairs of chunk schemes against all label sequences that encode some chunks."""

import itertools

import numpy as np
import pytest

from skstruct.features import bio_forbidden_pairs

MARKS = {  # first, inner, last label of a chunk, and that of a chunk of one token
    "BIO": "BIIB",
    "IOBES": "BIES",
    "BILOU": "BILU",
    "BMES": "BMES",
}


def segmentations(length, types):
    """All ways to cut a sequence in chunks (size, type) and tokens outside of them (1, None)."""
    if not length:
        yield []
        return
    for size in range(1, length + 1):
        for kind in types if size > 1 else [*types, None]:
            for rest in segmentations(length - size, types):
                yield [(size, kind), *rest]


def encode(scheme, chunks, typed):
    """Labels of the tokens; IOB1 begins a chunk by B only if it touches one of the same type."""
    labels, before = [], None
    for size, kind in chunks:
        if kind is None:
            labels.append("O")
        else:
            if scheme == "IOB1":
                marks = ("B" if before == kind else "I") + "I" * (size - 1)
            else:
                first, inner, last, single = MARKS[scheme]
                marks = single if size == 1 else first + inner * (size - 2) + last
            labels += [f"{mark}-{kind}" if typed else mark for mark in marks]
        before = kind
    return labels


def by_enumeration(scheme, types, typed=True, labels=None):
    """Pairs of labels that no sequence has, of all labels that occur or of the given ones."""
    sequences = [encode(scheme, chunks, typed) for chunks in segmentations(5, types)]
    seen = {pair for sequence in sequences for pair in itertools.pairwise(sequence)}
    labels = {label for sequence in sequences for label in sequence} if labels is None else labels
    return {(a, b) for a in labels for b in labels} - seen, labels


@pytest.mark.parametrize("container", [list, set, np.array, iter])
@pytest.mark.parametrize(("types", "typed"), [("x", True), ("xy", True), (["a-b", "c"], True), ("x", False)])
@pytest.mark.parametrize("scheme", [*MARKS, "IOB1"])
def test_pairs_are_those_that_no_sequence_has(scheme, types, typed, container):
    expected, labels = by_enumeration(scheme, types, typed)
    found = bio_forbidden_pairs(container(sorted(labels)), scheme)
    assert len(set(found)) == len(found)
    assert set(found) == expected
    if scheme != "IOB1":
        assert bio_forbidden_pairs(labels) == found


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["B", "I", "O"], [("O", "I")]),
        (["B-NP", "I-NP", "O"], [("O", "I-NP")]),
        (["O", "I-NP", "O", "B-NP"], [("O", "I-NP")]),
        (["B", "I", "B-x", "I-x"], [("B-x", "I"), ("I-x", "I"), ("B", "I-x"), ("I", "I-x")]),
        (["O"], []),
        ([], []),
        (["B-x", "O"], []),
        (["I-x", "O"], [("O", "I-x")]),
        (["S-x", "O"], []),
        (["E-x", "S-x"], [("E-x", "E-x"), ("S-x", "E-x")]),
    ],
)
def test_some_labels(labels, expected):
    assert bio_forbidden_pairs(labels) == expected


@pytest.mark.parametrize("scheme", MARKS)
def test_a_subset_of_the_labels(scheme):
    """The prefixes that are left may fit an earlier scheme; pairs are the same by name."""
    everything = sorted(by_enumeration(scheme, "xy")[1])
    for labels in itertools.combinations(everything, 4):
        assert set(bio_forbidden_pairs(labels, scheme)) == by_enumeration(scheme, "xy", labels=labels)[0]


@pytest.mark.parametrize(
    "odd", ["X", "PER-B", "B_x", "B:x", "b-x", "B-", "-x", "O-x", "", "BB-x", "<pad>", "B x", "Q-x", "o"]
)
@pytest.mark.parametrize("scheme", ["auto", "BIO", "IOBES", "BMES"])
def test_labels_of_no_scheme_are_refused(odd, scheme):
    with pytest.raises(ValueError, match=r"labels must be strings such as|prefix"):
        bio_forbidden_pairs(["B-x", odd, "O"], scheme)


@pytest.mark.parametrize(
    ("labels", "scheme", "error", "message"),
    [
        (["I-x", "M-x"], "auto", ValueError, r"no scheme has all the prefixes \['I', 'M'\].* BILOU \(BILUO\)"),
        (["B-x", "U-x"], "IOBES", ValueError, "prefix 'U', but IOBES has only B, I, E, S, O"),
        (["B-x", "E-x"], "BIO", ValueError, "prefix 'E', but BIO has only B, I, O"),
        (["B-x"], "IOB2", ValueError, "scheme must be one of .*'IOB1'.*, got 'IOB2'"),
        (["B-x"], None, ValueError, "scheme must be one of"),
        (["B-x"], ["BIO"], ValueError, "scheme must be one of"),
        (["B-x"], np.array(["BIO"]), ValueError, "scheme must be one of"),
        ("BIO", "auto", TypeError, "in a list; got 'BIO'"),
        (None, "auto", TypeError, "in a list; got None"),
        (3, "auto", TypeError, "in a list; got 3"),
        ([0, 1, 2], "auto", TypeError, "got 0, a int"),
        (["O", None], "auto", TypeError, "got None, a NoneType"),
        (["O", np.nan], "auto", TypeError, "got nan, a float"),
        ([["B", "I"], ["O"]], "auto", TypeError, r"got \['B', 'I'\], a list"),
        ([b"O"], "auto", TypeError, "got b'O', a bytes"),
    ],
)
def test_malformed(labels, scheme, error, message):
    with pytest.raises(error, match=message):
        bio_forbidden_pairs(labels, scheme)
