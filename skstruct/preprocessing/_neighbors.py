"""Transformers that join points to their neighbours: the first step of a pipeline for clouds of points."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils.validation import check_scalar

from skstruct.data.dataset import GraphDataset
from skstruct.data.neighbors import delaunay_edges, nearest_neighbor_edges, radius_edges
from skstruct.data.structure import list_of, offsets
from skstruct.data.tables import as_floats, as_table, first_nonfinite, is_frame, is_sparse, take_columns
from skstruct.preprocessing._sequences import GraphBuilder

NO_EDGES = np.zeros((0, 2), np.intp)


class PointsToGraphs(GraphBuilder, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
    """Base class: a subclass has the parameter `columns`, and implements `edges_between`."""

    def edges_between(self, points):
        """Edges between points of shape (n_points, n_coordinates)."""
        raise NotImplementedError

    def transform(self, X):
        """Make a graph of each table, with an edge between neighbouring rows.

        Parameters
        ----------
        X : list of tables of shape (n_points, n_features), or GraphDataset
            A table is an array, a sparse matrix or a data frame. All columns are node features. The edges and edge
            features of a GraphDataset are replaced.

        Returns
        -------
        GraphDataset
            Each edge is listed once, from the row with the smaller number to the other one. There are no edge features;
            `EdgeFeatures` computes distances, directions and others.

        Raises
        ------
        TypeError
            If `X` is one table instead of a list.
        ValueError
            If a coordinate is not a finite number. The message names the graph and the node.
        """
        if isinstance(X, GraphDataset):
            edges = [self._edges(graph.node_features, g) for g, graph in enumerate(X)]
            edge_ptr = offsets(list(map(len, edges)))
            return GraphDataset(X.node_features, np.concatenate([NO_EDGES, *edges]), None, X.node_ptr, edge_ptr)
        if is_frame(X) or getattr(X, "ndim", 0) == 2:
            raise TypeError(f"got one table ({type(X).__name__}); pass a list of tables")
        tables = [as_table(table, f"table {g}") for g, table in enumerate(list_of("tables", X))]
        return GraphDataset.from_graphs([(table, self._edges(table, g)) for g, table in enumerate(tables)])

    def _edges(self, table, number):
        if isinstance(table, list):
            if not table:
                return NO_EDGES
            raise TypeError(f"graph {number} has dicts or strings as nodes; apply a vectorizer first")
        coordinates = table if self.columns is None else self._chosen(table, number)
        try:
            points = as_floats(coordinates)
        except ValueError as error:
            raise ValueError(f"graph {number} has a coordinate that is no number: {error}") from error
        points = points.astype(np.float64) if is_sparse(points) else np.asarray(points, np.float64)
        position = first_nonfinite(points)
        if position is not None:
            raise ValueError(f"graph {number}, node {position[0]} has a coordinate that is not finite; impute it first")
        return self.edges_between(points)

    def _chosen(self, table, number):
        """Columns of coordinates of the graph of a number."""
        wrong = f"columns are {self.columns!r}, but graph {number} does not have them"
        try:
            chosen = take_columns(table, self.columns)
        except (IndexError, KeyError, TypeError) as error:
            raise ValueError(f"{wrong}: {error}") from error
        if not chosen.shape[1]:
            raise ValueError(f"{wrong}: there is no column")
        return chosen


class NearestNeighborsToGraphs(PointsToGraphs, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
    """Join each point to its nearest neighbours, by `NearestNeighbors` of scikit-learn.

    Two points are joined if one of them is among the nearest neighbours of the other.

    Parameters
    ----------
    n_neighbors : int, default=5
        Number of neighbours of a point, without the point itself. A graph with fewer points is complete.
    columns : list of int or str, default=None
        Columns of coordinates: positions, or names of columns of data frames. None: all columns.
    metric : str or callable, default="euclidean"
        Distance, as `NearestNeighbors` defines it.

    Examples
    --------
    >>> from skstruct.preprocessing import NearestNeighborsToGraphs
    >>> points = [[0.0, 0.0], [1.0, 0.0], [5.0, 0.0], [7.0, 0.0]]
    >>> NearestNeighborsToGraphs(n_neighbors=1).transform([points])[0].edges.tolist()
    [[0, 1], [2, 3]]
    """

    def __init__(self, n_neighbors=5, columns=None, metric="euclidean"):
        self.n_neighbors = n_neighbors
        self.columns = columns
        self.metric = metric

    def edges_between(self, points):
        """Edges between points.

        Parameters
        ----------
        points : ndarray or CSR matrix of shape (n_points, n_coordinates)
            Finite numbers.

        Returns
        -------
        ndarray of shape (n_edges, 2)
        """
        check_scalar(self.n_neighbors, "n_neighbors", Integral, min_val=1)
        return nearest_neighbor_edges(points, self.n_neighbors, self.metric)


class RadiusNeighborsToGraphs(PointsToGraphs, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
    """Join all points that are not farther apart than a radius, by `NearestNeighbors` of scikit-learn.

    Parameters
    ----------
    radius : float, default=1.0
        Largest distance of two points with an edge.
    columns : list of int or str, default=None
        Columns of coordinates: positions, or names of columns of data frames. None: all columns.
    metric : str or callable, default="euclidean"
        Distance, as `NearestNeighbors` defines it.

    Examples
    --------
    >>> from skstruct.preprocessing import RadiusNeighborsToGraphs
    >>> points = [[0.0, 0.0], [1.0, 0.0], [5.0, 0.0], [7.0, 0.0]]
    >>> RadiusNeighborsToGraphs(radius=4).transform([points])[0].edges.tolist()
    [[0, 1], [1, 2], [2, 3]]
    """

    def __init__(self, radius=1.0, columns=None, metric="euclidean"):
        self.radius = radius
        self.columns = columns
        self.metric = metric

    def edges_between(self, points):
        """Edges between points.

        Parameters
        ----------
        points : ndarray or CSR matrix of shape (n_points, n_coordinates)
            Finite numbers.

        Returns
        -------
        ndarray of shape (n_edges, 2)
        """
        check_scalar(self.radius, "radius", Real, min_val=0)
        return radius_edges(points, self.radius, self.metric)


class DelaunayToGraphs(PointsToGraphs, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
    """Join points by the edges of their Delaunay triangulation, which scipy computes.

    In a plane, the triangulation joins points without crossing edges, about three edges per point, and the graph is
    connected. Points in three dimensions are joined by tetrahedra. The triangulation of points on one line joins each
    point to the next one. Equal points are joined to one of them.

    Parameters
    ----------
    columns : list of int or str, default=None
        Columns of coordinates: positions, or names of columns of data frames. None: all columns. More than about five
        coordinates take much time and memory.

    Examples
    --------
    >>> from skstruct.preprocessing import DelaunayToGraphs
    >>> square = [[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [2.5, 1.0]]
    >>> DelaunayToGraphs().transform([square])[0].edges.tolist()
    [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
    """

    def __init__(self, columns=None):
        self.columns = columns

    def edges_between(self, points):
        """Edges between points.

        Parameters
        ----------
        points : ndarray or CSR matrix of shape (n_points, n_coordinates)
            Finite numbers.

        Returns
        -------
        ndarray of shape (n_edges, 2)
        """
        return delaunay_edges(points.toarray() if is_sparse(points) else points)
