"""The Python blocks of the README run as they stand, one after the other."""

import re
from pathlib import Path

import pytest

from skstruct.inference import BACKENDS

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def namespace():
    return {"__name__": "__main__"}


BLOCKS = list(re.finditer(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))


def test_there_are_blocks():
    assert BLOCKS


@pytest.mark.parametrize("name", BACKENDS)
def test_backend_is_mentioned(name):
    assert f"`{name}`" in TEXT or f'"{name}"' in TEXT


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block[1].splitlines()[0][:40])
def test_block(block, namespace, capsys):
    exec(compile(block[1], str(README), "exec"), namespace)
    printed = capsys.readouterr().out.splitlines()
    promised = re.findall(r"^print\(.*\)  # (.*)$", block[1], re.MULTILINE)
    assert printed == promised
