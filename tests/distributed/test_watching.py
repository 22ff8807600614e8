"""Callbacks and the progress table on partitions, and queries that do not accept partitions."""

import inspect
import pickle

import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skstruct import GraphCRFClassifier
from skstruct.distributed import DaskGraphCRFClassifier, DaskTransformer
from skstruct.preprocessing import NodeTransformer

bag = pytest.importorskip("dask.bag")
pytest.importorskip("distributed")
NEW = "scikit-learn has callbacks from version 1.9 on"
ACCEPTING = {"fit", "partial_fit", "predict", "predict_proba", "predict_log_proba", "score"}


class Watch:
    """Notes the tasks, and the score after each iteration; stops at iteration `last`."""

    def __init__(self, last=None):
        self.last, self.calls, self.scores, self.given = last, [], [], []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.calls.append(f"end {context.task_name}")
        self.given.append(X)
        if hasattr(fitted_estimator, "score"):
            self.scores.append(fitted_estimator.score(X))
        return self.calls.count("end iteration") == self.last

    def __reduce__(self):
        raise AssertionError("callbacks stay in the process of the client")


def test_callbacks_receive_the_partitions(client, make_data, cut):
    pytest.importorskip("sklearn.callback", reason=NEW)
    parts, watch = cut(3, *make_data()), Watch()
    crf = DaskGraphCRFClassifier(tol=1e-2, client=client).set_callbacks(watch).fit(parts)
    iterations = ["begin iteration", "end iteration"] * crf.n_iter_
    assert watch.calls == ["setup", "begin fit", *iterations, "end fit", "teardown"]
    assert all(given is parts for given in watch.given)
    assert watch.scores[-1] == crf.score(parts)
    pickle.dumps(crf.to_local())
    assert DaskGraphCRFClassifier(tol=1e-2).set_callbacks(Watch(last=2)).fit(parts).n_iter_ == 2


def accuracy(estimator, X, y):
    return estimator.score(X, y)


def test_a_monitor_scores_bags(client, make_data):
    callback = pytest.importorskip("sklearn.callback", reason=NEW)
    bags = [bag.from_sequence(list(items), npartitions=3) for items in make_data()]
    monitor = callback.ScoringMonitor(scoring={"score": accuracy})
    crf = DaskGraphCRFClassifier(tol=1e-2).set_callbacks(monitor).fit(*bags)
    scores = [row["score"] for row in monitor.get_logs().data if row["task_name"] == "iteration"]
    assert len(scores) == crf.n_iter_
    assert scores[-1] == crf.score(*bags)


def test_callbacks_of_a_pipeline(client, make_data, cut, capsys, monkeypatch):
    """No step is without support, about which scikit-learn would warn."""
    callback = pytest.importorskip("sklearn.callback", reason=NEW)
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "200")
    transformer = DaskTransformer(NodeTransformer(StandardScaler()), client=client)
    pipe = make_pipeline(transformer, DaskGraphCRFClassifier(tol=1e-2))
    pipe.set_callbacks(callback.ProgressBar()).fit(cut(3, *make_data()))
    shown = capsys.readouterr().out
    for name in ("Pipeline", "DaskTransformer", "DaskGraphCRFClassifier"):
        assert f"{name} - fit" in shown
    watch = Watch()
    transformer.transformer.set_callbacks(Watch())
    fitted = clone(transformer.set_callbacks(watch)).fit(cut(3, *make_data()))
    assert watch.calls == ["setup", "begin fit", "end fit", "teardown"]
    pickle.dumps(fitted.transformer_)


def test_verbose(client, make_data, cut, capsys):
    crf = DaskGraphCRFClassifier(tol=1e-2, verbose=1).fit(cut(3, *make_data()))
    assert len(capsys.readouterr().out.splitlines()) == 2 + crf.n_iter_


def test_a_search_over_partitions(client, make_data, cut):
    pipe = make_pipeline(DaskTransformer(NodeTransformer(StandardScaler())), DaskGraphCRFClassifier(tol=0.1))
    parts = cut(4, *make_data())
    search = GridSearchCV(pipe, {"daskgraphcrfclassifier__C": [1e-6, 1.0]}, cv=2).fit(parts)
    assert search.best_params_ == {"daskgraphcrfclassifier__C": 1.0}
    assert search.score(parts) == search.best_estimator_.score(parts) > 0.5


def test_other_queries_refuse_partitions_by_name(client, make_data, cut):
    parts, n_refused = cut(3, *make_data()), 0
    crf = DaskGraphCRFClassifier(max_iter=5, tol=1).fit(parts)
    values = {"k": 2, "y": None}
    for name, method in inspect.getmembers(GraphCRFClassifier, inspect.isfunction):
        parameters = inspect.signature(method).parameters
        if name.startswith("_") or name in ACCEPTING or "X" not in parameters or not hasattr(crf, name):
            continue
        arguments = {key: values[key] for key, p in parameters.items() if key in values and p.default is p.empty}
        with pytest.raises(TypeError, match=r"X consists of partitions; predict, .* accept them"):
            getattr(crf, name)(parts, **arguments)
        n_refused += 1
    assert n_refused >= 10
