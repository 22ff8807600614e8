"""A dataset is cut into pieces of consecutive graphs."""

import numpy as np

from skstruct.data.tables import is_sparse, n_columns


def cut_graphs(sizes: np.ndarray, most: int) -> list[slice]:
    """Cut graphs into slices of consecutive graphs.

    A new slice begins at each graph before which the sum of `sizes` passes a multiple of `most`. A slice depends on the
    sizes alone, so that results do not depend on the number of threads.

    Parameters
    ----------
    sizes : ndarray of shape (n_graphs,)
    most : int

    Returns
    -------
    slices : list of slice

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.data.pieces import cut_graphs
    >>> cut_graphs(np.array([3, 1, 2, 9, 1]), 6)
    [slice(0, 3, None), slice(3, 4, None), slice(4, 5, None)]
    """
    if len(sizes) and sizes.sum() < most:
        return [slice(0, len(sizes))]
    number = (np.cumsum(sizes) - sizes) // most
    starts = np.flatnonzero(np.diff(number, prepend=-1)).tolist()
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(sizes)])]


def n_stored(features, node_ptr: np.ndarray) -> np.ndarray:
    """How many numbers are stored for the node features of each graph, (n_graphs,)."""
    if is_sparse(features):
        return np.diff(features.indptr[node_ptr])
    return np.diff(node_ptr) * n_columns(features)
