"""Components, such as inference backends, are given as names in a table or as objects."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator


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


def same_settings(first: Any, second: Any) -> bool:
    """Whether two values of a parameter mean the same: equal values, or components of a class with equal parameters.

    Examples
    --------
    >>> from skstruct.components import same_settings
    >>> from skstruct.inference import Auto, LoopyBP
    >>> same_settings(LoopyBP(), LoopyBP()), same_settings(Auto([LoopyBP()]), Auto([LoopyBP(max_iter=50)]))
    (True, False)
    """
    if isinstance(first, BaseEstimator):
        parameters = first.get_params(deep=False)
        others = second.get_params(deep=False) if type(second) is type(first) else {}
        return others.keys() == parameters.keys() and all(same_settings(parameters[k], others[k]) for k in parameters)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same_settings, first, second))
    return first is second or np.array_equal(first, second)
