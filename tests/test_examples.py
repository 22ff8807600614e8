"""Every example runs, headless and without a warning, and draws its picture."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))
DATA = {"plot_camvid_segmentation": ["camvid-120x90.npz"]}  # needed, and not part of skstruct


def test_there_are_examples():
    assert {"plot_letters", "plot_snakes"} <= {path.stem for path in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, tmp_path, shared_data):
    arguments = [str(shared_data(name)) for name in DATA.get(path.stem, [])]
    script = tmp_path / path.name  # a copy, so that the pictures of `make example` stay as they are
    script.write_text(path.read_text())
    done = subprocess.run(
        # Parsers of matplotlib 3.7 and 3.8 warn when they are deleted.
        [sys.executable, "-W", "error", "-W", "ignore:Forward defined here", str(script), *arguments],
        env={**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    picture = tmp_path / "output" / f"{path.stem}.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 10_000
    FIGURES.get(path.stem, lambda text: None)(done.stdout)


def numbers_after(text, start):
    """Read the numbers in the line that begins with `start`."""
    line = next(line for line in text.splitlines() if line.startswith(start))
    words = line[len(start) :].replace(",", " ").split()
    return [float(word) for word in words if word.replace(".", "", 1).isdigit()]


def check_letters(text):
    (alone,) = numbers_after(text, "correct letters, each alone (LogisticRegression):")
    (map_,) = numbers_after(text, "correct letters, most probable word (MAP):")
    (marginal,) = numbers_after(text, "correct letters, most probable letters (marginal):")
    assert alone == pytest.approx(0.748, abs=0.003)
    assert map_ == pytest.approx(0.823, abs=0.003)
    assert marginal == pytest.approx(0.822, abs=0.003)


def check_snakes(text):
    cells, snake = numbers_after(text, "edges with features:")
    assert cells >= 0.999
    assert snake >= 0.99
    assert numbers_after(text, "no edges:")[1] < 0.5


def check_citations(text):
    (words,) = numbers_after(text, "words only:")[:1]
    (citations,) = numbers_after(text, "citations only:")
    (both,) = numbers_after(text, "words and citations:")[:1]
    assert words == pytest.approx(0.521, abs=0.02)
    assert citations == pytest.approx(0.725, abs=0.02)
    assert both == pytest.approx(0.838, abs=0.025)


def check_multilabel(text):
    def likelihood(model):
        return float(next(line for line in text.splitlines() if line.startswith(model)).split()[-1])

    assert likelihood("CRF, full:") > likelihood("classifier chain:") + 0.05
    assert likelihood("classifier chain:") > likelihood("independent:") + 0.1


def check_camvid(text):
    figures = [numbers_after(text, f"{model}:") for model in ("no edges", "edges, linear", "edges, network")]
    (alone, alone_iou), (linear, linear_iou), (network, network_iou) = figures
    assert linear >= alone + 0.02
    assert linear_iou >= alone_iou + 0.02
    assert network >= linear
    assert network_iou >= linear_iou


FIGURES = {
    "plot_camvid_segmentation": check_camvid,
    "plot_multilabel_scene": check_multilabel,
    "plot_cora_transductive": check_citations,
    "plot_letters": check_letters,
    "plot_snakes": check_snakes,
}
