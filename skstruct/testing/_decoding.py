"""The conformance battery of decoders."""

import itertools
from collections.abc import Sequence

import numpy as np

from skstruct.decoding import Decoder
from skstruct.scores import edge_rows
from skstruct.testing._models import (
    ACCURACY,
    SCORES,
    assert_unchanged,
    chosen_families,
    enumerate_exactly,
    random_scores,
)

__all__ = ["check_decoder"]


def check_decoder(
    decoder: Decoder,
    n_models: int = 3,
    random_state: int = 0,
    *,
    exact: bool = False,
    families: Sequence[str] | None = None,
) -> int:
    """Run the whole battery on a decoder.

    On every batch that the decoder accepts, its results are compared with an enumeration of all labellings:

    - The score is the score of the labels.
    - No labelling scores more than the bound, and labels that are declared optimal are optimal.
    - Infeasible graphs score -inf.
    - Arguments are not changed.

    Parameters
    ----------
    decoder : Decoder
    n_models : int, default=3
        Random models for each family of graphs and kind of scores.
    random_state : int, default=0
    exact : bool, default=False
        Whether every labelling must be optimal.
    families : sequence of str, default=None
        Names of the families of graphs to check, of `skstruct.testing.FAMILIES`; None checks all. One test for each
        family keeps tests short. The models of a family are the same, whatever the other families are.

    Returns
    -------
    n_checked : int
        Number of batches on which the decoder was checked. 0 if it accepts none of the given `families`.

    Raises
    ------
    AssertionError
        If a law is broken, or if `families` is None and the decoder accepts no batch. The message names the graphs and
        the law.

    Examples
    --------
    >>> from skstruct.decoding import ICM
    >>> from skstruct.testing import check_decoder
    >>> check_decoder(ICM(), n_models=1) > 0
    True
    """
    n_checked = 0
    for family, topology, rng in chosen_families(families, random_state):
        for _, kind, shared in itertools.product(range(n_models), SCORES, (False, True)):
            n_states = int(rng.integers(1, 4 if topology.n_nodes < 6 else 3))
            scores = random_scores(rng, topology, n_states, SCORES[kind], shared)
            context = f"{decoder!r}, family {family!r}, {kind} scores, {n_states} states, shared={shared}"
            n_checked += check_decoding(decoder, topology, scores, exact, context)
    assert n_checked or families is not None, f"{decoder!r} accepts none of the batches"
    return n_checked


def check_decoding(decoder, topology, scores, exact, context):
    """Check the results of a decoder on one batch; returns whether the decoder accepts the batch."""
    if not decoder.accepts(topology, scores).all():
        return False
    before = scores._replace(node=scores.node.copy(), edge=scores.edge.copy())
    found = decoder.decode(topology, scores)
    assert_unchanged(before, scores, context)
    check_decoded(found, topology, scores, enumerate_exactly(topology, scores), exact, context)
    return True


def check_decoded(found, topology, scores, truth, exact, context):
    """Compare decoded labellings of a batch with exact results."""
    assert found.labels.shape == (topology.n_nodes,), f"labels of shape {found.labels.shape}: {context}"
    assert found.labels.dtype.kind == "i", f"labels of type {found.labels.dtype}: {context}"
    i, j = topology.edges.T
    total = np.zeros(topology.n_graphs)
    np.add.at(total, topology.node_graph, scores.node[np.arange(topology.n_nodes), found.labels])
    rows = edge_rows(scores, topology.n_edges)
    np.add.at(total, topology.edge_graph, scores.edge[rows, found.labels[i], found.labels[j]])
    best, is_feasible = truth.best_score, truth.best_score > -np.inf
    slack = ACCURACY * (1 + np.abs(np.where(is_feasible, best, 0.0)))
    with np.errstate(invalid="ignore"):  # -inf - -inf
        is_score = (found.score == total) | (np.abs(found.score - total) <= slack)
    laws = {
        "exact, but not optimal": found.optimal | (not exact),
        "an infeasible graph scores more than -inf": is_feasible | (found.score == -np.inf),
        "the score is not the labels'": ~is_feasible | is_score,
        "the bound is below the score": ~is_feasible | (found.score <= found.bound + slack),
        "the bound is below the maximum": ~is_feasible | (found.bound >= best - slack),
        "optimal, but the bound is not met": ~is_feasible | (found.optimal == (found.bound == found.score)),
        "declared optimal, and is not": ~is_feasible | ~found.optimal | (found.score >= best - slack),
    }
    for law, holds in laws.items():
        assert holds.all(), f"{law}: {context}, graph {holds.argmin()}: {found}, best {best[holds.argmin()]}"
