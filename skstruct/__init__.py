"""Conditional random fields on labelled graphs, as scikit-learn estimators."""

from skstruct.data.dataset import GraphDataset
from skstruct.data.graph import Graph
from skstruct.data.node_view import NodeView
from skstruct.data.ragged import RaggedArray, as_ragged
from skstruct.data.topology import Topology
from skstruct.estimator import GraphCRFClassifier, MultiLabelCRFClassifier
from skstruct.version import VERSION

__version__ = VERSION

__all__ = [
    "Graph",
    "GraphCRFClassifier",
    "GraphDataset",
    "MultiLabelCRFClassifier",
    "NodeView",
    "RaggedArray",
    "Topology",
    "as_ragged",
]
