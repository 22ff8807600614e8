"""Edges between points: nearest neighbours, points within a radius, and the triangulation of Delaunay.

Each function returns the edges of one graph, (n_edges, 2), int. Each edge is listed once, as (smaller, larger), in
ascending order.
"""

import numpy as np
from scipy.spatial import Delaunay
from sklearn.neighbors import NearestNeighbors


def nearest_neighbor_edges(points, n_neighbors, metric):
    """Edges from every point to its nearest neighbours; to all others if there are fewer."""
    n_neighbors = min(n_neighbors, points.shape[0] - 1)
    if n_neighbors < 1:
        return np.zeros((0, 2), np.intp)
    return _pairs(NearestNeighbors(n_neighbors=n_neighbors, metric=metric).fit(points).kneighbors_graph())


def radius_edges(points, radius, metric):
    """Edges between all points that are not farther apart than `radius`."""
    if points.shape[0] < 2:
        return np.zeros((0, 2), np.intp)
    return _pairs(NearestNeighbors(radius=radius, metric=metric).fit(points).radius_neighbors_graph())


def _pairs(adjacency):
    """Edges of a square matrix, in any of the two directions."""
    return unique_pairs(np.column_stack(adjacency.nonzero()))


def unique_pairs(ends):
    """Pairs of different numbers, each once, as (smaller, larger)."""
    ends = np.sort(ends, axis=1)
    return np.unique(ends[ends[:, 0] < ends[:, 1]], axis=0)


def delaunay_edges(points):
    """Edges of the Delaunay triangulation.

    If all points are in a plane, on a line, or equal, the triangulation is that of the plane or line: on a line, each
    point is joined to the next one. Of equal points, all but one are joined to this one.
    """
    if len(points) < 2:
        return np.zeros((0, 2), np.intp)
    distinct, number = np.unique(points, axis=0, return_inverse=True)
    first = np.full(len(distinct), len(points))
    np.minimum.at(first, number.ravel(), np.arange(len(points)))
    ends = [np.column_stack([first[number.ravel()], np.arange(len(points))])]
    flat = _coordinates(distinct)
    if flat.shape[1] == 1:
        order = np.argsort(flat[:, 0], kind="stable")
        ends.append(first[np.column_stack([order[:-1], order[1:]])])
    elif flat.shape[1] > 1:
        triangulation = Delaunay(flat)
        corners = np.triu_indices(flat.shape[1] + 1, 1)
        ends.append(first[np.column_stack([triangulation.simplices[:, k].ravel() for k in corners])])
        ends.append(first[triangulation.coplanar[:, [0, 2]]])  # points left out because of rounding, nearest corner
    return unique_pairs(np.concatenate(ends))


def _coordinates(points):
    """Coordinates of points in the smallest flat that contains them, (n_points, n_dimensions of the flat)."""
    centred = points - points.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    rank = int(np.sum(sizes > sizes.max(initial=0.0) * max(points.shape) * np.finfo(np.float64).eps))
    return points if rank == points.shape[1] else centred @ axes[:rank].T
