"""Why a node has its label: additive parts of the log-odds of two labels."""

from collections.abc import Hashable
from itertools import repeat
from typing import Any

import numpy as np
from scipy.sparse import issparse

from skstruct.data.indexing import item_number
from skstruct.data.optional import optional_module
from skstruct.estimator import fitted_model
from skstruct.exceptions import numbered_by
from skstruct.inference import queries
from skstruct.inference.incoming import incoming_messages
from skstruct.inspection._pipelines import Steps
from skstruct.inspection._weights import INTERCEPT, has_linear_weights
from skstruct.scores import clamp

MOST_NAMES = 8  # neighbours in the name of a part
ROUNDING = 1e-9  # relative error of a sum of contributions


def explain(
    model: Any, X: Any, graph: int, node: int, label: Any = None, against: Any = None, *, known: Any = None
) -> Any:
    r"""Additive parts of the log-odds of one label of a node against another label.

    The parts are the contributions of the features of the node, of the intercept, and of the messages of its
    neighbours. Their sum is

    .. math:: \log \frac{P(y_i = a \mid x)}{P(y_i = b \mid x)}

    as in `predict_proba`. A positive part supports the label `a`. A message contains all evidence that reaches the node
    through a neighbour: the features of all nodes behind the neighbour, and the weights of the edges between them.

    Parameters
    ----------
    model : GraphCRFClassifier, Pipeline or search
        Fitted.
    X : object
        Input of `model`.
    graph : int
        Number of the graph in `X`. For a table: number of the row.
    node : int
        Number of the node in its graph.
    label : label, default=None
        The label `a`. None: the most probable label.
    against : label, default=None
        The label `b`. None: the most probable one of all labels but `a`.
    known : like `y` in `fit`, default=None
        Labels to condition on, as in `predict_proba`.

    Returns
    -------
    frame : pandas.DataFrame
        A row for each part, in descending order of the absolute contribution, with the columns:

        - ``part``: the kind of the part.

          - "feature": the value of a feature times the difference of its weights; features of value 0 have no row.
          - "intercept": the difference of the intercepts. Both are divided by the `temperature`, if there is one.
          - "score": the difference of the scores of the node, in place of the two above if the map is not linear.
          - "constraint": inf or -inf, if a constraint or a known label forbids one of the two labels.
          - "neighbour": the message of a neighbour. If the graph has a cycle through the node, and inference is exact,
            the neighbours on the cycle send one message together.
          - "approximation": what is left of the sum, if inference is approximate. It is small if inference has
            converged.
        - ``name``: name of the feature, numbers of the neighbours, or name of the backend of the approximation.
        - ``value``: value of the feature; nan for other parts.
        - ``contribution``: in nats.

        ``frame.attrs`` is a dict with ``graph``, ``node``, ``label`` and ``against``.

    Raises
    ------
    ValueError
        If the labels or the node do not exist, if both labels are forbidden at the node, or if there is one class only.
    InfeasibleGraph
        If no labelling of the graph is allowed.

    See Also
    --------
    GraphCRFClassifier.saliency : gradients of the log-likelihood, also for the features of other nodes.

    Notes
    -----
    Time of two or three calls of `predict_proba` for one graph. If inference is exact, a message is the difference of
    two log-partitions, those of the nodes behind the neighbour given one or the other label of the node. If inference
    is approximate, the message of each neighbour is computed from the marginals of the pair. At a fixed point of belief
    propagation it is the message of the neighbour.

    Examples
    --------
    Why "dog" is a noun:

    >>> from sklearn.feature_extraction import DictVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.inspection import explain
    >>> from skstruct.preprocessing import NodeTransformer, SequencesToGraphs
    >>> words = [[{"w": "the"}, {"w": "dog"}, {"w": "sleeps"}], [{"w": "the"}, {"w": "cat"}]]
    >>> y = [["D", "N", "V"], ["D", "N"]]
    >>> tagger = make_pipeline(SequencesToGraphs(), NodeTransformer(DictVectorizer()), GraphCRFClassifier(C=10))
    >>> tagger = tagger.fit(words, y)
    >>> frame = explain(tagger, words, graph=0, node=1)
    >>> frame.round(1)
            part         name  value  contribution
    0  neighbour       node 0    NaN           1.9
    1    feature        w=dog    1.0           0.9
    2  neighbour       node 2    NaN           0.3
    3  intercept  (intercept)    NaN           0.2
    >>> frame.attrs
    {'graph': 0, 'node': 1, 'label': 'N', 'against': 'D'}
    """
    pandas = optional_module("pandas", "interop", "explain")
    steps = Steps.of(model)
    fitted, dataset, codes = fitted_model(steps.crf, steps.transform(X), known)
    graph = item_number("graph", graph, len(dataset), "X")
    one, first = dataset[[graph]], dataset.node_ptr[graph]
    node = item_number("node", node, one.n_nodes, f"graph {graph}")
    scores = fitted.batch_scores(one)
    if codes is not None:
        scores = clamp(scores, codes[first : first + one.n_nodes])
    with numbered_by([graph]):
        plan = fitted.backend.plan(one.topology, fitted.n_states)
        proba = queries.marginals(plan, scores).node[node]
    pair = _two_codes(fitted.classes, proba, label, against)
    incoming = incoming_messages(plan, fitted.backend, scores, node, pair)
    labels = fitted.classes[pair].tolist()
    if np.isneginf(scores.node[node, pair] + incoming.log_messages.sum(axis=0)).all():
        raise ValueError(f"{labels[0]!r} and {labels[1]!r} are both forbidden at node {node} of graph {graph}.")
    parts = _node_parts(steps, one.node_features[[node]], scores.node[node], pair, fitted.temperature)
    parts += [
        ("neighbour", _numbers(neighbours), np.nan, in_favour - in_opposition)
        for neighbours, (in_favour, in_opposition) in zip(incoming.neighbours, incoming.log_messages)
    ]
    if not (plan.exact and incoming.exact):
        with np.errstate(divide="ignore", invalid="ignore"):  # of probabilities that are 0, and of inf - inf
            rest = np.subtract(*np.log(proba[pair])) - sum(part[-1] for part in parts)
        if np.isfinite(rest):
            parts.append(("approximation", plan.name, np.nan, rest))
    frame = pandas.DataFrame(parts, columns=["part", "name", "value", "contribution"])
    frame = frame.sort_values("contribution", key=np.abs, ascending=False, kind="stable", ignore_index=True)
    frame.attrs = {"graph": graph, "node": node, "label": labels[0], "against": labels[1]}
    return frame


