"""Raw data are packed into the fields of a GraphDataset, and the structure of the fields is checked.

In this module the *fields* of one graph are the tuple ``(node_features, edges, edge_features)``.
"""

import numpy as np
import scipy.sparse as sp

from skstruct.data.missing import missing_mask
from skstruct.data.sparse_checks import check_sparse
from skstruct.data.tables import as_table, first_nonfinite, is_frame, n_rows, refuse_masked, stack_rows

MAX_NODES, MAX_EDGES = 2**31, 2**30  # nodes, and the two directions of edges, have numbers of 32 bits


def as_edges(edges, name):
    """Return `edges` as an int32 array of shape (n_edges, 2); floats are accepted if they are whole numbers."""
    if edges is None:
        return np.zeros((0, 2), np.int32)
    if sp.issparse(edges):
        raise TypeError(
            f"{name} must be pairs of node numbers, shape (n_edges, 2), got a sparse matrix; adjacency "
            "matrices are read by GraphDataset.from_scipy"
        )
    refuse_masked(edges, name)
    try:
        array = np.asarray(edges)
    except ValueError as error:
        raise ValueError(f"{name} must be pairs of node numbers, shape (n_edges, 2): {error}") from error
    if array.size == 0 and array.ndim <= 2:
        return np.zeros((0, 2), np.int32)
    if array.ndim != 2 or array.shape[1] != 2:
        remedy = "; transpose it" if array.ndim == 2 and array.shape[0] == 2 else ""
        raise ValueError(f"{name} must be pairs of node numbers, shape (n_edges, 2), got shape {array.shape}{remedy}")
    if array.dtype.kind == "f" and (array == np.floor(array)).all():
        largest = np.abs(array).max()
        if largest >= MAX_NODES:
            raise ValueError(f"{name} has the node number {largest:g}, beyond the limit of 2**31 nodes")
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold integers, the numbers of nodes, got {array.dtype}")
    largest = array.max() if array.max() >= MAX_NODES else array.min()
    if not -MAX_NODES <= largest < MAX_NODES:
        raise ValueError(f"{name} has the node number {largest}, beyond the limit of 2**31 nodes")
    return np.ascontiguousarray(array, dtype=np.int32)


def as_offsets(ptr, name):
    """Return offsets as an array of intp; floats are accepted if they are whole numbers."""
    ptr = np.asarray(ptr)
    if ptr.dtype.kind == "f" and (ptr == np.floor(ptr)).all() and (np.abs(ptr) < 2**53).all():
        ptr = ptr.astype(np.intp)
    if ptr.dtype.kind not in "iu" or ptr.ndim != 1 or not len(ptr) or ptr.max() > np.iinfo(np.intp).max:
        raise ValueError(
            f"{name} must have n_graphs + 1 entries, all of them integers, got shape {ptr.shape} and dtype {ptr.dtype}"
        )
    return ptr.astype(np.intp, copy=False)


def check_offsets(ptr, total, n_graphs, name):
    """Refuse offsets that do not rise from 0 to the number of rows."""
    if len(ptr) != n_graphs + 1:
        raise ValueError(f"{name} must have n_graphs + 1 = {n_graphs + 1} entries, got {len(ptr)}")
    if ptr[0] != 0 or ptr[-1] != total or (ptr[1:] < ptr[:-1]).any():
        raise ValueError(f"{name} must rise from 0 to {total}, the number of rows, got {ptr[0]} to {ptr[-1]}")


def check_structure(node_features, edges, edge_features, node_ptr, edge_ptr):
    """Check the fields of a dataset against one another; errors name the graph and the edge."""
    check_offsets(node_ptr, n_rows(node_features), len(node_ptr) - 1, "node_ptr")
    check_offsets(edge_ptr, len(edges), len(node_ptr) - 1, "edge_ptr")
    check_edges(edges, node_ptr, edge_ptr)
    if edge_features is not None and n_rows(edge_features) != len(edges):
        raise ValueError(f"edge_features has {n_rows(edge_features)} rows but there are {len(edges)} edges")


