"""Reading and writing graphical models in the text formats of the UAI inference competitions.

A model file holds non-negative potentials; skstruct computes with their natural logarithms, the scores.
Potentials of 0 become -inf. Factors of at most two variables are taken. All readers and writers accept a path
or an open text file.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np

__all__ = ["UAIModel", "read_uai", "read_uai_log_partition", "read_uai_marginals", "write_uai"]

NETWORKS = ("MARKOV", "BAYES")


class UAIModel(NamedTuple):
    """A pairwise model, as the functions of ``skstruct.functional`` take it.

    Attributes
    ----------
    node_scores : ndarray of shape (n_nodes, n_states)
        ``n_states`` is the largest cardinality; states that a variable does not have score -inf.
    edges : ndarray of shape (n_edges, 2)
        Pairs of variables, each once, in the order of the file.
    edge_scores : ndarray of shape (n_edges, n_states, n_states)
        0 where one of the states does not exist.
    cardinalities : ndarray of shape (n_nodes,)
    log_constant : float
        Sum of the logs of the factors without variables: to be added to log-partitions and scores.
    """

    node_scores: np.ndarray
    edges: np.ndarray
    edge_scores: np.ndarray
    cardinalities: np.ndarray
    log_constant: float


def read_uai(model, evidence=None):
    """Read a pairwise model.

    Parameters
    ----------
    model : path or text file
        Of a ``MARKOV`` or ``BAYES`` network. Factors over the same variables are multiplied.
    evidence : path, text file or dict, default=None
        Known states of variables, as a file or as ``{variable: state}``; all other states of these variables
        are forbidden.

    Returns
    -------
    model : UAIModel

    Raises
    ------
    ValueError
        If a file is malformed, or a factor has more than two variables; the message tells the file, line and
        factor.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from skstruct.functional import marginals
    >>> from skstruct.io import read_uai
    >>> text = "MARKOV  2  2 3   2  1 0  2 0 1    2  0.4 0.6    6  1 2 3  4 5 6"
    >>> model = read_uai(io.StringIO(text), evidence={1: 2})
    >>> np.exp(model.edge_scores[0, :2]).round(3)  # the first variable has no third state
    array([[1., 2., 3.],
           [4., 5., 6.]])
    >>> found = marginals(model.node_scores, model.edges, model.edge_scores)
    >>> round(float(np.exp(found.log_partition)), 3)  # 0.4 * 3 + 0.6 * 6
    4.8
    """
    tokens = _Tokens(model)
    tokens.word("the type of network", NETWORKS)
    n = tokens.integer("the number of variables", 0)
    sizes = [tokens.integer(f"the cardinality of variable {v}", 1) for v in range(n)]
    cardinalities = np.array(sizes, np.intp)
    scopes = [_read_scope(tokens, k, n) for k in range(tokens.integer("the number of factors", 0))]
    n_states = int(cardinalities.max(initial=1))
    node = np.where(np.arange(n_states) < cardinalities[:, None], 0.0, -np.inf)
    pairs: dict[tuple[int, int], np.ndarray] = {}
    log_constant = 0.0
    for k, scope in enumerate(scopes):
        table = _read_table(tokens, k, scope, cardinalities)
        if not scope:
            log_constant += float(table)
        elif len(scope) == 1:
            node[scope[0], : len(table)] += table
        else:
            if scope[::-1] in pairs:
                scope, table = scope[::-1], table.T
            scores = pairs.setdefault(scope, np.zeros((n_states, n_states)))
            scores[: table.shape[0], : table.shape[1]] += table
    tokens.end("the last factor")
    known = evidence if isinstance(evidence, Mapping) else _read_evidence(evidence)
    for variable, state in known.items():
        if not 0 <= variable < n or not 0 <= state < cardinalities[variable]:
            raise ValueError(f"evidence: the model has no state {state} of a variable {variable}.")
        node[variable, np.arange(n_states) != state] = -np.inf
    edges = np.array(list(pairs), dtype=np.int32).reshape(-1, 2)
    edge = np.array(list(pairs.values())).reshape(-1, n_states, n_states)
    return UAIModel(node, edges, edge, cardinalities, log_constant)


def write_uai(file, node_scores, edges, edge_scores, cardinalities=None, log_constant=0.0):
    """Write a pairwise model: a factor for every node, then one for every edge.

    Parameters
    ----------
    file : path or text file
    node_scores : array-like of shape (n_nodes, n_states)
        Their exponentials are written, with 17 digits.
    edges : array-like of shape (n_edges, 2)
    edge_scores : array-like of shape (n_edges, n_states, n_states) or (1, n_states, n_states)
    cardinalities : array-like of shape (n_nodes,), default=None
        Numbers of states of the variables; None means ``n_states`` for all.
    log_constant : float, default=0.0
        Written as a factor without variables, unless it is 0.

    Raises
    ------
    ValueError
        If shapes do not match, or a finite score is beyond +-700, where exponentials end. Adding a constant
        to a node's scores, or an edge's, changes nothing but the log-partition.

    Examples
    --------
    >>> import io
    >>> from skstruct.io import read_uai, write_uai
    >>> file = io.StringIO()
    >>> write_uai(file, [[0.0, 0.5], [0.0, 0.0]], [(0, 1)], [[[1.0, 0.0], [0.0, 1.0]]])
    >>> _ = file.seek(0)
    >>> read_uai(file).node_scores
    array([[0. , 0.5],
           [0. , 0. ]])
    """
    node = np.asarray(node_scores, dtype=np.float64)
    if node.ndim != 2:
        raise ValueError(f"node_scores must have 2 dimensions, got shape {node.shape}.")
    n, n_states = node.shape
    edges = np.asarray(edges, dtype=np.intp).reshape(-1, 2)
    edge = np.asarray(edge_scores, dtype=np.float64).reshape(-1, n_states, n_states)
    if len(edge) not in (1, len(edges)):
        raise ValueError(f"edge_scores must have {len(edges)} matrices, one per edge, or one; got {len(edge)}.")
    edge = np.broadcast_to(edge, (len(edges), n_states, n_states))
    sizes = np.full(n, n_states) if cardinalities is None else np.asarray(cardinalities)
    if sizes.shape != (n,) or (n and (sizes.min() < 1 or sizes.max() > n_states)):
        raise ValueError(f"cardinalities must be {n} numbers from 1 to {n_states}.")
    constants = [np.array(log_constant)] if log_constant else []
    nodes = [node[v, : sizes[v]] for v in range(n)]
    pairs = [matrix[: sizes[i], : sizes[j]] for (i, j), matrix in zip(edges, edge)]
    lines = ["MARKOV", str(n), " ".join(map(str, sizes)), str(len(constants) + n + len(edges))]
    lines += ["0" for _ in constants] + [f"1 {v}" for v in range(n)] + [f"2 {i} {j}" for i, j in edges]
    for name, tables in (("log_constant", constants), ("node_scores", nodes), ("edge_scores", pairs)):
        for k, table in enumerate(tables):
            lines += [
                "",
                str(table.size),
                _potentials(table, name if name == "log_constant" else f"{name}[{k}]"),
            ]
    with _opened(file, "w") as stream:
        stream.write("\n".join(lines) + "\n")


def read_uai_marginals(file):
    """Read the marginals of a ``.MAR`` file.

    Parameters
    ----------
    file : path or text file

    Returns
    -------
    marginals : ndarray of shape (n_nodes, n_states)
        0 for states that a variable does not have.

    Examples
    --------
    >>> import io
    >>> from skstruct.io import read_uai_marginals
    >>> read_uai_marginals(io.StringIO("MAR  2  2 0.25 0.75  3 0.5 0.25 0.25"))
    array([[0.25, 0.75, 0.  ],
           [0.5 , 0.25, 0.25]])
    """
    tokens = _Tokens(file)
    tokens.word("the type of result", ("MAR",))
    rows = []
    for v in range(tokens.integer("the number of variables", 0)):
        n_states = tokens.integer(f"the cardinality of variable {v}", 1)
        rows.append(tokens.numbers(n_states, f"marginals of variable {v}"))
    tokens.end("the last variable")
    marginals = np.zeros((len(rows), max(map(len, rows), default=0)))
    for v, row in enumerate(rows):
        marginals[v, : len(row)] = row
    return marginals


def read_uai_log_partition(file):
    """Read the log-partition of a ``.PR`` file, where it is in base 10.

    Parameters
    ----------
    file : path or text file

    Returns
    -------
    log_partition : float
        In nats. It includes the model's evidence and constant factors.

    Examples
    --------
    >>> import io
    >>> from skstruct.io import read_uai_log_partition
    >>> round(read_uai_log_partition(io.StringIO("PR 2.0")), 6)
    4.60517
    """
    tokens = _Tokens(file)
    tokens.word("the type of result", ("PR",))
    (log10,) = tokens.numbers(1, "the log-partition")
    tokens.end("the log-partition")
    return float(log10 * np.log(10.0))


# ------------------------------------------------------------------------------------------ parts of files
def _read_scope(tokens, k, n_variables):
    """Variables of factor `k`, as a tuple."""
    size = tokens.integer(f"the number of variables of factor {k}", 0)
    scope = tuple(tokens.integer(f"variable {p} of factor {k}", 0, n_variables - 1) for p in range(size))
    if size > 2:
        raise tokens.error(f"factor {k} has {size} variables, {scope}; skstruct takes factors of at most two")
    if len(set(scope)) < size:
        raise tokens.error(f"factor {k} has variable {scope[0]} twice")
    return scope


def _read_table(tokens, k, scope, cardinalities):
    """Read the table of factor `k` as logs, with one axis per variable; the last one runs fastest."""
    shape = tuple(cardinalities[list(scope)])
    wanted = int(np.prod(shape, dtype=np.intp))
    size = tokens.integer(f"the size of the table of factor {k}", 0)
    if size != wanted:
        raise tokens.error(f"factor {k}, over variables {scope}, has a table of {size} entries, not {wanted}")
    table = tokens.numbers(size, f"the table of factor {k}")
    if not ((table >= 0) & (table < np.inf)).all():
        raise tokens.error(f"the table of factor {k} has an entry that is negative or not finite")
    with np.errstate(divide="ignore"):
        return np.log(table).reshape(shape)


def _read_evidence(file):
    """Read observed states by variable; a number of samples before them makes the number of words even."""
    if file is None:
        return {}
    tokens = _Tokens(file)
    if len(tokens.words) % 2 == 0 and tokens.words:
        samples = tokens.integer("the number of samples", 0)
        if samples != 1:
            raise tokens.error(f"{samples} samples of evidence, or an incomplete pair; expected one sample")
    n_observed = tokens.integer("the number of observed variables", 0) if tokens.words else 0
    known = {}
    for k in range(n_observed):
        variable = tokens.integer(f"the variable of observation {k}", 0)
        known[variable] = tokens.integer(f"the state of observation {k}", 0)
    tokens.end("the last observation")
    return known


def _potentials(scores, name):
    """Write exponentials of the scores, or refuse those that would overflow or vanish."""
    finite = scores[np.isfinite(scores)]
    if np.isnan(scores).any() or np.isposinf(scores).any() or (np.abs(finite) > 700).any():
        raise ValueError(f"{name} has an entry that is nan, inf or beyond +-700: no exponential to write.")
    return " ".join(f"{p:.17g}" for p in np.exp(scores).ravel())


def _opened(file, mode="r"):
    """Open a path; leave an open file open."""
    return nullcontext(file) if hasattr(file, "read" if mode == "r" else "write") else open(file, mode)


class _Tokens:
    """Words of a text file, read one after another; errors name the file and the line."""

    def __init__(self, file):
        with _opened(file) as stream:
            self.name = getattr(stream, "name", "text")
            lines = stream.read().splitlines()
        self.words = [word for line in lines for word in line.split()]
        self.lines = np.repeat(np.arange(1, len(lines) + 1), [len(line.split()) for line in lines])
        self.next = 0

    def error(self, problem, place=None):
        place = self.next - 1 if place is None else place
        where = f"line {self.lines[place]}" if 0 <= place < len(self.words) else "end of file"
        return ValueError(f"{self.name}, {where}: {problem}.")

    def _take(self, what, size=1):
        if self.next + size > len(self.words):
            raise self.error(f"expected {what}, but the file ends", len(self.words))
        self.next += size
        return self.words[self.next - size : self.next]

    def word(self, what, allowed):
        (found,) = self._take(what)
        if found.upper() not in allowed:
            raise self.error(f"expected {what}, {' or '.join(allowed)}, got {found!r}")

    def integer(self, what, least, most=None):
        (found,) = self._take(what)
        value = int(found) if found.lstrip("-").isdecimal() else least - 1
        if value < least or (most is not None and value > most):
            limits = f"of at least {least}" if most is None else f"from {least} to {most}"
            raise self.error(f"expected {what}, an integer {limits}, got {found!r}")
        return value

    def numbers(self, size, what):
        found = self._take(what, size)
        try:
            return np.array(found, dtype=np.float64)
        except ValueError:
            bad = next(k for k, word in enumerate(found) if not _is_number(word))
            place = self.next - size + bad
            raise self.error(f"expected a number in {what}, got {found[bad]!r}", place) from None

    def end(self, after):
        if self.next < len(self.words):
            raise self.error(f"unexpected {self.words[self.next]!r} after {after}", self.next)


def _is_number(word):
    try:
        float(word)
    except ValueError:
        return False
    return True
