"""Components, such as inference backends, are given as names in a table or as objects; checks of their parameters."""

from collections.abc import Callable, Mapping
from numbers import Integral, Real
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
    >>> from skstruct.inference import Auto, Chain, LoopyBP, Tree
    >>> same_settings(LoopyBP(), LoopyBP()), same_settings(Auto([LoopyBP()]), Auto([LoopyBP(max_iter=50)]))
    (True, False)
    >>> same_settings(Chain(), Tree())
    False
    """
    if isinstance(first, BaseEstimator):
        # a component stores its parameters and nothing else; `get_params` inspects a signature, which is slow
        if type(second) is not type(first):
            return False
        parameters, others = vars(first), vars(second)
        return others.keys() == parameters.keys() and all(same_settings(parameters[k], others[k]) for k in parameters)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(same_settings, first, second))
    if isinstance(first, Real) and isinstance(second, Real) and first != first:
        return second != second  # nan, such as a missing label
    return first is second or np.array_equal(first, second)


def require(component: BaseEstimator, name: str, good: Any, wanted: str) -> None:
    """Raise a ValueError that names component, parameter and value, unless `good` is true."""
    if not good:
        raise ValueError(f"{type(component).__name__}: {name} must be {wanted}, got {getattr(component, name)!r}.")


def require_number(
    component: BaseEstimator, name: str, accepts: Callable[[Any], bool], wanted: str, kind: type = Real
) -> None:
    """Refuse a parameter that is no number of a kind, or for which ``accepts(number)`` is False.

    Parameters
    ----------
    component : BaseEstimator
    name : str
        Name of the parameter.
    accepts : callable
    wanted : str
        Description of the numbers that are accepted, for the message.
    kind : type, default=numbers.Real
        `numbers.Real` or `numbers.Integral`. Booleans are no numbers here.

    Raises
    ------
    ValueError
        The message contains the component, the parameter and its value.

    Examples
    --------
    >>> from skstruct.components import require_number
    >>> from skstruct.inference import LoopyBP
    >>> require_number(LoopyBP(tol="1e-3"), "tol", lambda tol: tol > 0, "a positive number")
    Traceback (most recent call last):
    ValueError: LoopyBP: tol must be a positive number, got '1e-3'.
    """
    value = getattr(component, name)
    is_number = isinstance(value, kind) and not isinstance(value, bool | np.bool_)
    require(component, name, is_number and accepts(value), wanted)


def require_integers(component: BaseEstimator, *names: str, least: int = 1) -> None:
    """Refuse parameters that are no integers of at least `least`; see `require_number`."""
    for name in names:
        require_number(component, name, lambda number: number >= least, f"an integer >= {least}", Integral)
