"""CRFsuiteFeatures: a linear map with the weights that CRFsuite creates."""

import math
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from skstruct.components import require, require_number
from skstruct.features import FeatureMap, LinearFeatures

LINEAR = LinearFeatures("observed", fit_intercept=False, node_weights="observed")


class CRFsuiteFeatures(FeatureMap):
    """Linear feature map without intercepts, and with the weights that CRFsuite creates for the same training data.

    The frequency of a pair of an attribute and a label is the sum of the values of the attribute over the training
    tokens with the label. The frequency of a transition is the number of its occurrences. Stored features of value 0
    are occurrences, too.

    Parameters
    ----------
    min_freq : float, default=0
        Pairs and transitions of a lower frequency have no weight.
    all_possible_states, all_possible_transitions : bool, default=False
        Whether pairs (transitions) that do not occur in the training data have a weight. Their frequency is 0.
    """

    def __init__(self, min_freq=0.0, all_possible_states=False, all_possible_transitions=False):
        self.min_freq = min_freq
        self.all_possible_states = all_possible_states
        self.all_possible_transitions = all_possible_transitions

    def collect(self, dataset, codes, classes):
        """Sum the frequencies in a piece of the data; see `FeatureMap`."""
        x, n_states = csr_array(dataset.node_features), len(classes)
        present = csr_array((np.ones(x.nnz, np.int8), x.indices, x.indptr), shape=x.shape)
        labels = np.repeat(codes, np.diff(x.indptr))
        known, ends = labels >= 0, codes[dataset.topology.edges].astype(np.int64)
        ends = ends[(ends >= 0).all(axis=1)]
        return CRFsuiteStatistics(
            LINEAR.collect(dataset.with_node_features(present), codes, classes),
            Frequencies.of(x.indices[known].astype(np.int64) * n_states + labels[known], x.data[known]),
            Frequencies.of(ends[:, 0] * n_states + ends[:, 1], np.ones(len(ends))),
        )

    def merge(self, first, second):
        """Combine the statistics of two pieces of the data; see `FeatureMap`."""
        linear = LINEAR.merge(first.linear, second.linear)
        return CRFsuiteStatistics(linear, *(one.merged(other) for one, other in zip(first[1:], second[1:])))

    def plan_from(self, statistics, classes):
        """Set up the parameters; see `FeatureMap`.

        Raises
        ------
        ValueError
            If `min_freq` is no number.
        """
        require_number(self, "min_freq", lambda frequency: not math.isnan(frequency), "a number")
        linear, states, transitions = statistics
        n_features, n_states = linear.n_features, len(classes)
        states = states.frequent(self.min_freq, n_features * n_states if self.all_possible_states else 0)
        transitions = transitions.frequent(self.min_freq, n_states**2 if self.all_possible_transitions else 0)
        has_weights = len(states.keys) + len(transitions.keys) > 0
        require(self, "min_freq", has_weights, "at most the largest frequency, or the model has no weights")
        counts = csr_array(
            (np.maximum(states.numbers, 1), np.divmod(states.keys, n_states)), shape=(n_features, n_states)
        )
        observed = linear.observed._replace(counts=counts)
        return LINEAR.plan_from(linear._replace(observed=observed, pairs=transitions.keys), classes)


class Frequencies(NamedTuple):
    """Sums of values by key."""

    keys: np.ndarray  # sorted, without repetitions
    sums: np.ndarray
    numbers: np.ndarray  # of values in each sum

    @classmethod
    def of(cls, keys, values, numbers=None):
        """Sums of `values` with equal `keys`."""
        keys, inverse = np.unique(keys, return_inverse=True)
        sums, numbers = (np.bincount(inverse.ravel(), weights, len(keys)) for weights in (values, numbers))
        return cls(keys, sums, numbers.astype(np.int64))

    def merged(self, other):
        """Sums of both."""
        return Frequencies.of(*(np.concatenate(pair) for pair in zip(self, other)))

    def frequent(self, least, n_possible):
        """Keys whose sum is at least `least`, where absent keys below `n_possible` have the sum 0."""
        every = self
        if n_possible:
            all_keys = np.arange(n_possible)
            every = self.merged(Frequencies(all_keys, np.zeros(n_possible), np.zeros(n_possible, np.int64)))
        is_kept = every.sums >= least
        return Frequencies(*(array[is_kept] for array in every))


class CRFsuiteStatistics(NamedTuple):
    """Statistics of the linear map, and frequencies by ``feature * n_states + label`` and ``from * n_states + to``."""

    linear: NamedTuple
    states: Frequencies
    transitions: Frequencies
