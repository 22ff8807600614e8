"""Files with one token per line, in blocks between empty lines: lines with their places, for messages."""

import re
from collections.abc import Iterable, Iterator

BLANK = " \t\r"
DOCUMENT = "-DOCSTART-"  # first word of a line between the documents of CoNLL-2003
_SEPARATOR = re.compile("[ \t]+")


def blocks_of(numbered: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """Numbered lines in blocks between empty lines, each with the place of its first line.

    A line that starts with ``-DOCSTART-`` separates blocks as an empty line does.

    Parameters
    ----------
    numbered : iterable of (str, str)
        Places, such as ``"train.txt, line 7"``, and lines.
    """
    lines: list[str] = []
    first = ""
    for place, line in numbered:
        text = line.strip(BLANK)
        if text and not text.startswith(DOCUMENT):
            first = first if lines else place
            lines.append(line)
        elif lines:
            yield first, lines
            lines = []
    if lines:
        yield first, lines


def next_place(place: str, n: int) -> str:
    """Place of the line that is `n` lines below another one."""
    name, _, number = place.rpartition(" ")
    return f"{name} {int(number) + n}"


def cells_of(line: str) -> list[str]:
    """Cells of a line, which spaces or tabs separate."""
    return _SEPARATOR.split(line.strip(BLANK))
