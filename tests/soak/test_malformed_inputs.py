"""Damaged arguments of the whole public API, in child processes: no crash, and errors that name the argument."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "malformed_inputs.py"
AT_ONCE = 1000  # calls of a process
SECONDS = 300


def run(first):
    """Pairs of a call and its outcome, of a process that starts with call number `first`; a crash ends them."""
    command = [sys.executable, str(SCRIPT), str(first), str(first + AT_ONCE)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        lines, end = done.stdout.splitlines(), f"exit code {done.returncode}: {done.stderr[-500:]}"
    except subprocess.TimeoutExpired as error:
        lines, end = (error.stdout or b"").decode().splitlines(), f"no end within {SECONDS} s"
    calls = [(json.loads(call), json.loads(outcome)) for call, outcome in zip(lines[::2], lines[1::2])]
    if len(lines) % 2:
        calls.append((json.loads(lines[-1]), ["crash", end]))
    elif not end.startswith("exit code 0"):
        raise RuntimeError(end)
    return calls


@pytest.mark.slow  # a minute or two
def test_malformed_inputs(figure):
    calls = run(0)
    while new := run(calls[-1][0][0] + 1):
        calls += new
    counts = Counter(kind for _, (kind, _) in calls)
    n_entries = len({name for (_, name, _, _), _ in calls})
    figure(
        f"malformed inputs: {counts['refused']} refused, {counts['accepted']} valid after all, of {n_entries} public "
        f"functions, methods and classes: {counts['crash']} crashes, {counts['obscure']} obscure errors"
    )
    bad = [f"{call}: {result}" for call, result in calls if result[0] in ("crash", "obscure")]
    assert not bad, "\n".join(bad)
    assert counts["refused"] >= 1000
