"""A reader of the words of a text file, whose errors name the line."""

import os
import re
from contextlib import nullcontext
from decimal import Context, Decimal, InvalidOperation

import numpy as np

BYTE_ORDER_MARK = "\ufeff"  # programs on Windows write it at the beginning of a file


def opened(file, mode="r"):
    """Open a path; leave an open file open."""
    if hasattr(file, "read" if mode == "r" else "write"):
        return nullcontext(file)
    if not isinstance(file, str | os.PathLike):
        raise TypeError(f"file must be a path or an open text file, got {file!r}.")
    return open(file, mode, encoding="utf-8")


def read_text(file):
    """Read a text file; return its name, for messages, and its content without a byte order mark."""
    with opened(file) as text_file:
        name = getattr(text_file, "name", "text")
        try:
            text = text_file.read()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{name} is not a text file in UTF-8: {error}. Open a file that is compressed or has another encoding, "
                "for example by gzip.open(path, 'rt', encoding='utf-8'), and pass the open file."
            ) from error
    if not isinstance(text, str):
        raise TypeError(f"{name} must be open as a text file, but its content is {type(text).__name__}.")
    return name, text.removeprefix(BYTE_ORDER_MARK)


class Tokens:
    """Words of a text file, read one after another; errors name the file and the line."""

    def __init__(self, file):
        self.name, text = read_text(file)
        lines = text.splitlines()
        self.words = [word for line in lines for word in line.split()]
        self.lines = np.repeat(np.arange(1, len(lines) + 1), [len(line.split()) for line in lines])
        self.next = 0

    def error(self, problem, number=None):
        """Error at the word of a number, by default at the last word read."""
        number = self.next - 1 if number is None else number
        where = f"line {self.lines[number]}" if 0 <= number < len(self.words) else "end of file"
        return ValueError(f"{self.name}, {where}: {problem}.")

    def word(self, what, allowed):
        """Read one of the words in `allowed`, in upper or lower case."""
        (found,) = self._take(what)
        if found.upper() not in allowed:
            raise self.error(f"expected {what}, {' or '.join(allowed)}, got {found!r}")

    def integer(self, what, least, most=10**18):
        """Read an integer from `least` to `most`."""
        (found,) = self._take(what)
        value = int(found) if re.fullmatch("-?[0-9]{1,19}", found) else least - 1
        if not least <= value <= most:
            limits = f"of at least {least}" if value < most == 10**18 else f"from {least} to {most}"
            raise self.error(f"expected {what}, an integer {limits}, got {found!r}")
        return value

    def numbers(self, size, what):
        """Read floats, (size,)."""
        found = self._take(what, size)
        try:
            return np.array(found, dtype=np.float64)
        except ValueError:
            bad = next(k for k, word in enumerate(found) if not _is_number(word))
            raise self.error(f"expected a number in {what}, got {found[bad]!r}", self.next - size + bad) from None

    def logarithms(self, size, what):
        """Read non-negative numbers and return their natural logarithms, (size,).

        A number may be beyond the range of floats: 1e-400 is 0 as a float, but its logarithm is not -inf.
        """
        numbers = self.numbers(size, what)
        with np.errstate(divide="ignore", invalid="ignore"):  # log of 0 or less, which is handled below
            logs = np.log(numbers)
        for k in np.flatnonzero(~((numbers >= np.finfo(np.float64).tiny) & (numbers < np.inf))):
            at = self.next - size + int(k)
            try:
                number = Decimal(self.words[at])
            except InvalidOperation:
                raise self.error(f"the number {self.words[at]!r} in {what} is out of range", at) from None
            if not (number.is_finite() and number >= 0):
                raise self.error(f"{what} has an entry that is negative or not finite", at)
            logs[k] = float(Context(prec=20).ln(number))
        return logs

    def end(self, after):
        """Check that no word is left."""
        if self.next < len(self.words):
            raise self.error(f"unexpected {self.words[self.next]!r} after {after}", self.next)

    def _take(self, what, size=1):
        if self.next + size > len(self.words):
            raise self.error(f"expected {what}, but the file ends", len(self.words))
        self.next += size
        return self.words[self.next - size : self.next]


def _is_number(word):
    try:
        float(word)
    except ValueError:
        return False
    return True
