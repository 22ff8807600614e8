"""Memory of whole trainings, cold starts, and threads."""

import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks._children import companion, run_child, store
from benchmarks._machine import Seconds, unpin
from benchmarks._measure import case
from benchmarks._sequences import chunk_words, chunking, letters
from benchmarks._text import CHUNK_NOTATION, COLUMNS
from benchmarks._training import chain_crf, stopped_fit, with_objective
from benchmarks.chains import C2, IN_SEQUENCE, timed
from skstruct.preprocessing import TokenTemplates

FILE = "conll2000.train.txt.gz"


@case("Chunking: peak memory of a training")
def memory(run):
    """CoNLL-2000 chunking: peak resident memory of a process that only trains, for 15 iterations.

    After 15 iterations L-BFGS has allocated all its vectors, so that longer trainings need the same memory. The
    features of skstruct are ones in 8 bits. CRFsuite copies its input. One row passes lists of all attributes, as is
    common. Another row reads the file sentence by sentence. "Above an idle import" is the difference from the peak of a
    process that only imports the program. It includes the compiler, which the first fit loads; a training on one
    sentence shows the memory without data. Numbers are means of 2 processes.
    """
    path, n_sentences = str(run.path(FILE)), run.pick(20, 200, None)
    with tempfile.TemporaryDirectory() as folder:
        arrays = str(Path(folder) / "arrays.npz")
        words, labels = zip(*chunk_words(run)[0])
        X = TokenTemplates(CHUNK_NOTATION, columns=COLUMNS, dtype=np.uint8).fit_transform(words)
        store(arrays, X, np.concatenate(labels))
        ours, theirs = ("benchmarks._training",), ("pycrfsuite", "benchmarks._crfsuite", "benchmarks._text")
        engines = {
            "skstruct, from words and tags": (ours, "train_words", path, n_sentences, 15),
            "skstruct, from arrays": (ours, "train_arrays", arrays, 15),
        }
        idle = {ours: run_child("importing", *ours)["peak_mb"]}
        if run.peer("pycrfsuite", "python-crfsuite") is not None:
            for name, in_lists in (("from lists of attributes", True), ("one sentence at a time", False)):
                engines[f"python-crfsuite, {name}"] = (theirs, "train_crfsuite", path, n_sentences, 15, in_lists)
            idle[theirs] = run_child("importing", *theirs)["peak_mb"]
        engines["skstruct, from one sentence"] = (ours, "train_words", path, 1, 15)
        run_child("train_words", path, n_sentences, 2)  # compiles and fills the cache
        peaks = {
            name: np.mean([run_child(*task)["peak_mb"] for _ in range(run.pick(1, 2, 2))])
            for name, (_, *task) in engines.items()
        }
    above = {name: peak - idle[engines[name][0]] for name, peak in peaks.items()}
    first = next(iter(engines))
    for quantity, used in (("above an idle import", above), ("peak of the process", peaks)):
        for name, megabytes in used.items():
            run.record(name, quantity, float(megabytes), "MB", ratio=megabytes / used[first])
    used = above["skstruct, from arrays"]
    run.goal("peak memory above an idle import, from arrays", used, at_least=220, goal=160, unit="MB")


@case("First fit with an empty cache")
def cold_start(run):
    """Wall-clock and CPU time of imports, and of the first fit (5 iterations) in a process.

    The fits are of letters, and of two grids of 14 x 14 nodes with ``decoding="auto"``. The first process has an empty
    disk cache of compiled code. The second process uses the cache of the first.
    """
    problem = letters(run)
    with tempfile.TemporaryDirectory() as folder:
        arrays = str(Path(folder) / "arrays.npz")
        store(arrays, problem.X, problem.y.values)
        letters_fit = _cold_and_warm(run, Path(folder) / "letters", "", "first_fit", arrays)
        grid_fit = _cold_and_warm(run, Path(folder) / "grids", "grids, ", "first_grid_fit")
    run.goal(
        "first fit of letters, empty cache, CPU time", letters_fit["first fit, CPU"], at_least=2.1, goal=1.5, unit="s"
    )
    for name, modules in (("scikit-learn", ["sklearn.linear_model"]), ("skstruct", ["skstruct"])):
        seconds = [run_child("importing", *modules)["result"] for _ in range(run.pick(1, 3, 7))]
        run.record(name, f"import of {modules[0]}", 1e3 * float(np.median(seconds)), "ms")
    both = grid_fit["first fit, CPU"] + grid_fit["first predict, CPU"]
    run.goal("fit and prediction of grids, empty cache, CPU time", both, at_least=5.0, goal=3.0, unit="s")


