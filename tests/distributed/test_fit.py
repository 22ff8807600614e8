"""Training on partitions: the same objective, parameters and predictions as on all data in one process."""

import pickle
import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import estimator_checks_generator

from skstruct import GraphCRFClassifier
from skstruct.datasets import make_grid
from skstruct.distributed import DaskGraphCRFClassifier
from skstruct.features import LinearFeatures
from skstruct.inference import Auto
from skstruct.io import Checkpoints, load_model, save_dataset
from skstruct.optim import LBFGS, Adam, AveragedSGD, Optimizer

dask = pytest.importorskip("dask")
bag = pytest.importorskip("dask.bag")
pytest.importorskip("distributed")

OBSERVED = LinearFeatures("observed", node_weights="observed")
CASES = {
    "dense, more classes": ({}, {"classes": [0, 1, 2, 3]}),
    "observed pairs, balanced": ({"sparse": True}, {"features": OBSERVED, "class_weight": "balanced"}),
    "edge features, L1": ({"n_edge_features": 2}, {"l1_ratio": 0.5, "class_weight": {0: 2.0, 1: 0.0}}),
    "cycles": ({"cyclic": True}, {"features": LinearFeatures("symmetric"), "objective": "pseudolikelihood"}),
    "Newton": ({}, {"optimizer": "newton_cg"}),
    "a start by SGD": ({}, {"optimizer": LBFGS(start_with=AveragedSGD(2, random_state=0))}),
    "float32": ({"dtype": np.float32}, {"features": LinearFeatures(dtype="float32")}),
    "two objectives": ({}, {"objective": "marginal"}),
}
COMPILED = ("float32", "two objectives")  # these compile much that nothing else here uses


@pytest.mark.parametrize("case", [pytest.param(c, marks=[pytest.mark.slow] if c in COMPILED else []) for c in CASES])
def test_the_objective_is_that_of_a_local_training(case, client, make_data, cut):
    data, parameters = CASES[case]
    parameters = {"tol": 1e-2, **parameters}  # the iterations are the same, apart from rounding
    X, y = make_data(**data)
    local = GraphCRFClassifier(**parameters).fit(X, y)
    crf = DaskGraphCRFClassifier(**parameters).fit(cut(3, X, y))
    assert crf._model.feature_plan == local._model.feature_plan
    rel, atol = (1e-5, 1e-3) if case == "float32" else (1e-9, 1e-6)
    assert crf.loss_curve_[-1] == pytest.approx(local.loss_curve_[-1], rel=rel)
    np.testing.assert_allclose(crf._model.coef, local._model.coef, atol=atol)
    for name in ("classes_", "n_features_in_", "n_edge_features_in_"):
        np.testing.assert_array_equal(getattr(crf, name), getattr(local, name))


def test_weights_and_missing_labels(client, make_data, cut):
    X, y = make_data(n_graphs=16)
    weights = np.arange(16.0) % 4
    weights[:6] = 0  # a partition without any weight
    labels = [np.where(np.arange(len(graph)) % 3 == 1, -1, graph) for graph in y]
    labels[8] = np.full(len(labels[8]), -1)
    parts = [slice(0, 4), slice(4, 8), slice(8, 9), slice(9, 16)]
    parameters = {"missing_label": -1, "class_weight": "balanced", "tol": 1e-2}
    local = GraphCRFClassifier(**parameters).fit(X, labels, weights)
    parts = [dask.delayed((X[part], labels[part], weights[part])) for part in parts]
    crf = DaskGraphCRFClassifier(**parameters).fit(parts)
    assert crf.loss_curve_[-1] == pytest.approx(local.loss_curve_[-1], rel=1e-9)
    np.testing.assert_allclose(crf._model.coef, local._model.coef, atol=1e-6)
    assert crf.score(parts) == pytest.approx(local.score(X, labels, weights), abs=1e-12)


