"""A component is given by its name in a table, or as an object."""


def resolve(component, table, name):
    """Turn the name of a row of `table` into an instance with default parameters; pass objects on.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown, or if the object is none of a component; the message lists the known names
        under the parameter's `name`.
    """
    if not isinstance(component, str):
        if isinstance(component, type) or not hasattr(component, "get_params"):
            example = component if isinstance(component, type) else next(iter(table.values()))
            raise TypeError(
                f"{name} must be one of {list(table)} or an object such as {example.__name__}(), got {component!r}."
            )
        return component
    if component not in table:
        raise ValueError(f"{name} must be one of {list(table)} or an object, got {component!r}.")
    return table[component]()
