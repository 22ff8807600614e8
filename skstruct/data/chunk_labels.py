"""Labels of chunks, such as "B-NP", consist of a prefix and a type."""

import re
from collections.abc import Iterable

import numpy as np

_LABEL = re.compile(r"([A-NP-Z])(?:-(.+))?|(O)", re.DOTALL)


def split_chunk_labels(labels: Iterable[str], name: str = "labels") -> dict[str, tuple[str, str | None]]:
    """Prefix and type of each distinct label, as a dict in sorted order of the labels.

    Parameters
    ----------
    labels : iterable of str
        "O", "B-x", "I-x", ..., or "B", "I", ..., whose type is None.
    name : str, default="labels"
        Name of the labels in messages.

    Returns
    -------
    parts : dict of {str: (str, str or None)}

    Raises
    ------
    TypeError
        If `labels` is not an iterable of strings.
    ValueError
        If a label has another form.

    Examples
    --------
    >>> from skstruct.data.chunk_labels import split_chunk_labels
    >>> split_chunk_labels(["O", "B-NP", "I-NP", "O"])
    {'B-NP': ('B', 'NP'), 'I-NP': ('I', 'NP'), 'O': ('O', None)}
    """
    wanted = f"{name} must be strings such as 'O', 'B-x' and 'I-x', or 'B' and 'I' without types"
    if isinstance(labels, str | bytes) or not np.iterable(labels):
        raise TypeError(f"{wanted}, in a list; got {labels!r}.")
    labels = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    parts = {}
    for label in labels:
        if not isinstance(label, str):
            raise TypeError(f"{wanted}; got {label!r}, a {type(label).__name__}.")
        match = _LABEL.fullmatch(label)
        if match is None:
            raise ValueError(f"{wanted}; got {label!r}. Rename the label, or leave it out.")
        parts[label] = match[3] or match[1], match[2]
    return {label: parts[label] for label in sorted(parts)}
