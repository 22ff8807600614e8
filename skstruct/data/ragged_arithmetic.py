"""Arithmetic of ragged arrays, node by node."""

from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

ELEMENTWISE = {np.where, np.clip, np.round, np.around, np.isclose, np.allclose}
REDUCTIONS = {
    *(np.sum, np.prod, np.mean, np.average, np.median, np.std, np.var, np.cumsum, np.sort, np.argsort),
    *(np.max, np.min, np.argmax, np.argmin, np.any, np.all),
}


class RaggedArithmetic(NDArrayOperatorsMixin):
    """Operators and NumPy's element-wise functions for a class with packed `values` and offsets `ptr`.

    The other operand is a number, a ragged array with graphs of the same sizes, or an array of the shape of the values
    of one node, such as one number per class. A ragged array with one value per node is combined with all values of the
    node.
    """

    values: np.ndarray
    ptr: np.ndarray

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        name = f"np.{ufunc.__name__}"
        if method != "__call__" or ufunc.signature is not None:
            name = name if method == "__call__" else f"{name}.{method}"
            raise TypeError(f"{name} is not defined for a RaggedArray; use .values, the values of all nodes")
        operands = self._aligned([*inputs, *(out or ())], name)
        if out is not None:
            kwargs["out"] = tuple(operands[len(inputs) :])
        found = ufunc(*operands[: len(inputs)], **kwargs)
        return tuple(map(self._like, found)) if isinstance(found, tuple) else self._like(found)

    def _elementwise(self, func, args, kwargs):
        """Result of a function of `ELEMENTWISE`."""
        found = func(*self._aligned(args, f"np.{func.__name__}"), **kwargs)
        return self._like(found) if isinstance(found, np.ndarray) else found

    def _like(self, values: np.ndarray) -> Any:
        """Ragged array of the same graphs."""
        cls: Any = type(self)
        return cls(values, self.ptr)

    def _aligned(self, operands, name):
        """Operands that broadcast with each other."""
        trailing = max((x.values.shape[1:] for x in operands if isinstance(x, RaggedArithmetic)), key=len)
        return [self._per_node(x, trailing, name) for x in operands]

    def _per_node(self, operand: Any, trailing: tuple[int, ...], name: str) -> Any:
        """Operand that broadcasts with packed values, of which each node has the shape `trailing`."""
        if isinstance(operand, RaggedArithmetic):
            values = operand.values
            if not np.array_equal(operand.ptr, self.ptr):
                raise ValueError(
                    f"{name} needs graphs of equal sizes; got {len(self.ptr) - 1} graphs with {len(self.values)} nodes "
                    f"in all, and {len(operand.ptr) - 1} graphs with {len(values)} nodes"
                )
            if values.ndim == 1:
                return values.reshape(len(values), *[1] * len(trailing))
            if values.ndim != len(trailing) + 1:
                raise ValueError(
                    f"{name} got values of shape {values.shape[1:]} and of shape {trailing} per node; they must have "
                    "as many dimensions, or one of both must be one value per node"
                )
            return values
        if np.ndim(operand) == 0:
            return operand
        shape = np.shape(operand)
        if len(shape) > len(trailing) or any(n not in (1, m) for n, m in zip(shape[::-1], trailing[::-1])):
            raise ValueError(
                f"{name} got an array of shape {shape}, and the values of a node have shape {trailing}. For one value "
                "per node use RaggedArray(x, ragged.ptr), and for one value per graph "
                "RaggedArray(np.repeat(x, np.diff(ragged.ptr)), ragged.ptr)"
            )
        return operand
