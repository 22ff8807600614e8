"""Conditional random fields on labelled graphs, as scikit-learn estimators."""

from skstruct._classifier import GraphCRFClassifier
from skstruct._dataset import GraphDataset
from skstruct._graph import Graph
from skstruct._node_view import NodeView
from skstruct._ragged import RaggedArray, as_ragged
from skstruct._topology import Topology

__version__ = "0.1.0.dev0"

__all__ = ["Graph", "GraphCRFClassifier", "GraphDataset", "NodeView", "RaggedArray", "Topology", "as_ragged"]
