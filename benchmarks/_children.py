"""New processes for measurements that depend on the history of a process: memory, imports, compilation.

``python -m benchmarks._children TASK ARGUMENTS`` runs one of the functions below with arguments in JSON, and prints
the returned value and the peak memory in JSON. Each function imports only the modules that it measures.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from benchmarks._machine import anonymous_memory, peak_memory

ROOT = Path(__file__).resolve().parents[1]


def run_child(task, *arguments, **environment):
    """Run a task in a new process. The memory is in MB."""
    command = [sys.executable, "-m", "benchmarks._children", task, json.dumps(arguments)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{task}{arguments} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def anonymous_peak(task, *arguments):
    """Run a task in a new process; its peak of anonymous memory, in MB, above that which the task returns.

    This process observes the memory, since a thread of the child would wait for the child's computations.
    """
    command = [sys.executable, "-m", "benchmarks._children", task, json.dumps(arguments)]
    peak = 0.0
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        while child.poll() is None:
            peak = max(peak, anonymous_memory(child.pid))
            time.sleep(0.002)
        output = child.stdout.read()
    if child.returncode:
        raise RuntimeError(f"{task}{arguments} ended with {child.returncode}")
    return peak - json.loads(output.splitlines()[-1])["result"]


@contextmanager
def companion(task, *arguments):
    """Context with a function that calls another one while a new process does an endless task, and returns its result.

    Between the calls the process is stopped.
    """
    command = [sys.executable, "-m", "benchmarks._children", task, json.dumps(arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:

        def beside(function):
            child.send_signal(signal.SIGCONT)
            found = function()
            child.send_signal(signal.SIGSTOP)
            return found

        try:
            if child.stdout.readline() != "ready\n":
                raise RuntimeError(f"{task}{arguments} has not started")
            child.send_signal(signal.SIGSTOP)
            yield beside
        finally:
            child.kill()


def importing(*modules):
    """Seconds to import modules."""
    start = time.perf_counter()
    for module in modules:
        import_module(module)
    return time.perf_counter() - start


def first_fit(path):
    """Seconds of the import, of two fits of the same sequences, and of the prediction after each."""
    found = {"import": importing("skstruct", "benchmarks._training")}
    from benchmarks._training import chain_crf

    return found | _two_fits(chain_crf(1.0, max_iter=5), *_stored(path))


def first_grid_fit():
    """Seconds of two fits of two grids of 14 x 14 nodes, three states, and of the prediction after each."""
    from skstruct import GraphCRFClassifier
    from skstruct.datasets import make_grid

    grids = make_grid(2, 14, 14, n_sweeps=1, return_X_y=True, random_state=0)
    return _two_fits(GraphCRFClassifier(decoding="auto", max_iter=5), *grids)


def _two_fits(crf, X, y):
    """Wall-clock and CPU seconds of two fits, and of the prediction after each."""
    from benchmarks._training import stopped_fit

    found = {}
    for which in ("first", "second"):
        for what, function in (("fit", lambda: stopped_fit(crf, X, y)), ("predict", lambda: crf.predict(X))):
            start, cpu_start = time.perf_counter(), time.process_time()
            function()
            found[f"{which} {what}"] = time.perf_counter() - start
            found[f"{which} {what}, CPU"] = time.process_time() - cpu_start
    return found


def train_arrays(path, max_iter):
    """Train on stored arrays."""
    from benchmarks._training import chain_crf, stopped_fit

    stopped_fit(chain_crf(1.0, max_iter=max_iter), *_stored(path))


def evaluate_endlessly(path):
    """Compute value and gradient on stored chains again and again, after the line "ready"."""
    from benchmarks._training import chain_crf, with_objective

    def body(fun, coef):
        print("ready", flush=True)
        while True:
            fun(coef)

    with_objective(chain_crf(1.0), *_stored(path), body)


def train_words(path, n_sentences, max_iter):
    """Train on words and tags of a text file."""
    from benchmarks._text import read_chunks
    from benchmarks._training import chunk_tagger, stopped_fit

    words, labels = map(list, zip(*read_chunks(path, n_sentences)))
    stopped_fit(chunk_tagger(1.0, max_iter=max_iter), words, labels)


def train_crfsuite(path, n_sentences, max_iter, in_lists):
    """Train CRFsuite on a text file, sentence by sentence or from lists of all attributes."""
    import pycrfsuite

    from benchmarks._crfsuite import CRFsuite
    from benchmarks._text import chunk_attributes, read_chunks

    sentences = ((chunk_attributes(words), labels) for words, labels in read_chunks(path, n_sentences))
    if in_lists:
        sentences = list(sentences)
    CRFsuite(pycrfsuite, sentences, 1.0).train(max_iter)


def fit_mapped(folder, node_weights, optimizer, max_iter):
    """Train on a dataset that is mapped into memory; the anonymous memory before, in MB."""
    from benchmarks._training import stopped_fit
    from skstruct.io import load_dataset

    before = anonymous_memory("self")
    stopped_fit(_mapped_crf(node_weights, optimizer, max_iter), *load_dataset(folder))
    return before


def _mapped_crf(node_weights="all", optimizer="lbfgs", max_iter=3, **parameters):
    from skstruct import GraphCRFClassifier
    from skstruct.features import LinearFeatures

    features = LinearFeatures(node_weights=node_weights)
    return GraphCRFClassifier(features, optimizer=optimizer, max_iter=max_iter, random_state=0, **parameters)


def partial_fit_mapped(folder, n_parts):
    """Train on parts of a dataset that is mapped into memory; the anonymous memory before, in MB."""
    from skstruct.io import load_dataset

    before = anonymous_memory("self")
    X, y = load_dataset(folder)
    crf = _mapped_crf(optimizer="sgd", classes=sorted(set(y[:100].values.tolist())))
    step = -(-len(X) // n_parts)
    for start in range(0, len(X), step):
        crf.partial_fit(X[start : start + step], y[start : start + step])
    return before


def predict_mapped(folder, method):
    """Predict a dataset that is mapped into memory, to a file; the anonymous memory before, in MB."""
    from tempfile import TemporaryDirectory

    from benchmarks._training import stopped_fit
    from skstruct.io import load_dataset, predict_to_file

    before = anonymous_memory("self")
    X, y = load_dataset(folder)
    crf = stopped_fit(_mapped_crf(), X[:200], y[:200])
    with TemporaryDirectory() as temporary:
        predict_to_file(Path(temporary) / "predictions.npy", crf, X, method=method)
    return before


def store(path, X, labels):
    """Write chains with sparse binary features for another process."""
    import numpy as np

    table = X.node_features
    csr = {name: getattr(table, name) for name in ("data", "indices", "indptr")}
    np.savez(path, **csr, n_columns=table.shape[1], ptr=X.node_ptr, labels=labels)


def _stored(path):
    import numpy as np
    from scipy.sparse import csr_array

    from benchmarks._sequences import chains

    with np.load(path) as file:
        stored = dict(file)
    shape = (len(stored["labels"]), int(stored["n_columns"]))
    table = csr_array((stored["data"], stored["indices"], stored["indptr"]), shape=shape)
    return chains(table, stored["ptr"], stored["labels"])


FITS = first_fit, first_grid_fit, evaluate_endlessly, train_arrays, train_words, train_crfsuite
MAPPED = fit_mapped, partial_fit_mapped, predict_mapped
TASKS = {task.__name__: task for task in (importing, *FITS, *MAPPED)}

if __name__ == "__main__":
    result = TASKS[sys.argv[1]](*json.loads(sys.argv[2]))
    print(json.dumps({"result": result, "peak_mb": peak_memory()}))