def check_edges(edges, node_ptr, edge_ptr):
    """Check edges between local node numbers; errors name the graph and the edge."""
    if node_ptr[-1] >= MAX_NODES or len(edges) >= MAX_EDGES:
        raise ValueError(
            f"a batch has at most 2**31 - 1 nodes and 2**30 - 1 edges, got {node_ptr[-1]} and {len(edges)}; split it"
        )
    sizes = np.repeat(np.diff(node_ptr), np.diff(edge_ptr))
    i, j = edges.T
    if ((i >= 0) & (j >= 0) & (i < sizes) & (j < sizes) & (i != j)).all():
        return
    _refuse_edge((edges < 0).any(axis=1), edges, node_ptr, edge_ptr, "but node numbers start at 0")
    _refuse_edge(
        (edges >= sizes[:, None]).any(axis=1),
        edges,
        node_ptr,
        edge_ptr,
        "but the graph has {n} nodes, numbered from 0 within it",
    )
    _refuse_edge(edges[:, 0] == edges[:, 1], edges, node_ptr, edge_ptr, "which joins a node with itself; remove it")


def _refuse_edge(bad, edges, node_ptr, edge_ptr, reason):
    """Raise if any edge is bad, naming the first."""
    bad = np.flatnonzero(bad)
    if len(bad):
        graph = int(np.searchsorted(edge_ptr, bad[0], side="right") - 1)
        i, j = edges[bad[0]]
        reason = reason.format(n=node_ptr[graph + 1] - node_ptr[graph])
        others = f" ({len(bad)} such edges)" if len(bad) > 1 else ""
        raise ValueError(f"graph {graph}, edge {bad[0] - edge_ptr[graph]} is ({i}, {j}) {reason}{others}")


def _offsets(sizes):
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.intp)])


def pack_graphs(graphs):
    """Fields of a dataset, from a list of the fields of graphs."""
    if not len(graphs):
        raise ValueError("Found no graphs (0 sample(s)) while a minimum of 1 is required.")
    nodes = [as_table(x, f"node_features of graph {g}") for g, (x, _, _) in enumerate(graphs)]
    edges = [as_edges(e, f"edges of graph {g}") for g, (_, e, _) in enumerate(graphs)]
    return {
        "node_features": stack_rows(nodes, "node features"),
        "edges": np.concatenate(edges),
        "edge_features": _stack_edge_features([f for _, _, f in graphs], edges),
        "node_ptr": _offsets([n_rows(x) for x in nodes]),
        "edge_ptr": _offsets([len(e) for e in edges]),
    }


def _stack_edge_features(tables, edges):
    """Edge features of all graphs; a graph without edges needs none."""
    given = np.array([f is not None for f in tables])
    lacking = np.flatnonzero(~given & (np.array([len(e) for e in edges]) > 0))
    if not given.any():
        return None
    if len(lacking):
        raise ValueError(
            f"graph {lacking[0]} has no edge features but graph {np.flatnonzero(given)[0]} has; "
            "pass them for all graphs or for none"
        )
    tables = [[] if f is None else as_table(f, f"edge_features of graph {g}") for g, f in enumerate(tables)]
    for g, (table, pairs) in enumerate(zip(tables, edges)):
        if n_rows(table) != len(pairs):
            raise ValueError(
                f"edge_features of graph {g} has {n_rows(table)} rows but the graph has {len(pairs)} edges; "
                "pass one row per edge, in the order of the edges"
            )
    return stack_rows(tables, "edge features")


def append_datasets(datasets):
    """Fields of the dataset of the graphs of several datasets, one after the other."""
    given = [d.edge_features is not None for d in datasets if d.n_edges]
    if any(given) and not all(given):
        raise ValueError("some of the datasets have edge features and others not; add them to all or to none")
    tables = [d.edge_features for d in datasets if d.edge_features is not None]
    return {
        "node_features": stack_rows([d.node_features for d in datasets], "node features"),
        "edges": np.concatenate([d.edges for d in datasets]),
        "edge_features": stack_rows(tables, "edge features") if tables else None,
        "node_ptr": _offsets(np.concatenate([np.diff(d.node_ptr) for d in datasets])),
        "edge_ptr": _offsets(np.concatenate([np.diff(d.edge_ptr) for d in datasets])),
    }


