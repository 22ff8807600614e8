"""The version of the package, and the check that saved data are not of a newer version."""

import re
from typing import Any

VERSION = "0.1.0.dev0"
STAMP = "_skstruct_version"  # key of the version in the state of an estimator


def refuse_newer(version: Any, what: str) -> None:
    """Refuse data that a newer version of skstruct has saved.

    Parameters
    ----------
    version : str
        The version that has saved the data.
    what : str
        The data, for the message.

    Raises
    ------
    ValueError
        If `version` is newer than this version, or is no version. Development versions count as the release that they
        precede.

    Examples
    --------
    >>> from skstruct.version import refuse_newer
    >>> refuse_newer("99.0", "model.skops")
    Traceback (most recent call last):
    ValueError: model.skops was saved by skstruct 99.0, which is newer than this version, ...
    """
    release, here = _release(version), _release(VERSION)
    if release is None:
        raise ValueError(f"{what} was saved by the version {version!r:.100} of skstruct, which is no version")
    if release > here:
        raise ValueError(
            f"{what} was saved by skstruct {version:.100}, which is newer than this version, {VERSION}; update "
            "skstruct to load it"
        )


def _release(version):
    """Numbers of a version, such as [0, 1] for "0.1.0.dev0"; None if it is no version."""
    match = re.match(r"\d{1,6}(\.\d{1,6}){0,5}(?!\d)", version) if isinstance(version, str) else None
    if match is None:
        return None
    numbers = [int(number) for number in match[0].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers


class Versioned:
    """Mixin, left of `BaseEstimator`: the state of an estimator records the version of skstruct.

    A state of a newer version is refused with a ValueError when it is loaded: by pickle, skops, and others.
    """

    def __getstate__(self):
        state: Any = super().__getstate__()
        return {**state, STAMP: VERSION}

    def __setstate__(self, state):
        state = dict(state)
        refuse_newer(state.pop(STAMP, VERSION), f"this {type(self).__name__}")
        super().__setstate__(state)  # type: ignore[misc]  # object has no such method, BaseEstimator has
