"""Checkpoints of a training in a folder: files of skops, which are whole or do not exist."""

import os
import re
import warnings
from contextlib import suppress
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from skstruct.components import require, require_integers, require_number
from skstruct.data.optional import optional_module
from skstruct.estimator.checkpoints import CheckpointStore
from skstruct.io._models import load_model, trusted_types

NAME = re.compile(r"checkpoint-(\d{8})\.skops")


class Checkpoints(CheckpointStore):
    """Folder to which `fit` writes checkpoints, and from which it continues.

    ``fit`` writes a checkpoint after the first iteration, then in intervals, and at the end. If the program is killed,
    the same program continues from the newest checkpoint in the folder. The result has the same bits as without a
    break. Without checkpoints in the folder, ``fit`` starts from the beginning. If the training has ended, ``fit``
    returns its result.

    The data, the features and the parameters must be the same. Otherwise ``fit`` raises a ValueError, and changes
    nothing in the folder. These parameters may differ: `max_iter`, `tol`, `n_iter_no_change`, `n_jobs`, `temperature`,
    `verbose`, and `random_state`, because the states of random generators are in the checkpoint.

    A checkpoint is a fitted estimator with the state of its optimiser, as a file of skops. `load_model` loads it.

    Parameters
    ----------
    folder : path
        A folder for one training. It is created if it does not exist. Candidates of a search cannot have the same
        folder.
    seconds : float or None, default=60
        A checkpoint is written at the first iteration that ends so many seconds after the last checkpoint. None: time
        does not count. A checkpoint costs an evaluation of the objective, and the time to write the file.
    n_iter : int or None, default=None
        A checkpoint is written after so many iterations, if the seconds have not passed before. None: iterations do not
        count.
    keep : int, default=2
        Number of checkpoints to keep. Older checkpoints are deleted.
    trusted : list of str, default=()
        Names of types outside of skstruct that the checkpoints contain, such as a feature map of your own; as for
        `load_model`.

    See Also
    --------
    load_model : Load a checkpoint.

    Notes
    -----
    A file is written under another name, and renamed when it is complete. If a file cannot be written, for example
    because the disk is full, ``fit`` warns and goes on. If the newest checkpoint is damaged, ``fit`` warns and uses the
    one before it. If all are damaged, or a newer version of skstruct has written them, ``fit`` raises a ValueError.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.datasets import make_chain
    >>> from skstruct.io import Checkpoints
    >>> X, y = make_chain(n_graphs=20, return_X_y=True, random_state=0)
    >>> crf = GraphCRFClassifier(checkpoints=Checkpoints(mkdtemp(), seconds=600)).fit(X, y)
    >>> model, number = crf.checkpoints.read()
    >>> bool((model.predict(X).values == crf.predict(X).values).all())
    True
    """

    def __init__(self, folder, *, seconds=60.0, n_iter=None, keep=2, trusted=()):
        self.folder = folder
        self.seconds = seconds
        self.n_iter = n_iter
        self.keep = keep
        self.trusted = trusted

    def __getstate__(self):
        state: Any = super().__getstate__()
        is_path = isinstance(self.folder, os.PathLike)  # skops does not trust its type
        return {**state, "folder": os.fspath(self.folder) if is_path else self.folder}

    def check(self) -> None:
        """Refuse parameters that are out of range, and the lack of skops.

        Raises
        ------
        ValueError
            The message names the parameter.
        ImportError
            If skops is not installed.
        """
        optional_module("skops.io", "skops", "Checkpoints")
        require(self, "folder", isinstance(self.folder, str | os.PathLike), "a path")
        is_list = isinstance(self.trusted, list | tuple | set | frozenset)
        are_names = is_list and all(isinstance(name, str) for name in self.trusted)
        require(self, "trusted", are_names, "a list of names of types")
        require_integers(self, "keep")
        if self.seconds is not None:
            require_number(self, "seconds", lambda seconds: 0 <= seconds < np.inf, "None or a number >= 0")
        if self.n_iter is not None:
            require_number(self, "n_iter", lambda n_iter: n_iter >= 1, "None or an integer >= 1", Integral)

    def read(self) -> tuple[Any, int]:
        """Load the newest checkpoint that is whole.

        Returns
        -------
        model : estimator or None
            A fitted estimator. None if there is no checkpoint.
        number : int
            The largest number of a checkpoint in the folder. 0 if there is no checkpoint.

        Raises
        ------
        ValueError
            If no checkpoint can be loaded. The message contains the reason.

        Warns
        -----
        UserWarning
            If the newest checkpoint cannot be loaded, and the one before it is used.
        """
        files = self._files()
        problems: list[str] = []
        for number in sorted(files, reverse=True):
            try:
                model = load_model(files[number], self.trusted)
            except (ValueError, OSError) as error:
                problems.append(str(error))
                continue
            if problems:
                warnings.warn(f"{'; '.join(problems)}. The older {files[number]} is used.", stacklevel=2)
            return model, max(files)
        if problems:
            raise ValueError(
                f"no checkpoint in {self.folder} can be loaded: {'; '.join(problems)}. Use another folder, or delete "
                "the checkpoints to start again."
            )
        return None, 0

    def write(self, model: Any, number: int) -> None:
        """Write a checkpoint, and delete older ones.

        Parameters
        ----------
        model : estimator
        number : int
            Number of the checkpoint, larger than those before.

        Raises
        ------
        OSError
            If the file cannot be written, or another training writes to the folder. Older checkpoints are kept.
        ValueError
            If the model contains types that are not trusted, so that the checkpoint could not be loaded.
        """
        skops = optional_module("skops.io", "skops", "Checkpoints")
        content = skops.dumps(model)
        unknown = set(skops.get_untrusted_types(data=content)) - {*trusted_types(), *self.trusted}
        if unknown:
            raise ValueError(
                f"{self!r}: the checkpoint contains types that are not trusted, {sorted(unknown)}, and could not be "
                "loaded. If you know them, name them in trusted."
            )
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        if max(self._files(), default=0) >= number:
            raise FileExistsError(
                "another training writes to this folder; each training needs a folder of its own, also each candidate "
                "of a search"
            )
        target = folder / f"checkpoint-{number:08d}.skops"
        part = folder / f"{target.name}.{os.getpid()}.partial"
        try:
            with open(part, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, target)
        except BaseException:  # also Ctrl-C: no part of a file is left behind
            part.unlink(missing_ok=True)
            raise
        files = self._files()
        old = [files[other] for other in sorted(files)[: -self.keep]]
        for path in [*old, *folder.glob("checkpoint-*.partial")]:  # partial files are of processes that were killed
            with suppress(OSError):
                path.unlink()

    def _files(self):
        """Paths of the checkpoints by their number, a dict."""
        folder = Path(self.folder)
        names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        return {int(match[1]): folder / match[0] for match in map(NAME.fullmatch, names) if match}
