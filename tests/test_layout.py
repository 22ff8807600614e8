"""The structure of the package: which folder may import which, no circles, no private names across folders."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import skstruct

ROOT = Path(skstruct.__file__).parent
LEVELS = [
    {"exceptions", "scores", "kernels", "data", "components", "version"},
    {"features", "inference", "optim"},
    {"decoding", "objectives"},
    {"estimator"},
    {"functional", "inspection", "metrics", "model_selection", "preprocessing", "datasets", "testing"},
    {"calibration"},
    {"io", "compat"},
    {"plotting", "cli", "distributed"},
    {"__main__"},
]
GROUND = {
    "data": {"exceptions"},
    "kernels": set(),
    "exceptions": set(),
    "components": set(),
    "scores": {"data"},
    "version": set(),
}
SEAMS = {"features", "inference", "optim", "decoding", "objectives"}
LEVEL = {folder: level for level, folders in enumerate(LEVELS) for folder in folders}


def module_name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports(name):
    """Pairs of a module of the package and a name (None: the module itself), wherever the import stands."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names if alias.name.split(".")[0] == "skstruct")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "skstruct":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner, None) if inner in MODULES else (node.module, alias.name)


def folder(name):
    return name.partition(".")[2].partition(".")[0]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "skstruct"])
def test_imports_go_down(name):
    assert folder(name) in LEVEL, f"{name} is in a folder without a place in the layout"
    for other, _ in imports(name):
        here, there = folder(name), folder(other)
        if here == there:
            continue
        assert there, f"{name} imports the package itself"
        if here in GROUND:
            assert there in GROUND[here], f"{name} imports {other}"
        elif here in SEAMS and there in SEAMS:
            assert LEVEL[there] < LEVEL[here], f"{name} imports {other}, which is not below it"
        else:
            assert LEVEL[there] <= LEVEL[here], f"{name} imports {other}, which is above it"


@pytest.mark.parametrize("name", MODULES)
def test_no_private_names_across_folders(name):
    for other, attribute in imports(name):
        if folder(name) == folder(other):
            continue
        module = other.split(".")[2:]
        assert not any(part.startswith("_") and part != "_base" for part in module), f"{name} imports {other}"
        assert attribute is None or not attribute.startswith("_"), f"{name} imports {attribute} of {other}"


def test_no_circle():
    graph = {name: {other for other, _ in imports(name) if other != name} for name in MODULES}
    for name in MODULES:  # a module runs the __init__ of the packages around what it imports, unless it is in them
        for other in list(graph[name]):
            parent = other.rpartition(".")[0]
            while parent and not f"{name}.".startswith(f"{parent}."):
                graph[name].add(parent)
                parent = parent.rpartition(".")[0]
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which shows the circle
