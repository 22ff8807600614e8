"""Optional libraries, which are imported where they are used."""

from importlib import import_module
from types import ModuleType


def optional_module(name: str, extra: str, purpose: str) -> ModuleType:
    """Import a library that skstruct does not require.

    Parameters
    ----------
    name : str
        Name of the module.
    extra : str
        Extra of skstruct that installs the library.
    purpose : str
        What needs the library; the first words of the message.

    Returns
    -------
    module : module

    Raises
    ------
    ImportError
        If the library is not installed. The message names the extra.

    Examples
    --------
    >>> from skstruct.data.optional import optional_module
    >>> optional_module("snakes_on_a_graph", "interop", "Drawing snakes")
    Traceback (most recent call last):
    ImportError: Drawing snakes needs snakes_on_a_graph: pip install "skstruct[interop]"
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:  # the library is there, and lacks a library of its own
            raise
        message = f'{purpose} needs {name.partition(".")[0]}: pip install "skstruct[{extra}]"'
        raise ImportError(message) from error
