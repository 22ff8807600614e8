"""Schemes that represent chunks of a sequence by labels, and the pairs of labels that they forbid."""

from typing import NamedTuple

from skstruct.data.chunk_labels import split_chunk_labels


class Scheme(NamedTuple):
    """A scheme, described by the prefixes of its labels.

    Attributes
    ----------
    prefixes : str
        All prefixes. The label "O" has no type.
    open : str
        Prefixes after which the chunk may continue.
    continues : str
        Prefixes that continue a chunk: they follow a label of the same type with a prefix in `open`.
    closed : bool
        Whether the last label of a chunk has a prefix of its own. A label with a prefix in `open` must then be followed
        by a label that continues the chunk.
    """

    prefixes: str
    open: str
    continues: str
    closed: bool

    def allows(self, first, second):
        """Whether `second` may follow `first`; both are pairs (prefix, type)."""
        if second[0] in self.continues:
            return first[0] in self.open and first[1] == second[1]
        return not (self.closed and first[0] in self.open)


# In the order in which scheme="auto" tries them. IOB1 has the prefixes of BIO, so that "auto" never selects it.
SCHEMES = {
    "BIO": Scheme("BIO", open="BI", continues="I", closed=False),
    "IOBES": Scheme("BIESO", open="BI", continues="IE", closed=True),
    "BILOU": Scheme("BILUO", open="BI", continues="IL", closed=True),
    "BMES": Scheme("BMESO", open="BM", continues="ME", closed=True),
    "IOB1": Scheme("BIO", open="BI", continues="B", closed=False),
}


def bio_forbidden_pairs(labels, scheme="auto"):
    """List the pairs of labels that a scheme of chunks forbids, such as ("O", "I-x") in the BIO scheme.

    The label "O" is outside of all chunks. Other labels are a prefix and the type of the chunk, such as "B-x", or a
    prefix without a type, such as "B".

    =========  ============================  ===================================================================
    scheme     labels of a chunk             the rule
    =========  ============================  ===================================================================
    BIO        B-x I-x I-x, or B-x           "I-x" may only follow "B-x" or "I-x". Also known as IOB2.
    IOBES      B-x I-x E-x, B-x E-x, or S-x  "B-x" and "I-x" must be followed by "I-x" or "E-x", which may follow
                                             nothing else. Also known as BIOES.
    BILOU      B-x I-x L-x, B-x L-x, or U-x  the same, with L for E and U for S
    BMES       B-x M-x E-x, B-x E-x, or S-x  the same, with M for I; "O" may occur
    IOB1       I-x I-x I-x, or I-x           "B-x" begins a chunk that touches one of the same type, so that it
                                             may only follow "B-x" or "I-x".
    =========  ============================  ===================================================================

    Parameters
    ----------
    labels : iterable of str
        All labels of the data: "O", "B-x", "I-x", ... Repeated labels count once.
    scheme : {"auto", "BIO", "IOBES", "BILOU", "BMES", "IOB1"}, default="auto"
        "auto" selects the first of BIO, IOBES, BILOU and BMES that has all prefixes of the labels. IOB1 has the
        prefixes of BIO and must be named.

    Returns
    -------
    pairs : list of (str, str)
        Sorted by the second label, then by the first one.

    Raises
    ------
    TypeError
        If `labels` is not an iterable of strings.
    ValueError
        If a label has another form, or a prefix that the scheme does not have.

    Examples
    --------
    >>> from skstruct.features import bio_forbidden_pairs
    >>> bio_forbidden_pairs(["B-NP", "I-NP", "O"])
    [('O', 'I-NP')]
    >>> bio_forbidden_pairs(["B-NP", "I-NP", "O"], scheme="IOB1")
    [('O', 'B-NP')]
    >>> bio_forbidden_pairs(["B", "E", "S"])  # of BMES or IOBES
    [('B', 'B'), ('E', 'E'), ('S', 'E'), ('B', 'S')]
    """
    parsed = split_chunk_labels(labels)
    prefixes = sorted({prefix for prefix, _ in parsed.values()})
    rule = _select(scheme, prefixes)
    return [(a, b) for b in parsed for a in parsed if not rule.allows(parsed[a], parsed[b])]


def _select(name, prefixes):
    """Return the scheme of a name; for "auto" the first one that has all prefixes."""
    if not isinstance(name, str) or name not in ("auto", *SCHEMES):
        raise ValueError(f"scheme must be one of {['auto', *SCHEMES]}, got {name!r}.")
    if name == "auto":
        found = next((scheme for scheme in SCHEMES.values() if set(prefixes) <= set(scheme.prefixes)), None)
        if found is None:
            known = ", ".join(f"{name} ({scheme.prefixes})" for name, scheme in SCHEMES.items())
            raise ValueError(f"no scheme has all the prefixes {prefixes} of the labels; known are {known}.")
        return found
    odd = [prefix for prefix in prefixes if prefix not in SCHEMES[name].prefixes]
    if odd:
        raise ValueError(
            f"labels have the prefix {odd[0]!r}, but {name} has only {', '.join(SCHEMES[name].prefixes)}; "
            "name another scheme, or use scheme='auto'."
        )
    return SCHEMES[name]
