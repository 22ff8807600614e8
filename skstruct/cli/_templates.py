"""Template files, in the notation of CRF++ or in that of `TokenTemplates`."""

import re
import warnings
from collections.abc import Sequence

from skstruct.cli._files import numbered_lines

FIRST, LAST, ALWAYS = "__BOS__", "__EOS__", "bias"
LINE = re.compile(r"([UBub*])([^:\[\]|]*)(?::(.*))?")
MACRO = re.compile(r"%([xX])\[([+-]?\d+),(\d+)\]")


def read_templates(path: str, columns: Sequence[str]) -> list[str]:
    """Read a template file.

    A line is a template of CRF++ (``U05:%x[-1,0]/%x[0,0]``, ``U``, ``B``) or of `TokenTemplates`
    (``form.suffix(1..3)[0]``). Empty lines, and lines that begin with ``#``, are left out. ``%X`` is ``%x`` in lower
    case, as in Wapiti.

    Parameters
    ----------
    path : str
    columns : sequence of str
        Names of the columns of a token. CRF++ refers to columns by their numbers.

    Returns
    -------
    templates : list of str
        As `TokenTemplates` reads them.

    Raises
    ------
    ValueError
        If a line of CRF++ is malformed, or means features that `TokenTemplates` does not support. The message names
        the line.

    Warns
    -----
    UserWarning
        If CRF++ would train a model without transitions.
    """
    templates: list[str] = []
    kinds: set[str] = set()
    places: dict[str, str] = {}  # of the identifiers
    for place, line in numbered_lines(path):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        found = None if line == ALWAYS else LINE.fullmatch(line)
        if found is None:
            templates.append(line)
            continue
        kind, name, text = found[1].upper(), found[2], found[3] or ""
        kinds.add(kind)
        if kind != "U":
            if MACRO.search(text):
                raise ValueError(
                    f"{place}: {line!r} makes transitions depend on a token, which is not supported; write U in place "
                    f"of {line[0]}, and B in a line of its own"
                )
            continue
        if text and name in places:
            raise ValueError(
                f"{place}: the identifier {line.partition(':')[0]!r} occurs in {places[name]} too. CRF++ does not "
                "distinguish the features of two such templates (a bag of words), which is not supported; use "
                "different identifiers"
            )
        places[name] = place
        templates.append(_translated(text, columns, place))
    if not templates:
        raise ValueError(f"{path} contains no template; a template for the first column is U00:%x[0,0]")
    if kinds and not kinds & {"B", "*"}:
        warnings.warn(f"{path} has no line B, but the model has transitions between labels anyway", stacklevel=2)
    return [*templates, *_boundaries(templates)] if kinds else templates


def _translated(text, columns, place):
    """Template of `TokenTemplates` for the text behind the identifier of a unigram template."""
    terms = []
    for case, offset, column in MACRO.findall(text):
        if int(column) >= len(columns):
            raise ValueError(
                f"{place}: there is no column {column}; the data have the columns 0 to {len(columns) - 1} beside that "
                "of the labels"
            )
        terms.append(f"{columns[int(column)]}{'.lower' if case == 'X' else ''}[{int(offset)}]")
    if "%" in MACRO.sub("", text):
        raise ValueError(f"{place}: cannot read {text!r}; a macro is %x[row,column] with two integers, or %X")
    return "|".join(terms) or ALWAYS


def _boundaries(templates):
    """Templates of the first and the last token, which CRF++ adds if a template refers to a neighbour."""
    offsets = [int(offset) for template in templates for offset in re.findall(r"\[([+-]?\d+)\]", template)]
    wanted = {FIRST: min(offsets, default=0) < 0, LAST: max(offsets, default=0) > 0}
    return [name for name, is_wanted in wanted.items() if is_wanted and name not in templates]
