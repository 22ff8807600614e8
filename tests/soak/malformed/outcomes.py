"""What a call does: it is accepted, refused with a clear error, or fails obscurely."""

import contextlib
import copy
import io
import os
import re
import traceback
import warnings

PLACES = {  # what messages call the argument, beside its own name
    "X": "graph|node_features|features|sequence|image|table|dataset|sample|word|row|token|point|partition",
    "y": "label|class|sample",
    "random_state": "seed",
    "crf": "model",
    "estimator": "model|predict",
    "classes": "y|label",
    "y_true": "y|label|class|sample",
    "predictions": "y|label|pred",
    "proba": "y|prediction|class|probability|probabilities|label",
    "node_scores": "node|known|y|label|cardinalities",
    "edge_scores": "edge|y|label",
    "node_features": "node",
    "edge_features": "edge",
    "edges": "edge",
    "graphs": "graph|node|edge|feature",
    "sequences": "graph|node|feature|sequence",
    "images": "image|graph",
    "adjacencies": "adjacency",
    "arrays": "y",
    "templates": "template",
    "dtype": "data type",
    "folder": "dataset|y to be passed",
    "node_ptr": "edge_ptr|graph",
    "n_nodes": "node_ptr",
    "labels": "y",
    "indices": "selected|select|index",
    "x": "node_features|row",
    "f": "edge_features|row",
    "content": r"line|\by\[|0 feature",
    "argv": "usage|expected a list|skstruct",
    "client": "client",
    "columns": "token is a tuple",
    "cost": "C",
    "cv": "cross-validation|split",
    "data": "line|text file",
    "display_labels": "name",
    "edge_attributes": "attribute",
    "features": "column",
    "holdout": "validation_fraction",
    "masks": "mask",
    "model": "file|path|written",
    "nodes": "row",
    "node_attributes": "attribute",
    "target": "column",
    "template": "text file",
    "evidence": "file",
    "X_dev": "y_dev",
    "xseq": "sequence",
    "y_pred": "prediction|y|label",
    "proba_all": "proba",
}
# Messages of scikit-learn's checks of tables and of labels of tables are those of every estimator.
VALIDATION = tuple(os.path.join("sklearn", "utils", file) for file in ("validation.py", "multiclass.py"))
# Python's messages about files, and about a damaged value that is a function, which is called.
PYTHON = r"No such file|Is a directory|embedded null|object\(\) takes no arg|len\(\) takes exactly"
KNOWN = (ValueError, TypeError, OSError, ImportError, IndexError)


def outcome(function, arguments, key):
    """Call the function; returns "accepted", "refused" or "obscure", and the message.

    Without a `key` no argument is damaged: "whole" or "obscure".
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():  # `verbose` prints
            warnings.simplefilter("ignore")
            function(**copy.deepcopy(arguments))
    except Exception as error:  # the battery reports every error
        text = f"{type(error).__name__}: {error}"
        if key is None:
            return "obscure", f"the call without damage: {text}"
        if any(frame.filename.endswith(VALIDATION) for frame in traceback.extract_tb(error.__traceback__)):
            return "refused", text
        words = "|".join([key.replace("_", "[-_]"), PLACES.get(key, key), PYTHON])
        is_clear = isinstance(error, KNOWN) and re.search(rf"(?i)(\b|_){words}", str(error))
        return "refused" if is_clear else "obscure", text
    return "whole" if key is None else "accepted", ""