def chain_edges(node_ptr):
    """Edges from every node to the next of its graph, as local numbers, and their offsets."""
    sizes = np.diff(node_ptr)
    local = np.arange(node_ptr[-1]) - np.repeat(node_ptr[:-1], sizes)
    first = local[local < np.repeat(sizes, sizes) - 1].astype(np.int32)
    return np.column_stack([first, first + 1]), _offsets(np.maximum(sizes - 1, 0))


def pack_sequences(sequences):
    """Fields of a dataset of chains."""
    if isinstance(sequences, str) or is_frame(sequences) or sp.issparse(sequences):
        raise TypeError(f"got one sequence ({type(sequences).__name__}); pass a list of sequences")
    tables = []
    for g, sequence in enumerate(sequences):
        if isinstance(sequence, str | dict):
            raise TypeError(
                f"sequence {g} is a {type(sequence).__name__}; pass a list of dicts or strings per sequence"
            )
        words = isinstance(sequence, np.ndarray) and sequence.ndim == 1 and sequence.dtype.kind in "UOT"
        tables.append(as_table(sequence.tolist() if words else sequence, f"sequence {g}"))
    if not tables:
        raise ValueError("Found no sequences (0 sample(s)) while a minimum of 1 is required.")
    node_ptr = _offsets([n_rows(x) for x in tables])
    edges, edge_ptr = chain_edges(node_ptr)
    return {
        "node_features": stack_rows(tables, "node features"),
        "edges": edges,
        "node_ptr": node_ptr,
        "edge_ptr": edge_ptr,
    }


def grid_edges(height, width, connectivity):
    """Edges of a grid of pixels numbered row by row, int32: right, down, and with 8 down-right, down-left."""
    number = np.arange(height * width, dtype=np.int32).reshape(height, width)
    ends = [(number[:, :-1], number[:, 1:]), (number[:-1], number[1:])]
    if connectivity == 8:
        ends += [(number[:-1, :-1], number[1:, 1:]), (number[:-1, 1:], number[1:, :-1])]
    return np.concatenate([np.column_stack([a.ravel(), b.ravel()]) for a, b in ends])


def pack_images(images, connectivity, contrast):
    """Fields of a dataset of grids."""
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity must be 4 or 8, got {connectivity!r}")
    grids, graphs = {}, []
    for g, image in enumerate(images):
        refuse_masked(image, f"image {g}")
        image = np.asarray(image)
        if image.ndim not in (2, 3) or image.dtype.kind not in "biuf":
            raise ValueError(
                f"image {g} must hold numbers of shape (height, width) or (height, width, n_channels), got "
                f"shape {image.shape} and dtype {image.dtype}; pass [image] for one image"
            )
        if image.shape[:2] not in grids:
            grids[image.shape[:2]] = grid_edges(image.shape[0], image.shape[1], connectivity)
        edges = grids[image.shape[:2]]
        n_channels = 1 if image.ndim == 2 else image.shape[2]
        pixels = image.reshape(image.shape[0] * image.shape[1], n_channels)
        graphs.append((pixels, edges, contrast_features(pixels, edges, image.shape[1], g) if contrast else None))
    return pack_graphs(graphs)


def contrast_features(pixels, edges, width, number):
    """Return the edge features that `GraphDataset.from_images` describes, (n_edges, 2), of image `number`."""
    with np.errstate(over="ignore"):  # long doubles beyond the range of floats become infinite
        pixels = pixels.astype(np.float64)  # also since differences of unsigned integers would wrap around
    position = first_nonfinite(pixels)
    if position is not None:
        row, column = divmod(position[0], width)
        raise ValueError(
            f"image {number} has the value {pixels[position]} at row {row}, column {column}: contrast=True needs "
            "finite pixels; impute them first, or pass contrast=False"
        )
    exponent = np.frexp(np.abs(pixels).max(initial=0.0))[1]
    pixels = np.ldexp(pixels, -exponent)  # at most 1: squares do not overflow; a power of two rounds nothing
    i, j = edges.T
    difference = np.square(pixels[i] - pixels[j]).sum(axis=1)
    mean = difference.mean() if len(difference) else 0.0
    return np.column_stack([np.ones(len(edges)), np.exp(-difference / (2 * mean)) if mean > 0 else np.ones(len(edges))])


