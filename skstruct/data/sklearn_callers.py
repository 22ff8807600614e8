"""Advice where a tool of scikit-learn needs one label per sample, but samples are graphs.

scikit-learn converts labels by ``np.asarray`` in many places. Its messages about an array of arrays ("unknown is not
supported", "the truth value of an array is ambiguous") do not help. Searches turn the error of a scorer into nan and
continue. Only the callers on the stack tell which tool converts the labels, so they are inspected here.
"""

import warnings
from typing import Any

from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.utils import get_tags

HELPERS = ("numpy", "sklearn.utils", "sklearn.externals", "skstruct.data.ragged", __name__)
ADVICE = {
    "sklearn.metrics": (
        "metrics, displays and scoring strings accept one label per sample. With graphs as samples, use a scorer of "
        "skstruct.metrics, such as scoring=node_scorer('f1_macro') in place of 'f1_macro'; call functions and displays "
        "with y.values and crf.predict(X).values"
    ),
    "sklearn.model_selection._split": (
        "stratified splitters accept one label per sample. With graphs as samples, stratify by graph_label of "
        "skstruct.model_selection: cv=list(StratifiedKFold(5).split(np.zeros(len(y)), graph_label(y))), or "
        "stratify=graph_label(y)"
    ),
    "sklearn.model_selection._validation": (
        "cross_val_predict encodes labels for this method, which needs one label per sample. With graphs as samples, "
        "use skstruct.model_selection.cross_val_predict"
    ),
    "sklearn.": (
        "{function} accepts one label per sample. With graphs as samples, use nodes as samples instead: X.nodes with "
        "y.values"
    ),
}


def refuse_flat_labels(frame):
    """Raise a TypeError with advice if the function that converts labels belongs to scikit-learn.

    It is a TypeError because scikit-learn handles a ValueError of a conversion itself.

    Parameters
    ----------
    frame : frame
        Frame of the conversion. The first caller that is not in one of the modules `HELPERS` decides.
    """
    while frame is not None and _module(frame).startswith(HELPERS):
        frame = frame.f_back
    if frame is None:
        return
    module, function = _module(frame), frame.f_code.co_name
    if function == "check_cv":  # asks whether labels can be stratified, and "unknown" is an answer
        return
    if module == "sklearn.metrics._scorer":  # passes labels to a function of the user
        return
    advice = next((text for prefix, text in ADVICE.items() if module.startswith(prefix)), None)
    if advice is not None:
        raise TypeError("a RaggedArray has one array per graph, but scikit-learn's " + advice.format(function=function))


def refuse_flat_scoring(frame, is_ragged):
    """Raise in ``fit`` if a search or a cross-validation of graphs will score by a metric of scikit-learn.

    An error in the scorer would not stop a search: all its scores would be nan. If all fits fail, a search raises.

    Parameters
    ----------
    frame : frame
        Frame of ``fit``.
    is_ragged : callable
        Whether labels have one array per graph.
    """
    while frame is not None and not (
        frame.f_code.co_name == "_fit_and_score" and _module(frame).startswith("sklearn.model_selection")
    ):
        frame = frame.f_back
    if frame is None or not is_ragged(frame.f_locals.get("y")):
        return
    classifier_tags = get_tags(frame.f_locals["estimator"]).classifier_tags
    if classifier_tags is not None and classifier_tags.multi_label:  # its samples are rows, and their labels are rows
        return
    scorer = frame.f_locals.get("scorer")
    for each in getattr(scorer, "_scorers", {"": scorer}).values():
        metric: Any = getattr(each, "_score_func", None)
        if getattr(metric, "__module__", "").startswith("sklearn.metrics"):
            name = next((name for name in get_scorer_names() if _same(get_scorer(name), each)), "f1_macro")
            message = (
                f"scoring by scikit-learn's {metric.__name__} needs one label per sample; with graphs as samples use "
                f"a scorer of skstruct.metrics, here scoring=node_scorer({name!r})"
            )
            if frame.f_locals.get("error_score") != "raise":  # validation_curve returns nan and shows no message
                warnings.warn(message, UserWarning, stacklevel=3)
            raise TypeError(message)


def _same(scorer, other):
    """Whether two scorers compute the same; ``get_scorer`` returns a new object in each call."""
    return all(getattr(scorer, name, None) == getattr(other, name, None) for name in ("_score_func", "_kwargs"))


def _module(frame):
    return frame.f_globals.get("__name__", "")
