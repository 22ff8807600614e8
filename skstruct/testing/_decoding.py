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
    found, truth = decoder.decode(topology, scores), enumerate_exactly(topology, scores)
    assert_unchanged(before, scores, context)
    assert found.labels.shape == (topology.n_nodes,), f"labels of shape {found.labels.shape}: {context}"
    assert found.labels.dtype.kind == "i", f"labels of type {found.labels.dtype}: {context}"
    rows = edge_rows(scores, topology.n_edges)
    for g in range(topology.n_graphs):
        nodes, edges = np.arange(*topology.node_ptr[g : g + 2]), np.arange(*topology.edge_ptr[g : g + 2])
        i, j = topology.edges[edges].T
        total = scores.node[nodes, found.labels[nodes]].sum()
        total += scores.edge[rows[edges], found.labels[i], found.labels[j]].sum()
        best, slack = truth.best_score[g], ACCURACY * (1 + abs(truth.best_score[g]))
        where = f"{context}, graph {g}: {found}, best {best}"
        assert found.optimal[g] or not exact, f"exact, but not optimal: {where}"
        if best == -np.inf:
            assert found.score[g] == -np.inf, f"an infeasible graph scores more than -inf: {where}"
            continue
        assert found.score[g] == total or abs(found.score[g] - total) <= slack, f"the score is not the labels': {where}"
        assert found.score[g] <= found.bound[g] + slack, f"the bound is below the score: {where}"
        assert found.bound[g] >= best - slack, f"the bound is below the maximum: {where}"
        assert found.optimal[g] == (found.bound[g] == found.score[g]), f"optimal, but the bound is not met: {where}"
        if found.optimal[g]:
            assert found.score[g] >= best - slack, f"declared optimal, and is not: {where}"
    return True
