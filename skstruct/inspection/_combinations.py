"""The public weights of an estimator as linear functions of its parameters, and names for their directions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from skstruct.features import FeaturePlan

MOST_NAMES = 8  # terms of a direction in its name
EQUAL = 1e-4  # relative difference of equal changes, as derivatives of approximate inference have errors


class Weights:
    """The wanted entries of the public attributes, which are linear functions of the free parameters.

    Parameters
    ----------
    plan : FeaturePlan
        Of a linear map.
    free : ndarray of int, (n_free,)
        Numbers of the free parameters in `coef`.
    weights : dict of {str: mask} or None
        Wanted entries by attribute; None: all.

    Attributes
    ----------
    jacobian : csr_array of shape (n_wanted, n_free)
    """

    def __init__(self, plan: FeaturePlan, free: np.ndarray, weights: dict[str, Any] | None):
        self.plan, self.free = plan, free
        self.origin = plan.attributes(np.zeros(plan.n_coef))
        if not isinstance(weights, Mapping | None):
            raise TypeError(f"weights must be a dict of masks by attribute, or None, got {weights!r}.")
        unknown = set(weights or {}) - set(self.origin)
        if unknown:
            raise ValueError(f"weights names {sorted(unknown)}, but the attributes are {list(self.origin)}.")
        self.masks = {}
        for name, values in self.origin.items():
            wanted = np.asarray(True if weights is None else weights.get(name, False))
            if wanted.dtype != bool:
                raise TypeError(f"weights[{name!r}] must be a mask, an array of bool; got dtype {wanted.dtype}.")
            try:
                mask = np.broadcast_to(wanted, values.shape)
            except ValueError:
                raise ValueError(
                    f"weights[{name!r}] must be a mask that broadcasts to the shape {values.shape} of the attribute; "
                    f"got shape {wanted.shape}."
                ) from None
            self.masks[name] = mask[_positions(values)] if issparse(values) else mask.ravel()
        self.jacobian = self._jacobian()

    def _attributes(self, parameters):
        full = np.zeros(self.plan.n_coef)
        full[self.free] = parameters
        return self.plan.attributes(full)

    def _wanted(self, parameters):
        """Wanted entries of all attributes, (n_wanted,)."""
        found = self._attributes(parameters)
        return np.concatenate([_flat(values)[self.masks[name]] for name, values in found.items()])

    def _jacobian(self):
        """Derivatives of the wanted entries.

        Nearly all entries are one parameter, or its negative, or zero. The entries at the parameters 1, 2, 3, ... are
        then the numbers of their parameters. Random parameters show whether this is so.
        """
        n = len(self.free)
        numbers, probe = self._wanted(np.arange(1, n + 1)), np.random.default_rng(0).normal(size=n)
        rows = np.flatnonzero(numbers)
        columns = np.abs(numbers[rows]).astype(np.intp) - 1
        shape = len(numbers), n
        if columns.max(initial=0) < n:
            single = csr_array((np.sign(numbers[rows]), (rows, columns)), shape=shape)
            if np.allclose(single @ probe, self._wanted(probe), rtol=1e-12, atol=0):
                return single
        return csr_array(np.stack([self._wanted(unit) for unit in np.eye(n)], axis=1))

    def unpack(self, values: np.ndarray) -> dict[str, Any]:
        """Arrays in the shapes of the attributes, from values of the wanted entries; nan for other entries."""
        found, start = {}, 0
        for name, mask in self.masks.items():
            flat = np.full(mask.shape, np.nan)
            flat[mask] = values[start : start + mask.sum()]
            start += mask.sum()
            like = self.origin[name]
            if issparse(like):
                found[name] = csr_array((flat, _positions(like)), shape=like.shape)
            else:
                found[name] = flat.reshape(like.shape)
        return found

    def describe(self, direction: np.ndarray) -> str:
        """Name a direction by the entries that it changes, such as ``"coef_[0, 1] - 2 coef_[0, 3]"``."""
        terms = [term for name, values in self._attributes(direction).items() for term in _terms(name, values)]
        text = ""
        for value, name in terms[:MOST_NAMES]:
            ratio = value / terms[0][0]
            factor = "" if np.isclose(abs(ratio), 1, rtol=EQUAL) else f"{abs(ratio):.3g} "
            text += (f" {'-' if ratio < 0 else '+'} " if text else "") + factor + name
        return text if len(terms) <= MOST_NAMES else f"{text} and {len(terms) - MOST_NAMES} more terms"


def _flat(values):
    return values.data if issparse(values) else values.ravel()


def _positions(table):
    """Row and column of each stored number."""
    table = table.tocoo()
    return table.row, table.col


def _terms(name, values):
    """Values and names of the blocks of an attribute that are constant over the classes, and of other nonzero entries.

    A block is a column of `coef_`, the whole of `intercept_`, or a matrix of `edge_coef_`.
    """
    values = values.toarray() if issparse(values) else values
    flat, numbers = values.ravel(), np.arange(values.size).reshape(values.shape)
    if values.ndim == 2:
        blocks = {f"{name}[:, {column}]": numbers[:, column] for column in range(values.shape[1])}
    else:
        blocks = {f"{name}[:]": numbers} if values.ndim == 1 else {f"{name}[{k}]": n for k, n in enumerate(numbers)}
    for label, block in blocks.items():
        changed = block[flat[block] != 0]
        if len(changed) == block.size and np.ptp(flat[changed]) <= EQUAL * np.abs(flat[changed]).max(initial=0.0):
            yield flat[changed[0]], label
            continue
        for number in changed:
            yield flat[number], name + str([int(i) for i in np.unravel_index(number, values.shape)])
