"""Components, such as inference backends, are given as names in a table or as objects."""

from collections.abc import Mapping
from typing import Any


def require_component(component: Any, base: type, requirement: str) -> None:
    """Refuse an object that is not an instance of `base`.

    Parameters
    ----------
    component : object
    base : type
        Base class of the components.
    requirement : str
        Start of the message.

    Raises
    ------
    TypeError
        If the object is a component of another kind, the message names the parameter to which it belongs.
    """
    if isinstance(component, base):
        return
    parameter = None if isinstance(component, type) else getattr(component, "parameter", None)
    belongs = (
        f"belongs to the parameter {parameter}"
        if isinstance(parameter, str)
        else f"is no object of a subclass of {base.__name__}"
    )
    raise TypeError(f"{requirement}, got {component!r}, which {belongs}.")


def resolve(component: Any, base: type, table: Mapping[str, type], name: str | None = None) -> Any:
    """Turn the name of a row of `table` into an instance with default parameters; return objects as they are.

    Parameters
    ----------
    component : str or object
    base : type
        Base class of the components. Its attribute `parameter` is the name of the parameter that accepts them.
    table : dict of {str: type}
    name : str, default=None
        Name of the parameter in messages. None: ``base.parameter``.

    Returns
    -------
    component : object
        An instance of `base`.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known names.
    TypeError
        If the object is not such a component; the message names the parameter that accepts it, if there is one.

    Examples
    --------
    >>> from skstruct.components import resolve
    >>> from skstruct.optim import OPTIMIZERS, Optimizer
    >>> resolve("lbfgs", Optimizer, OPTIMIZERS)
    LBFGS()
    """
    name = name or base.parameter  # type: ignore[attr-defined]  # every base class of components has it
    if isinstance(component, str):
        if component not in table:
            raise ValueError(f"{name} must be one of {list(table)} or an object, got {component!r}.")
        return table[component]()
    example = component if isinstance(component, type) else next(iter(table.values()))
    require_component(component, base, f"{name} must be one of {list(table)} or an object such as {example.__name__}()")
    return component
