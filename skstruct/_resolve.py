"""A component is given by its name in a table, or as an object."""

#: method that tells to which parameter a component belongs; in this order, as backends have `plan`, too
ROLES = {
    "value_and_gradient": "objective",
    "minimize": "optimizer",
    "decode": "decoding",
    "accepts": "inference",
    "plan": "features",
}


def require_role(component, role, place):
    """Refuse a component that does not belong to the parameter `role`; `place` begins the message.

    Raises
    ------
    TypeError
        Tells to which parameter it belongs, if to any.
    """
    found = next((parameter for method, parameter in ROLES.items() if hasattr(component, method)), None)
    if found != role:
        belongs = f"belongs to the parameter {found}" if found else f"lacks the methods of one for {role}"
        raise TypeError(f"{place}, got {component!r}, which {belongs}.")


def resolve(component, table, name):
    """Turn the name of a row of `table` into an instance with default parameters; pass objects on.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown, or if the object is none of a component; the message lists the known names
        under the parameter's `name`.
    """
    if not isinstance(component, str):
        example = component if isinstance(component, type) else next(iter(table.values()))
        wanted = f"{name} must be one of {list(table)} or an object such as {example.__name__}()"
        if isinstance(component, type) or not hasattr(component, "get_params"):
            raise TypeError(f"{wanted}, got {component!r}.")
        require_role(component, name, wanted)
        return component
    if component not in table:
        raise ValueError(f"{name} must be one of {list(table)} or an object, got {component!r}.")
    return table[component]()
