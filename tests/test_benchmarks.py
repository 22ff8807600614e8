import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
PROCESSES = ["resources.memory", "resources.cold_start", "mapped.memory"]  # start many, which takes long


def run(*arguments, module="benchmarks", timeout=600):
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def cases():
    lines = run("--list").stdout.splitlines()
    return [line for line in lines if not line.startswith(" ")]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What all cases that run in one process write at the smallest size, and where."""
    if not DATA.exists():
        pytest.skip(f"the benchmarks need the data in {DATA}")
    folder = tmp_path_factory.mktemp("benchmarks")
    chosen = [name for name in cases() if name not in PROCESSES]
    done = run(*chosen, "--size", "tiny", "--repeats", 1, "--output", folder)
    assert done.returncode == 0, done.stderr
    return {name: json.loads((folder / "tiny" / f"{name}.json").read_text()) for name in chosen}, folder / "tiny"


def test_every_case_measures_something(results):
    contents, folder = results
    for name, content in contents.items():
        values = [row["value"] for row in content["rows"] if row["value"] is not None]
        times = [seconds for sweep in content["sweeps"] for seconds in sweep["seconds"]]
        refused = name == "exact.uai_grids"  # at this size, no instance fits its bound
        assert values or times or refused, name
    assert (folder / "benchmarks.md").read_text().startswith("# Benchmarks")
    for picture in ("ratios.png", "scaling.png"):
        assert (folder / picture).read_bytes()[:4] == b"\x89PNG"


def test_cases_assert_what_they_measure(results):
    for peer in ("pycrfsuite", "pgmpy", "maxflow"):  # the results of other programs are the checks of some cases
        pytest.importorskip(peer, reason="pip install skstruct[bench]")
    silent = {name for name, content in results[0].items() if not content["checks"]}
    assert {name for name in silent if not name.startswith("scaling.")} <= {"exact.uai_grids"}


def test_the_pages_have_all_cases_and_both_figures(results, tmp_path):
    contents, folder = results
    done = run(*folder.glob("*.json"), "--output", tmp_path, module="benchmarks.page")
    assert done.returncode == 0, done.stderr
    page, tables = ((tmp_path / name).read_text() for name in ("performance.rst", "performance_tables.rst"))
    missing = page.partition("Not run for this page:")[2].splitlines()[0]
    assert missing == " ``mapped.memory``, ``resources.memory``, ``resources.cold_start``."
    for name in contents:
        assert name in tables
        label = f"benchmark-{name.replace('.', '-').replace('_', '-')}"
        assert f"<{label}>`" in page or name.startswith("scaling.") or name == "exact.uai_grids"  # nothing to summarise
    for figure in ("performance_ratios.svg", "performance_scaling.svg"):
        assert "<svg" in (tmp_path / figure).read_text()


def test_titles_are_unique():
    from benchmarks import __main__ as _  # noqa: F401 (fills CASES)
    from benchmarks._measure import CASES, case

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


def test_the_page_refuses_results_that_do_not_belong_together(results, tmp_path):
    folder = results[1]
    other = json.loads((folder / "decoding.binary_map.json").read_text()) | {"size": "small"}
    (tmp_path / "other.json").write_text(json.dumps(other))
    files = [folder / "graphs.grid_2_states.json", tmp_path / "other.json"]
    done = run(*files, "--output", tmp_path, module="benchmarks.page")
    assert done.returncode == 1
    assert "graphs.grid_2_states and decoding.binary_map differ in size" in done.stderr
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
    done = run("chains.letters_training", "--size", "tiny", "--data", tmp_path, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "not run: letters.npz is not in the data folder" in done.stdout


def test_unknown_case_is_refused():
    done = run("nonsense")
    assert done.returncode == 2
    assert "no case matches" in done.stderr


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
