"""The notation of token templates, and derivations: functions of a token's column."""

import re
from typing import NamedTuple

from skstruct.data.structure import list_of

CONSTANTS = ("bias", "__BOS__", "__EOS__")

_RANGE = r"[+-]?\d+(?:\.\.[+-]?\d+)?"
_TERM = re.compile(rf"(\w+)(?:\.(\w+)(?:\(({_RANGE})\))?)?\[({_RANGE})\]")


class Term(NamedTuple):
    """One column, or a derivation of it, of the token at some distance.

    Attributes
    ----------
    column : str
        A column, or one of `CONSTANTS`.
    derivation : str or None
        None: the value itself.
    argument : int or None
        Argument of the derivation.
    offset : int
        0 is the token itself, -1 the one before it.
    """

    column: str
    derivation: str | None = None
    argument: int | None = None
    offset: int = 0

    @property
    def source(self):
        """Name of the term without its offset; the codes under this name serve all offsets."""
        derivation = "" if self.derivation is None else f".{self.derivation}"
        argument = "" if self.argument is None else f"({self.argument})"
        return f"{self.column}{derivation}{argument}"

    def __str__(self):
        return self.column if self.column in CONSTANTS else f"{self.source}[{self.offset}]"


def parse_templates(templates, columns, derivations):
    """Expand templates with ranges into tuples of terms.

    Parameters
    ----------
    templates : iterable of str
        As `TokenTemplates` describes.
    columns : sequence of str
        Known columns.
    derivations : container of str
        Known derivations.

    Returns
    -------
    dict
        Maps the name of each template without ranges to its tuple of terms, in the given order.

    Raises
    ------
    ValueError
        If a template is malformed, names something unknown, or occurs twice.
    """
    if isinstance(templates, str):
        raise ValueError(f"templates must be a list of strings, got the string {templates!r}; write [{templates!r}]")
    expanded = {}
    for template in list_of("templates", templates):
        expansions = [_expand(text.strip(), template, columns, derivations) for text in str(template).split("|")]
        length = max(map(len, expansions))
        if not set(map(len, expansions)) <= {1, length}:
            raise ValueError(
                f"template {template!r}: ranges that are joined by '|' move together and must be equally long, got "
                f"lengths {[len(each) for each in expansions]}"
            )
        for terms in zip(*(each * length if len(each) == 1 else each for each in expansions)):
            name = "|".join(map(str, terms))
            if name in expanded:
                raise ValueError(f"template {template!r}: {name} comes twice")
            expanded[name] = terms
    if not expanded:
        raise ValueError("templates is empty; a word and its neighbours are ['w[-1..1]'], where 'w' is a column")
    return expanded


def _expand(text, template, columns, derivations):
    """Terms of the text between two bars."""
    if text in CONSTANTS:
        return [Term(text)]
    match = _TERM.fullmatch(text)
    if match is None:
        raise ValueError(
            f"template {template!r}: cannot read {text!r}; write column[offset] as in w[0], w[-2..2], w.lower[0], "
            f"w.suffix(1..4)[0], or one of {', '.join(CONSTANTS)}"
        )
    column, derivation, arguments, offsets = match.groups()
    if column not in columns:
        raise ValueError(f"template {template!r}: unknown column {column!r}; columns are {list(columns)}")
    if derivation is not None and derivation not in derivations:
        raise ValueError(f"template {template!r}: unknown derivation {derivation!r}; known are {list(derivations)}")
    return [
        Term(column, derivation, argument, offset)
        for argument in ([None] if arguments is None else _numbers(arguments, template))
        for offset in _numbers(offsets, template)
    ]


def _numbers(text, template):
    """Read ``a`` or ``a..b``, both ends included."""
    first, _, last = text.partition("..")
    numbers = range(int(first), int(last or first) + 1)
    if not numbers:
        raise ValueError(f"template {template!r}: the range {text} is empty; write the smaller number first")
    return list(numbers)


def column_functions(templates, derivations):
    """Find the functions that derive from each column what the templates use.

    Parameters
    ----------
    templates : iterable of tuples of Term
    derivations : dict
        Maps names to functions or dicts.

    Returns
    -------
    dict of dict
        Maps a column and the `source` of a term to ``(function, arguments)``, as `ColumnCodes` expects.
    """
    functions: dict = {}
    for term in (term for terms in templates for term in terms if term.column not in CONSTANTS):
        function = str if term.derivation is None else derivations[term.derivation]
        if isinstance(function, dict):
            function = function.get
        arguments = () if term.argument is None else (term.argument,)
        functions.setdefault(term.column, {})[term.source] = function, arguments
    return functions


# ---- derivations: functions from a value to a string; None where there is no such string

_SHAPES = str.maketrans(
    {**dict.fromkeys(map(chr, range(65, 91)), "X"), **dict.fromkeys(map(chr, range(97, 123)), "x")}
    | dict.fromkeys("0123456789", "d")
)
_SURPLUS = re.compile(r"(.)(?=\1\1)", re.DOTALL)


def shape(value):
    """Upper case as X, lower case as x, digits as d, others unchanged; runs are cut to length two."""
    if value.isascii():
        letters = value.translate(_SHAPES)
    else:
        letters = "".join("X" if c.isupper() else "x" if c.islower() else "d" if c.isdigit() else c for c in value)
    return _SURPLUS.sub("", letters)


def prefix(value, length):
    """Return the first characters of a value that is long enough."""
    return value[:length] if 0 < length <= len(value) else None


def suffix(value, length):
    """Return the last characters of a value that is long enough."""
    return value[-length:] if 0 < length <= len(value) else None


def digit(value):
    """Whether there is a digit; None if not."""
    return True if any(map(str.isdigit, value)) else None


def capital(value):
    """Whether the first character is in upper case; None if not."""
    return True if value[:1].isupper() else None


def hyphen(value):
    """Whether there is a hyphen; None if not."""
    return True if "-" in value else None


DERIVATIONS = {
    "lower": str.lower,
    "shape": shape,
    "prefix": prefix,
    "suffix": suffix,
    "digit": digit,
    "capital": capital,
    "hyphen": hyphen,
}
