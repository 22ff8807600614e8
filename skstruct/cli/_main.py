"""The program: its commands, its messages and its exit codes."""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from skstruct.cli import _evaluate, _inspect, _predict, _train
from skstruct.version import VERSION

COMMANDS = {"train": _train, "predict": _predict, "evaluate": _evaluate, "inspect": _inspect}
# Errors of data, models and options; others are bugs. JSON can be nested too deeply.
ERRORS = (ValueError, TypeError, OSError, ImportError, MemoryError, RecursionError)
FAILED, INTERRUPTED = 1, 130


def main(argv: Sequence[str] | None = None) -> int:
    r"""Run the command line.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments without the name of the program. None: those of the process.

    Returns
    -------
    code : int
        Exit code. 0: success. 1: data, a model or the value of an option is wrong, as a message on the standard error
        stream says. 130: Ctrl-C.

    Raises
    ------
    SystemExit
        With the code 2 if arguments are missing or unknown, and with the code 0 after ``--help`` and ``--version``.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> from skstruct.cli import main
    >>> folder = Path(mkdtemp())
    >>> _ = (folder / "train.txt").write_text("the D\ndog N\n\na D\ncat N\n")
    >>> main(["train", "--quiet", "-m", str(folder / "m.skops"), str(folder / "train.txt")])
    0
    >>> main(["predict", "-m", str(folder / "m.skops"), str(folder / "train.txt")])  # doctest: +NORMALIZE_WHITESPACE
    the D D
    dog N N
    <BLANKLINE>
    a D D
    cat N N
    <BLANKLINE>
    0
    """
    if argv is not None and not (isinstance(argv, Sequence) and all(isinstance(word, str) for word in argv)):
        raise TypeError(f"argv must be a list of strings, got {argv!r}")
    options = _parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _show_warning
        try:
            COMMANDS[options.command].run(options)
            sys.stdout.flush()  # a closed pipe shows here, not at the end of the process
        except KeyboardInterrupt:
            _say("interrupted")
            return INTERRUPTED
        except BrokenPipeError:  # the reader of the output, such as `head`, has ended
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # open to the end of the process, when Python flushes it
            return FAILED
        except ERRORS as error:
            _say(f"error: {str(error) or type(error).__name__}")
            return FAILED
    return 0


def _parser():
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="skstruct",
        description="Conditional random fields for sequences and graphs.",
        epilog="`skstruct COMMAND --help` describes the options of a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"skstruct {VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        summary = module.SUMMARY
        command = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        module.add_arguments(command)
    return parser


def _show_warning(message, category, *_):
    _say(f"warning: {message}")


def _say(text):
    print(f"skstruct: {text}", file=sys.stderr)
