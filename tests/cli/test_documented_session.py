"""The session in the guide runs as it is printed."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "command_line.rst"
BLOCK = re.compile(r"^\.\. code-block:: (\w+)\n(?:   :caption: (.+)\n)?\n((?:   .*\n|\n)+)", re.MULTILINE)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
CHECKER = doctest.OutputChecker()


def test_session(run, write):
    pytest.importorskip("conllu")
    n_commands = 0
    for kind, name, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        text = re.sub("^   ", "", text, flags=re.MULTILINE).strip("\n") + "\n"
        if name:
            write(name, text)
        if kind != "console":
            continue
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            program, *arguments = shlex.split(command)
            assert program == "skstruct"
            _, out, err = run(arguments)
            assert CHECKER.check_output(expected, out + err, FLAGS), f"$ {command}\n{out}{err}"
            n_commands += 1
    assert n_commands == 7
