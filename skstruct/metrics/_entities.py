"""Entities (chunks) in sequences of labels, by the rules of several schemes."""

from typing import Any, NamedTuple

import numpy as np

from skstruct.data.chunk_labels import split_chunk_labels
from skstruct.data.labels import refuse_blank
from skstruct.data.ragged import as_ragged

# prefixes with the same code have the same meaning in different schemes
CODES = {"O": 0, "B": 1, "I": 2, "M": 2, "E": 3, "L": 3, "S": 4, "U": 4}


class Rules(NamedTuple):
    """When a label begins, continues or ends an entity, given the label before it.

    A pattern is the prefix before, the prefix of the label ("." for any prefix), and "=" or "!" if the types must be
    equal or different. An entity consists of the first label that matches `begins`, and of the labels after it that
    match `continues`. It counts if the label after its end matches `ends`. Before the first label and after the last
    one of a sequence there is the label "O".

    Attributes
    ----------
    prefixes : str
        All prefixes of the scheme.
    begins, continues, ends : str
        Patterns.
    """

    prefixes: str
    begins: str
    continues: str
    ends: str


IOBES = Rules("OBIES", begins=".B .S", continues="BI= BE= II= IE=", ends="E. S.")
RULES = {
    "conll": Rules("".join(CODES), begins=".B .I .E .S", continues=IOBES.continues, ends=".."),
    "BIO": Rules("OBI", begins=".B", continues="BI= II=", ends=".."),
    "IOB1": Rules("OBI", begins="OI II! BI IB= BB=", continues="BI= II=", ends="IO IB II! BO BI! BB="),
    "IOE2": Rules("OIE", begins="OI OE EI EE II! IE!", continues="II= IE=", ends="E."),
    "IOBES": IOBES,
    "BILOU": IOBES._replace(prefixes="OBILU"),
    "BMES": IOBES._replace(prefixes="OBMES"),
}


class Entity(NamedTuple):
    """An entity of a sequence.

    Attributes
    ----------
    type : str
        The label without its prefix; "" if labels have no types.
    start, stop : int
        The entity consists of the nodes ``start`` to ``stop - 1`` of its sequence.
    """

    type: str
    start: int
    stop: int


class EntityArrays(NamedTuple):
    """Entities of all sequences; starts and stops number the nodes of all sequences."""

    type: np.ndarray
    start: np.ndarray
    stop: np.ndarray


def find_entities(y: Any, *, scheme: str = "conll") -> list[list[Entity]]:
    """Find the entities of sequences that are labelled in a scheme such as BIO.

    Parameters
    ----------
    y : RaggedArray or list of array-like
        Labels or predictions, one array per sequence: "O" outside of entities, else a prefix and a type, such as "B-x".
        In a prediction of `GraphCRFClassifier`, the order of the nodes is the order of the sequence.
    scheme : {"conll", "BIO", "IOB1", "IOE2", "IOBES", "BILOU", "BMES"}, default="conll"
        How labels represent entities.

        - "conll": the rules of the program conlleval, which are also the default of seqeval. They accept the prefixes
          of all schemes, and sequences that break their scheme: an entity begins at each label that cannot continue the
          entity before it. For sequences that do not break their scheme, the result is that of the scheme.
        - other schemes: as the strict mode of seqeval. Only entities that follow the rules of the scheme count; in
          "BIO", also known as IOB2, an "I-x" after "O" is no entity.

    Returns
    -------
    entities : list of list of Entity
        Named tuples (type, start, stop) for each sequence.

    Raises
    ------
    TypeError, ValueError
        If a label has another form, or a prefix that the scheme does not have.

    Examples
    --------
    >>> from skstruct.metrics import find_entities
    >>> find_entities([["B-PER", "I-PER", "O", "B-LOC"]])
    [[Entity(type='PER', start=0, stop=2), Entity(type='LOC', start=3, stop=4)]]
    """
    y = as_ragged(y)
    found = entity_arrays(y.values, y.ptr, scheme, "y")
    sequence = np.searchsorted(y.ptr, found.start, side="right") - 1
    first = y.ptr[sequence]
    columns = sequence, found.type, found.start - first, found.stop - first
    entities: list[list[Entity]] = [[] for _ in range(len(y))]
    for s, type_, start, stop in zip(*(column.tolist() for column in columns)):
        entities[s].append(Entity(type_, start, stop))
    return entities


def entity_arrays(labels: np.ndarray, ptr: np.ndarray, scheme: str, name: str) -> EntityArrays:
    """Find the entities of all sequences.

    Parameters
    ----------
    labels : ndarray of shape (n_nodes,)
    ptr : ndarray of shape (n_sequences + 1,)
    scheme : str
        A key of `RULES`.
    name : str
        Name of the labels in messages.
    """
    if not isinstance(scheme, str) or scheme not in RULES:
        raise ValueError(f"scheme must be one of {list(RULES)}, got {scheme!r}.")
    refuse_blank(labels, name, None, ptr)
    rules = RULES[scheme]
    kinds, kind = np.unique(labels, return_inverse=True)
    parts = list(split_chunk_labels(kinds, name).values())
    odd = next((label for label, (prefix, _) in zip(kinds, parts) if prefix not in rules.prefixes), None)
    if odd is not None:
        raise ValueError(
            f"{name} has the label {str(odd)!r}, but scheme={scheme!r} has the prefixes {', '.join(rules.prefixes)}; "
            "name another scheme, or use scheme='conll'."
        )
    types, type_of_kind = np.unique(["", *(type_ or "" for _, type_ in parts)], return_inverse=True)
    prefix_of_kind = np.array([CODES[prefix] for prefix, _ in parts], np.intp)
    # a label "O" is inserted before each sequence, and after the last one
    at = np.arange(len(labels)) + np.repeat(np.arange(1, len(ptr)), np.diff(ptr))
    prefix, type_ = np.zeros((2, len(labels) + len(ptr)), np.intp)
    prefix[at], type_[at] = prefix_of_kind[kind], type_of_kind[1:][kind]
    begins, continues, ends = _matches(rules, prefix, type_)
    run = np.cumsum(~continues)  # a label that continues is in the run of the label before
    starts = np.flatnonzero(begins)
    starts = starts[np.unique(run[starts], return_index=True)[1]]  # the first one of each run
    stops = np.searchsorted(run, run[starts], side="right")
    whole = ends[stops]
    starts, stops = starts[whole], stops[whole]
    return EntityArrays(types[type_[starts]], np.searchsorted(at, starts), np.searchsorted(at, stops - 1) + 1)


def _matches(rules, prefix, type_):
    """Whether each label matches the patterns of `begins`, `continues` and `ends`, (3, n_labels)."""
    tables = np.zeros((3, 5, 5, 2), bool)  # of all cases
    for table, patterns in zip(tables, rules[1:]):
        for pattern in patterns.split():
            before, after = (slice(None) if p == "." else CODES[p] for p in pattern[:2])
            table[before, after, {"=": 1, "!": 0}.get(pattern[2:], slice(None))] = True
    before, same = np.roll(prefix, 1), np.roll(type_, 1) == type_
    return tables[:, before, prefix, same.astype(np.intp)]