def _cold_and_warm(run, cache, label, *task):
    """Record a task in two processes, without and with a disk cache: the seconds of the first one."""
    results = []
    for state in ("empty cache", "with the cache"):
        results.append(run_child(*task, NUMBA_CACHE_DIR=str(cache))["result"])
        for quantity, seconds in results[-1].items():
            run.record("skstruct", f"{label}{quantity}, {state}", 1e3 * seconds, "ms")
    compiled = list(cache.rglob("*.nbc"))
    run.require(f"{label}kernels were compiled into the cache", len(compiled) > 0)
    run.record("skstruct", f"{label}compiled specialisations", len(compiled), "")
    run.record("skstruct", f"{label}size of the cache", sum(file.stat().st_size for file in compiled) / 1e6, "MB")
    return results[0]


@case("Letters: threads")
def threads_letters(run):
    """OCR letters: wall-clock times of value and gradient by threads; asserted: the same bits."""
    _threads(run, letters(run))


@case("Chunking: threads")
def threads_chunking(run):
    """CoNLL-2000 chunking: wall-clock times of value and gradient by threads; asserted: the same bits."""
    _threads(run, chunking(run))


def _threads(run, problem):
    """Compare 1, 2, 4 ... threads, up to the number of cores (at least two), each in a separate fit.

    Times are means of five consecutive evaluations, after another one, as in a training. What two cores can do together
    depends on the machine, as they share caches and memory. One more row is the time with one thread while another
    process does the same work.
    """
    n_cores = unpin()
    coef = stopped_fit(chain_crf(C2, max_iter=3), problem.X, problem.y)._model.coef
    numbers = [1, 2, *(2**k for k in range(2, 7) if 2**k <= n_cores)]
    functions = {}

    def nest(rest):
        if not rest:
            measure()
            return

        def body(fun, coef):
            functions[rest[0]] = lambda: fun(coef)
            nest(rest[1:])

        with_objective(chain_crf(C2, n_jobs=rest[0]), problem.X, problem.y, body, coef)

    def measure():
        one = np.r_[functions[1]()]
        for number, function in functions.items():
            run.check(f"value and gradient with {number} threads", np.r_[function()], one)
        engines = {f"n_jobs={number}": partial(_in_sequence, function) for number, function in functions.items()}
        work = f"value and gradient, {problem.X.n_nodes} nodes"
        with tempfile.TemporaryDirectory() as folder:
            arrays = str(Path(folder) / "arrays.npz")
            store(arrays, problem.X, problem.y.values)
            with companion("evaluate_endlessly", arrays) as beside:
                engines["n_jobs=1, and another process"] = lambda: beside(engines["n_jobs=1"])
                taken = run.compare(work, engines, clock=time.perf_counter)
        run.goal("one thread, times two threads", taken["n_jobs=1"] / taken["n_jobs=2"], at_least=1.8, goal=1.95)
        both = 2 * taken["n_jobs=1"] / taken["n_jobs=1, and another process"]
        run.record("two processes at a time", f"{work}, throughput", both, "of one process")
        run.sweep("value and gradient", "threads", numbers, functions.get, clock=time.perf_counter)

    nest(numbers)


def _in_sequence(function):
    """Mean wall-clock time of consecutive calls, after one that starts the threads."""
    function()
    return Seconds(timed(lambda: [function() for _ in range(IN_SEQUENCE)], time.perf_counter) / IN_SEQUENCE)
