"""The command line: ``skstruct train | predict | evaluate | inspect``, also as ``python -m skstruct``."""

from skstruct.cli._main import main

__all__ = ["main"]
