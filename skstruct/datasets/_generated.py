"""Random data with a known truth: labels drawn from a pairwise conditional random field.

All three makers draw features and weights from normal distributions, score the nodes linearly and all edges
by one matrix, and draw the labels from ``P(y | x)`` given these scores. Trees (and chains) are drawn exactly,
from the root to the leaves. Grids are drawn by Gibbs sampling, where every row given the others is a chain
and drawn exactly.

Batches of forests are arrays of shape (n_graphs, n_nodes, n_states), in which the parent of a node has a
lower number.
"""

from collections.abc import Callable
from numbers import Integral

import numpy as np
from scipy.special import logsumexp
from sklearn.utils import Bunch, check_random_state

from skstruct.data.dataset import GraphDataset
from skstruct.data.ragged import RaggedArray


def make_chain(
    n_graphs=100,
    n_nodes=10,
    *,
    n_states=3,
    n_features=5,
    coupling=1.0,
    return_X_y=False,
    random_state=None,
):
    """Draw labelled chains from a known conditional random field.

    Features are standard normal, node scores are ``X coef.T + intercept``, all edges share one matrix, and
    the labels are drawn exactly from the distribution that these scores define.

    Parameters
    ----------
    n_graphs : int, default=100
        Number of chains.
    n_nodes : int or tuple (low, high), default=10
        Nodes of each chain; of a pair, drawn uniformly from low to high, both included.
    n_states : int, default=3
        Number of labels, which are 0 to ``n_states - 1``.
    n_features : int, default=5
        Number of node features.
    coupling : float, default=1.0
        Standard deviation of the entries of the edge matrix; 0 makes the nodes independent.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    chains : Bunch
        With the fields ``data`` (`GraphDataset`), ``target`` (`RaggedArray` of int), and the true weights,
        shaped as `GraphCRFClassifier` sets them: ``coef`` (n_states, n_features), ``intercept`` (n_states,),
        ``edge_coef`` (1, n_states, n_states).
    (data, target) : tuple
        If `return_X_y` is True.

    Notes
    -----
    Time O(n_graphs * n_nodes * n_states * (n_features + n_states)).

    Examples
    --------
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> chains = make_chain(n_graphs=1000, random_state=0)
    >>> crf = GraphCRFClassifier().fit(chains.data, chains.target)
    >>> bool(abs(crf.coef_ - chains.coef).max() < 0.1)
    True
    """
    rng = check_random_state(random_state)

    def previous(sizes):
        """Each node hangs on the one before."""
        return np.broadcast_to(np.arange(-1, sizes.max() - 1), (len(sizes), sizes.max()))

    return _make_forest(n_graphs, n_nodes, n_states, n_features, coupling, return_X_y, rng, previous)


def make_tree(
    n_graphs=100,
    n_nodes=10,
    *,
    n_states=3,
    n_features=5,
    coupling=1.0,
    return_X_y=False,
    random_state=None,
):
    """Draw labelled trees from a known conditional random field.

    As :func:`make_chain`, but each node hangs on a random earlier one (a random recursive tree). Edges point
    from parent to child, and the rows of the edge matrix are labels of parents.

    Parameters
    ----------
    n_graphs : int, default=100
        Number of trees.
    n_nodes : int or tuple (low, high), default=10
        Nodes of each tree; of a pair, drawn uniformly from low to high, both included.
    n_states : int, default=3
        Number of labels, which are 0 to ``n_states - 1``.
    n_features : int, default=5
        Number of node features.
    coupling : float, default=1.0
        Standard deviation of the entries of the edge matrix; 0 makes the nodes independent.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    trees : Bunch
        Fields as those of :func:`make_chain`.
    (data, target) : tuple
        If `return_X_y` is True.

    Examples
    --------
    >>> from skstruct.datasets import make_tree
    >>> make_tree(n_graphs=3, n_nodes=4, random_state=0).data
    GraphDataset(n_graphs=3, n_nodes=12, n_edges=9, n_features=5)
    """
    rng = check_random_state(random_state)

    def random_earlier(sizes):
        """Each node hangs on a random one of those before."""
        before = np.arange(sizes.max())
        return np.where(before, rng.randint(np.maximum(before, 1), size=(len(sizes), sizes.max())), -1)

    return _make_forest(n_graphs, n_nodes, n_states, n_features, coupling, return_X_y, rng, random_earlier)


