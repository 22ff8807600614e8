"""A feature map from a torch module: torch computes the node scores and their derivatives."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.func import functional_call, jvp
from torch.nn.utils import parameters_to_vector

from skstruct.features import FeatureMap, FeaturePlan
from skstruct.scores import Scores


class TorchFeatures(FeatureMap):
    """Node scores from a torch module, and one matrix of edge weights; for dense node features.

    Parameters
    ----------
    module : torch.nn.Module
        Maps a tensor of shape (n_nodes, n_features) to a tensor of shape (n_nodes, n_classes), one node at a time: the
        scores of a node do not depend on the other nodes of the batch. Training starts at its parameters, and leaves
        the module unchanged.
    """

    def __init__(self, module):
        self.module = module

    def collect(self, dataset, codes, classes):
        """Return the number of features, on which the plan depends."""
        return dataset.node_features.shape[1]

    def merge(self, first, second):
        """Return the number of features, which is the same in all pieces of the data."""
        return first

    def plan_from(self, statistics, classes):
        """Copy the module in 64 bits, and check the shape of its result."""
        module = deepcopy(self.module).double().eval()
        with torch.no_grad():
            shape = tuple(module(torch.zeros(1, statistics, dtype=torch.float64)).shape)
        if shape != (1, len(classes)):
            raise ValueError(f"the module must return {len(classes)} scores, one for each class; got shape {shape}.")
        return TorchPlan(module, len(classes))


class Context(NamedTuple):
    """Graph of the forward pass: torch differentiates `node` with respect to `parameters`."""

    x: Any
    parameters: Any
    node: Any
    n_edges: int


@dataclass(frozen=True, eq=False)
class TorchPlan(FeaturePlan):
    """Parameters ``[parameters of the module, U (C, C)]``."""

    module: torch.nn.Module
    n_states: int
    has_tangent = True  # `tangent` is implemented

    def __eq__(self, other):
        return isinstance(other, TorchPlan) and str(self.module) == str(other.module)

    @property
    def n_module(self):
        """Number of parameters of the module."""
        return sum(parameter.numel() for parameter in self.module.parameters())

    @property
    def n_coef(self):
        """Number of parameters."""
        return self.n_module + self.n_states**2

    def _named(self, vector):
        """Dict of the parameters of the module, views of a flat tensor."""
        parameters = dict(self.module.named_parameters())
        parts = torch.split(vector, [parameter.numel() for parameter in parameters.values()])
        return {name: part.view_as(p) for (name, p), part in zip(parameters.items(), parts)}

    @property
    def penalized(self):
        """0 for the biases, which are vectors."""
        module = [np.full(p.numel(), float(p.ndim > 1)) for p in self.module.parameters()]
        return np.concatenate([*module, np.ones(self.n_states**2)])

    def initial_coef(self, random_state):
        """Parameters of the given module, and no edge weights."""
        module = parameters_to_vector(self.module.parameters()).detach().numpy()
        return np.concatenate([module, np.zeros(self.n_states**2)])

    def prepare(self, batch):
        """Node features as a tensor, and the number of edges."""
        return torch.tensor(np.asarray(batch.node_features, np.float64)), batch.n_edges

    def scores(self, inputs, coef):
        """Forward pass; the context keeps the graph from which torch computes derivatives."""
        x, n_edges = inputs
        parameters = torch.tensor(coef[: self.n_module], requires_grad=True)  # a copy
        node = functional_call(self.module, self._named(parameters), (x,))
        edge = coef[self.n_module :].reshape(1, self.n_states, self.n_states).copy()
        scores = Scores(node.detach().numpy().copy(), edge, np.zeros(n_edges, np.int32))
        return scores, Context(x, parameters, node, n_edges)

    def pullback(self, context, d_scores, out):
        """Backward pass: add the gradient to `out`."""
        d_node = torch.from_numpy(np.ascontiguousarray(d_scores.node))
        (gradient,) = torch.autograd.grad(context.node, context.parameters, d_node, retain_graph=True)
        out[: self.n_module] += gradient.numpy()
        out[self.n_module :] += d_scores.edge[0].ravel()

    def tangent(self, context, d_coef):
        """Derivative of the scores along `d_coef`."""

        def forward(parameters):
            return functional_call(self.module, self._named(parameters), (context.x,))

        direction = torch.tensor(d_coef[: self.n_module])
        _, node = jvp(forward, (context.parameters.detach(),), (direction,))
        edge = d_coef[self.n_module :].reshape(1, self.n_states, self.n_states)
        return Scores(node.numpy(), edge, np.zeros(context.n_edges, np.int32))

    def attributes(self, coef):
        """State dict of the trained module, for ``module.load_state_dict``, and the edge weights."""
        named = self._named(torch.tensor(coef[: self.n_module]))
        edge = coef[self.n_module :].reshape(1, self.n_states, self.n_states).copy()
        return {"state_dict_": {name: part.clone() for name, part in named.items()}, "edge_coef_": edge}
