"""Damaged arguments of the whole public API, in child processes: no crash, and errors that name the argument."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

NEEDED = ("matplotlib", "networkx", "pandas", "skops", "conllu", "skimage", "pycrfsuite", "dask", "distributed")
FOLDER = Path(__file__).parent
AT_ONCE = 1000  # calls of a process
SECONDS = 300


def run(first, last):
    """Pairs of a call and its outcome, of a process with some of the calls; a crash ends them."""
    for library in NEEDED:
        pytest.importorskip(library)
    command = [sys.executable, "-m", "malformed", str(first), str(last)]
    try:
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=SECONDS)
        lines, end = done.stdout.splitlines(), f"exit code {done.returncode}: {done.stderr[-500:]}"
    except subprocess.TimeoutExpired as error:
        lines, end = (error.stdout or b"").decode().splitlines(), f"no end within {SECONDS} s"
    calls = [(json.loads(call), json.loads(outcome)) for call, outcome in zip(lines[::2], lines[1::2])]
    if len(lines) % 2:
        calls.append((json.loads(lines[-1]), ["crash", end]))
    elif not end.startswith("exit code 0"):
        raise RuntimeError(end)
    return calls


def test_the_battery_calls_the_whole_public_api():
    """A name that it does not know, or an argument that it has no valid value of, is an error with that name."""
    assert run(0, 0) == []


@pytest.mark.slow  # some minutes
def test_malformed_inputs(figure):
    calls = run(0, AT_ONCE)
    while new := run(calls[-1][0][0] + 1, calls[-1][0][0] + 1 + AT_ONCE):
        calls += new
    counts = Counter(kind for _, (kind, _) in calls)
    figure(
        f"malformed inputs: {counts['refused']} refused, {counts['accepted']} valid after all, in calls of "
        f"{counts['whole']} functions, methods, classes, commands and readers: {counts['crash']} crashes, "
        f"{counts['obscure']} obscure errors"
    )
    bad = [f"{call}: {result}" for call, result in calls if result[0] in ("crash", "obscure")]
    assert not bad, "\n".join(bad)
    assert counts["refused"] >= 1000
