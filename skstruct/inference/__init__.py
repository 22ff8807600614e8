"""Inference backends: they compute marginals and labellings from scores.

``BACKENDS`` maps the names that the parameter ``inference`` accepts to classes. Tests, benchmarks and the API page loop
over it.
"""

from skstruct.inference._auto import Auto
from skstruct.inference._base import (
    BACKENDS,
    InferenceBackend,
    InferencePlan,
    LazyPlan,
    Linearization,
    LinearizedPlan,
)
from skstruct.inference._chain import Chain
from skstruct.inference._edgeless import Edgeless
from skstruct.inference._enumeration import Enumeration
from skstruct.inference._gibbs import Gibbs
from skstruct.inference._junction_tree import JunctionTree
from skstruct.inference._loopy import LoopyBP
from skstruct.inference._mean_field import MeanField
from skstruct.inference._tree import Tree
from skstruct.inference._tree_reweighted import TreeReweightedBP
from skstruct.scores import Decoding, Marginals, Scores, direct_marginals, exact_decoding, score_labelling

BACKENDS |= {
    "auto": Auto,
    "edgeless": Edgeless,
    "chain": Chain,
    "tree": Tree,
    "junction_tree": JunctionTree,
    "loopy_bp": LoopyBP,
    "tree_reweighted": TreeReweightedBP,
    "mean_field": MeanField,
    "gibbs": Gibbs,
    "enumeration": Enumeration,
}

__all__ = [
    "BACKENDS",
    "InferenceBackend",
    "InferencePlan",
    "LazyPlan",
    "Linearization",
    "LinearizedPlan",
    "Scores",
    "Marginals",
    "Decoding",
    "direct_marginals",
    "exact_decoding",
    "score_labelling",
    *(cls.__name__ for cls in BACKENDS.values()),
]