def _two_codes(classes, proba, label, against):
    """State codes of the two labels that are compared, (2,); None stands for the most probable one of the others."""
    code = {name: number for number, name in enumerate(classes.tolist())}
    if len(code) < 2:
        raise ValueError(f"log-odds need two classes, and the model has one, {classes.tolist()[0]!r}.")
    for name, value in (("label", label), ("against", against)):
        if value is not None and not (isinstance(value, Hashable) and value in code):
            raise ValueError(f"{name} is {value!r}, which is not among the classes {list(code)[:10]}.")
    if label is not None and label == against:
        raise ValueError(f"label and against are both {label!r}; log-odds compare two labels.")
    ranking = [number for number in np.argsort(-proba, kind="stable") if number != code.get(against)]
    a = ranking[0] if label is None else code[label]
    return np.array([a, next(n for n in ranking if n != a) if against is None else code[against]])


def _node_parts(steps, x, node_scores, pair, temperature):
    """Parts of the score of the node with the features `x`, (1, n_features)."""
    crf, (a, b) = steps.crf, pair
    log_odds = node_scores[a] - node_scores[b]
    score = [("score", "(score)", np.nan, log_odds)]
    if not has_linear_weights(crf):
        return score
    columns = x.nonzero()[1]
    values, weights = (_dense(table) for table in (x[:, columns], crf.coef_[:, columns][[a, b]]))
    contributions = values[0] * (weights[0] - weights[1]) / temperature
    intercept = (crf.intercept_[a] - crf.intercept_[b]) / temperature
    names = steps.node_feature_names()[columns]
    parts = list(zip(repeat("feature"), names, values[0].tolist(), contributions.tolist()))
    parts.append(("intercept", INTERCEPT, np.nan, intercept))
    if np.isinf(log_odds):
        return [*parts, ("constraint", "(constraint)", np.nan, log_odds)]
    size = 1.0 + np.abs(contributions).sum() + abs(intercept)
    adds_up = abs(contributions.sum() + intercept - log_odds) <= ROUNDING * size
    return parts if adds_up else score  # a map of another kind can have such attributes, too


def _dense(table):
    """Table as an array of float64."""
    return np.asarray(table.toarray() if issparse(table) else table, dtype=np.float64)


def _numbers(neighbours):
    """Name the neighbours that send one message."""
    shown = ", ".join(map(str, neighbours[:MOST_NAMES]))
    if len(neighbours) == 1:
        return f"node {shown}"
    return f"nodes {shown}" if len(neighbours) <= MOST_NAMES else f"nodes {shown}, ... ({len(neighbours)} nodes)"
