"""Graphs of networkx and of PyTorch Geometric become the fields of graphs, and a graph becomes one of networkx.

The *fields* of one graph are the tuple ``(node_features, edges, edge_features)``. Only attributes and methods of the
graphs are read, so that the libraries are not imported.
"""

import warnings
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from skstruct.data.optional import optional_module
from skstruct.data.structure import list_of
from skstruct.data.tables import is_frame, is_sparse, n_rows, refuse_masked


def networkx_fields(graphs, node_attributes, edge_attributes):
    """List of the fields of networkx graphs."""
    graphs = networkx_graphs(graphs)
    numbers = [{name: i for i, name in enumerate(graph.nodes)} for graph in graphs]
    ends = [[(at[a], at[b]) for a, b, _ in graph.edges(data=True)] for at, graph in zip(numbers, graphs)]
    nodes = [[(f"node {name!r}", data) for name, data in graph.nodes(data=True)] for graph in graphs]
    edges = [[(f"edge ({a!r}, {b!r})", data) for a, b, data in graph.edges(data=True)] for graph in graphs]
    tables = _tables(nodes, attribute_list("node_attributes", node_attributes))
    edge_tables = [None] * len(graphs)
    if edge_attributes is not None:
        edge_tables = _tables(edges, attribute_list("edge_attributes", edge_attributes))
    return list(zip(tables, ends, edge_tables))


def _is_networkx(graph):
    return hasattr(graph, "nodes") and hasattr(graph, "edges")


def networkx_graphs(graphs):
    """Return a list of networkx graphs; other objects are refused."""
    if _is_networkx(graphs):
        raise TypeError("got one networkx graph; pass a list of graphs")
    graphs = list_of("networkx graphs", graphs)
    for g, graph in enumerate(graphs):
        if not _is_networkx(graph):
            raise TypeError(f"graph {g} must be a networkx graph, got {graph!r}")
    return graphs


def attribute_list(argument, names):
    """Return the names in a parameter as a list; `argument` is the name of the parameter."""
    if isinstance(names, str):
        return [names]
    is_scalar = not isinstance(names, Iterable) or (isinstance(names, np.ndarray) and names.ndim == 0)
    found = [] if is_scalar else list(names)
    if not found or not all(isinstance(name, Hashable) for name in found):
        raise ValueError(f"{argument} must be the name of an attribute or a list of names, got {names!r}")
    return found


def _tables(items, names):
    """Tables of attributes of the nodes or edges of each graph; an empty list for a graph without any.

    They are arrays, with attributes side by side. If an attribute is a string, they are lists of dicts.
    """
    for g, one in enumerate(items):
        for item, data in one:
            missing = [name for name in names if name not in data]
            if missing:
                raise ValueError(f"graph {g}, {item} has no attribute {missing[0]!r}, but has {sorted(map(str, data))}")
            for name in names:
                refuse_masked(data[name], f"graph {g}, {item}, attribute {name!r}")
    make = _dicts if any(isinstance(data[name], str) for one in items for _, data in one for name in names) else _array
    return [make([data for _, data in one], names, g) if one else [] for g, one in enumerate(items)]


def _array(rows, names, graph):
    """Attributes side by side."""
    rows = [np.concatenate([np.ravel(data[name]) for name in names]) for data in rows]
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"graph {graph}: the attributes {names} have different lengths")
    return np.array(rows)


def _dicts(rows, names, graph):
    """Attributes as dicts of strings and numbers, without values that are None."""
    found = [dict(item for name in names for item in _items(name, data[name])) for data in rows]
    return [{name: value for name, value in row.items() if value is not None} for row in found]


def _items(name, value):
    """Pairs of the name and the value of an attribute, one for each number of a vector."""
    if isinstance(value, str) or np.ndim(value) == 0:
        return [(name, value if isinstance(value, str) else np.asarray(value).item())]
    return [(f"{name}[{k}]", item) for k, item in enumerate(np.ravel(value).tolist())]