def make_grid(
    n_graphs=20,
    height=8,
    width=8,
    *,
    n_states=3,
    n_features=5,
    coupling=0.5,
    n_sweeps=100,
    return_X_y=False,
    random_state=None,
):
    """Draw labelled grids with four neighbours per node from a known conditional random field.

    As :func:`make_chain`, but a grid has cycles, so that the labels come from Gibbs sampling: each sweep
    draws all even rows given the odd ones, then the odd given the even ones, every row exactly and as a
    whole. A grid of one row is drawn exactly; for others the distribution after `n_sweeps` is close to the
    exact one unless the coupling is so strong that whole regions must turn over together.

    Parameters
    ----------
    n_graphs : int, default=20
        Number of grids.
    height, width : int, default=8
        Nodes are numbered row by row; edges go right and down, as in `GraphDataset.from_images`.
    n_states : int, default=3
        Number of labels, which are 0 to ``n_states - 1``.
    n_features : int, default=5
        Number of node features.
    coupling : float, default=0.5
        Standard deviation of the entries of the edge matrix; 0 makes the nodes independent.
    n_sweeps : int, default=100
        Sweeps before the labels are taken. The start is a draw without the vertical edges.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    grids : Bunch
        Fields as those of :func:`make_chain`.
    (data, target) : tuple
        If `return_X_y` is True.

    Notes
    -----
    Time O(n_sweeps * n_graphs * height * width * n_states**2).

    Examples
    --------
    >>> from skstruct.datasets import make_grid
    >>> grids = make_grid(n_graphs=2, height=3, width=4, random_state=0)
    >>> grids.data
    GraphDataset(n_graphs=2, n_nodes=24, n_edges=34, n_features=5)
    >>> grids.target[0].reshape(3, 4).shape
    (3, 4)
    """
    rng = check_random_state(random_state)
    _check_sizes(n_graphs=n_graphs, height=height, width=width, n_states=n_states, n_features=n_features)
    weights = _draw_weights(n_states, n_features, coupling, rng)
    images = rng.normal(size=(n_graphs, height, width, n_features))
    labels = _sample_grids(_node_scores(images, weights), weights.edge_coef[0], n_sweeps, rng)
    data = GraphDataset.from_images(images)
    return _bunch(data, labels.ravel(), weights, return_X_y)


# ------------------------------------------------------------------------------------------ the models
def _check_sizes(**sizes):
    for name, size in sizes.items():
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f"{name} must be an integer >= 1, got {size!r}.")


def _draw_weights(n_states, n_features, coupling, rng):
    """Weights with mean 0 over the states, as fitted ones have: a constant would change no probability."""
    coef = rng.normal(size=(n_states, n_features))
    intercept = rng.normal(scale=0.5, size=n_states)
    edge_coef = coupling * rng.normal(size=(1, n_states, n_states))
    return Bunch(
        coef=coef - coef.mean(axis=0),
        intercept=intercept - intercept.mean(),
        edge_coef=edge_coef - edge_coef.mean(),
    )


def _node_scores(features, weights):
    return features @ weights.coef.T + weights.intercept


def _bunch(data, labels, weights, return_X_y):
    target = RaggedArray(labels, data.node_ptr)
    return (data, target) if return_X_y else Bunch(data=data, target=target, **weights)


