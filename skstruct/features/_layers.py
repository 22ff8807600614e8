"""Layers of a network: affine maps with a transfer function between them, and their derivatives.

``ACTIVATIONS`` maps the name of each transfer function to its implementation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit


class Transfer(NamedTuple):
    """A transfer function, and its derivative as a function of the value; both change an array in place.

    Attributes
    ----------
    apply : callable
        ``apply(z)`` replaces ``z`` by the values ``h``.
    multiply : callable
        ``multiply(d, h)`` multiplies ``d`` by the derivative at the values ``h``.
    bound : float
        Numerator of the squared bound of the initial weights (X. Glorot, Y. Bengio, "Understanding the difficulty of
        training deep feedforward neural networks", AISTATS 2010), as in `MLPClassifier`.
    """

    apply: Callable[[np.ndarray], Any]
    multiply: Callable[[np.ndarray, np.ndarray], Any]
    bound: float = 6.0


def _multiply_tanh(d, h):
    square = h * h
    square *= d
    d -= square


def _multiply_logistic(d, h):
    factor = 1.0 - h
    factor *= h
    d *= factor


ACTIVATIONS = {
    "identity": Transfer(lambda z: None, lambda d, h: None),
    "logistic": Transfer(lambda z: expit(z, out=z), _multiply_logistic, bound=2.0),
    "relu": Transfer(lambda z: np.maximum(z, 0.0, out=z), lambda d, h: np.multiply(d, h > 0, out=d)),
    "tanh": Transfer(lambda z: np.tanh(z, out=z), _multiply_tanh),
}


class LayersContext(NamedTuple):
    """Values of a forward pass that the backward pass needs.

    Attributes
    ----------
    values : list
        ``[h_0, h_1, ..., h_L]``; ``h_0``, the inputs, may be a CSR matrix.
    coef : ndarray of shape (n_coef,)
    """

    values: list[Any]
    coef: np.ndarray

    @property
    def output(self):
        """Values of the last layer, (n_rows, n_outputs)."""
        return self.values[-1]


@dataclass(frozen=True)
class Layers:
    r"""Layers :math:`h_0 = x`, :math:`h_l = g(h_{l-1} W_l + b_l)`, and the output :math:`h_L = h_{L-1} W_L + b_L`.

    The parameters are a flat vector with the layout ``[W_1, b_1, W_2, b_2, ...]``.

    Attributes
    ----------
    sizes : tuple of int
        Numbers of inputs, of units of each hidden layer, and of outputs.
    activation : str
        Name of the transfer function `g` in `ACTIVATIONS`.
    """

    sizes: tuple[int, ...]
    activation: str

    @property
    def n_coef(self):
        """Number of parameters."""
        return sum((n_in + 1) * n_out for n_in, n_out in zip(self.sizes, self.sizes[1:]))

    def split(self, coef):
        """Return views of the weights and biases of each layer in `coef`."""
        layers, start = [], 0
        for n_in, n_out in zip(self.sizes, self.sizes[1:]):
            middle, stop = start + n_in * n_out, start + (n_in + 1) * n_out
            layers.append((coef[start:middle].reshape(n_in, n_out), coef[middle:stop]))
            start = stop
        return layers

    @property
    def penalized(self):
        """1 for weights, 0 for biases, (n_coef,)."""
        penalized = np.ones(self.n_coef)
        for _, bias in self.split(penalized):
            bias[:] = 0.0
        return penalized

    def initial_coef(self, random_state):
        """Draw all parameters uniformly within Glorot's bound, in the order of `MLPClassifier`."""
        coef = np.empty(self.n_coef)
        for weights, bias in self.split(coef):
            bound = np.sqrt(ACTIVATIONS[self.activation].bound / sum(weights.shape)) if sum(weights.shape) else 0.0
            weights[:] = random_state.uniform(-bound, bound, weights.shape)
            bias[:] = random_state.uniform(-bound, bound, bias.shape)
        return coef

    def forward(self, x, coef):
        """Compute the values of all layers, a `LayersContext`.

        Parameters
        ----------
        x : ndarray or CSR matrix of shape (n_rows, n_inputs)
        coef : ndarray of shape (n_coef,)
        """
        values, transfer = [x], ACTIVATIONS[self.activation]
        for number, (weights, bias) in enumerate(self.split(coef)):
            if number:
                transfer.apply(values[-1])
            z = values[-1] @ weights
            z += bias
            values.append(z)
        return LayersContext(values, coef)

    def backward(self, context, d_output, out=None):
        """Gradient of the result of the first affine map, (n_rows, sizes[1]); adds the gradient of `coef` to `out`.

        Parameters
        ----------
        context : LayersContext
        d_output : ndarray of shape (n_rows, n_outputs)
        out : ndarray of shape (n_coef,), default=None
            None: the gradient of `coef` is not needed.
        """
        values, layers, d = context.values, self.split(context.coef), d_output
        gradients = layers if out is None else self.split(out)
        for number in range(len(layers) - 1, -1, -1):
            if out is not None:
                d_weights, d_bias = gradients[number]
                d_weights += values[number].T @ d
                d_bias += d.sum(axis=0)
            if number:
                d = d @ layers[number][0].T
                ACTIVATIONS[self.activation].multiply(d, values[number])
        return d

    def input_gradient(self, x, coef, d_output):
        """Gradient of the inputs, (n_rows, n_inputs), given the gradient of the outputs."""
        return self.backward(self.forward(x, coef), d_output) @ self.split(coef)[0][0].T

    def tangent(self, context, d_coef):
        """Derivative of the outputs along `d_coef`, (n_rows, n_outputs)."""
        layers, change = self.split(context.coef), None  # the inputs do not change
        for number, (d_weights, d_bias) in enumerate(self.split(d_coef)):
            d = context.values[number] @ d_weights
            d += d_bias
            if change is not None:
                ACTIVATIONS[self.activation].multiply(change, context.values[number])
                d += change @ layers[number][0]
            change = d
        return change

    def weights_and_biases(self, coef):
        """Copies of the weights, and of the biases, of all layers, as lists."""
        layers = self.split(coef)
        return [weights.copy() for weights, _ in layers], [bias.copy() for _, bias in layers]
