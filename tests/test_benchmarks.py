"""Every benchmark runs at its smallest size and asserts its results; the tables and pages contain all of them."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from benchmarks import _report, page
from benchmarks.__main__ import CASES, main, run_case
from benchmarks._crfsuite import CRFsuite
from benchmarks._machine import environment
from benchmarks._measure import Run

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
PROCESSES = ["mapped.memory", "resources.memory", "resources.cold_start"]  # start many, which takes long
IN_PROCESS = [name for name in CASES if name not in PROCESSES]
UNMEASURED = "exact.uai_grids"  # at this size, no instance fits its bound


def run(*arguments, timeout=600):
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Run a case in this process, once: ``result(name)`` is the file that it writes, and its content."""
    if not DATA.exists():
        pytest.skip(f"the benchmarks need the data in {DATA}")
    folder, machine = tmp_path_factory.mktemp("benchmarks"), environment(None)

    @cache
    def found(name):
        done, error, seconds = run_case(Run(name, "tiny", DATA, repeats=1))
        assert not error, error
        return folder / f"{name}.json", _report.save(folder, done, seconds, machine)

    return found


@pytest.mark.filterwarnings("default")  # a benchmark may warn
@pytest.mark.parametrize("name", IN_PROCESS)
def test_every_case_measures_something_and_asserts_its_results(name, result):
    content = result(name)[1]
    values = [row["value"] for row in content["rows"] if row["value"] is not None]
    times = [seconds for sweep in content["sweeps"] for seconds in sweep["seconds"]]
    assert values or times or name == UNMEASURED
    if not (content["checks"] or name.startswith("scaling.") or name == UNMEASURED):
        for peer in ("pycrfsuite", "pgmpy", "maxflow"):  # the results of other programs are the checks of some cases
            pytest.importorskip(peer, reason="pip install skstruct[bench]")
        raise AssertionError("nothing is asserted")


def test_a_run_writes_tables_and_pictures(tmp_path):
    done = run("graphs.grid_2_states", "scaling.plans", "--size", "tiny", "--repeats", 1, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("graphs.grid_2_states", "scaling.plans"):
        assert json.loads((tmp_path / "tiny" / f"{name}.json").read_text())["case"] == name
    assert (tmp_path / "tiny" / "benchmarks.md").read_text() == done.stdout.removesuffix("\n")
    for picture in ("ratios.png", "scaling.png"):
        assert (tmp_path / "tiny" / picture).read_bytes()[:4] == b"\x89PNG"


def test_the_pages_have_all_cases_and_both_figures(result, tmp_path):
    page.main([*(str(result(name)[0]) for name in IN_PROCESS), "--output", str(tmp_path)])
    text, tables = ((tmp_path / name).read_text() for name in ("performance.rst", "performance_tables.rst"))
    missing = text.partition("Not run for this page:")[2].splitlines()[0]
    assert missing == f" {', '.join(f'``{name}``' for name in PROCESSES)}."
    for name in IN_PROCESS:
        assert name in tables
        label = f"benchmark-{name.replace('.', '-').replace('_', '-')}"
        assert f"<{label}>`" in text or name.startswith("scaling.") or name == UNMEASURED  # nothing to summarise
    for figure in ("performance_ratios.svg", "performance_scaling.svg"):
        assert "<svg" in (tmp_path / figure).read_text()


def test_each_module_of_cases_has_a_section():
    sections = [module for modules in page.SECTIONS.values() for module in modules]
    assert sorted({*sections, "scaling"}) == sorted({name.partition(".")[0] for name in CASES})


def test_titles_are_unique():
    from benchmarks._measure import case

    assert len({case.title for case in CASES.values()}) == len(CASES)
    with pytest.raises(TypeError, match="a title in words"):
        case(lambda run: None)


def test_the_summary_of_a_case():
    from benchmarks._report import headline

    def row(engine, quantity, value, ratio=None):
        return {"engine": engine, "quantity": quantity, "value": value, "ratio": ratio}

    peer, ours = row("peer", "ms", 6.0, 3.0), row("skstruct", "ms", 2.0, 1.0)
    single, other = row("skstruct, float32", "ms", 1.0, 0.5), row("skstruct", "more", 3.0, 1.0)
    missing, count = row("torch", "not installed", None), row("skstruct", "sweeps", 7)
    assert headline([missing, count, ours, single, peer, other]) == (ours, peer)
    assert headline([ours, single]) == (ours, single)
    assert headline([missing, count]) == (count, None)
    assert headline([missing]) == (None, None)


def test_the_plot_of_ratios_leaves_out_what_has_no_logarithm():
    def compared(case, ratio):
        row = {"quantity": "MB", "value": 1.0}
        rows = [row | {"engine": "skstruct", "ratio": 1.0}, row | {"engine": "peer", "ratio": ratio}]
        return {"case": case, "rows": rows}

    found = [compared("resources.memory", 0.0), compared("mapped.memory", -0.1), compared("tables.many_classes", 2.0)]
    assert _report.bars(found) == [(CASES["tables.many_classes"].title, "peer", 2.0)]


def test_each_iteration_of_crfsuite_takes_time():
    pycrfsuite = pytest.importorskip("pycrfsuite")
    peer = CRFsuite(pycrfsuite, [([["a"], ["b"]], ["x", "y"])], c2=1.0)
    assert peer.train(5) > 0
    seconds, losses = peer.curve
    assert len(seconds) == len(losses) == peer.n_iter > 1
    assert min(seconds[0], *np.diff(seconds)) > 0  # in the log, each is 0.000


def test_goals_are_reached_from_either_side():
    from benchmarks._measure import Run

    full = Run("chains.any", "full")
    for found in (8.0, 6.5, 6.4):
        full.goal("more is better", found, at_least=6.5, goal=8.0)
    for found in (0.3, 0.5, 0.6):
        full.goal("less is better", found, at_least=0.5, goal=0.3, unit="ms")
    assert [row["state"] for row in full.goals] == 2 * ["goal", "at least", "below"]
    small = Run("chains.any", "small")
    small.goal("more is better", 1.0, at_least=6.5, goal=8.0)
    assert not small.goals


def test_the_page_refuses_results_that_do_not_belong_together(result, tmp_path):
    files = [result(name)[0] for name in ("decoding.binary_map", "graphs.grid_2_states")]
    (tmp_path / "other.json").write_text(json.dumps(json.loads(files[0].read_text()) | {"size": "small"}))
    with pytest.raises(ValueError, match=r"graphs\.grid_2_states and decoding\.binary_map differ in size"):
        page.main([str(files[1]), str(tmp_path / "other.json"), "--output", str(tmp_path)])
    assert not (tmp_path / "performance.rst").exists()


@pytest.mark.slow
def test_cases_of_many_processes(tmp_path):
    if not DATA.exists():
        pytest.skip(f"the benchmarks need the data in {DATA}")
    done = run(*PROCESSES, "--size", "tiny", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    memory, cold = (
        {(row["quantity"], row["engine"]): row["value"] for row in json.loads(path.read_text())["rows"]}
        for path in (tmp_path / "tiny" / f"{name}.json" for name in PROCESSES)
    )
    ours = "skstruct, from arrays"
    assert 0 < memory["above an idle import", ours] < memory["peak of the process", ours]
    for label in ("", "grids, "):
        assert cold[f"{label}compiled specialisations", "skstruct"] > 0
        fits = [cold[f"{label}{which} fit, CPU, empty cache", "skstruct"] for which in ("first", "second")]
        assert fits[0] > fits[1]


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_memory_for_datasets_of_gigabytes(tmp_path):
    done = run("mapped.memory", "--size", "full", "--output", tmp_path, timeout=7200)  # asserts 300 MB for each task
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "full" / "mapped.memory.json").read_text())["rows"]
    sizes = dict(row["quantity"].partition(" MB")[0].split(", ") for row in rows)
    assert int(sizes["dense"]) >= 3000
    assert int(sizes["sparse"]) >= 1000