def _make_forest(n_graphs, n_nodes, n_states, n_features, coupling, return_X_y, rng, draw_parents: Callable):
    """Draw trees with the parents, (n_graphs, max_nodes), that `draw_parents` makes for given sizes."""
    low, high = n_nodes if isinstance(n_nodes, tuple) else (n_nodes, n_nodes)
    _check_sizes(n_graphs=n_graphs, n_nodes=low, n_states=n_states, n_features=n_features)
    _check_sizes(n_nodes=high)
    weights = _draw_weights(n_states, n_features, coupling, rng)
    sizes = rng.randint(low, high + 1, size=n_graphs)
    # Graphs smaller than the largest one get unconnected nodes at the end, which are dropped again.
    real = np.arange(sizes.max()) < sizes[:, None]
    parent = np.where(real, draw_parents(sizes), -1)
    features = rng.normal(size=(*real.shape, n_features))
    labels = _sample_forests(_node_scores(features, weights), weights.edge_coef[0], parent, rng)
    graph, child = np.nonzero(parent >= 0)
    data = GraphDataset(
        features[real],
        np.column_stack([parent[graph, child], child]),
        node_ptr=np.concatenate([[0], np.cumsum(sizes)]),
        edge_ptr=np.concatenate([[0], np.cumsum(sizes - 1)]),
    )
    return _bunch(data, labels[real], weights, return_X_y)


# ------------------------------------------------------------------------------------------ sampling
def _draw(scores, rng):
    """Draw states with probability proportional to ``exp(scores)``, (..., n_states): Gumbel-max trick."""
    return (scores + rng.gumbel(size=scores.shape)).argmax(axis=-1)


def _sample_forests(node, edge, parent, rng):
    """Draw labels of forests exactly: messages up to the roots, then states from the roots down.

    Parameters
    ----------
    node : ndarray of shape (n_graphs, n_nodes, n_states)
        Node scores.
    edge : ndarray of shape (n_states, n_states)
        Scores of (state of parent, state of child).
    parent : ndarray of int of shape (n_graphs, n_nodes)
        Number of each node's parent, lower than its own; -1 for a root.
    rng : RandomState

    Returns
    -------
    labels : ndarray of shape (n_graphs, n_nodes)
    """
    n_graphs, n_nodes, _ = node.shape
    graph = np.arange(n_graphs)
    below = node.copy()  # log of the sum over all labels of the nodes below, by the state of the node
    for i in range(n_nodes - 1, 0, -1):
        child = np.flatnonzero(parent[:, i] >= 0)
        message = logsumexp(edge + below[child, i, None, :], axis=2)
        below[child, parent[child, i]] += message
    labels = np.zeros((n_graphs, n_nodes), np.intp)  # not empty: roots look up (and discard) a label too
    for i in range(n_nodes):
        from_parent = np.where(parent[:, i, None] >= 0, edge[labels[graph, parent[:, i]]], 0.0) if i else 0.0
        labels[:, i] = _draw(below[:, i] + from_parent, rng)
    return labels


def _sample_grids(node, edge, n_sweeps, rng):
    """Draw labels (n_graphs, height, width) of grids by `n_sweeps` of Gibbs sampling, row by row."""
    _, height, width, n_states = node.shape
    parent = np.arange(-1, width - 1)

    def draw_rows(scores):
        """Draw all rows of (n_graphs, n_rows, width, n_states) as independent chains."""
        chains = scores.reshape(-1, width, n_states)
        labels = _sample_forests(chains, edge, np.broadcast_to(parent, chains.shape[:2]), rng)
        return labels.reshape(scores.shape[:3])

    labels = draw_rows(node)
    for _ in range(n_sweeps if height > 1 else 0):
        for first in (0, 1):
            scores = node.copy()
            scores[:, 1:] += edge[labels[:, :-1]]  # the row above: edges go down
            scores[:, :-1] += edge.T[labels[:, 1:]]
            labels[:, first::2] = draw_rows(scores[:, first::2])
    return labels
