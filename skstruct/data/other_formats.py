"""Adjacency matrices and long tables become the fields of graphs, or of a GraphDataset.

The *fields* of one graph are the tuple ``(node_features, edges, edge_features)``.
"""

from collections.abc import Hashable

import numpy as np
import scipy.sparse as sp

from skstruct.data.builders import chain_edges
from skstruct.data.missing import missing_mask
from skstruct.data.sparse_checks import check_sparse
from skstruct.data.structure import as_edges, list_of, offsets
from skstruct.data.tables import as_table, is_frame, n_rows, refuse_masked


def scipy_fields(adjacencies, node_features, directed, weights):
    """List of the fields of the graphs that adjacency matrices describe."""
    if sp.issparse(adjacencies):
        raise TypeError("got one sparse matrix; pass a list of adjacency matrices")
    adjacencies = list_of("adjacency matrices", adjacencies)
    node_features = list_of("tables of node_features", node_features)
    if len(adjacencies) != len(node_features):
        raise ValueError(f"got {len(adjacencies)} adjacency matrices but {len(node_features)} tables of node features")
    fields = []
    for g, (adjacency, x) in enumerate(zip(adjacencies, node_features)):
        x = as_table(x, f"node_features of graph {g}")
        rows, columns, values = _entries(adjacency, n_rows(x), g)
        if not directed:
            rows, columns, values = _one_way(rows, columns, values, g)
        order = np.lexsort((columns, rows))  # the same edges for any sparse format and any order of entries
        edges = np.column_stack([rows, columns])[order]
        fields.append((x, edges, values[order, None].astype(np.float64) if weights else None))
    return fields


def _entries(adjacency, n_nodes, graph):
    """Rows, columns and values of the entries of an adjacency matrix that are not zero."""
    refuse_masked(adjacency, f"the adjacency matrix of graph {graph}")
    adjacency = adjacency if sp.issparse(adjacency) else np.asarray(adjacency)
    if adjacency.shape != (n_nodes, n_nodes):
        raise ValueError(
            f"the adjacency matrix of graph {graph} has shape {adjacency.shape} but its node features have "
            f"{n_nodes} rows"
        )
    if adjacency.dtype.kind not in "biuf":
        raise ValueError(f"the adjacency matrix of graph {graph} must hold real numbers, got {adjacency.dtype}")
    if sp.issparse(adjacency):
        check_sparse(adjacency, f"the adjacency matrix of graph {graph}")
        rows, columns, values = sp.find(adjacency)
    else:
        rows, columns = np.nonzero(adjacency)
        values = adjacency[rows, columns]
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        i, j = rows[bad[0]], columns[bad[0]]
        raise ValueError(
            f"the adjacency matrix of graph {graph} has the entry {values[bad[0]]} at ({i}, {j}); entries must be "
            "finite, and 0 where there is no edge"
        )
    return rows, columns, values


def _one_way(rows, columns, values, graph):
    """Entries of a symmetric or triangular matrix with each edge once, as (i, j) with i <= j."""
    upper, lower = np.flatnonzero(rows < columns), np.flatnonzero(rows > columns)
    if not len(upper):
        return np.minimum(rows, columns), np.maximum(rows, columns), values
    if len(lower):
        upper = upper[np.lexsort((columns[upper], rows[upper]))]
        lower = lower[np.lexsort((rows[lower], columns[lower]))]
        odd = _first_odd(rows[upper], columns[upper], values[upper], columns[lower], rows[lower], values[lower])
        if odd is not None:
            i, j, value, mirrored = odd
            raise ValueError(
                f"the adjacency matrix of graph {graph} is not symmetric; pass directed=True, or make it so, for "
                f"example by matrix.maximum(matrix.T) or np.maximum(matrix, matrix.T); its entry at ({i}, {j}) is "
                f"{value}, but {mirrored} at ({j}, {i})"
            )
    once = rows <= columns
    return rows[once], columns[once], values[once]


def _first_odd(i, j, above, i_below, j_below, below):
    """Find the first entry above the diagonal that differs from its mirror image; both lists of entries are sorted.

    Returns its row, its column, its value and the value of the mirror image; None if the matrix is symmetric.
    """
    n = min(len(i), len(i_below))
    other = np.flatnonzero((i[:n] != i_below[:n]) | (j[:n] != j_below[:n]))
    n = other[0] if len(other) else n
    unequal = np.flatnonzero(~_equal_but_for_rounding(above[:n], below[:n]))
    if len(unequal):
        k = unequal[0]
        return i[k], j[k], above[k], below[k]
    above_first = n < len(i) and (n == len(i_below) or (i[n], j[n]) < (i_below[n], j_below[n]))
    if above_first:
        return i[n], j[n], above[n], 0
    return None if n == len(i_below) else (i_below[n], j_below[n], 0, below[n])


def _equal_but_for_rounding(a, b):
    """Whether numbers are equal, in the case of floats to about half of their digits."""
    if a.dtype.kind != "f":
        return a == b
    info = np.finfo(a.dtype)
    with np.errstate(over="ignore"):  # a difference beyond the range of floats is infinite
        return np.abs(a - b) <= np.sqrt(info.eps) * np.maximum(np.abs(a), np.abs(b)) + info.tiny


