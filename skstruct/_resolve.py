"""A component is given by its name in a table, or as an object."""


def resolve(component, table, name):
    """Turn the name of a row of `table` into an instance with default parameters; pass objects on.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known ones under the parameter's `name`.
    """
    if not isinstance(component, str):
        return component
    if component not in table:
        raise ValueError(f"{name} must be one of {list(table)} or an object, got {component!r}.")
    return table[component]()
