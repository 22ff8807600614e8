"""Adapters for programs and models of other libraries."""

from skstruct.compat._crf import CRF
from skstruct.compat._model_file import from_crfsuite

__all__ = ["CRF", "from_crfsuite"]