def pack_frame(nodes, edges, graph, node, source, target, features):
    """Fields of a dataset, from long tables; see `GraphDataset.from_frame`."""
    for name, column in (("graph", graph), ("node", node), ("source", source), ("target", target)):
        if not isinstance(column, Hashable):
            raise TypeError(f"{name} must be the name of a column, got {column!r}")
    features = None if features is None else list_of("columns in features", features)
    identifiers = [c for c in (graph, node) if c is not None]
    _need_columns(nodes, "nodes", [*identifiers, *(features or [])])
    if len(nodes) == 0:
        raise ValueError("nodes has no rows (0 sample(s)) while a minimum of 1 is required.")
    graph_names, node_ptr = ([None], np.array([0, len(nodes)])) if graph is None else _ranges(nodes, graph)
    if features is None:
        features = [c for c in nodes.columns if c not in identifiers]
    fields = {"node_features": nodes[features], "node_ptr": node_ptr}
    if edges is None:
        pairs, edge_ptr = chain_edges(node_ptr)
        return {**fields, "edges": pairs, "edge_ptr": edge_ptr}
    not_features = [source, target] if graph is None else [graph, source, target]
    _need_columns(edges, "edges", not_features)
    if graph is None:
        edge_graph = np.zeros(len(edges), np.intp)
    else:
        complaint = f"graph {{}}, which is not in column {graph!r} of nodes"
        edge_graph = _numbers(_names(edges, "edges", graph), graph_names, "edges", complaint)
    order = np.argsort(edge_graph, kind="stable")  # within a graph, edges keep the order of their rows
    edge_ptr = offsets(np.bincount(edge_graph, minlength=len(graph_names)))
    ends = [_names(edges, "edges", c) for c in (source, target)]
    if node is not None:
        ends = _local_numbers(_names(nodes, "nodes", node), node_ptr, edge_graph, ends, node)
    pairs = as_edges(np.column_stack(ends), "source and target of edges")[order]
    others = [c for c in edges.columns if c not in not_features]
    table = None
    if others:
        table = edges[others].iloc[order] if hasattr(edges, "iloc") else edges[others][order]
    return {**fields, "edges": pairs, "edge_features": table, "edge_ptr": edge_ptr}


def _ranges(nodes, graph):
    """Names of the graphs in the order of the rows, and the offsets of their rows."""
    names = _names(nodes, "nodes", graph)
    starts = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))
    graph_names = names[starts]
    if len(set(graph_names.tolist())) < len(graph_names):
        raise ValueError(
            "the rows of a graph must be consecutive in nodes, but they are scattered; sort the table first, by "
            f"nodes.sort_values({graph!r}, kind='stable') in pandas, and read the labels from the sorted table"
        )
    return graph_names, np.append(starts, len(names))


def _need_columns(frame, name, columns):
    if not is_frame(frame):
        raise TypeError(f"{name} must be a pandas or polars data frame, got {type(frame).__name__}")
    if len(set(frame.columns)) < len(frame.columns):
        raise ValueError(f"{name} has columns of the same name: {list(frame.columns)}")
    missing = [c for c in columns if not isinstance(c, Hashable) or c not in frame.columns]
    if missing:
        raise ValueError(f"{name} has no column {missing[0]!r}; its columns are {list(frame.columns)}")


def _names(frame, name, column):
    """Values of a column that identifies graphs or nodes, none of them missing."""
    values = np.asarray(frame[column])
    missing = np.flatnonzero(missing_mask(values, np.nan))
    if len(missing):
        raise ValueError(
            f"row {missing[0]} of {name} has no value in column {column!r}, it is {values[missing[0]]} "
            f"({len(missing)} such rows); drop these rows, or, where a value also holds for the rows below it, fill "
            f"them by {name}[{column!r}].ffill() in pandas or .forward_fill() in polars"
        )
    return values


def _numbers(values, names, name, complaint):
    """Position in `names` of each of `values`."""
    position = {value: i for i, value in enumerate(names.tolist())}
    try:
        return np.array([position[value] for value in values.tolist()], dtype=np.intp)
    except KeyError as error:
        row = values.tolist().index(error.args[0])
        raise ValueError(f"row {row} of {name} names the {complaint.format(repr(error.args[0]))}") from None


def _local_numbers(node_names, node_ptr, edge_graph, ends, column):
    """Numbers within their graph of the nodes that the ends of edges name."""
    graph_of = np.repeat(np.arange(len(node_ptr) - 1), np.diff(node_ptr))
    position = {key: i for i, key in enumerate(zip(graph_of.tolist(), node_names.tolist()))}
    if len(position) < len(node_names):
        raise ValueError(f"the names in column {column!r} of nodes must be unique within a graph")
    numbers = []
    for names in ends:
        keys = list(zip(edge_graph.tolist(), names.tolist()))
        row = next((i for i, key in enumerate(keys) if key not in position), None)
        if row is not None:
            raise ValueError(
                f"row {row} of edges names the node {keys[row][1]!r}, which its graph does not have in "
                f"column {column!r}"
            )
        numbers.append(np.array([position[key] for key in keys], dtype=np.intp) - node_ptr[edge_graph])
    return numbers
