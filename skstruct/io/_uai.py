"""Readers and writers of graphical models in the text formats of the UAI inference competitions.

A model file contains non-negative potentials. The scores of skstruct are the natural logarithms of potentials, -inf for
the potential 0. Factors of at most two variables are supported. All readers and writers accept a path or an open text
file.
"""

import math
from collections.abc import Mapping
from numbers import Integral, Real
from os import PathLike
from typing import Any, NamedTuple, TextIO

import numpy as np
from sklearn.utils import check_scalar

from skstruct.data.score_tensors import check_score_tensors
from skstruct.io._text_tokens import Tokens, opened

NETWORKS = ("MARKOV", "BAYES")


class UAIModel(NamedTuple):
    """A pairwise model; its first three attributes are arguments of the functions of ``skstruct.functional``.

    Attributes
    ----------
    node_scores : ndarray of shape (n_nodes, n_states)
        ``n_states`` is the largest cardinality. States that a variable does not have score -inf.
    edges : ndarray of shape (n_edges, 2)
        Pairs of variables, each once, in the order of the file.
    edge_scores : ndarray of shape (n_edges, n_states, n_states)
        0 where one of the states does not exist.
    cardinalities : ndarray of shape (n_nodes,)
        Number of states of each variable.
    log_constant : float
        Sum of the logarithms of the factors without variables. Log-partitions and scores of labellings do not include
        it.
    """

    node_scores: np.ndarray
    edges: np.ndarray
    edge_scores: np.ndarray
    cardinalities: np.ndarray
    log_constant: float


