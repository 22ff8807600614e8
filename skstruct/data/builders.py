"""Graphs, sequences and datasets are packed into the fields of a GraphDataset.

In this module the *fields* of one graph are the tuple ``(node_features, edges, edge_features)``.
"""

import numpy as np
import scipy.sparse as sp

from skstruct.data.structure import as_edges, list_of, offsets
from skstruct.data.tables import as_table, is_frame, n_rows, stack_rows


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
        "node_ptr": offsets([n_rows(x) for x in nodes]),
        "edge_ptr": offsets([len(e) for e in edges]),
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
        "node_ptr": offsets(np.concatenate([np.diff(d.node_ptr) for d in datasets])),
        "edge_ptr": offsets(np.concatenate([np.diff(d.edge_ptr) for d in datasets])),
    }


def chain_edges(node_ptr):
    """Edges from every node to the next of its graph, as local numbers, and their offsets."""
    sizes = np.diff(node_ptr)
    local = np.arange(node_ptr[-1]) - np.repeat(node_ptr[:-1], sizes)
    first = local[local < np.repeat(sizes, sizes) - 1].astype(np.int32)
    return np.column_stack([first, first + 1]), offsets(np.maximum(sizes - 1, 0))


def pack_sequences(sequences):
    """Fields of a dataset of chains."""
    if isinstance(sequences, str) or is_frame(sequences) or sp.issparse(sequences):
        raise TypeError(f"got one sequence ({type(sequences).__name__}); pass a list of sequences")
    tables = []
    for g, sequence in enumerate(list_of("sequences", sequences)):
        if isinstance(sequence, str | dict):
            raise TypeError(
                f"sequence {g} is a {type(sequence).__name__}; pass a list of dicts or strings per sequence"
            )
        words = isinstance(sequence, np.ndarray) and sequence.ndim == 1 and sequence.dtype.kind in "UOT"
        tables.append(as_table(sequence.tolist() if words else sequence, f"sequence {g}"))
    if not tables:
        raise ValueError("Found no sequences (0 sample(s)) while a minimum of 1 is required.")
    node_ptr = offsets([n_rows(x) for x in tables])
    edges, edge_ptr = chain_edges(node_ptr)
    return {
        "node_features": stack_rows(tables, "node features"),
        "edges": edges,
        "node_ptr": node_ptr,
        "edge_ptr": edge_ptr,
    }
