"""scikit-learn's callbacks: what they see, that they can stop, and that nothing is needed where they do not exist."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skstruct
from skstruct import GraphCRFClassifier, MultiLabelCRFClassifier, calibration, distributed, preprocessing
from skstruct.datasets import make_chain
from skstruct.metrics import node_accuracy
from skstruct.preprocessing import EdgeTransformer, NodeTransformer

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from version 1.9 on")


@pytest.fixture(scope="module")
def chains():
    return make_chain(n_graphs=40, return_X_y=True, random_state=0)


class Watch:
    """Notes what it is called with; stops at iteration `last`, fails at iteration `fails_at`."""

    def __init__(self, last=None, fails_at=None):
        self.last, self.fails_at = last, fails_at
        self.calls, self.scores, self.given = [], [], []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.calls.append(f"end {context.task_name}")
        self.given.append((X, y))
        self.scores.append(fitted_estimator.log_likelihood(X, y).sum())
        number = sum(call == "end iteration" for call in self.calls)
        if number == self.fails_at and context.task_name == "iteration":
            raise FloatingPointError
        return context.task_name == "iteration" and number == self.last


def test_callbacks_see_every_iteration(chains):
    X, y = chains
    watch = Watch()
    crf = GraphCRFClassifier().set_callbacks(watch).fit(X, y)
    assert watch.calls[:3] == ["setup", "begin fit", "begin iteration"]
    assert watch.calls[-2:] == ["end fit", "teardown"]
    assert watch.calls.count("end iteration") == crf.n_iter_
    assert watch.scores[-1] == crf.log_likelihood(X, y).sum()
    assert all(given == (X, y) for given in watch.given)
    np.testing.assert_array_equal(GraphCRFClassifier().fit(X, y).coef_, crf.coef_)


@pytest.mark.parametrize("optimizer", ["lbfgs", "sgd", "adam"])
def test_a_callback_can_stop_and_the_training_be_continued(chains, optimizer):
    parameters = {"optimizer": optimizer, "random_state": 0, "C": 5}
    whole = GraphCRFClassifier(**parameters).fit(*chains)
    crf = GraphCRFClassifier(**parameters).set_callbacks(Watch(last=3)).fit(*chains)  # and does not warn
    assert crf.n_iter_ == 3
    crf.set_callbacks()
    crf = pickle.loads(pickle.dumps(crf)).set_params(warm_start=True).fit(*chains)
    np.testing.assert_array_equal(crf.coef_, whole.coef_)
    np.testing.assert_array_equal(crf.loss_curve_, whole.loss_curve_)


def test_an_error_in_a_callback_changes_nothing(chains):
    watch = Watch(fails_at=2)
    crf = GraphCRFClassifier().set_callbacks(watch)
    before = dict(vars(crf))
    with pytest.raises(FloatingPointError):
        crf.fit(*chains)
    assert vars(crf) == before
    assert watch.calls[-1] == "teardown"


def test_bad_parameters_tear_callbacks_down(chains):
    watch = Watch()
    crf = GraphCRFClassifier(C=-1).set_callbacks(watch)
    before = dict(vars(crf))
    with pytest.raises(ValueError, match="C must be"):
        crf.fit(*chains)
    assert vars(crf) == before
    assert watch.calls[-1] == "teardown"


def test_early_stopping_and_callbacks(chains):
    watch = Watch()
    crf = GraphCRFClassifier(C=1e3, early_stopping=True, n_iter_no_change=2, random_state=0).set_callbacks(watch)
    crf.fit(*chains)
    assert watch.calls.count("end iteration") == crf.n_iter_ == len(crf.validation_scores_)


def rows(monitor):
    """Logged scores of the last run, a list of dicts."""
    log = monitor.get_logs()
    return log.data if hasattr(log, "data") else log[0].data


def iterations(monitor):
    return [row["score"] for row in rows(monitor) if row["task_name"] == "iteration"]


def test_a_monitor_sees_every_iteration(chains):
    X, y = chains
    monitor = callback.ScoringMonitor(scoring=node_accuracy)
    crf = GraphCRFClassifier().set_callbacks(monitor).fit(X, y)
    assert len(iterations(monitor)) == crf.n_iter_
    assert iterations(monitor)[-1] == crf.score(X, y)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_monitor_in_a_search(chains, n_jobs):
    """Each candidate and split has its own rows, also if other processes fit them."""
    X, y = chains
    monitor = callback.ScoringMonitor(scoring=node_accuracy)
    crf = GraphCRFClassifier(optimizer="sgd", random_state=0).set_callbacks(monitor)
    pipeline = make_pipeline(NodeTransformer(StandardScaler()), crf)
    search = GridSearchCV(pipeline, {"graphcrfclassifier__C": [0.1, 1.0]}, cv=2, scoring=node_accuracy, n_jobs=n_jobs)
    search.fit(X, y)
    paths = [row["parent_task_id_path"] for row in rows(monitor) if row["task_name"] == "iteration"]
    assert len(set(paths)) == 2 * 2 + 1  # and the best candidate once more
    assert len(paths) == 8 * len(set(paths))
    refit = [row["score"] for row in rows(monitor) if row["task_id_path"] == (0, 1, 1)]
    assert refit == [search.score(X, y)]


def test_progress_bars(chains, capsys, monkeypatch):
    """No step of a pipeline is without support, about which scikit-learn would warn."""
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "200")
    X, y = chains
    pipeline = make_pipeline(NodeTransformer(StandardScaler()), EdgeTransformer("passthrough"), GraphCRFClassifier())
    X = X.with_edge_features(np.ones((X.n_edges, 1)))
    pipeline.set_callbacks(callback.ProgressBar()).fit(X, y)
    shown = capsys.readouterr().out
    for name in ("Pipeline", "NodeTransformer", "EdgeTransformer", "GraphCRFClassifier"):
        assert f"{name} - fit" in shown
    search = GridSearchCV(pipeline.set_callbacks(), {"graphcrfclassifier__C": [0.1, 1.0]}, cv=2, scoring=node_accuracy)
    search.set_callbacks(callback.ProgressBar()).fit(X, y)
    shown = capsys.readouterr().out
    assert "GridSearchCV - search" in shown
    assert "refit-with-best-params" in shown


class WatchTask(Watch):
    """Notes what it is called with."""

    def on_fit_task_end(self, estimator, context):
        self.calls.append(f"end {context.task_name}")


def test_a_calibration_is_a_task(chains):
    watch = WatchTask()
    calibrated = calibration.TemperatureScalingCV(GraphCRFClassifier(tol=1e-2), cv=2).set_callbacks(watch).fit(*chains)
    assert watch.calls == ["setup", "begin fit", "end fit", "teardown"]
    assert calibrated.temperature_ > 0


def test_every_estimator_supports_callbacks():
    for module in (skstruct, preprocessing, calibration, distributed):
        for name in module.__all__:
            kind = getattr(module, name)
            assert not hasattr(kind, "fit") or hasattr(kind, "set_callbacks"), name


@pytest.fixture
def table():
    X = np.random.default_rng(0).normal(size=(60, 3))
    return X, (X @ np.eye(3)[[1, 2, 0]] + X > 0).astype(int)


def test_labels_of_a_table(table):
    """Callbacks of the multi-label classifier see a multi-label classifier after each iteration."""
    watch = Watch()
    crf = MultiLabelCRFClassifier().set_callbacks(watch).fit(*table)
    assert watch.calls.count("end iteration") == crf.n_iter_
    assert watch.calls[-2:] == ["end fit", "teardown"]
    assert watch.scores[-1] == crf.log_likelihood(*table).sum()
    assert watch.scores[0] < watch.scores[-1]
    stopped = MultiLabelCRFClassifier().set_callbacks(Watch(last=2)).fit(*table)
    assert stopped.n_iter_ == 2
    failing = MultiLabelCRFClassifier().set_callbacks(Watch(fails_at=2))
    before = dict(vars(failing))
    with pytest.raises(FloatingPointError):
        failing.fit(*table)
    assert vars(failing) == before


def test_older_versions_of_scikit_learn(chains, tmp_path):
    """Without the module, fit works as before, and warnings point to the program."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, warnings\n"
        "import skstruct, skstruct.datasets  # scikit-learn itself is imported with its callbacks\n"
        "for name in [name for name in sys.modules if name.startswith('skstruct')]:\n"
        "    del sys.modules[name]\n"
        "sys.modules['sklearn.callback'] = None\n"
        "from skstruct import GraphCRFClassifier\n"
        "from skstruct.datasets import make_chain\n"
        "X, y = make_chain(n_graphs=20, return_X_y=True, random_state=0)\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    crf = GraphCRFClassifier(max_iter=2).fit(X, y)\n"
        "assert [w.filename for w in caught] == [__file__], caught\n"
        "assert not hasattr(crf, 'set_callbacks')\n"
        "print(crf.loss_curve_.tolist())\n"
    )
    done = subprocess.run([sys.executable, program], check=True, timeout=200, capture_output=True, text=True)
    with pytest.warns(match="max_iter"):
        crf = GraphCRFClassifier(max_iter=2).fit(*make_chain(n_graphs=20, return_X_y=True, random_state=0))
    assert done.stdout.strip() == str(crf.loss_curve_.tolist())
