"""Graphs as data: packed graphs, ragged arrays, edges without features, and functions that read and check them.

This package imports no other package of skstruct. The classes for users are exported by `skstruct`.
"""

__all__: list[str] = []
