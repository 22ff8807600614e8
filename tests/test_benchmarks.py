import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

ROOT = Path(__file__).parents[1]


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250)


def test_a_case_writes_table_json_and_plot(tmp_path):
    done = run("graphs.grid_2_states", "scaling.loopy_edges", "--size", "tiny", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "benchmarks.json").read_text())
    assert {check["case"] for check in found["checks"]} == {"graphs.grid_2_states"}
    assert {row["engine"] for row in found["rows"]} == {"skstruct loopy_bp", "numpy, synchronous"}
    assert len(found["sweeps"]) == 1
    assert (tmp_path / "benchmarks.md").read_text().startswith("# Benchmarks")
    assert (tmp_path / "benchmarks.png").stat().st_size > 0


def test_a_case_without_its_data_is_reported(tmp_path):
    done = run("chains.letters_training", "--size", "tiny", "--data", str(tmp_path), "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "not run: letters.npz is not in the data folder" in done.stdout


def test_unknown_case_is_refused():
    done = run("nonsense")
    assert done.returncode == 2
    assert "no case matches" in done.stderr
