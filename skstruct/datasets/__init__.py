"""Real data sets in the package, and random data drawn from known conditional random fields."""

from skstruct.datasets._generated import make_chain, make_grid, make_tree
from skstruct.datasets._letters import load_letters
from skstruct.datasets._snakes import load_snakes

__all__ = ["load_letters", "load_snakes", "make_chain", "make_tree", "make_grid"]
