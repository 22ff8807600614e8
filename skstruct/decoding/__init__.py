"""Decoders: from scores to the labelling of the highest score.

``DECODERS`` maps the names that ``decoding=`` accepts to classes; tests and the API page loop over it.
"""

from skstruct.decoding._alpha_expansion import AlphaExpansion
from skstruct.decoding._auto import AutoDecoder
from skstruct.decoding._base import Decoder
from skstruct.decoding._graph_cut import GraphCut
from skstruct.decoding._icm import ICM
from skstruct.decoding._linear_program import IntegerProgram, LinearProgram
from skstruct.decoding._trws import TreeReweightedMaxProduct

DECODERS = {
    "auto": AutoDecoder,
    "icm": ICM,
    "graph_cut": GraphCut,
    "alpha_expansion": AlphaExpansion,
    "tree_reweighted": TreeReweightedMaxProduct,
    "linear_program": LinearProgram,
    "integer_program": IntegerProgram,
}

__all__ = ["DECODERS", "Decoder", *(cls.__name__ for cls in DECODERS.values())]
