"""When code is compiled: not at import, once per way of holding a row in registers, and without a disk cache too."""

import os
import subprocess
import sys

import numpy as np
import pytest

from skstruct import Topology
from skstruct.inference import Chain, TreeReweightedBP
from skstruct.inference._chain_kernels import forward_backward
from skstruct.inference._elimination import eliminate
from skstruct.inference._elimination_trials import eliminate_graphs
from skstruct.inference._node_orders import _fill
from skstruct.kernels.code_cache import CodeCache
from skstruct.kernels.jit import MOST_INTERPRETED, kernel
from skstruct.kernels.registers import SHAPES
from skstruct.kernels.simd import ONE_LANE, lanes
from skstruct.scores import Scores

numba = pytest.importorskip("numba")
# For tests of what was compiled and when, of which there is nothing to see where the suite runs as plain Python.
jit = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")


def test_import_does_not_load_the_compiler():
    code = "import sys, skstruct; sys.exit('numba' in sys.modules or 'llvmlite' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_tables_do_not_load_the_compiler_for_inference():
    """A model without edges and with dense features compiles the penalty of its loss and the labels' scores only."""
    code = """if True:
        import numba.core.event as event
        import numpy as np
        from skstruct import GraphCRFClassifier
        compiled = []
        class Listener(event.Listener):
            def on_start(self, found):
                compiled.append(found.data["dispatcher"].__name__)
            def on_end(self, found):
                pass
        x = np.arange(12.0).reshape(6, 2)
        with event.install_listener("numba:compile", Listener()):
            GraphCRFClassifier(max_iter=2, tol=10.0).fit(x, [0, 1, 0, 1, 0, 1])
        assert set(compiled) <= {"_penalise", "_subtract"}, compiled
    """
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@jit
def test_one_specialisation_for_each_way_of_holding_a_row():
    assert len({ONE_LANE, *(lanes(n) for n in range(1, 200))}) == len(SHAPES) + 1
    topology = Topology.from_edges([(0, 1), (1, 2)], 3)

    def compiled(sizes):
        for n in sizes:
            scores = Scores(np.zeros((3, n)), np.zeros((1, n, n)), np.zeros(2, np.int32))
            found = Chain().plan(topology, n).marginals(scores)
            np.testing.assert_allclose(found.node, 1 / n)
        return len(forward_backward.compiled.signatures)

    before = compiled([9])
    assert compiled(range(9, 17)) == before
    assert compiled([17]) <= before + 1


@jit
def test_without_a_place_for_the_disk_cache(monkeypatch):
    """As in a read-only installation with a read-only home: compiled in memory."""
    from numba.core import caching

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])

    @kernel
    def double(values):
        for k in range(len(values)):
            values[k] *= 2.0

    values = np.arange(3.0)
    double(values)
    np.testing.assert_array_equal(values, [0.0, 2.0, 4.0])
    assert type(double.compiled._cache).__name__ == "NullCache"


@kernel
def _tripled(number):
    return 3 * number


@kernel
def _sum_of_tripled(values, out):
    out[0] = 0
    for value in values:
        out[0] += _tripled(value)


@kernel
def _use_both(values, out):
    _sum_of_tripled(values, out)
    out[1] = _tripled(out[0])


