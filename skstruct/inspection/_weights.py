"""The weights of a linear map as data frames, with names of features and labels."""

from typing import Any

import numpy as np

from skstruct.data.optional import optional_module
from skstruct.estimator import GraphCRFClassifier
from skstruct.inspection._pipelines import Steps

INTERCEPT = "(intercept)"


def weights(model: Any, top: int | None = 20) -> Any:
    """Node weights of a linear map with the largest absolute values.

    The score of a label at a node is the sum of its weights, each times the value of its feature, and of its intercept.
    Weights of features can be compared if the features have the same scale.

    Parameters
    ----------
    model : GraphCRFClassifier, Pipeline or search
        Fitted. The names of the features are those that the estimator has seen in ``fit``, or those of the
        transformers before it; "x0", "x1", ... without names.
    top : int or None, default=20
        Maximum number of rows. None: all weights that are not zero.

    Returns
    -------
    frame : pandas.DataFrame
        Columns `feature`, `label` and `weight`, in descending order of the absolute weight. The feature of an intercept
        is "(intercept)".

    Raises
    ------
    ValueError
        If the feature map has no weight for each feature and label.

    See Also
    --------
    transitions : the weights of the edges.
    standard_errors : how certain the weights are.

    Examples
    --------
    >>> from sklearn.feature_extraction import DictVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.inspection import weights
    >>> from skstruct.preprocessing import NodeTransformer, SequencesToGraphs
    >>> words = [[{"w": "the"}, {"w": "dog"}, {"w": "sleeps"}], [{"w": "the"}, {"w": "cat"}]]
    >>> y = [["D", "N", "V"], ["D", "N"]]
    >>> tagger = make_pipeline(SequencesToGraphs(), NodeTransformer(DictVectorizer()), GraphCRFClassifier())
    >>> weights(tagger.fit(words, y), top=2).round(1)
        feature label  weight
    0     w=the     D     0.6
    1  w=sleeps     V     0.5

    The two largest weights of each label:

    >>> weights(tagger, top=None).groupby("label").head(2).shape
    (6, 3)
    """
    pandas = optional_module("pandas", "interop", "weights")
    if top is not None and not (isinstance(top, int | np.integer) and top > 0):
        raise ValueError(f"top must be a positive integer or None, got {top!r}.")
    steps = Steps.of(model)
    if not has_linear_weights(steps.crf):
        raise ValueError(
            f"weights needs a weight for each label and feature, and {steps.crf.features!r} has none; use a linear "
            "map, or the method saliency, which computes gradients of any map."
        )
    coef, intercept = steps.crf.coef_, np.flatnonzero(steps.crf.intercept_)
    labels, features = coef.nonzero()
    values = np.concatenate([np.asarray(coef[labels, features]).ravel(), steps.crf.intercept_[intercept]])
    labels, features = np.append(labels, intercept), np.append(features, np.full(len(intercept), coef.shape[1]))
    order = np.argsort(-np.abs(values), kind="stable")[:top]
    names = np.append(steps.node_feature_names(), INTERCEPT)
    columns = {"feature": names[features[order]], "label": steps.crf.classes_[labels[order]], "weight": values[order]}
    return pandas.DataFrame(columns)


def has_linear_weights(crf: GraphCRFClassifier) -> bool:
    """Whether `coef_` has a weight for each label and feature, as scikit-learn's linear classifiers have."""
    return getattr(crf, "coef_", np.zeros(0)).shape == (len(crf.classes_), crf.n_features_in_)


def transitions(model: Any) -> Any:
    """Edge weights of a linear map: the score of each pair of labels.

    Parameters
    ----------
    model : GraphCRFClassifier, Pipeline or search
        Fitted. Names of edge features as for the node features of `weights`.

    Returns
    -------
    frame : pandas.DataFrame
        Rows are labels of ``edges[e, 0]`` and columns are labels of ``edges[e, 1]``. If edges have features, the rows
        have two levels, `feature` and `source`, and ``frame.loc[feature]`` is the matrix of one feature.
        Constraints are not included: the weight of a pair that `ConstrainedFeatures` forbids is 0, although its score
        is -inf.

    Raises
    ------
    ValueError
        If no training graph had an edge, or if the edge scores are not linear in the edge features.

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.inspection import transitions
    >>> X, y = make_chain(n_graphs=50, n_states=2, return_X_y=True, random_state=0)
    >>> transitions(GraphCRFClassifier(C=0.1).fit(X, y)).round(1).to_numpy()
    array([[ 0.2, -0.1],
           [-0.1,  0.1]])
    """
    pandas = optional_module("pandas", "interop", "transitions")
    steps = Steps.of(model)
    crf = steps.crf
    n_states = len(crf.classes_)
    matrices = vars(crf).get("edge_coef_")
    if matrices is None or matrices.shape[1:] != (n_states, n_states):
        raise ValueError(f"transitions needs a matrix for each edge feature, and {crf.features!r} has none.")
    if not len(matrices):
        raise ValueError("no graph had an edge in fit, so that there are no transitions.")
    target = pandas.Index(crf.classes_, name="target")
    if not crf.n_edge_features_in_:
        return pandas.DataFrame(matrices[0], pandas.Index(crf.classes_, name="source"), target)
    rows = pandas.MultiIndex.from_product([steps.edge_feature_names(), crf.classes_], names=["feature", "source"])
    return pandas.DataFrame(matrices.reshape(-1, n_states), rows, target)
