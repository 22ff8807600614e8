"""Lists of strings as two arrays, to store them: the UTF-8 bytes of all strings, and offsets."""

import numpy as np


def pack_texts(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Pack strings.

    Parameters
    ----------
    texts : list of str
        Lone surrogates are allowed.

    Returns
    -------
    text : ndarray of uint8
    ptr : ndarray of shape (n_texts + 1,), int64
        String ``i`` consists of the bytes ``text[ptr[i]:ptr[i + 1]]``.

    Examples
    --------
    >>> from skstruct.data.packed_texts import pack_texts, unpack_texts
    >>> unpack_texts(*pack_texts(["a", "", "Zoë"]))
    ['a', '', 'Zoë']
    """
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    ptr = np.concatenate([[0], np.cumsum(list(map(len, encoded)), dtype=np.int64)])
    return np.frombuffer(b"".join(encoded), np.uint8), ptr


def unpack_texts(text: np.ndarray, ptr: np.ndarray) -> list[str]:
    """Undo `pack_texts`.

    Parameters
    ----------
    text, ptr : ndarray
        As `pack_texts` returns them.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If the arrays, which may come from a damaged file, are not those of strings.
    """
    if text.dtype != np.uint8 or text.ndim != 1 or ptr.dtype.kind != "i" or ptr.ndim != 1 or not len(ptr):
        raise ValueError(f"packed strings are bytes and offsets, got arrays of {text.dtype} and {ptr.dtype}")
    if ptr[0] != 0 or ptr[-1] != len(text) or (ptr[1:] < ptr[:-1]).any():
        raise ValueError(f"the offsets of packed strings must rise from 0 to {len(text)}, the number of bytes")
    content = text.tobytes()
    return [content[a:b].decode("utf-8", "surrogatepass") for a, b in zip(ptr.tolist(), ptr[1:].tolist())]
