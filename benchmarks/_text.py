"""Sentences from files, and their attributes as strings: plain Python, as users of CRFsuite write it.

The module imports the standard library only, so that it adds little to the memory of a process that trains CRFsuite.
"""

import gzip
import re
from itertools import islice

# Templates of the chunking task: (column, offset) of the words that form an attribute together,
WORD, TAG = 0, 1
COLUMNS = ("w", "pos")
CHUNK_TEMPLATES = [
    *([(WORD, offset)] for offset in range(-2, 3)),
    *([(WORD, offset), (WORD, offset + 1)] for offset in (-1, 0)),
    *([(TAG, offset)] for offset in range(-2, 3)),
    *([(TAG, offset), (TAG, offset + 1)] for offset in range(-2, 2)),
    *([(TAG, offset), (TAG, offset + 1), (TAG, offset + 2)] for offset in range(-2, 1)),
]
# and the same for `TokenTemplates`, with the marks of both ends.
CHUNK_NOTATION = [
    "w[-2..2]",
    "w[-1..0]|w[0..1]",
    "pos[-2..2]",
    "pos[-2..1]|pos[-1..2]",
    "pos[-2..0]|pos[-1..1]|pos[0..2]",
    "__BOS__",
    "__EOS__",
]
BEGIN, END = "__BOS__", "__EOS__"


# ------------------------------------------------------------------------------------------- chunking
def read_chunks(path, n_sentences):
    """Yield (list of (word, tag), labels) of the first sentences of a file; None: all."""

    def sentences():
        rows = []
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                if line.strip():
                    rows.append(line.split())
                elif rows:
                    yield [(word, tag) for word, tag, _ in rows], [label for _, _, label in rows]
                    rows = []
        if rows:
            yield [(word, tag) for word, tag, _ in rows], [label for _, _, label in rows]

    return islice(sentences(), n_sentences)


def chunk_attributes(words):
    """Expand the templates at each word, as users of CRFsuite do in Python."""
    found = [[] for _ in words]
    for template in CHUNK_TEMPLATES:
        name = "|".join(f"{COLUMNS[column]}[{offset}]" for column, offset in template)
        first, last = template[0][1], template[-1][1]
        for k in range(max(0, -first), min(len(words), len(words) - last)):
            found[k].append(name + "=" + "|".join(words[k + offset][column] for column, offset in template))
    found[0].append(BEGIN)
    found[-1].append(END)
    return found


def chunk_f1(labels, predicted):
    """F1 of exact spans with their types, in BIO labels: lists of lists of strings.

    The definition is that of conlleval: I- after O, or after another type, begins a span.
    """
    true, found = (
        {(number, *span) for number, sequence in enumerate(sequences) for span in _spans(sequence)}
        for sequences in (labels, predicted)
    )
    return 2 * len(true & found) / max(len(true) + len(found), 1)


def _spans(labels):
    start, kind = None, None
    for k, label in enumerate([*labels, "O"]):
        prefix, _, name = label.partition("-")
        if start is not None and (prefix != "I" or name != kind):
            yield start, k, kind
            start = None
        if start is None and prefix != "O":
            start, kind = k, name


# ------------------------------------------------------------------------------------- parts of speech
def read_conllu(path, n_sentences, column="UPOS"):
    """Return a list of (words, labels) of the first sentences; None: all. The column is UPOS or XPOS."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        blocks = (block for block in file.read().split("\n\n") if block.strip())
    found, place = [], {"UPOS": 3, "XPOS": 4}[column]
    for block in islice(blocks, n_sentences):
        rows = [line.split("\t") for line in block.strip().split("\n") if line[0] != "#"]
        rows = [row for row in rows if row[0].isdigit()]  # neither ranges nor empty nodes
        found.append(([row[1].replace(" ", "_") for row in rows], [row[place] for row in rows]))
    return found


def lexical_attributes(words):
    """Word, lower case, shape, affixes up to four letters, marks, and words and shapes of neighbours."""
    shapes = [_shape(word) for word in words]
    found = []
    for k, word in enumerate(words):
        attributes = ["bias", f"w={word}", f"lower={word.lower()}", f"shape={shapes[k]}"]
        for n in range(1, min(4, len(word)) + 1):
            attributes += [f"prefix{n}={word[:n]}", f"suffix{n}={word[-n:]}"]
        marks = {"digit": any(map(str.isdigit, word)), "capital": word[0].isupper(), "hyphen": "-" in word}
        attributes += [name for name, holds in marks.items() if holds]
        for offset in (-2, -1, 1, 2):
            if 0 <= k + offset < len(words):
                attributes.append(f"lower[{offset}]={words[k + offset].lower()}")
        for before, after in ((k - 1, k), (k, k + 1)):
            if before >= 0 and after < len(words):
                attributes.append(f"w[{before - k}]|w[{after - k}]={words[before]}|{words[after]}")
                attributes.append(f"shape[{before - k}]|shape[{after - k}]={shapes[before]}|{shapes[after]}")
        found.append(attributes)
    found[0].append(BEGIN)
    found[-1].append(END)
    return found


def _shape(word):
    """Replace digits by d, letters by x or X, and repetitions of one character by two characters."""
    coarse = re.sub("[A-Z]", "X", re.sub("[a-z]", "x", re.sub("[0-9]", "d", word)))
    return re.sub(r"(.)\1+", r"\1\1", coarse)