def networkx_fields(graphs, node_attributes, edge_attributes):
    """List of the fields of networkx graphs; only methods of the graphs are used, so networkx is not imported."""
    if hasattr(graphs, "nodes") and hasattr(graphs, "edges"):
        raise TypeError("got one networkx graph; pass a list of graphs")
    fields = []
    for g, graph in enumerate(graphs):
        number = {name: i for i, name in enumerate(graph.nodes)}
        ends = [(number[a], number[b]) for a, b, _ in graph.edges(data=True)]
        node_data = [(f"node {name!r}", data) for name, data in graph.nodes(data=True)]
        edge_data = [(f"edge ({a!r}, {b!r})", data) for a, b, data in graph.edges(data=True)]
        edge_features = None if edge_attributes is None else _attributes(edge_data, edge_attributes, g)
        fields.append((_attributes(node_data, node_attributes, g), ends, edge_features))
    return fields


def _attributes(items, names, graph):
    """Values of attributes side by side, (n_items, n_features); a list if there is no item."""
    names = [names] if isinstance(names, str) else list(names)
    rows = []
    for item, data in items:
        missing = [name for name in names if name not in data]
        if missing:
            raise ValueError(f"graph {graph}, {item} has no attribute {missing[0]!r}, but has {sorted(map(str, data))}")
        for name in names:
            refuse_masked(data[name], f"graph {graph}, {item}, attribute {name!r}")
        rows.append(np.concatenate([np.ravel(data[name]) for name in names]))
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"graph {graph}: the attributes {names} have different lengths")
    return np.array(rows) if rows else []


def scipy_fields(adjacencies, node_features, directed, weights):
    """List of the fields of the graphs that adjacency matrices describe."""
    if sp.issparse(adjacencies):
        raise TypeError("got one sparse matrix; pass a list of adjacency matrices")
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
    with np.errstate(over="ignore"):
        return np.abs(a - b) <= np.sqrt(info.eps) * np.maximum(np.abs(a), np.abs(b)) + info.tiny


def pack_frame(nodes, edges, graph, node, source, target, features):
    """Fields of a dataset, from long tables; see `GraphDataset.from_frame`."""
    _need_columns(nodes, "nodes", [graph, *([] if node is None else [node]), *(features or [])])
    if len(nodes) == 0:
        raise ValueError("nodes has no rows (0 sample(s)) while a minimum of 1 is required.")
    names = _names(nodes, "nodes", graph)
    starts = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))
    node_ptr = np.append(starts, len(names))
    graph_names = names[starts]
    if len(set(graph_names.tolist())) < len(graph_names):
        raise ValueError(
            "the rows of a graph must be consecutive in nodes, but they are scattered; sort the table first, by "
            f"nodes.sort_values({graph!r}, kind='stable') in pandas, and read the labels from the sorted table"
        )
    if features is None:
        features = [c for c in nodes.columns if c not in (graph, node)]
    fields = {"node_features": nodes[list(features)], "node_ptr": node_ptr}
    if edges is None:
        pairs, edge_ptr = chain_edges(node_ptr)
        return {**fields, "edges": pairs, "edge_ptr": edge_ptr}
    _need_columns(edges, "edges", [graph, source, target])
    edge_graph = _numbers(
        _names(edges, "edges", graph), graph_names, "edges", f"graph {{}}, which is not in column {graph!r} of nodes"
    )
    order = np.argsort(edge_graph, kind="stable")  # within a graph, edges keep the order of their rows
    edge_ptr = _offsets(np.bincount(edge_graph, minlength=len(graph_names)))
    ends = [_names(edges, "edges", c) for c in (source, target)]
    if node is not None:
        ends = _local_numbers(_names(nodes, "nodes", node), node_ptr, edge_graph, ends, node)
    pairs = as_edges(np.column_stack(ends), "source and target of edges")[order]
    others = [c for c in edges.columns if c not in (graph, source, target)]
    table = None
    if others:
        table = edges[others].iloc[order] if hasattr(edges, "iloc") else edges[others][order]
    return {**fields, "edges": pairs, "edge_features": table, "edge_ptr": edge_ptr}


def _need_columns(frame, name, columns):
    if not is_frame(frame):
        raise TypeError(f"{name} must be a pandas or polars data frame, got {type(frame).__name__}")
    missing = [c for c in columns if c not in frame.columns]
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
