"""scikit-learn's callbacks: what they see, that they can stop, and that nothing is needed where they do not exist."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skstruct import GraphCRFClassifier
from skstruct.datasets import make_chain
from skstruct.metrics import node_accuracy
from skstruct.preprocessing import NodeTransformer

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


def test_tools_of_scikit_learn_accept_the_estimator(chains):
    X, y = chains
    monitor = callback.ScoringMonitor(scoring=node_accuracy)
    crf = GraphCRFClassifier().set_callbacks(monitor).fit(X, y)
    log = monitor.get_logs()
    rows = log.data if hasattr(log, "data") else log[0].data
    assert len([row for row in rows if row["task_name"] == "iteration"]) == crf.n_iter_
    pipeline = make_pipeline(NodeTransformer(StandardScaler()), clone(crf).set_callbacks())
    search = GridSearchCV(pipeline, {"graphcrfclassifier__C": [1.0]}, cv=2)
    assert search.fit(X, y).best_score_ > 0.5


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
