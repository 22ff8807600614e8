"""Metrics and scorers for labels of nodes, for the entities of sequences, and for probabilities.

Functions compare labels and predictions of graphs, ``metric(y, predictions)``. Scorers are for the parameter
``scoring`` of scikit-learn's tools. scikit-learn's scoring strings, such as ``scoring="f1_macro"``, need one label per
sample. If samples are graphs, use the scorers of this module instead. Scorers of nodes also support tables and
``dataset.nodes``.
"""

from skstruct.metrics._entities import Entity, find_entities
from skstruct.metrics._entity_scores import entity_f1_score, entity_precision_score, entity_recall_score, entity_report
from skstruct.metrics._reliability import CalibrationCurve, calibration_curve, expected_calibration_error
from skstruct.metrics._reports import classification_report, confusion_matrix, iou_score
from skstruct.metrics._scorers import METRICS as METRICS  # the names that `node_scorer` knows
from skstruct.metrics._scorers import entity_scorer, graph_scorer, node_scorer

READY = (
    "node_accuracy",
    "node_f1_macro",
    "node_mean_iou",
    "node_log_loss",
    "graph_exact_match",
    "graph_macro_accuracy",
    "entity_f1",
)
__all__ = [
    "node_scorer",
    "graph_scorer",
    "entity_scorer",
    *READY,
    "confusion_matrix",
    "classification_report",
    "iou_score",
    "entity_f1_score",
    "entity_precision_score",
    "entity_recall_score",
    "entity_report",
    "find_entities",
    "Entity",
    "calibration_curve",
    "expected_calibration_error",
    "CalibrationCurve",
]

#: Fraction of nodes whose predicted label is right. The method ``score`` returns the same number.
node_accuracy = node_scorer("accuracy")
#: Unweighted mean over classes of the F1 score of all nodes.
node_f1_macro = node_scorer("f1_macro")
#: Mean over classes of the intersection over union of all nodes (mean IoU), as by `iou_score`.
node_mean_iou = node_scorer("jaccard_macro")
#: Mean log-probability of the right labels of all nodes, in nats; greater is better.
node_log_loss = node_scorer("neg_log_loss")
#: Fraction of graphs in which all predicted labels are right.
graph_exact_match = graph_scorer("exact_match")
#: Fraction of nodes whose predicted label is right, for each graph; then the mean over the graphs.
graph_macro_accuracy = graph_scorer("accuracy")
#: F1 score of the entities of sequences, as by `entity_f1_score`.
entity_f1 = entity_scorer("f1")

for _name in READY:
    globals()[_name].__name__ = _name
