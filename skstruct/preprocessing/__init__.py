"""Transformers that make graphs of raw data, and wrappers of scikit-learn transformers for nodes and edges."""

from skstruct.preprocessing._attributes import AttributeVectorizer
from skstruct.preprocessing._edge_features import EdgeFeatures
from skstruct.preprocessing._edge_templates import EdgeTemplates
from skstruct.preprocessing._edge_transformer import EdgeTransformer
from skstruct.preprocessing._images import ImagesToGraphs
from skstruct.preprocessing._neighbors import DelaunayToGraphs, NearestNeighborsToGraphs, RadiusNeighborsToGraphs
from skstruct.preprocessing._networkx import NetworkxToGraphs
from skstruct.preprocessing._node_classifier import NodeClassifier
from skstruct.preprocessing._node_transformer import NodeTransformer
from skstruct.preprocessing._sequences import SequencesToGraphs
from skstruct.preprocessing._superpixels import SuperpixelsToGraphs
from skstruct.preprocessing._token_templates import TokenTemplates

__all__ = [
    "NodeTransformer",
    "EdgeTransformer",
    "EdgeFeatures",
    "SequencesToGraphs",
    "ImagesToGraphs",
    "SuperpixelsToGraphs",
    "NearestNeighborsToGraphs",
    "RadiusNeighborsToGraphs",
    "DelaunayToGraphs",
    "NetworkxToGraphs",
    "TokenTemplates",
    "EdgeTemplates",
    "AttributeVectorizer",
    "NodeClassifier",
]