def test_any_number_of_workers_gives_the_same_bits(start_cluster, make_data, cut):
    parts, found = cut(5, *make_data()), []
    for n_workers in (1, 2, 3):
        with start_cluster(n_workers) as client:
            crf = DaskGraphCRFClassifier(tol=1e-2, random_state=0, client=client)
            for optimizer in ("lbfgs", AveragedSGD(3), Adam(n_epochs=3)):
                crf = crf.set_params(optimizer=optimizer).fit(parts)
                found.append(np.r_[crf.loss_curve_, crf._model.coef])
    for k in range(3):
        np.testing.assert_array_equal(found[k + 3], found[k])
        np.testing.assert_array_equal(found[k + 6], found[k])


def test_stochastic_optimisers_come_near_the_optimum(client, make_data, cut):
    X, y = make_data(n_graphs=60)
    best = GraphCRFClassifier().fit(X, y).loss_curve_[-1]
    for optimizer in (AveragedSGD(8, batch_size=2), Adam(8, batch_size=2)):
        crf = DaskGraphCRFClassifier(optimizer=optimizer, random_state=0).fit(cut(4, X, y))
        assert best < crf.loss_curve_[-1] < 1.1 * best


class Probe(Optimizer):
    """An optimiser that calls ``body(loss, coef)``, and minimises nothing."""

    stochastic, batch_size = True, 2

    def __init__(self, body=None):
        self.body = body

    def minimize(self, loss, start, **_):
        self.body(loss, np.linspace(-1, 1, len(start)))
        raise StopIteration


def test_mini_batches_are_sums_over_the_partitions(client, make_data, cut):
    """Their sum is the loss of all data, and small steps lead where the steps of one process lead."""
    rate, found = 1e-5, []

    def body(loss, coef):
        value, gradient = map(sum, zip(*(loss.batch(number, coef) for number in range(loss.n_batches))))
        end = coef.copy()
        stepped = loss.steps(np.arange(loss.n_batches), end, rate)
        np.testing.assert_allclose((coef - end) / rate, gradient, atol=1e-3)
        assert stepped == pytest.approx(value, rel=1e-4)
        found.append(np.r_[value, gradient])

    X, y = make_data()
    for crf, data in (DaskGraphCRFClassifier(), (cut(3, X, y),)), (GraphCRFClassifier(), (X, y)):
        with pytest.raises(StopIteration):
            crf.set_params(optimizer=Probe(body)).fit(*data)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9)


def test_approximate_inference_has_the_same_sequence_of_backends(client, cut):
    X, y = make_grid(5, 4, 4, n_states=3, random_state=0, return_X_y=True)
    parameters = {"inference": Auto(max_entries=1), "tol": 1e-2}
    local = GraphCRFClassifier(**parameters).fit(X, y)
    crf = DaskGraphCRFClassifier(**parameters).fit(cut(2, X, y))
    assert repr(crf.inference_) == repr(local.inference_)
    assert crf.loss_curve_[-1] == pytest.approx(local.loss_curve_[-1], rel=1e-3)


def test_a_folder_of_each_partition(client, make_data, tmp_path):
    X, y = make_data(sparse=True)
    local = GraphCRFClassifier().fit(X, y)
    folders = [tmp_path / "first", str(tmp_path / "second")]
    for folder, part in zip(folders, (slice(0, 5), slice(5, 12))):
        save_dataset(folder, X[part], y[part])
    crf = DaskGraphCRFClassifier().fit(folders)
    assert crf.loss_curve_[-1] == pytest.approx(local.loss_curve_[-1], rel=1e-9)
    assert crf.score(folders) == pytest.approx(local.score(X, y))
    assert dask.compute(*crf.predict(folders)) == (local.predict(X[:5]), local.predict(X[5:]))