def read_uai(
    model: str | PathLike | TextIO,
    evidence: str | PathLike | TextIO | Mapping | None = None,
    *,
    max_entries: float = 1e8,
) -> UAIModel:
    """Read a pairwise model.

    Parameters
    ----------
    model : path or text file
        A ``MARKOV`` or ``BAYES`` network. Factors over the same variables are multiplied.
    evidence : path, text file or dict, default=None
        Known states of variables, as a file or as ``{variable: state}``. All other states of these variables are
        forbidden.
    max_entries : float, default=1e8
        Largest sum of the sizes of `node_scores` and `edge_scores`, in numbers of 8 bytes. In these arrays all
        variables have as many states as the variable with most states, so that a small file can describe a large model.
        Such a model is refused before the arrays are allocated.

    Returns
    -------
    model : UAIModel

    Raises
    ------
    ValueError
        If a file is malformed, a factor has more than two variables, the model exceeds `max_entries`, or the evidence
        has two states for a variable. The message names the file, the line and the factor.

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
    check_scalar(max_entries, "max_entries", Real, min_val=1)
    tokens = Tokens(model)
    tokens.word("the type of network", NETWORKS)
    n = tokens.integer("the number of variables", 0)
    sizes = [tokens.integer(f"the cardinality of variable {v}", 1) for v in range(n)]
    scopes = [_read_scope(tokens, k, n) for k in range(tokens.integer("the number of factors", 0))]
    n_states = max(sizes, default=1)
    rows: dict[tuple[int, int], int] = {}  # number of each edge; its direction is that of its first factor
    for scope in scopes:
        if len(scope) == 2 and scope[::-1] not in rows:
            rows.setdefault(scope, len(rows))
    _check_size(tokens, n * n_states + len(rows) * n_states**2, max_entries, f"{n} variables", n_states, len(rows))
    cardinalities = np.array(sizes, np.intp)
    node = np.where(np.arange(n_states) < cardinalities[:, None], 0.0, -np.inf)
    edge = np.zeros((len(rows), n_states, n_states))
    log_constant = 0.0
    for k, scope in enumerate(scopes):
        table = _read_table(tokens, k, scope, sizes)
        if not scope:
            log_constant += float(table)
        elif len(scope) == 1:
            node[scope[0], : len(table)] += table
        else:
            if scope not in rows:
                scope, table = scope[::-1], table.T
            edge[rows[scope], : table.shape[0], : table.shape[1]] += table
    tokens.end("the last factor")
    for variable, state in _read_evidence(evidence).items():
        if not 0 <= variable < n or not 0 <= state < sizes[variable]:
            raise ValueError(f"evidence: the model has no state {state} of a variable {variable}.")
        node[variable, np.arange(n_states) != state] = -np.inf
    edges = np.array(list(rows), dtype=np.int32).reshape(-1, 2)
    return UAIModel(node, edges, edge, cardinalities, log_constant)


def write_uai(
    file: str | PathLike | TextIO,
    node_scores: Any,
    edges: Any,
    edge_scores: Any,
    cardinalities: Any = None,
    log_constant: float = 0.0,
) -> None:
    """Write a pairwise model: a factor for every node, then a factor for every edge.

    Parameters
    ----------
    file : path or text file
    node_scores : array-like of shape (n_nodes, n_states)
        The file contains their exponentials, with 17 digits.
    edges : array-like of shape (n_edges, 2)
    edge_scores : array-like of shape (n_edges, n_states, n_states) or (1, n_states, n_states)
    cardinalities : array-like of shape (n_nodes,), default=None
        Number of states of each variable. None: all variables have ``n_states``.
    log_constant : float, default=0.0
        Logarithm of a factor without variables, which is written unless `log_constant` is 0.

    Raises
    ------
    ValueError
        If shapes do not match, if an edge does not join two of the nodes, or if a finite score is beyond +-700, where
        its exponential is beyond the range of floats. Subtract a constant from the scores of that node or edge: this
        changes the log-partition by the constant, and no marginal.

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
    node, edges, edge = check_score_tensors(node_scores, edges, edge_scores)
    n, n_states = node.shape
    edge = np.broadcast_to(edge, (len(edges), n_states, n_states))
    sizes = [n_states] * n if cardinalities is None else list(cardinalities) if np.iterable(cardinalities) else []
    if len(sizes) != n or not all(_is_integer(size) and 1 <= size <= n_states for size in sizes):
        raise ValueError(f"cardinalities must be {n} integers from 1 to {n_states}, got {cardinalities!r}.")
    check_scalar(log_constant, "log_constant", Real)
    constants = [np.array(log_constant, np.float64)] if log_constant else []
    nodes = [scores[:size] for scores, size in zip(node, sizes)]
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
    with opened(file, "w") as text_file:
        text_file.write("\n".join(lines) + "\n")