def attribute_names(views, names):
    """Names of the features in the columns that attributes become.

    Parameters
    ----------
    views : iterable
        Nodes or edges of each networkx graph with their attributes, as ``graph.nodes(data=True)`` returns them.
    names : list of str
        Attributes.

    Returns
    -------
    ndarray of str, or None
        From the first node or edge. None if there is none, or if one of its attributes is a string.
    """
    data = next((item[-1] for view in views for item in view), None)
    if data is None or any(isinstance(data.get(name), str) for name in names):
        return None
    return np.array([key for name in names for key, _ in _items(name, data.get(name))], object)


def to_networkx(graph, create_using, node_attributes, edge_attributes):
    """Networkx graph of a `Graph`; see `Graph.to_networkx`."""
    networkx = optional_module("networkx", "interop", "Graph.to_networkx")
    result = networkx.empty_graph(0, create_using=networkx.DiGraph if create_using is None else create_using)
    result.add_nodes_from(enumerate(_attributes(graph.node_features, node_attributes, "node_attributes")))
    features = graph.edge_features
    attributes = [{}] * graph.n_edges if features is None else _attributes(features, edge_attributes, "edge_attributes")
    result.add_edges_from((i, j, data) for (i, j), data in zip(graph.edges.tolist(), attributes))
    if result.number_of_edges() < graph.n_edges:
        raise ValueError(
            f"the graph lists {graph.n_edges} edges, of which a {type(result).__name__} has only "
            f"{result.number_of_edges()}; pass create_using=networkx.MultiDiGraph"
        )
    return result


def _attributes(table, names, argument):
    """Attributes of each row of a table, as dicts."""
    if isinstance(table, list):
        return [row if isinstance(row, dict) else {names: row} for row in table]
    if is_frame(table):
        columns = [np.asarray(table[name]).tolist() for name in table.columns]
        return [dict(zip(table.columns, row)) for row in zip(*columns)] if columns else [{}] * n_rows(table)
    if is_sparse(table):
        table = table.toarray()
    if isinstance(names, str):
        return [{names: row} for row in table]
    names = attribute_list(argument, names)
    if len(names) != table.shape[1]:
        raise ValueError(f"{argument} has {len(names)} names, but there are {table.shape[1]} features")
    return [dict(zip(names, row)) for row in table.tolist()]


def pyg_fields(graphs, directed):
    """List of the fields of graphs of PyTorch Geometric."""
    if hasattr(graphs, "edge_index"):
        raise TypeError(f"got {type(graphs).__name__}; pass a list of graphs")
    fields, both = [], {}
    for g, graph in enumerate(list_of("graphs", graphs)):
        x, edges, edge_features = (_tensor(graph, name, g) for name in ("x", "edge_index", "edge_attr"))
        if x is None or edges is None or edges.ndim != 2 or edges.shape[0] != 2:
            shape = None if edges is None else edges.shape
            raise ValueError(
                f"graph {g} must have node features x and edges edge_index of shape (2, n_edges); edge_index has shape "
                f"{shape}{', and x is missing' if x is None else ''}"
            )
        x, edge_features = (a[:, None] if a is not None and a.ndim == 1 else a for a in (x, edge_features))
        edges = edges.T
        if directed is False:
            _, first = np.unique(np.sort(edges, axis=1), axis=0, return_index=True)
            edges, edge_features = (None if a is None else a[np.sort(first)] for a in (edges, edge_features))
        elif directed is None:
            pairs = set(map(tuple, edges.tolist()))
            both[g] = sum((j, i) in pairs and i < j for i, j in pairs)
        fields.append((x, edges, edge_features))
    twice = [g for g, n in both.items() if n]
    if twice:
        warnings.warn(
            f"graph {twice[0]} lists {both[twice[0]]} edges in both directions ({len(twice)} such graphs), and the "
            "scores of both are added; pass directed=False to keep each edge once, or directed=True if both are meant",
            stacklevel=3,  # the caller of GraphDataset.from_pyg
        )
    return fields


def _tensor(graph, name, number):
    """Attribute of a graph as an array; None if it is missing."""
    value: Any = getattr(graph, name, None)
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return None if value is None else np.asarray(value)
