"""Files with one graph per line, in JSON."""

import json

from sklearn.feature_extraction import DictVectorizer

from skstruct.cli._files import numbered_lines
from skstruct.cli._formats import Format, Record, refuse_templates
from skstruct.data.dataset import GraphDataset
from skstruct.data.graph import Graph
from skstruct.preprocessing import AttributeVectorizer, EdgeTransformer

KEYS = ("node_features", "edges", "edge_features")


class JSONLines(Format):
    """Graphs as JSON objects with the keys node_features, edges, edge_features and labels; other keys are kept."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson")
    help = "a JSON object per line, with node_features, edges, edge_features and labels"
    fit_intercept = True

    def read(self, path):
        """Read graphs. A label may be null, which means unknown."""
        for place, line in numbered_lines(path):
            if not line.strip():
                continue
            try:
                source = json.loads(line)
                if not isinstance(source, dict) or not isinstance(source.get("node_features"), list):
                    raise ValueError("expected a JSON object with a list node_features")
                graph = Graph(*map(_as_dicts, map(source.get, KEYS)))
                labels = source.get("labels")
                if labels is not None and (not isinstance(labels, list) or len(labels) != graph.n_nodes):
                    raise ValueError(f"labels must be a list of {graph.n_nodes} labels, one for each node")
            except (ValueError, TypeError, RecursionError) as error:
                raise ValueError(f"{place}: {error}") from error
            yield Record(place, graph, labels, source)

    def stack(self, records):
        """Pack the graphs."""
        try:
            return GraphDataset.from_graphs([record.x for record in records])
        except ValueError:
            for record in records:  # find the one that is wrong by itself
                try:
                    GraphDataset.from_graphs([record.x])
                except ValueError as error:
                    raise ValueError(f"{record.place}: {error}") from error
            raise

    def steps(self, X, templates, min_count):
        """Vectorizers of nodes and of edges where these are objects or lists of strings."""
        refuse_templates(templates, self.name)
        steps = []
        if isinstance(X.edge_features, list):
            steps.append(("edges", EdgeTransformer(DictVectorizer())))
        if isinstance(X.node_features, list):
            steps.append(("features", AttributeVectorizer(min_count=min_count)))
        return steps

    def written(self, record, predictions):
        """Return the object with predictions."""
        found = [
            {key: value for key, value in zip(("predictions", "probabilities", "probability"), p) if value is not None}
            for p in predictions
        ]
        if predictions[0].probability is None:
            return [json.dumps({**record.source, **found[0]}, ensure_ascii=False)]
        return [json.dumps({**record.source, "top": found}, ensure_ascii=False)]


def _as_dicts(rows):
    """Lists of strings as dicts with the values 1; other tables unchanged."""
    if isinstance(rows, list) and rows and all(isinstance(row, list) for row in rows):
        words = [all(isinstance(word, str) for word in row) for row in rows]
        if all(words) and any(rows):
            return [dict.fromkeys(row, 1.0) for row in rows]
    return rows
