"""Template files, in the notation of CRF++ or in that of `TokenTemplates`."""

import re
import warnings
from collections.abc import Sequence
from typing import NamedTuple

from sklearn.base import BaseEstimator

from skstruct.cli._files import numbered_lines
from skstruct.preprocessing import EdgeTemplates, TokenTemplates

FIRST, LAST, ALWAYS = "__BOS__", "__EOS__", "bias"
LINE = re.compile(r"([UBub*])([^:\[\]|]*)(?::(.*))?")
MACRO = re.compile(r"%([xX])\[([+-]?\d+),(\d+)\]")
# Templates where no file names any, of the first column and of the others.
FIRST_COLUMN = "{0}[-2..2] {0}[-1..0]|{0}[0..1] {0}.lower[0] {0}.shape[-1..1] {0}.prefix(1..3)[0] {0}.suffix(1..4)[0]"
OTHER_COLUMN = "{0}[-2..2] {0}[-1..0]|{0}[0..1]"


class Templates(NamedTuple):
    """Templates as `TokenTemplates` and `EdgeTemplates` read them.

    Attributes
    ----------
    nodes : list of str
    edges : list of str
        ``["bias"]`` if transitions do not depend on tokens.
    """

    nodes: list[str]
    edges: list[str]


def template_steps(path: str | None, columns: list[str], min_count: int) -> list[tuple[str, BaseEstimator]]:
    """Return the steps of a pipeline that compute features of tokens, and of transitions if these depend on tokens.

    Parameters
    ----------
    path : str or None
        Template file. None: the default templates.
    columns : list of str
        Names of the columns of a token.
    min_count : int
        Minimum number of tokens in which a feature must occur.
    """
    found = _default(columns) if path is None else read_templates(path, columns)
    steps: list[tuple[str, BaseEstimator]] = []
    if found.edges != [ALWAYS]:
        steps.append(("transitions", EdgeTemplates(found.edges, columns, min_count)))
    return [*steps, ("features", TokenTemplates(found.nodes, columns, min_count))]


def _default(columns):
    """Templates of a window of each column, and of the form of the first column."""
    texts = [FIRST_COLUMN.format(columns[0]), *map(OTHER_COLUMN.format, columns[1:]), ALWAYS, FIRST, LAST]
    return Templates(" ".join(texts).split(), [ALWAYS])


def read_templates(path: str, columns: Sequence[str]) -> Templates:
    """Read a template file.

    A line is a template of CRF++ (``U05:%x[-1,0]/%x[0,0]``, ``U``, ``B01:%x[0,1]``, ``B``) or of `TokenTemplates`
    (``form.suffix(1..3)[0]``). Empty lines, and lines that begin with ``#``, are left out. As in Wapiti, ``*`` stands
    for ``U`` and ``B``, and ``%X`` is ``%x`` in lower case.

    Parameters
    ----------
    path : str
    columns : sequence of str
        Names of the columns of a token. CRF++ refers to columns by their numbers.

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
    nodes: list[str] = []
    edges: list[str] = []
    places: dict[tuple[str, str], str] = {}  # of the identifiers
    earlier: dict[tuple[str, str], str] = {}  # places of the templates of nodes and edges
    for place, line in numbered_lines(path):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        found = None if line == ALWAYS else LINE.fullmatch(line)
        if found is None:
            _check(line, columns, place)
            _add(nodes, "U", line, place, earlier)
            continue
        template = _translated(found[3] or "", columns, place)
        for kind in found[1].upper().replace("*", "UB"):
            first = places.setdefault((kind, found[2]), place)
            if first != place and found[3]:
                raise ValueError(
                    f"{place}: the identifier {line.partition(':')[0]!r} occurs in {first} too. CRF++ does not "
                    "distinguish the features of two such templates (a bag of words), which is not supported; use "
                    "different identifiers"
                )
            _add(nodes if kind == "U" else edges, kind, template, place, earlier)
    if not nodes:
        raise ValueError(f"{path} contains no template of tokens; one of the first column is U00:%x[0,0]")
    if places and not edges:
        warnings.warn(f"{path} has no line B, but the model has transitions between labels anyway", stacklevel=2)
    return Templates([*nodes, *_boundaries(nodes)] if places else nodes, edges or [ALWAYS])


def _add(templates, kind, template, place, earlier):
    """Append a template, and refuse one that is there already."""
    first = earlier.setdefault((kind, template), place)
    if first != place:
        raise ValueError(f"{place}: the features of this template are those of {first}")
    templates.append(template)


def _check(template, columns, place):
    """Refuse a malformed template."""
    try:
        TokenTemplates([template], columns).fit([[("",) * len(columns)]])
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _translated(text, columns, place):
    """Template of `TokenTemplates` for the text behind the identifier of a template of CRF++."""
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
