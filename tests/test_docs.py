"""The guide's code runs as it is printed, and the pages build without a warning."""

import csv
import doctest
import gzip
import importlib
import importlib.util
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import skstruct

DOCS = Path(__file__).parents[1] / "docs"
GENERATED = ("_build", "_templates", "generated", "gallery", "__pycache__")
PAGES = sorted(page for page in DOCS.rglob("*.rst") if not set(GENERATED) & set(page.parts))
TABLES = ("BACKENDS", "DECODERS", "FEATURE_MAPS", "OBJECTIVES", "OPTIMIZERS")
NEEDS = {
    "citations": ["pandas"],
    "data": ["conllu", "networkx", "pandas", "skimage"],
    "distributed": ["distributed"],
    "inference": ["pandas"],
    "moving": ["pandas", "pycrfsuite", "sklearn_crfsuite"],
    "pictures": ["matplotlib", "networkx", "pandas"],
    "proteins": ["networkx"],
    "queries": ["pandas"],
    "saving": ["skops"],
    "stopping": ["skops"],
    "segmentation": ["skimage"],
    "tagging": ["conllu"],
    "trees": ["conllu"],
    "tutorial": ["pandas", "skops"],
    "understanding": ["pandas"],
}
TREEBANK = ["en_ewt-ud-dev.conllu.gz", "en_ewt-ud-test.conllu.gz"]
FILES = {  # what the code of a page reads, from data that are not part of skstruct
    "tasks/citations": ["cora.npz"],
    "tasks/multilabel": ["scene.npz"],
    "tasks/proteins": ["enzymes.npz"],
    "tasks/segmentation": ["camvid-120x90.npz"],
    "tasks/tagging": TREEBANK,
    "tasks/trees": TREEBANK,
}


def write_tables(stored):
    """Write the citation graph Cora as two tables, as `docs/tasks/citations.rst` describes them."""
    part = np.full(len(stored["labels"]), "other", dtype="<U5")
    for name in ("train", "test"):
        part[stored[name]] = name
    rows = np.split(stored["indices"], stored["indptr"][1:-1])
    words = [" ".join(f"word{column}" for column in row) for row in rows]
    papers = zip(range(len(part)), words, [f"topic {label}" for label in stored["labels"]], part)
    tables = {"papers": (["paper", "words", "topic", "part"], papers), "citations": (["from", "to"], stored["edges"])}
    for name, (columns, lines) in tables.items():
        with open(f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([columns, *lines])


def put_file(path):
    """Put a file of data into the current folder, in the form that the page reads."""
    if path.stem == "cora":
        with np.load(path) as stored:
            write_tables(stored)
    elif path.suffix == ".gz":
        Path(path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    else:
        Path(path.name).symlink_to(path.resolve())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_code_of_the_guide(page, capsys, tmp_path, monkeypatch, shared_data):
    for module in NEEDS.get(page.stem, []):
        pytest.importorskip(module)
    files = FILES.get(page.relative_to(DOCS).with_suffix("").as_posix(), [])
    monkeypatch.chdir(tmp_path)
    for name in files:
        put_file(shared_data(name))
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, _ = doctest.testfile(str(page), module_relative=False, optionflags=flags, encoding="utf-8")
    assert not failed, capsys.readouterr().out


def test_tasks_are_solved_in_few_lines():
    for page in (DOCS / "tasks").glob("*.rst"):
        lines = [line for line in page.read_text().splitlines() if line.startswith((">>> ", "... "))]
        assert len(lines) < 30, page.name


def test_there_are_pages_with_code():
    with_code = {page.stem for page in PAGES if ">>>" in page.read_text()}
    assert with_code >= {"index", "model", "data", "inference", "scikit_learn"}


def test_docs_build_without_warnings(tmp_path):
    for module in ("sphinx", "sphinx_gallery", "numpydoc", "pydata_sphinx_theme"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"building the docs needs {module}: pip install skstruct[docs]")
    source = tmp_path / "docs"  # a copy, since pages of the API are generated beside the others
    shutil.copytree(DOCS, source, ignore=lambda _, names: {"_build", "generated", "gallery"} & set(names))
    shutil.copytree(DOCS.parent / "examples", tmp_path / "examples", ignore=lambda *_: {"output"})
    options = ["-q", "-W", "--keep-going", "-b", "html", "-D", "plot_gallery=0"]  # other tests run the examples
    command = [sys.executable, "-m", "sphinx", *options, source, tmp_path / "html"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    api = "".join(page.read_text() for page in (tmp_path / "html" / "api").glob("*.html"))
    for module in [m.name for m in pkgutil.iter_modules(skstruct.__path__) if not m.name.startswith("_")]:
        for name, value in vars(importlib.import_module(f"skstruct.{module}")).items():
            if name in TABLES:
                lost = [row for row in value if f"&quot;{row}&quot;" not in api]
                assert not lost, f"the API pages lack {lost} of skstruct.{module}.{name}"
