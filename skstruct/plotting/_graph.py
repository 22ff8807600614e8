"""GraphDisplay: a graph whose nodes are pies of probabilities."""

from collections.abc import Callable
from numbers import Real

import numpy as np

from skstruct.data.graph_input import as_dataset
from skstruct.data.number_arrays import number_array
from skstruct.data.optional import optional_module
from skstruct.data.structure import list_of
from skstruct.plotting._axes import add_class_legend, class_colors
from skstruct.plotting._nodes import NodeDisplay, predict_graph

THINNEST = 0.005  # probabilities below have no sector


class GraphDisplay(NodeDisplay):
    """A graph whose nodes are pies of the probabilities of their labels.

    Nodes with a wrong predicted label have a black border.

    Parameters
    ----------
    edges : array-like of shape (n_edges, 2)
    proba : array-like of shape (n_nodes, n_classes)
    classes : array-like of shape (n_classes,), default=None
        Names of the columns of `proba`. None: 0, 1, ...
    y_pred : array-like of shape (n_nodes,), default=None
        Predicted labels. None: the most probable ones.
    y_true : array-like of shape (n_nodes,), default=None
        True labels.
    missing_label : object, default=None
        Value in `y_true` that means "unknown".

    Attributes
    ----------
    positions_ : ndarray of shape (n_nodes, 2)
    edges_ : matplotlib LineCollection
    sectors_ : matplotlib PatchCollection
        The sectors of the pies, node by node.
    borders_ : matplotlib PatchCollection
        A circle for each node.
    text_ : list of matplotlib Text
        Names of the nodes; empty without names.
    legend_ : matplotlib Legend
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_tree
    >>> from skstruct.plotting import GraphDisplay
    >>> X, y = make_tree(n_graphs=50, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier().fit(X, y)
    >>> display = GraphDisplay.from_estimator(crf, X, graph=3, y=y)
    >>> display.positions_.shape
    (10, 2)
    """

    def __init__(self, edges, proba, *, classes=None, y_pred=None, y_true=None, missing_label=None):
        super().__init__(proba, classes=classes, y_pred=y_pred, y_true=y_true, missing_label=missing_label)
        self.edges = as_dataset([(np.zeros((len(self.proba), 1)), edges)]).edges

    @classmethod
    def from_estimator(cls, model, X, graph=0, *, y=None, known=None, ax=None, **kwargs):
        """Draw a graph with the predictions of a fitted model.

        Parameters
        ----------
        model : GraphCRFClassifier, Pipeline or search
            Fitted.
        X : GraphDataset, list of graphs, or other input of `model`
        graph : int, default=0
            Number of the graph in `X`.
        y : like `y` in `fit`, default=None
            True labels of all graphs.
        known : like `y` in `fit`, default=None
            Labels to condition on, as in `GraphCRFClassifier.predict_proba`.
        ax : matplotlib Axes, default=None
            None: new axes.
        **kwargs
            Arguments of `plot`.

        Returns
        -------
        display : GraphDisplay
        """
        found = predict_graph(model, X, graph, y, known)
        return cls(found.dataset.edges, **found.nodes).plot(ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls, edges, proba, *, classes=None, y_pred=None, y_true=None, missing_label=None, ax=None, **kwargs
    ):
        """Draw a graph with predictions.

        Parameters
        ----------
        edges, proba, classes, y_pred, y_true, missing_label
            As for the class.
        ax : matplotlib Axes, default=None
            None: new axes.
        **kwargs
            Arguments of `plot`.

        Returns
        -------
        display : GraphDisplay
        """
        labels = {"classes": classes, "y_pred": y_pred, "y_true": y_true, "missing_label": missing_label}
        return cls(edges, proba, **labels).plot(ax=ax, **kwargs)

    def plot(self, *, ax=None, layout="kamada_kawai", radius=None, names=None):
        """Draw the graph.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: new axes.
        layout : str, callable or array-like of shape (n_nodes, 2), default="kamada_kawai"
            Positions of the nodes, or what computes them: the name of a layout of networkx, such as "spectral",
            "circular" or "spring", or a function of a networkx graph that returns a dict of positions.
        radius : float, default=None
            Radius of the nodes, as a fraction of the width of the picture. None: depends on the number of nodes.
        names : array-like of str of shape (n_nodes,), default=None
            Names to print on the nodes.

        Returns
        -------
        display : GraphDisplay
        """
        ax, n_nodes = self._open_axes(ax), len(self.proba)
        patches = optional_module("matplotlib.patches", "plot", "GraphDisplay")
        collections = optional_module("matplotlib.collections", "plot", "GraphDisplay")
        names = None if names is None else list_of("names", names)
        if names is not None and len(names) != n_nodes:
            raise ValueError(f"names must have a name for each of the {n_nodes} nodes, got {len(names)}.")
        if not n_nodes:
            raise ValueError("the graph has no nodes, so that there is nothing to draw.")
        self.positions_ = _positions(layout, n_nodes, self.edges)
        radius = min(0.05, 0.2 / np.sqrt(n_nodes)) if radius is None else radius
        if isinstance(radius, bool) or not isinstance(radius, Real) or not 0 < float(radius) < np.inf:
            raise ValueError(f"radius must be a positive number or None, got {radius!r}.")
        radius *= np.ptp(self.positions_, axis=0).max(initial=0.0) or 1.0
        segments = self.positions_[self.edges]  # (n_edges, 2, 2)
        self.edges_ = ax.add_collection(collections.LineCollection(segments, colors="0.6", linewidths=1, zorder=1))

        colors, sectors, sector_colors = class_colors(len(self.classes)), [], []
        for center, row in zip(self.positions_, self.proba):
            angles = 90 - 360 * np.concatenate([[0.0], np.cumsum(row)])
            for label in np.flatnonzero(row > THINNEST):
                sectors.append(patches.Wedge(center, radius, angles[label + 1], angles[label]))
                sector_colors.append(colors[label])
        self.sectors_ = ax.add_collection(collections.PatchCollection(sectors, facecolors=sector_colors, zorder=2))
        self.borders_ = ax.add_collection(
            collections.PatchCollection(
                [patches.Circle(center, radius) for center in self.positions_],
                facecolors="none",
                edgecolors=["black" if wrong else "0.3" for wrong in self.wrong],
                linewidths=np.where(self.wrong, 3.0, 0.5),
                zorder=3,
            )
        )
        self.text_ = [
            ax.text(*center, str(name), ha="center", va="center", zorder=4)
            for center, name in zip(self.positions_, [] if names is None else names)
        ]
        self.legend_ = add_class_legend(ax, self.classes)
        ax.set_aspect("equal")
        ax.autoscale_view()
        ax.margins(0.05)
        ax.set_axis_off()
        return self


def _positions(layout, n_nodes, edges):
    """Positions of the nodes, (n_nodes, 2)."""
    if not isinstance(layout, str | Callable):
        positions = number_array(layout, "layout")
        if positions.shape != (n_nodes, 2) or not np.isfinite(positions).all():
            raise ValueError(
                f"layout must have two finite coordinates for each of the {n_nodes} nodes, got shape {positions.shape}."
            )
        return positions
    networkx = optional_module("networkx", "interop", "A layout")
    known = {name.removesuffix("_layout"): getattr(networkx, name) for name in dir(networkx) if "_layout" in name}
    if isinstance(layout, str) and layout not in known:
        raise ValueError(f"layout must be one of {sorted(known)}, a function or positions, got {layout!r}.")
    graph = networkx.Graph(edges.tolist())
    graph.add_nodes_from(range(n_nodes))
    random = {"seed": 0} if layout == "spring" else {}  # the same picture each time
    found = known[layout](graph, **random) if isinstance(layout, str) else layout(graph)
    return np.array([found[node] for node in range(n_nodes)], dtype=np.float64).reshape(n_nodes, 2)