def read_uai_marginals(file: str | PathLike | TextIO, *, max_entries: float = 1e8) -> np.ndarray:
    """Read the marginals of a ``.MAR`` file.

    Parameters
    ----------
    file : path or text file
    max_entries : float, default=1e8
        Largest size of the result, as for `read_uai`.

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
    check_scalar(max_entries, "max_entries", Real, min_val=1)
    tokens = Tokens(file)
    tokens.word("the type of result", ("MAR",))
    rows = []
    for v in range(tokens.integer("the number of variables", 0)):
        n_states = tokens.integer(f"the cardinality of variable {v}", 1)
        rows.append(tokens.numbers(n_states, f"marginals of variable {v}"))
        if not ((rows[v] >= 0) & (rows[v] <= 1)).all():
            raise tokens.error(f"variable {v} has a marginal that is not between 0 and 1")
    tokens.end("the last variable")
    n_states = max(map(len, rows), default=0)
    _check_size(tokens, len(rows) * n_states, max_entries, f"{len(rows)} variables", n_states)
    marginals = np.zeros((len(rows), n_states))
    for v, row in enumerate(rows):
        marginals[v, : len(row)] = row
    return marginals


def read_uai_log_partition(file: str | PathLike | TextIO) -> float:
    """Read the log-partition of a ``.PR`` file, which contains the logarithm to base 10.

    Parameters
    ----------
    file : path or text file

    Returns
    -------
    log_partition : float
        In nats. It includes the evidence and the constant factors of the model.

    Examples
    --------
    >>> import io
    >>> from skstruct.io import read_uai_log_partition
    >>> round(read_uai_log_partition(io.StringIO("PR 2.0")), 6)
    4.60517
    """
    tokens = Tokens(file)
    tokens.word("the type of result", ("PR",))
    (log10,) = tokens.numbers(1, "the log-partition")
    if not log10 < np.inf:
        raise tokens.error(f"the log-partition is {log10}")
    tokens.end("the log-partition")
    return float(log10 * np.log(10.0))


# ------------------------------------------------------------------------------------------ sections of files
def _read_scope(tokens, k, n_variables):
    """Variables of factor `k`, as a tuple."""
    size = tokens.integer(f"the number of variables of factor {k}", 0)
    scope = tuple(tokens.integer(f"variable {p} of factor {k}", 0, n_variables - 1) for p in range(size))
    if size > 2:
        raise tokens.error(f"factor {k} has {size} variables, {scope}; skstruct supports factors of at most two")
    if len(set(scope)) < size:
        raise tokens.error(f"factor {k} has variable {scope[0]} twice")
    return scope


def _check_size(tokens, needed, max_entries, variables, n_states, n_edges=0):
    """Refuse arrays that are too large."""
    if not needed <= max_entries:
        edges = f" and {n_edges} edges" if n_edges else ""
        raise tokens.error(
            f"{variables} of up to {n_states} states{edges} need {needed} numbers, {8 * needed / 2**30:.3g} GiB, more "
            f"than max_entries={max_entries:g}; raise it if you have the memory"
        )


def _read_table(tokens, k, scope, sizes):
    """Read the table of factor `k` as logarithms, with one axis per variable; the last variable changes fastest."""
    shape = tuple(sizes[v] for v in scope)
    wanted = math.prod(shape)
    size = tokens.integer(f"the size of the table of factor {k}", 0)
    if size != wanted:
        raise tokens.error(f"factor {k}, over variables {scope}, has a table of {size} entries, not {wanted}")
    return tokens.logarithms(size, f"the table of factor {k}").reshape(shape)


def _read_evidence(evidence):
    """Read observed states as ``{variable: state}``.

    Some files start with the number of samples. They have an even number of words: the number of samples, the number of
    observations, and two words per observation.
    """
    if isinstance(evidence, Mapping):
        odd = next((item for item in evidence.items() if not all(map(_is_integer, item))), None)
        if odd is not None:
            raise ValueError(
                f"evidence must map numbers of variables to numbers of states, got {odd[0]!r}: {odd[1]!r}."
            )
        return evidence
    if evidence is None:
        return {}
    tokens = Tokens(evidence)
    if len(tokens.words) % 2 == 0 and tokens.words:
        samples = tokens.integer("the number of samples", 0)
        if samples != 1:
            raise tokens.error(f"{samples} samples of evidence, or an incomplete pair; expected one sample")
    n_observed = tokens.integer("the number of observed variables", 0) if tokens.words else 0
    observed: dict[int, int] = {}
    for k in range(n_observed):
        variable = tokens.integer(f"the variable of observation {k}", 0)
        state = tokens.integer(f"the state of observation {k}", 0)
        if observed.setdefault(variable, state) != state:
            raise tokens.error(f"variable {variable} is observed in state {observed[variable]} and in state {state}")
    tokens.end("the last observation")
    return observed


def _is_integer(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def _potentials(scores, name):
    """Exponentials of the scores as text; scores whose exponential would overflow or become 0 are refused."""
    finite = scores[np.isfinite(scores)]
    if np.isnan(scores).any() or np.isposinf(scores).any() or (np.abs(finite) > 700).any():
        raise ValueError(f"{name} has an entry that is nan, inf or beyond +-700: no exponential to write.")
    return " ".join(f"{p:.17g}" for p in np.exp(scores).ravel())
