"""Checkpoints: a training that was killed continues with the same bits, and obstacles are named."""

import io
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skstruct import GraphCRFClassifier, MultiLabelCRFClassifier
from skstruct.datasets import make_grid
from skstruct.features import LinearFeatures, NetworkFeatures
from skstruct.inference import Auto, LoopyBP
from skstruct.io import Checkpoints, load_model
from skstruct.objectives import Likelihood
from skstruct.optim import BCFW, LBFGS, Adam, AveragedPerceptron, AveragedSGD

skops = pytest.importorskip("skops.io")

TRAININGS = {
    "lbfgs": {},
    "owlqn": {"l1_ratio": 0.3},
    "newton_cg": {"optimizer": "newton_cg", "C": 10},
    "start": {"optimizer": LBFGS(start_with=AveragedSGD(3))},
    "sgd": {"optimizer": AveragedSGD(5)},
    "adam": {"optimizer": Adam(5)},
    "bcfw": {"optimizer": BCFW(), "max_iter": 5, "objective": "hinge", "features": LinearFeatures(fit_intercept=False)},
    "perceptron": {"optimizer": AveragedPerceptron(5), "objective": "perceptron"},
    "max_iter": {"max_iter": 9},
    "early stopping": {"C": 1e3, "early_stopping": True, "n_iter_no_change": 3},
    "early stopping of sgd": {"optimizer": AveragedSGD(9), "early_stopping": True, "n_iter_no_change": 2},
    "two objectives": {"objective": "marginal", "max_iter": 4},
    "network": {"features": NetworkFeatures((3,)), "optimizer": Adam(5)},
    "missing labels": {"missing_label": np.nan, "class_weight": {0: 2.0, 1: 1.0, 2: 1.0}, "classes": [0, 1, 2]},
    "observed": {"features": LinearFeatures(node_weights="observed"), "class_weight": "balanced"},
}


ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # so that fork is safe


class Killed(Exception):
    """What happens in place of the death of the process."""


class Dying(Checkpoints):
    """The process dies after some checkpoints."""

    def dies_after(self, number):
        self._number = number
        return self

    def write(self, model, number):
        super().write(model, number)
        if number == self._number:
            raise Killed


@pytest.fixture(scope="module")
def grids():
    return make_grid(n_graphs=3, height=4, width=4, return_X_y=True, random_state=0)


def fit(crf, data):
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):  # some trainings are cut short
        return crf.fit(*data)


def killed(parameters, folder, number, data):
    with pytest.raises(Killed):
        fit(GraphCRFClassifier(**parameters, checkpoints=Dying(folder, n_iter=1).dies_after(number)), data)


@pytest.mark.parametrize("name", TRAININGS)
def test_the_same_bits(name, chains, tmp_path, same):
    parameters = {"random_state": 0, "tol": 1e-2, **TRAININGS[name]}
    whole = fit(GraphCRFClassifier(**parameters), chains)
    saved = fit(GraphCRFClassifier(**parameters, checkpoints=Checkpoints(tmp_path / "whole", n_iter=1)), chains)
    same(saved, whole)
    _, n_checkpoints = saved.checkpoints.read()
    for number in {1, min(3, n_checkpoints), n_checkpoints}:
        folder = tmp_path / str(number)
        killed(parameters, folder, number, chains)
        resumed = fit(GraphCRFClassifier(**parameters, checkpoints=Checkpoints(folder)), chains)
        same(resumed, whole)
        assert resumed.n_iter_ == whole.n_iter_
        assert resumed.get_params()["checkpoints__folder"] == folder


