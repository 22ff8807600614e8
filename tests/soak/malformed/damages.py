"""Random damages of values: other values, other shapes, other types, damaged parts."""

import copy
from pathlib import Path
from types import SimpleNamespace

import networkx as nx
import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.preprocessing import StandardScaler

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray

GARBAGE = [
    *[None, True, -1, 0, 3, -(10**25), 0.5, -2.5, float("nan"), float("inf"), 1e300, 1j, "", "garbage"],
    *["\0", b"bytes", [], [None], [[]], [[[]]], {}, {"a": 1}, set(), object, object(), len, ..., range(3), "0"],
    *[np.zeros(0), np.zeros((0, 3)), np.zeros((2, 2, 2)), np.array(1.0), np.array([object()], object), np.ma.masked],
    *[np.array(["2020-01-01"], "M8[D]"), Path(".")],
    *[StandardScaler(), StandardScaler, GraphCRFClassifier, ("a",), [1, "a", None], [np.nan], [[1, 2], [3]]],
]
ENTRIES_OF_ARRAYS = [np.nan, np.inf, -np.inf, -1, 10**9, 2**40, -(2**31), 0.5, 1e300, 1e-320]
CELLS = [b"", b"0", b"-1", b"99", b"1e999", b"nan", b"9" * 30, b"_", b"\0", b"\xff\xfe", "\u2028".encode(), b"#", b":"]


class Content(bytes):
    """Content of a file."""


def damaged(value, rng):
    """One random damage of a value."""
    kind = next((kind for kind in DAMAGES if isinstance(value, kind)), None)
    if kind in (Content, bool) or (kind is not None and rng.random() < 0.8):
        return DAMAGES[kind](value, rng)
    return rng.choice(GARBAGE)


def damaged_bool(value, rng):
    """Something else than a boolean; what has a truth value may be accepted, so that arrays are left out."""
    return rng.choice([value for value in GARBAGE if not isinstance(value, np.ndarray)])


def damaged_number(value, rng):
    if rng.random() < 0.6:
        return rng.choice(GARBAGE)
    return rng.choice([-value - 1, value + 0.5, str(value), [value], np.array([value])])


def damaged_items(items, rng):
    """A list or tuple with one item less or more, with one damaged item, or as a damaged array."""
    if not items:
        return rng.choice(GARBAGE)
    parts, place, change = list(items), rng.randrange(len(items)), rng.randrange(5)
    if change == 0:
        del parts[place]
    elif change == 1:
        parts.insert(place, parts[place])
    elif change == 2:
        try:
            return damaged_array(np.asarray(items), rng)
        except (ValueError, TypeError, AttributeError):
            return rng.choice(GARBAGE)
    else:
        parts[place] = damaged(parts[place], rng)
    return parts if isinstance(items, list) else tuple(parts)


def damaged_dict(mapping, rng):
    changed = dict(mapping)
    if not changed:
        return rng.choice(GARBAGE)
    key = rng.choice(list(changed))
    value = changed.pop(key)
    change = rng.randrange(4)
    if change == 0:
        changed[rng.choice([None, 3, ("a",), "garbage"])] = value
    elif change > 1:
        changed[key] = damaged(value, rng)
    return changed


def damaged_array(array, rng):
    if not array.size:
        return rng.choice(GARBAGE)
    change = rng.randrange(9)
    if change == 0:
        return array[:-1]
    if change == 1:
        return np.concatenate([array, array[:1]])
    if change == 2:
        return array[..., None]
    if change == 3:
        return array.T if array.ndim > 1 else array[None]
    if change == 4:
        return array.astype(rng.choice(["U8", "c16", "S4", "O", "?"]))
    if change == 5:
        return array[:0]
    if change == 6:
        return array.ravel()
    if change == 7:
        return sp.coo_array(array) if array.ndim == 2 and array.dtype.kind in "if" else array.tolist()
    other = array.astype(float) if array.dtype.kind in "if" else array.astype(object)
    other.flat[rng.randrange(other.size)] = rng.choice(ENTRIES_OF_ARRAYS)
    return other


def damaged_frame(frame, rng):
    """A data frame with one column, row, name or entry damaged."""
    column, change = rng.choice(list(frame.columns)), rng.randrange(6)
    if change == 0:
        return frame.drop(columns=column)
    if change == 1:
        return frame[:-1]
    if change == 2:
        return frame.sample(frac=1.0, random_state=rng.randrange(100))
    if change == 3:
        return frame.rename(columns={column: rng.choice(list(frame.columns))})
    if change == 4:
        return frame[:0]
    other = frame.astype({column: object})
    other.iloc[rng.randrange(len(other)), list(other.columns).index(column)] = rng.choice(
        [None, np.nan, -1, "garbage", 2.5, 10**30]
    )
    return other


def damaged_networkx(graph, rng):
    """A graph with a loop, a new node, or one attribute damaged."""
    other, change = copy.deepcopy(graph), rng.randrange(4)
    if change == 0:
        other.add_edge(0, 0)
    elif change == 1:
        other.add_node("new")
    else:
        holder = rng.choice([other.nodes[0], *(other.edges[edge] for edge in other.edges)])
        name = rng.choice(list(holder))
        value = holder.pop(name)
        if change == 2:
            holder[name] = damaged(value, rng)
    return other


def damaged_attribute(value, rng):
    """An object with one attribute damaged."""
    other = copy.deepcopy(value)
    name = rng.choice(list(vars(other)))
    setattr(other, name, damaged(getattr(other, name), rng))
    return other


def damaged_dataset(dataset, rng):
    return damaged([(graph.node_features, graph.edges, graph.edge_features) for graph in dataset], rng)


def damaged_content(content, rng):
    """Content of a file that is cut, has other bytes, or has other lines or cells."""
    change, place = rng.randrange(8), rng.randrange(len(content))
    if change == 0:
        return Content(content[:place])
    if change == 1:
        return Content(content[:place] + bytes(rng.randrange(256) for _ in range(8)) + content[place + 8 :])
    if change == 2:
        return Content(rng.choice([b"", b"\0" * 50, b"\x1f\x8b\x08" + content, bytes(range(256)), b"\n\n \n"]))
    try:
        text = content.decode()
    except UnicodeDecodeError:  # no text
        return Content(content[:place] + rng.choice(CELLS) + content[place + rng.randrange(8) :])
    if change == 3:
        return Content(text.encode(rng.choice(["utf-16", "utf-32", "cp037"])))
    lines = text.split("\n")
    row = rng.randrange(len(lines))
    if change == 4:
        del lines[row]
    elif change == 5:
        lines.insert(rng.randrange(len(lines)), lines[row])
    else:
        separator = "\t" if "\t" in lines[row] else " "
        cells = lines[row].split(separator)
        cells[rng.randrange(len(cells))] = rng.choice(CELLS).decode("utf-8", "surrogateescape")
        if change == 6:
            del cells[rng.randrange(len(cells))]
        lines[row] = separator.join(cells)
    return Content("\n".join(lines).encode("utf-8", "surrogateescape"))


DAMAGES = {
    Content: damaged_content,
    RaggedArray: lambda value, rng: damaged(value.tolist(), rng),
    GraphDataset: damaged_dataset,
    np.ndarray: damaged_array,
    pd.DataFrame: damaged_frame,
    nx.Graph: damaged_networkx,
    SimpleNamespace: damaged_attribute,
    list: damaged_items,
    tuple: damaged_items,
    dict: damaged_dict,
    bool: damaged_bool,
    int: damaged_number,
    float: damaged_number,
}
