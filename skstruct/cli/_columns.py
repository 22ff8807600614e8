"""Files with one token per line and its label in the last column, as of CRF++, Wapiti and CoNLL tasks."""

from skstruct.cli._files import numbered_lines
from skstruct.cli._formats import Format, Record, cells, ranked
from skstruct.cli._templates import template_steps
from skstruct.io.token_lines import blocks_of, cells_of, next_place


class Columns(Format):
    """Tokens in lines, and columns between spaces or tabs. Empty lines separate sequences.

    Parameters
    ----------
    columns : list of str or None
        Names of the columns, without that of the labels. None: c0, c1, ...
    """

    name = "columns"
    parameters = ("columns",)
    help = "a token per line, columns between spaces or tabs, the last of them the label"

    def __init__(self, columns=None):
        self.columns = columns

    def read(self, path):
        """Read sequences. With known columns, the column of the labels may be absent."""
        width = None if self.columns is None else len(self.columns)
        n_cells = None
        for place, lines in blocks_of(numbered_lines(path)):
            rows = [cells_of(line) for line in lines]
            if n_cells is None:
                n_cells = self._checked_size(len(rows[0]), place)
            for i, row in enumerate(rows):
                if len(row) != n_cells:
                    raise ValueError(f"{next_place(place, i)}: got {len(row)} columns, the first line has {n_cells}")
            n = n_cells - 1 if width is None else width
            labels = [row[n] for row in rows] if n_cells > n else None
            yield Record(place, [tuple(row[:n]) for row in rows], labels, lines)

    def _checked_size(self, n_cells, place):
        """Refuse a number of columns that does not agree with the names."""
        if self.columns is None and n_cells < 2:
            raise ValueError(f"{place}: got one column; a line has columns that describe a token, and a label")
        if self.columns is not None and n_cells not in (len(self.columns), len(self.columns) + 1):
            raise ValueError(
                f"{place}: got {n_cells} columns, expected {', '.join(self.columns)}, and a label if there are labels"
            )
        return n_cells

    def learn(self, records):
        """Name the columns."""
        return Columns(self.columns or [f"c{j}" for j in range(len(records[0].x[0]))])

    def steps(self, X, templates, min_count):
        """Token templates."""
        return template_steps(templates, self.columns, min_count)

    def written(self, record, predictions):
        """Each line, and the predicted label in one more column."""
        answers = (
            ["\t".join([line, *cell]) for line, cell in zip(record.source, cells(prediction))]
            for prediction in predictions
        )
        return ranked(answers, predictions)
