"""Graphs as data: packed graphs, ragged arrays, edges without features, and what reads, checks and indexes them.

This package imports no other package of skstruct. The classes for users are exported by `skstruct`.
"""

__all__: list[str] = []
