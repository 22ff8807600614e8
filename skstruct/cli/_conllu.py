"""Treebanks in CoNLL-U, as sequences or as dependency trees."""

import io
import re

from sklearn.feature_extraction import DictVectorizer

from skstruct.cli._files import name_of, numbered_lines
from skstruct.cli._formats import Format, Record, cells
from skstruct.cli._templates import template_steps
from skstruct.data.dataset import GraphDataset
from skstruct.io import read_conllu
from skstruct.io.token_lines import blocks_of
from skstruct.preprocessing import EdgeTransformer

FIELDS = ["id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc"]
TOKEN = re.compile(r"\d+\t")  # neither a range of contracted words, nor an empty node
PLUS = "# global.columns"


class CoNLLU(Format):
    """Sentences of a treebank; a sequence or a tree for each.

    Parameters
    ----------
    columns : list of str, default=None
        Columns that describe a token. None: form.
    label : str, default="upos"
        Column of the labels.
    edges : {"chain", "head"}, default="chain"
        As in `read_conllu`.
    """

    name = "conllu"
    parameters = ("columns", "label", "edges")
    suffixes = (".conllu",)
    help = "CoNLL-U"

    def __init__(self, columns=None, label="upos", edges="chain"):
        self.columns = columns or ["form"]
        self.label = label
        self.edges = edges

    def read(self, path):
        """Read all sentences of a file."""
        if self.label not in FIELDS[1:]:
            raise ValueError(f"--label must be one of {', '.join(FIELDS[1:])}, got {self.label!r}")
        numbered = list(numbered_lines(path))
        if numbered and numbered[0][1].startswith(PLUS):
            raise ValueError(f"{path} is in the format CoNLL-U Plus, which is not supported here; see read_conllu")
        text = io.StringIO("\n".join(line for _, line in numbered))
        text.name = name_of(path)
        X, y = read_conllu(text, columns=self.columns, target=self.label, edges=self.edges)
        sentences = [block for block in blocks_of(numbered) if any(map(TOKEN.match, block[1]))]
        assert y is not None, "read_conllu returns labels, as it has a target"
        for (place, lines), graph, labels in zip(sentences, X, y.tolist(), strict=True):
            graph.node_features = [{c: node.get(c, "_") for c in self.columns} for node in graph.node_features]
            yield Record(place, graph, labels, lines)

    def stack(self, records):
        """Pack the graphs."""
        return GraphDataset.from_graphs([record.x for record in records])

    def steps(self, X, templates, min_count):
        """Token templates, and a vectorizer of the relations of trees."""
        edges = [] if X.edge_features is None else [("edges", EdgeTransformer(DictVectorizer()))]
        return [*edges, *template_steps(templates, self.columns, min_count)]

    def written(self, record, predictions):
        """Return the sentence with predicted labels; probabilities are in the column MISC."""
        for rank, prediction in enumerate(predictions):
            if prediction.probability is not None:
                yield f"# rank = {rank}"
                yield f"# probability = {prediction.probability:.6f}"
            answers = cells(prediction)
            for line in record.source:
                yield self._answered(line, *next(answers)) if TOKEN.match(line) else line
            yield ""

    def _answered(self, line, label, *probabilities):
        fields = line.split("\t")
        fields[FIELDS.index(self.label)] = label
        if probabilities:
            kept = [] if fields[-1] == "_" else [fields[-1]]
            fields[-1] = "|".join([*kept, f"Probability={','.join(probabilities)}"])
        return "\t".join(fields)
