"""Files of CRFsuite: a label, and attributes with optional values."""

import re

from skstruct.cli._files import numbered_lines
from skstruct.cli._formats import Format, Record, cells, ranked, refuse_templates
from skstruct.io.token_lines import blocks_of, next_place
from skstruct.preprocessing import AttributeVectorizer

ESCAPED = re.compile(r"\\(.)")
VALUE = re.compile(r"((?:[^\\:]|\\.)*)(?::([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)?)?")


class CRFsuite(Format):
    """A token per line: its label and its attributes between tabs. Empty lines separate sequences."""

    name = "crfsuite"
    suffixes = (".crfsuite",)
    help = "CRFsuite's: a label and attributes per line between tabs, as name or name:value"

    def read(self, path):
        """Read sequences of dicts from attributes to values."""
        for place, lines in blocks_of(numbered_lines(path)):
            rows = [line.split("\t") for line in lines]
            tokens = [_attributes(row[1:], place, i) for i, row in enumerate(rows)]
            yield Record(place, tokens, [row[0] for row in rows], None)

    def steps(self, X, templates, min_count):
        """Return a vectorizer of attributes."""
        refuse_templates(templates, self.name)
        return [("features", AttributeVectorizer(min_count=min_count))]

    def written(self, record, predictions):
        """Write labels alone, as CRFsuite does."""
        return ranked((map("\t".join, cells(prediction)) for prediction in predictions), predictions)


def _attributes(fields, place, i):
    """Dict from the attributes of a token to the sums of their values."""
    found: dict[str, float] = {}
    for field in fields:
        if not field:
            continue
        name, value = field, 1.0
        if ":" in field or "\\" in field:
            match = VALUE.fullmatch(field)
            if match is None:
                raise ValueError(
                    f"{next_place(place, i)}: cannot read the attribute {field!r}; write name or name:number, and "
                    r"\: for a colon in a name"
                )
            name, value = ESCAPED.sub(r"\1", match[1]), float(match[2] or 1)
        found[name] = found.get(name, 0.0) + value
    return found