KILLS = """
import os, re, shutil, signal, sys, time
import numpy as np
from skstruct import GraphCRFClassifier
from skstruct.datasets import make_chain
from skstruct.io import Checkpoints

n_kills, folder = int(sys.argv[1]), sys.argv[2]
data = make_chain(n_graphs=200, n_features=20, return_X_y=True, random_state=0)
whole = GraphCRFClassifier(C=100, tol=1e-4, verbose=1).fit(*data)
crf = GraphCRFClassifier(C=100, tol=1e-4, verbose=1, checkpoints=Checkpoints(folder, n_iter=2))
for _ in range(2):  # the first time contains compilation and imports, which a child inherits
    start = time.perf_counter()
    crf.fit(*data)
    seconds = time.perf_counter() - start
    shutil.rmtree(folder)
rng, killed, finished, resumed = np.random.default_rng(0), 0, 0, 0
while killed < n_kills or not finished:
    log = os.open(folder + ".log", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    child = os.fork()
    if not child:
        os.dup2(log, 1)
        crf.fit(*data)
        os._exit(not np.array_equal(crf._model.coef, whole._model.coef))
    if killed < n_kills:
        time.sleep(rng.uniform(0, seconds))
        os.kill(child, rng.choice([signal.SIGKILL, signal.SIGTERM]))
    status = os.waitpid(child, 0)[1]
    os.close(log)
    killed += os.WIFSIGNALED(status)
    if not os.WIFSIGNALED(status):
        assert status == 0, f"the child ended with {status}"
        finished += 1
        shutil.rmtree(folder)
        continue
    lines = re.findall(r"^ *(\\d+) .*$", open(folder + ".log").read(), re.M)
    model, _ = Checkpoints(folder).read()
    resumed += model is not None
    if len(lines) > 1:
        assert model.n_iter_ >= int(lines[-1]) - 2, (model.n_iter_, lines[-1])
print(killed, finished, resumed)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the children are forked, which is cheap")
@pytest.mark.parametrize("n_kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_processes(n_kills, tmp_path):
    """SIGKILL and SIGTERM at random moments cost at most the iterations since the last checkpoint, and no bit."""
    command = [sys.executable, "-W", "error", "-c", KILLS, str(n_kills), str(tmp_path / "folder")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **ONE_THREAD})
    assert done.returncode == 0, done.stderr
    killed, finished, resumed = map(int, done.stdout.splitlines()[-1].split())
    print(f"{killed} kills, {resumed} with a checkpoint before, {finished} trainings that ended with the same bits")
    assert killed == n_kills
    assert finished
    assert n_kills < 50 or resumed >= 10  # otherwise the kills are too early to say anything


@pytest.mark.parametrize("inference", [Auto(max_entries=1), LoopyBP()], ids=["auto", "loopy_bp"])
def test_the_same_bits_with_approximate_inference(inference, grids, tmp_path, same):
    """Killed in the training with the first backend, at its end, and in the training with the next backend."""
    parameters, is_sequence = {"inference": inference, "max_iter": 3}, isinstance(inference, Auto)
    whole = fit(GraphCRFClassifier(**parameters), grids)
    saved = fit(GraphCRFClassifier(**parameters, checkpoints=Checkpoints(tmp_path, n_iter=1)), grids)
    same(saved, whole)
    model, n_checkpoints = saved.checkpoints.read()
    assert n_checkpoints == (6 if is_sequence else 3)
    assert len(model._progress.sequence) == (2 if is_sequence else 1)
    same(fit(clone(saved), grids), whole)
    for number in range(1, n_checkpoints + 1):
        folder = tmp_path / str(number)
        killed(parameters, folder, number, grids)
        if number < n_checkpoints:
            with pytest.raises(Killed):  # again, one iteration later
                fit(GraphCRFClassifier(**parameters, checkpoints=Dying(folder, n_iter=1).dies_after(number + 1)), grids)
        same(fit(GraphCRFClassifier(**parameters, checkpoints=Checkpoints(folder)), grids), whole)


@pytest.mark.parametrize("is_written", [False, True])
def test_ctrl_c(is_written, chains, tmp_path, same):
    """The estimator keeps its iterate, and the state is in the folder, also if Ctrl-C comes while a file is written."""

    class Interrupted(Checkpoints):
        def write(self, model, number):
            if number != 4 or is_written:
                super().write(model, number)
            if number == 4:
                raise KeyboardInterrupt

    whole = GraphCRFClassifier(tol=1e-2).fit(*chains)
    crf = GraphCRFClassifier(tol=1e-2, checkpoints=Interrupted(tmp_path, n_iter=1))
    with pytest.raises(KeyboardInterrupt):
        crf.fit(*chains)
    assert crf.n_iter_ == load_model(max(tmp_path.iterdir())).n_iter_ == 4
    same(crf.set_params(checkpoints=Checkpoints(tmp_path)).fit(*chains), whole)


def test_a_finished_training_is_returned(chains, tmp_path, same):
    crf = GraphCRFClassifier(checkpoints=Checkpoints(tmp_path)).fit(*chains)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    same(clone(crf).fit(*chains), crf)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files


def test_more_iterations(chains, tmp_path, same):
    """An end at max_iter, or by early stopping, is continued with larger parameters."""
    crf = GraphCRFClassifier(C=1e3, early_stopping=True, n_iter_no_change=2, random_state=0)
    whole = clone(crf).set_params(n_iter_no_change=12).fit(*chains)
    crf.set_params(checkpoints=Checkpoints(tmp_path), max_iter=2)
    assert fit(crf, chains).n_iter_ == 2
    first = crf.set_params(max_iter=1000).fit(*chains).n_iter_
    assert 2 < first < whole.n_iter_
    same(crf.set_params(n_iter_no_change=12).fit(*chains), whole)


@pytest.mark.parametrize("n_iter", [1, None])
@pytest.mark.parametrize("optimizer", ["lbfgs", "newton_cg"])
def test_a_smaller_tolerance(optimizer, n_iter, chains, tmp_path, same):
    crf = GraphCRFClassifier(optimizer=optimizer, tol=1e-2, checkpoints=Checkpoints(tmp_path, n_iter=n_iter))
    first = crf.fit(*chains).n_iter_
    whole = GraphCRFClassifier(optimizer=optimizer, tol=1e-5).fit(*chains)
    same(crf.set_params(tol=1e-5).fit(*chains), whole)
    assert first < crf.n_iter_


def test_a_checkpoint_is_a_fitted_model(chains, tmp_path):
    X, y = chains
    crf = GraphCRFClassifier(checkpoints=Checkpoints(tmp_path, n_iter=1, keep=3)).fit(X, y)
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 3  # the newest
    models = list(map(load_model, paths))
    assert [model.n_iter_ for model in models] == [crf.n_iter_ - 2, crf.n_iter_ - 1, crf.n_iter_]
    np.testing.assert_array_equal(models[-1].predict_proba(X).values, crf.predict_proba(X).values)
    assert models[0].checkpoints is None
    assert load_model(io.BytesIO(skops.dumps(crf))).checkpoints.folder == str(tmp_path)
    assert models[0].set_params(warm_start=True).fit(X, y).n_iter_ == crf.n_iter_


def test_intervals(chains, tmp_path):
    """The first iteration, every third one after it, and the last one."""
    crf = GraphCRFClassifier(checkpoints=Checkpoints(tmp_path, seconds=None, n_iter=3, keep=99)).fit(*chains)
    saved = [load_model(path).n_iter_ for path in sorted(tmp_path.iterdir())]
    assert saved == sorted({*range(1, crf.n_iter_ + 1, 3), crf.n_iter_})


def test_labels_of_a_table(tmp_path, same):
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = (X @ np.eye(3)[[1, 2, 0]] + X > 0).astype(int)
    whole = MultiLabelCRFClassifier().fit(X, y)
    crf = MultiLabelCRFClassifier(checkpoints=Dying(tmp_path, n_iter=1).dies_after(2))
    with pytest.raises(Killed):
        crf.fit(X, y)
    resumed = MultiLabelCRFClassifier(checkpoints=Checkpoints(tmp_path)).fit(X, y)
    same(resumed.crf_, whole.crf_)


def test_in_a_pipeline(chains, tmp_path):
    X, y = chains
    pipeline = make_pipeline(StandardScaler(), GraphCRFClassifier(checkpoints=Checkpoints(tmp_path)))
    pipeline.fit(X.nodes.dataset.node_features, y.values)
    assert list(tmp_path.iterdir())


# ---- other trainings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"C": 2.0}, r"C=1\.0 instead of 2\.0"),
        ({"features": LinearFeatures("symmetric")}, "features='linear' instead of LinearFeatures"),
        ({"classes": [0, 1, 2, 3]}, "classes=None instead of"),
    ],
)
def test_other_parameters(change, message, chains, tmp_path):
    GraphCRFClassifier(max_iter=50, tol=1e-2, checkpoints=Checkpoints(tmp_path)).fit(*chains)
    files = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=f"other parameters: {message}.* another folder"):
        GraphCRFClassifier(**change, checkpoints=Checkpoints(tmp_path)).fit(*chains)
    assert sorted(tmp_path.iterdir()) == files


def test_other_data(chains, tmp_path):
    X, y = chains
    crf = GraphCRFClassifier(tol=1e-2, checkpoints=Checkpoints(tmp_path)).fit(X, y)
    before = dict(vars(crf))
    for other, what in [
        ((X[1:], y[1:]), "data"),
        ((X.with_node_features(X.node_features[:, :1]), y), "features"),
        ((X, y.map(lambda codes: codes + 5) if hasattr(y, "map") else type(y)(y.values + 5, y.ptr)), "classes"),
    ]:
        with pytest.raises(ValueError, match=f"other {what}"):
            crf.fit(*other)
        assert vars(crf) == before


def test_another_model(chains, tmp_path):
    store = Checkpoints(tmp_path)
    store.write(StandardScaler(), 1)
    with pytest.raises(ValueError, match="StandardScaler instead of GraphCRFClassifier"):
        GraphCRFClassifier(checkpoints=store).fit(*chains)


def test_another_program_writes(chains, tmp_path, same):
    """Both trainings end; the checkpoints are those of one of them."""
    other = GraphCRFClassifier(C=3, tol=1e-2)

    class Together(Checkpoints):
        def write(self, model, number):
            super().write(model, number)
            if number == 1:
                with pytest.warns(UserWarning, match="another training writes to this folder"):
                    other.set_params(checkpoints=Late(tmp_path, n_iter=1)).fit(*chains)

    class Late(Checkpoints):
        def read(self):
            return None, 0  # nothing was there when it began

    crf = GraphCRFClassifier(tol=1e-2, checkpoints=Together(tmp_path, n_iter=1, keep=99)).fit(*chains)
    same(crf, GraphCRFClassifier(tol=1e-2).fit(*chains))
    same(other, GraphCRFClassifier(C=3, tol=1e-2).fit(*chains))
    assert {load_model(path).C for path in tmp_path.iterdir()} == {1.0}


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ("folder", r"checkpoints must be None or an object such as skstruct\.io\.Checkpoints"),
        (Checkpoints(3), "folder must be a path"),
        (Checkpoints("a", seconds=-1), "seconds must be None or a number"),
        (Checkpoints("a", n_iter=0), "n_iter must be None or an integer"),
        (Checkpoints("a", keep=0), "keep must be"),
    ],
)
def test_bad_parameters(store, message, chains):
    with pytest.raises(ValueError, match=message):
        GraphCRFClassifier(checkpoints=store).fit(*chains)


def test_warm_start_is_refused(chains, tmp_path):
    with pytest.raises(ValueError, match="warm_start=True cannot be combined"):
        GraphCRFClassifier(warm_start=True, checkpoints=Checkpoints(tmp_path)).fit(*chains)


class OwnLikelihood(Likelihood):
    """A type that is not trusted."""


def test_types_of_the_program(chains, tmp_path, same):
    """They are refused when the first checkpoint is written, and not when it is needed."""
    name = f"{OwnLikelihood.__module__}.OwnLikelihood"
    crf = GraphCRFClassifier(objective=OwnLikelihood(), tol=1e-2, checkpoints=Checkpoints(tmp_path))
    with pytest.raises(ValueError, match=f"not trusted, .*{name}.*name them in trusted"):
        crf.fit(*chains)
    crf.set_params(checkpoints__trusted=[name]).fit(*chains)
    same(clone(crf).fit(*chains), crf)


def test_callbacks_are_not_saved(chains, tmp_path, same):
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from version 1.9 on")

    class Counts:
        n = 0

        def setup(self, estimator, context): ...

        def teardown(self, estimator, context): ...

        def on_fit_task_begin(self, estimator, context): ...

        def on_fit_task_end(self, estimator, context):
            self.n += 1

    counts = Counts()
    crf = GraphCRFClassifier(tol=1e-2, checkpoints=Checkpoints(tmp_path)).set_callbacks(counts).fit(*chains)
    assert counts.n == crf.n_iter_ + 1
    same(load_model(max(tmp_path.iterdir())), crf)
