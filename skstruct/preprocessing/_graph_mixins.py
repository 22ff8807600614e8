"""Mixins of transformers of graphs: node features that do not change, and outputs that are always graphs."""

import numpy as np
from sklearn.utils.validation import validate_data

from skstruct.data.structure import list_of


class KeptNodeFeatures:
    """Mixin of the transformers that return node features unchanged: their names pass through.

    ``n_features_in_`` and ``feature_names_in_``, which scikit-learn reads of a step of a pipeline, describe node
    features.
    """

    def _remember_nodes(self, table, reset=True):
        """Remember the number and the names of the node features in `table`, or compare them with those seen in fit."""
        if isinstance(table, list) and not table:  # of no nodes, whose features are not known
            return
        validate_data(self, table, skip_check_array=True, reset=reset)  # numbers and names only

    def get_feature_names_out(self, input_features=None):
        """Names of the node features, which this transformer does not change.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the node features. None: the names seen in fit, or "x0", "x1", ... if they had no names.

        Returns
        -------
        ndarray of str, or None
            None if nodes have dicts or strings instead of columns and `input_features` is None.

        Raises
        ------
        ValueError
            If `input_features` differ from the names seen in fit.
        """
        seen = getattr(self, "feature_names_in_", None)
        n_seen = getattr(self, "n_features_in_", None)
        if input_features is None:
            return seen if seen is not None or n_seen is None else np.array([f"x{j}" for j in range(n_seen)], object)
        names = np.array(list_of("names in input_features", input_features), dtype=object)
        if seen is not None and names.tolist() != seen.tolist():
            raise ValueError(f"input_features {names.tolist()} are not the node features seen in fit, {seen.tolist()}")
        if n_seen not in (None, len(names)):
            raise ValueError(f"input_features has {len(names)} names, but fit saw {n_seen} node features")
        return names


class GraphOutput:
    """Mixin of the transformers whose output is always a GraphDataset.

    Their classes also need the keyword ``auto_wrap_output_keys=None``: scikit-learn's wrapping of outputs would convert
    a GraphDataset to a data frame.
    """

    def set_output(self, *, transform=None):
        """Do nothing: the output is always a GraphDataset.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Ignored.

        Returns
        -------
        self
        """
        return self