def test_bags_of_graphs(client, make_data):
    X, y = make_data()
    weights = np.linspace(1, 2, 12)
    local = GraphCRFClassifier().fit(X, y, weights)
    bags = [bag.from_sequence(list(items), npartitions=3) for items in (X, y, weights)]
    crf = DaskGraphCRFClassifier().fit(*bags)
    assert crf.loss_curve_[-1] == pytest.approx(local.loss_curve_[-1], rel=1e-9)
    assert crf.score(*bags) == pytest.approx(local.score(X, y, weights))
    assert dask.compute(*crf.predict(bags[0]))[1] == local.predict(X[4:8])


def test_predictions_stay_on_the_workers_until_they_are_needed(client, make_data, cut):
    X, y = make_data()
    parts = cut(3, X, y)
    crf = DaskGraphCRFClassifier().fit(parts)
    local = crf.to_local()
    assert type(local) is GraphCRFClassifier
    assert local.score(X, y) == pytest.approx(crf.score(parts), abs=1e-12)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        found = getattr(crf, method)([dask.delayed(X[:4]), dask.delayed((X[4:], None))])
        expected = getattr(local, method)(X).values
        sizes = dask.compute(*(dask.delayed(len)(part) for part in found))
        assert sizes == (4, 8)
        np.testing.assert_allclose(np.concatenate([part.values for part in dask.compute(*found)]), expected)


def test_nothing_of_the_data_stays_on_the_workers(client, make_data, cut, wait_until_empty):
    crf = DaskGraphCRFClassifier().fit(cut(3, *make_data()))
    assert crf.n_iter_ > 5
    wait_until_empty(client)


def test_a_training_continues_with_the_same_bits(client, make_data, cut):
    parts = cut(3, *make_data())
    whole = DaskGraphCRFClassifier(max_iter=8, tol=0)
    crf = DaskGraphCRFClassifier(max_iter=3, tol=0, warm_start=True)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        whole.fit(parts)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        crf.fit(parts)
    crf = pickle.loads(pickle.dumps(crf)).set_params(max_iter=8)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        crf.fit(parts)
    np.testing.assert_array_equal(crf._model.coef, whole._model.coef)
    np.testing.assert_array_equal(crf.loss_curve_, whole.loss_curve_)


def test_the_client_survives_clone_and_not_pickle(client):
    crf = DaskGraphCRFClassifier(C=2.0, client=client)
    copy = clone(crf)
    assert copy.client is client
    assert copy.C == 2.0
    assert pickle.loads(pickle.dumps(crf)).client is None
    assert "client" not in crf.to_local().get_params()


CHECKS = list(estimator_checks_generator(DaskGraphCRFClassifier()))
QUICK = re.compile("clone|params|pickle|init|repr|sample_weight|requires_y")


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(*pair, id=str(number), marks=[] if QUICK.search(str(pair[1])) else pytest.mark.slow)
        for number, pair in enumerate(CHECKS)
    ],
)
def test_scikit_learn_checks(estimator, check):
    """The checks use tables in memory, as no check has a cluster; most of them repeat those of the base class."""
    check(estimator)


def test_parameters_are_those_of_the_local_estimator():
    ours, theirs = DaskGraphCRFClassifier().get_params(), GraphCRFClassifier().get_params()
    assert ours == {**theirs, "client": None}


class Dying(Checkpoints):
    """The process of the client dies after three checkpoints."""

    def write(self, model, number):
        super().write(model, number)
        if number == 3:
            raise RuntimeError


def test_checkpoints(client, make_data, cut, tmp_path):
    pytest.importorskip("skops")
    parts = cut(3, *make_data())
    whole = DaskGraphCRFClassifier(tol=1e-3).fit(parts)
    crf = DaskGraphCRFClassifier(tol=1e-3, checkpoints=Dying(tmp_path, n_iter=1), client=client)
    with pytest.raises(RuntimeError):
        crf.fit(parts)
    assert load_model(max(tmp_path.iterdir())).n_iter_ == 3
    crf.set_params(checkpoints=Checkpoints(tmp_path)).fit(parts)
    np.testing.assert_array_equal(crf._model.coef, whole._model.coef)
    np.testing.assert_array_equal(crf.loss_curve_, whole.loss_curve_)
