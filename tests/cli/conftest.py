import pytest

from skstruct.cli import main


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run a command in a folder of its own; return its exit code and what it has written."""
    pytest.importorskip("skops")
    monkeypatch.chdir(tmp_path)

    def run(command):
        arguments = command.split() if isinstance(command, str) else command
        try:
            code = main(list(map(str, arguments)))
        except SystemExit as end:  # of argparse
            code = end.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def write(tmp_path):
    """Write a file in the folder of the commands."""

    def write(name, text):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return name

    return write
