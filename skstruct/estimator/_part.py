"""The data of a training."""

from typing import Any, NamedTuple

import numpy as np

from skstruct.data.dataset import GraphDataset
from skstruct.features import FeatureMap, FeaturePlan
from skstruct.scores import MISSING, Targets


class Part(NamedTuple):
    """A part of the data.

    Attributes
    ----------
    dataset : GraphDataset
    targets : Targets
    graphs : ndarray of int
        Numbers of its graphs in the whole data.
    """

    dataset: GraphDataset
    targets: Targets
    graphs: np.ndarray

    @property
    def weight(self) -> float:
        """Weighted number of nodes."""
        return float(self.targets.graph_weight @ np.diff(self.dataset.node_ptr))

    @property
    def labelled_fraction(self) -> float:
        """Fraction of the nodes whose label is known."""
        return float(np.mean(self.targets.codes != MISSING))

    @property
    def is_complete(self) -> bool:
        """Whether all labels are known."""
        return not (self.targets.codes == MISSING).any()

    @property
    def n_edge_features(self) -> int:
        """Number of edge features; 0 if there are none."""
        return 0 if self.dataset.edge_features is None else self.dataset.edge_features.shape[1]

    def statistics(self, feature_map: FeatureMap, classes: np.ndarray) -> Any:
        """Return the statistics from which a map sets up its parameters; see `FeatureMap.collect`."""
        return feature_map.statistics(self.dataset, classes, self.targets.codes)

    def plan(self, feature_map: FeatureMap, classes: np.ndarray) -> FeaturePlan:
        """Set up the parameters of a map."""
        return feature_map.plan(self.dataset, classes, self.targets.codes)

    def select(self, graphs: np.ndarray) -> "Part":
        """Part of the graphs with these numbers."""
        nodes = np.isin(self.dataset.topology.node_graph, graphs)
        codes, graph_weight, node_weight = self.targets
        targets = Targets(codes[nodes], graph_weight[graphs], None if node_weight is None else node_weight[nodes])
        return Part(self.dataset[graphs], targets, self.graphs[graphs])

    def without_edges(self) -> "Part":
        """Return the same graphs without edges."""
        return self._replace(dataset=self.dataset.without_edges())