@jit
def test_functions_that_kernels_call_are_part_of_their_callers(monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    values, out = np.arange(4), np.zeros(2, int)
    _use_both(values, out)
    assert out.tolist() == [18, 54]
    assert [path.name.split(".")[1].split("-")[0] for path in tmp_path.rglob("*.nbc")] == ["_use_both"]
    _sum_of_tripled(values[:3], out)  # Python can still call them
    assert out[0] == 9
    assert _tripled(2) == 6


@jit
@pytest.mark.parametrize(
    "function",
    [lambda x: np.empty(2)[0], lambda x: x.copy()[0], lambda x: (2.0 * x)[0], lambda x: [x[0]][0], lambda x: x[1:]],
    ids=["an array", "a copy", "an expression", "a list", "a view that is returned"],
)
def test_kernels_that_borrow_arrays_cannot_make_any(function):
    """They would not be freed."""
    with pytest.raises(numba.core.errors.NumbaError):
        kernel(function, borrows=True)(np.ones(3))
    kernel(function)(np.ones(3))


@kernel
def _squared(number):
    return number * number


@jit
def test_kernels_with_patience_are_interpreted_on_small_arrays(monkeypatch):
    monkeypatch.setattr(CodeCache, "has_code", False)

    @kernel(patience=60.0)
    def add_squares(values, out):
        for k in range(len(values)):
            out[k] = k + _squared(values[k])

    for n, n_compiled in ((10, 0), (MOST_INTERPRETED, 1), (11, 1)):
        values, out = np.arange(float(n)), np.empty(n)
        add_squares(values, out)
        np.testing.assert_array_equal(out, np.arange(n) + values**2)
        assert len(add_squares.compiled.signatures) == n_compiled


@kernel
def _doubled(number):
    return 2 * number


@jit
def test_impatient_kernels_are_compiled(monkeypatch):
    monkeypatch.setattr(CodeCache, "has_code", False)

    @kernel(patience=1e-9)
    def count(values):
        values[0] = 0
        for k in range(3):
            values[0] += _doubled(k)

    values = np.zeros(1, int)
    count(values)
    assert values[0] == 6
    assert len(count.compiled.signatures) == 1


@jit
def test_kernels_with_patience_use_the_disk_cache(monkeypatch):
    monkeypatch.setattr(CodeCache, "has_code", True)

    @kernel(patience=60.0)
    def double(values):
        values[0] *= 2

    values = np.ones(1)
    double(values)
    assert values[0] == 2
    assert len(double.compiled.signatures) == 1


def test_plain_functions_run_without_the_compiler():
    """``NUMBA_DISABLE_JIT=1`` gives the same probabilities."""
    code = """if True:
        import numpy as np
        from scipy.sparse import csr_array
        from skstruct import GraphCRFClassifier, GraphDataset
        from skstruct.features import LinearFeatures
        x = np.random.default_rng(0).normal(size=(4, 3, 2)) > 0
        X = GraphDataset.from_sequences([csr_array(rows.astype(float)) for rows in x])
        y = [["a", "b", "c"]] * 4
        crf = GraphCRFClassifier(LinearFeatures(node_weights="observed"), tol=1e-8).fit(X, y)
        print(*crf.predict_proba(X).values.ravel())
    """
    found = []
    for disabled in "01":
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled}
        done = subprocess.run(
            [sys.executable, "-c", code], check=False, capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
        found.append([float(number) for number in done.stdout.split()])
    np.testing.assert_allclose(found[0], found[1], atol=1e-9)
    assert len(found[0]) == 36


@jit
def test_the_interpreter_finds_the_same_orders(monkeypatch):
    """Elimination orders, and the orders and weights of tree-reweighted belief propagation."""
    rng = np.random.default_rng(0)
    graphs = [rng.permutation(np.array(np.triu_indices(n, 1)).T)[: 2 * n] for n in (2, 9, 20, 31)]
    topologies = [Topology.from_edges(edges, int(edges.max(initial=0)) + 1) for edges in graphs]

    def find():
        for topology in topologies:
            yield from eliminate(topology, 3, 1e5)
            yield from TreeReweightedBP().plan(topology, 3).inner._orders

    for planner in (eliminate_graphs, _fill):
        monkeypatch.setattr(planner, "patience", 0.0)
    compiled = list(find())
    monkeypatch.setattr(kernel, "_has_code", False)
    for planner in (eliminate_graphs, _fill):
        monkeypatch.setattr(planner, "patience", 60.0)
        monkeypatch.setattr(planner, "compiled", None)
    for expected, found in zip(compiled, find(), strict=True):
        np.testing.assert_array_equal(found, expected)
