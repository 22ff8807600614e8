"""Checks of the score tensors of one graph that a user passes."""

from typing import Any

import numpy as np

from skstruct.data.structure import as_edges


def check_score_tensors(node_scores: Any, edges: Any, edge_scores: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check the score tensors of one graph, and return copies as float64.

    Parameters
    ----------
    node_scores : array-like of shape (n_nodes, n_states)
    edges : array-like of shape (n_edges, 2)
    edge_scores : array-like of shape (n_edges, n_states, n_states) or (1, n_states, n_states)
        If there are no edges, any empty array.

    Returns
    -------
    node : ndarray of shape (n_nodes, n_states)
    edges : ndarray of shape (n_edges, 2), int32
    edge : ndarray of shape (n_edges, n_states, n_states) or (1, n_states, n_states)

    Raises
    ------
    ValueError
        If shapes do not match, an edge does not join two nodes, or a score is nan or inf.
    """
    node = _check_scores(node_scores, "node_scores", 2)
    n_nodes, n_states = node.shape
    edges = as_edges(edges, "edges")
    bad = np.flatnonzero(((edges < 0) | (edges >= n_nodes)).any(axis=1) | (edges[:, 0] == edges[:, 1]))
    if len(bad):
        raise ValueError(
            f"edges[{bad[0]}] is {tuple(edges[bad[0]].tolist())}; an edge joins two different nodes among "
            f"0..{n_nodes - 1}."
        )
    edge = _as_floats(edge_scores, "edge_scores")
    edge = _check_scores(edge, "edge_scores", 3) if edge.size else np.zeros((0, n_states, n_states))
    if edge.shape[1:] != (n_states, n_states) or (len(edge) != len(edges) and (len(edge) != 1)):
        raise ValueError(
            f"edge_scores must have shape ({len(edges)}, {n_states}, {n_states}), or (1, {n_states}, {n_states}) for "
            f"one matrix shared by all edges; got {edge.shape}."
        )
    return node, edges, edge


def check_finite(values: Any, name: str, *shapes: tuple[int, ...]) -> np.ndarray:
    """Check an array of finite numbers, and return a copy as float64.

    Parameters
    ----------
    values : array-like
    name : str
        For messages.
    *shapes : tuple of int
        Legal shapes. If there are several, an empty array means 0, in the last shape.

    Raises
    ------
    ValueError
        If the shape is another, or a number is not finite.
    """
    values = _as_floats(values, name)
    if len(shapes) > 1 and not values.size:
        return np.zeros(shapes[-1])
    if values.shape not in shapes:
        raise ValueError(f"{name} must have shape {' or '.join(map(str, shapes))}, got {values.shape}.")
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        raise ValueError(f"{name}{bad[0].tolist()} is {values[tuple(bad[0])]}; values must be finite.")
    return values


def _check_scores(scores, name, n_dimensions):
    scores = _as_floats(scores, name)
    if scores.ndim != n_dimensions:
        raise ValueError(f"{name} must have {n_dimensions} dimensions, got shape {scores.shape}.")
    bad = np.argwhere(np.isnan(scores) | np.isposinf(scores))
    if len(bad):
        raise ValueError(
            f"{name}{bad[0].tolist()} is {scores[tuple(bad[0])]}; scores are finite, or -inf to forbid a state."
        )
    return scores


def _as_floats(values, name):
    try:
        return np.array(values, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers: {error}.") from error
