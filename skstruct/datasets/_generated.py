"""Random data with a known truth: labels drawn from a pairwise conditional random field.

All three functions draw features and weights from normal distributions. Node scores are linear in the features, and
all edges have the same score matrix. The labels are drawn from ``P(y | x)``, which these scores define. Labels of trees
and chains are drawn exactly, from the root to the leaves. Labels of grids are drawn by Gibbs sampling: each step draws
a row exactly, as a chain, given all other rows.

Batches of forests are arrays of shape (n_graphs, n_nodes, n_states). The number of a node is higher than that of its
parent.
"""

from collections.abc import Callable
from numbers import Integral, Real

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

    Features are standard normal. Node scores are ``X coef.T + intercept``, and all edges have the same matrix. The
    labels are drawn exactly from the distribution that these scores define.

    Parameters
    ----------
    n_graphs : int, default=100
        Number of chains.
    n_nodes : int or tuple (low, high), default=10
        Number of nodes of each chain. For a pair, it is drawn uniformly from low to high, both included.
    n_states : int, default=3
        Number of labels. The labels are 0 to ``n_states - 1``.
    n_features : int, default=5
        Number of node features.
    coupling : float, default=1.0
        Standard deviation of the entries of the edge matrix. With 0 the nodes are independent.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    chains : Bunch
        Its fields are ``data`` (`GraphDataset`), ``target`` (`RaggedArray` of int), and the true weights, with the
        shapes of the attributes of `GraphCRFClassifier`: ``coef`` (n_states, n_features), ``intercept``
        (n_states,), ``edge_coef`` (1, n_states, n_states).
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
        """The parent of each node is the previous node."""
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

    The distribution is that of :func:`make_chain` on trees: the parent of each node is a random node with a lower
    number (a random recursive tree). Edges point from parent to child. The rows of the edge matrix are labels of
    parents.

    Parameters
    ----------
    n_graphs : int, default=100
        Number of trees.
    n_nodes : int or tuple (low, high), default=10
        Number of nodes of each tree. For a pair, it is drawn uniformly from low to high, both included.
    n_states : int, default=3
        Number of labels. The labels are 0 to ``n_states - 1``.
    n_features : int, default=5
        Number of node features.
    coupling : float, default=1.0
        Standard deviation of the entries of the edge matrix. With 0 the nodes are independent.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    trees : Bunch
        The fields are those of :func:`make_chain`.
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
        """The parent of each node is a random node with a lower number."""
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

    The distribution is that of :func:`make_chain` on grids. A grid has cycles, so that the labels are drawn by Gibbs
    sampling. Each sweep draws all even rows given the odd rows, then all odd rows given the even rows. Each row is
    drawn exactly, as a whole. A grid of one row is drawn exactly. For other grids, the distribution after `n_sweeps`
    is close to the exact distribution, unless the coupling is so strong that whole regions can only change together.

    Parameters
    ----------
    n_graphs : int, default=20
        Number of grids.
    height, width : int, default=8
        Size of the grid. Nodes are numbered row by row. Edges go right and down, as in `GraphDataset.from_images`.
    n_states : int, default=3
        Number of labels. The labels are 0 to ``n_states - 1``.
    n_features : int, default=5
        Number of node features.
    coupling : float, default=0.5
        Standard deviation of the entries of the edge matrix. With 0 the nodes are independent.
    n_sweeps : int, default=100
        Number of Gibbs sweeps. The initial labels are drawn without the vertical edges.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    grids : Bunch
        The fields are those of :func:`make_chain`.
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
    _check_sizes(0, n_sweeps=n_sweeps)
    weights = _draw_weights(n_states, n_features, coupling, rng)
    images = rng.normal(size=(n_graphs, height, width, n_features))
    labels = _sample_grids(_node_scores(images, weights), weights.edge_coef[0], n_sweeps, rng)
    data = GraphDataset.from_images(images)
    return _bunch(data, labels.ravel(), weights, return_X_y)


# ------------------------------------------------------------------------------------------ the models
def _check_sizes(least=1, /, **sizes):
    for name, size in sizes.items():
        if not isinstance(size, Integral) or isinstance(size, bool) or size < least:
            raise ValueError(f"{name} must be an integer >= {least}, got {size!r}.")


def _draw_weights(n_states, n_features, coupling, rng):
    """Weights with mean 0 over the states, like fitted weights: a constant does not change the probabilities."""
    if not isinstance(coupling, Real):
        raise ValueError(f"coupling must be a number, got {coupling!r}.")
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
    """Draw trees with the parents, (n_graphs, max_nodes), that `draw_parents` returns for given sizes."""
    if isinstance(n_nodes, tuple) and len(n_nodes) != 2:
        raise ValueError(f"n_nodes must be a number, or a tuple of the lowest and the highest number, got {n_nodes!r}.")
    low, high = n_nodes if isinstance(n_nodes, tuple) else (n_nodes, n_nodes)
    _check_sizes(n_graphs=n_graphs, n_nodes=low, n_states=n_states, n_features=n_features)
    _check_sizes(n_nodes=high)
    weights = _draw_weights(n_states, n_features, coupling, rng)
    sizes = rng.randint(low, high + 1, size=n_graphs)
    # Smaller graphs are padded with unconnected nodes, which are removed at the end.
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
    """Draw labels of forests exactly: messages to the roots, then states from the roots to the leaves.

    Parameters
    ----------
    node : ndarray of shape (n_graphs, n_nodes, n_states)
        Node scores.
    edge : ndarray of shape (n_states, n_states)
        Scores of (state of parent, state of child).
    parent : ndarray of int of shape (n_graphs, n_nodes)
        Number of the parent of each node, lower than the number of the node; -1 for a root.
    rng : RandomState

    Returns
    -------
    labels : ndarray of shape (n_graphs, n_nodes)
    """
    n_graphs, n_nodes, _ = node.shape
    graph = np.arange(n_graphs)
    below = node.copy()  # log of the sum over the labels of all descendants, for each state of the node
    for i in range(n_nodes - 1, 0, -1):
        child = np.flatnonzero(parent[:, i] >= 0)
        message = logsumexp(edge + below[child, i, None, :], axis=2)
        below[child, parent[child, i]] += message
    labels = np.zeros((n_graphs, n_nodes), np.intp)  # not empty: roots also read a label, and discard it
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
