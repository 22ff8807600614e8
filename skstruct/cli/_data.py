"""The format of data files: chosen by an option, by the name of a file, or by a model."""

import argparse
from collections.abc import Iterable, Iterator

from skstruct.cli._columns import Columns
from skstruct.cli._conllu import CoNLLU
from skstruct.cli._crfsuite import CRFsuite
from skstruct.cli._formats import Format, Record
from skstruct.cli._json_lines import JSONLines

FORMATS: dict[str, type[Format]] = {kind.name: kind for kind in (Columns, CoNLLU, CRFsuite, JSONLines)}
PARAMETERS = ("columns", "label", "edges")


def add_format_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose a format."""
    group = parser.add_argument_group("format of the data")
    group.add_argument(
        "--format",
        choices=list(FORMATS),
        help="; ".join(f"{name}: {kind.help}" for name, kind in FORMATS.items())
        + ". Default: by the end of the first file name, else columns",
    )
    group.add_argument(
        "--columns",
        type=lambda text: text.split(","),
        metavar="NAME,...",
        help="names of the columns without that of the labels (default: c0,c1,...); in CoNLL-U the columns that "
        "describe a token (default: form)",
    )
    group.add_argument("--label", metavar="NAME", help="column of the labels in CoNLL-U (default: upos)")
    group.add_argument(
        "--edges", choices=["chain", "head"], help="edges in CoNLL-U: to the next token (default), or from the head"
    )


def chosen_format(options: argparse.Namespace) -> Format:
    """Return the format that options and file names choose."""
    stem = options.data[0].removesuffix(".gz")
    by_name = (kind.name for kind in FORMATS.values() if stem.endswith(kind.suffixes))
    kind = FORMATS[options.format or next(by_name, Columns.name)]
    given = {name: getattr(options, name) for name in PARAMETERS if getattr(options, name) is not None}
    for name in given:
        if name not in kind.parameters:
            raise ValueError(f"--{name} is not an option of the format {kind.name!r}")
    return kind(**given)


def saved_format(options: argparse.Namespace, settings: dict) -> Format:
    """Return the format of the training data of a model, unless options choose another one."""
    if not settings or any(getattr(options, name) is not None for name in ("format", *PARAMETERS)):
        return chosen_format(options)
    try:
        return FORMATS[settings["format"]](**settings["settings"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{options.model} has no valid format of data files: {settings!r:.200}") from error


def read_all(form: Format, paths: Iterable[str]) -> Iterator[Record]:
    """Read the records of several files."""
    for path in paths:
        yield from form.read(path)