def test_a_case_without_its_data_is_reported(tmp_path):
    done, error, _ = run_case(Run("chains.letters_training", "tiny", tmp_path))
    assert error is None
    assert [row["quantity"] for row in done.rows] == ["not run: letters.npz is not in the data folder"]


def test_unknown_case_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["nonsense"])
    assert "no case matches ['nonsense']" in capsys.readouterr().err


def test_f1_of_chunks():
    from benchmarks._text import chunk_f1

    true = [["B-NP", "I-NP", "O", "B-VP"], ["I-NP", "I-VP"]]  # as conlleval reads it: NP 0-2, VP 3-4; NP, VP
    assert chunk_f1(true, true) == 1.0
    assert chunk_f1(true, [["B-NP", "B-NP", "O", "B-VP"], ["B-NP", "O"]]) == pytest.approx(2 * 2 / (4 + 4))
    assert chunk_f1([["O"]], [["O"]]) == 0.0


def test_attributes_are_those_of_the_templates():
    from benchmarks._text import CHUNK_NOTATION, COLUMNS, chunk_attributes
    from skstruct.preprocessing import TokenTemplates

    sentences = [[("The", "DT"), ("old", "JJ"), ("man", "NN"), ("sleeps", "VBZ")], [("Go", "VB")]]
    templates = TokenTemplates(CHUNK_NOTATION, columns=COLUMNS)
    rows = templates.fit_transform(sentences).node_features
    names = templates.get_feature_names_out()
    found = [sorted(names[rows[[k]].indices]) for k in range(rows.shape[0])]
    assert found == [sorted(node) for sentence in sentences for node in chunk_attributes(sentence)]


@pytest.mark.parametrize("least", [1, 2, 3, 7, 60, 61, 200, 1000])
@pytest.mark.parametrize("guess", [1, 4, 60, 5000])
def test_fewest_iterations(least, guess):
    from benchmarks.chains import fewest

    found = fewest(lambda n: n >= least, guess, 1000)
    assert least <= found <= max(least + 1, 1.12 * least)
    assert fewest(lambda n: False, guess, 1000) is None
