"""Training on graphs that are too wide for exact inference."""

import numpy as np
import pytest
from sklearn.base import clone

from skstruct import GraphCRFClassifier, GraphDataset
from skstruct.datasets import make_grid
from skstruct.estimator import _penalized, _stages
from skstruct.inference import Auto, LoopyBP, TreeReweightedBP
from skstruct.inference._checked import CheckedPlan

BOUND, LOOPY = (Auto(max_entries=1, approximate=b) for b in (TreeReweightedBP(tol=1e-3), LoopyBP()))


def without_edges(data):
    return GraphDataset(data.node_features, node_ptr=data.node_ptr)


@pytest.mark.parametrize("C", [0.1, 10.0])
@pytest.mark.parametrize("n_states", [2, 3])
def test_training_by_the_bound_is_never_above_the_model_without_edges(n_states, C):
    """Neither the penalised loss of the training, nor the true one at its solution; for labels of any kind."""
    X, y = make_grid(4, 3, 4, n_states=n_states, random_state=n_states, return_X_y=True)
    for labels in (y, y[::-1]):
        alone = GraphCRFClassifier(C=C, tol=1e-5).fit(without_edges(X), labels)
        crf = GraphCRFClassifier(inference=BOUND, C=C, tol=1e-5).fit(X, labels)
        reached, slack = crf.loss_curve_[-1], 1e-5 * alone.loss_curve_[-1]
        assert reached <= alone.loss_curve_[-1] + slack
        exact = crf.set_params(inference="junction_tree").log_likelihood(X, labels).sum()
        true = 0.5 * ((crf.coef_**2).sum() + (crf.edge_coef_**2).sum()) - C * exact
        assert true <= reached + slack


@pytest.fixture
def data():
    return make_grid(3, 3, 4, n_states=3, random_state=0, return_X_y=True)


@pytest.fixture
def marginal_losses(monkeypatch):
    """Let the mean marginal loss depend on the backend only: a dict, which a test fills."""
    losses = {}
    monkeypatch.setattr(_stages, "mean_marginal_loss", lambda loss, coef: losses[loss.chunks[0].plan.name])
    return losses


def test_loopy_bp_continues_where_it_decreases_the_marginal_loss(data, marginal_losses):
    X, y = data
    marginal_losses.update(edgeless=0.5, tree_reweighted=0.4, loopy_bp=0.3)
    crf = GraphCRFClassifier(inference=Auto(max_entries=1)).fit(X, y)
    assert repr(crf.inference_) == repr(LOOPY)
    assert set(crf.inference_report(X)["backend"]) == {"loopy_bp"}
    fresh = GraphCRFClassifier(inference=LOOPY).fit(X, y)
    assert crf.loss_curve_[-1] == pytest.approx(fresh.loss_curve_[-1], rel=1e-4)


def test_loopy_bp_is_refused_where_it_does_not(data, marginal_losses):
    X, y = data
    marginal_losses.update(edgeless=0.5, tree_reweighted=0.4, loopy_bp=0.45)
    crf = GraphCRFClassifier(inference=Auto(max_entries=1)).fit(X, y)
    assert repr(crf.inference_) == repr(BOUND)
    assert set(crf.inference_report(X)["backend"]) == {"tree_reweighted"}
    fresh = GraphCRFClassifier(inference=BOUND).fit(X, y)
    assert crf.loss_curve_[-1] == pytest.approx(fresh.loss_curve_[-1], rel=1e-4)
    assert crf.n_evaluations_ < fresh.n_evaluations_  # the tolerance of the optimiser is that of inference


def test_a_model_without_edges_is_kept_where_edges_make_it_worse(data, marginal_losses):
    X, y = data
    marginal_losses.update(edgeless=0.5, tree_reweighted=0.6, loopy_bp=0.7)
    crf = GraphCRFClassifier(inference=Auto(max_entries=1))
    with pytest.warns(UserWarning, match=r"0\.6 with edges and 0\.5 without.*weights without edges are kept.*marginal"):
        crf.fit(X, y)
    assert not crf.edge_coef_.any()
    alone = GraphCRFClassifier().fit(without_edges(X), y)
    np.testing.assert_allclose(crf.predict_proba(X).values, alone.predict_proba(without_edges(X)).values, atol=1e-3)


@pytest.mark.parametrize("inference", ["loopy_bp", "tree_reweighted", "mean_field", BOUND])
def test_a_backend_by_name_keeps_its_model_and_warns(data, marginal_losses, inference):
    X, y = data
    marginal_losses.update(edgeless=0.5, tree_reweighted=0.6, loopy_bp=0.6, mean_field=0.6)
    crf = GraphCRFClassifier(inference=inference)
    with pytest.warns(UserWarning, match=r"0\.6 with edges and 0\.5 without(?!.*kept).*pseudolikelihood") as caught:
        crf.fit(X, y)
    assert caught[-1].filename == __file__
    assert crf.edge_coef_.any()


def test_exact_training_is_compared_with_nothing(data, monkeypatch):
    X, y = data
    monkeypatch.setattr(_stages, "mean_marginal_loss", None)
    crf = GraphCRFClassifier().fit(X, y)
    assert repr(crf.inference_) == repr(Auto())
    assert len(crf.loss_curve_) <= crf.n_evaluations_


def test_predictions_use_the_backend_of_training_until_the_parameter_is_set(data, marginal_losses):
    X, y = data
    marginal_losses.update(edgeless=0.5, tree_reweighted=0.4, loopy_bp=0.45)
    crf = GraphCRFClassifier(inference=Auto(max_entries=1)).fit(X, y)

    def used():
        return set(crf.inference_report(X)["backend"])

    assert used() == {"tree_reweighted"}
    assert crf.set_params(inference=Auto(max_entries=1)) is crf
    assert used() == {"tree_reweighted"}  # the same value
    assert crf.set_params(inference__max_entries=1e6)
    assert used() == {"junction_tree"}
    crf.set_params(inference="mean_field")
    assert used() == {"mean_field"}
    assert set(crf.set_params(inference=crf.inference_).inference_report(X)["backend"]) == {"tree_reweighted"}


def test_a_warm_start_goes_on_from_the_last_weights(data):
    X, y = data
    crf = GraphCRFClassifier(inference=BOUND, tol=1e-4, warm_start=True).fit(X, y)
    loss = crf.loss_curve_[-1]
    crf.fit(X, y)
    assert crf.loss_curve_[0] == pytest.approx(loss, rel=1e-5)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # few iterations keep the test short
@pytest.mark.filterwarnings("ignore:with edges the model is worse")  # after few iterations
@pytest.mark.parametrize("objective", ["likelihood", "marginal"])
def test_ctrl_c_is_never_lost(data, monkeypatch, objective):
    """Neither in a comparison, nor if another model than the interrupted one is kept; the trained model is kept."""
    X, y = data
    crf = GraphCRFClassifier(inference=Auto(max_entries=1), objective=objective, max_iter=3)
    marginals, count = CheckedPlan.marginals_from, {"calls": 0, "fails_at": 0}

    def interrupted(plan, *args, **kwargs):
        count["calls"] += 1
        if count["calls"] == count["fails_at"]:
            raise KeyboardInterrupt
        return marginals(plan, *args, **kwargs)

    monkeypatch.setattr(CheckedPlan, "marginals_from", interrupted)
    clone(crf).fit(X, y)
    is_fitted = []
    for fails_at in range(1, count["calls"] + 1):
        count.update(calls=0, fails_at=fails_at)
        again = clone(crf)
        with pytest.raises(KeyboardInterrupt):
            again.fit(X, y)
        is_fitted.append(hasattr(again, "classes_"))
    lost = [number for number, kept in enumerate(is_fitted) if not kept]
    n_before = is_fitted.index(True)  # first evaluation without edges
    n_start = sum(number > n_before for number in lost)  # two starts are compared, and the better one is evaluated
    assert 1 <= n_before <= 2  # nested plans are counted
    assert n_start <= 3 * 2
    assert np.ptp(lost[n_before:]) == n_start - 1  # a model is kept before the start, and after it


def test_hidden_labels_and_weights(data):
    """A graph of weight 0 and hidden nodes do not enter the comparison; exact and approximate graphs in one batch."""
    X, y = data
    chain = ([[0.0] * X.node_features.shape[1]] * 3, [(0, 1), (1, 2)])
    graphs = [*X, chain, chain]
    labels = [*(np.where(np.arange(len(part)) % 4 == 1, -1, part) for part in y), [0, -1, 2], [1, 1, 1]]
    crf = GraphCRFClassifier(inference=Auto(max_entries=1), missing_label=-1)
    crf.fit(graphs, labels, sample_weight=[1, 2, 1, 1, 0])
    report = crf.inference_report(graphs)
    assert report["backend"][3:].tolist() == ["chain", "chain"]
    assert not report["exact"][:3].any()
    assert crf.score(graphs[:3], labels[:3]) > 0.5


def test_the_mean_marginal_loss_is_that_of_the_predictions(data, monkeypatch):
    X, y = data
    values, original = [], _stages.mean_marginal_loss
    monkeypatch.setattr(_stages, "mean_marginal_loss", lambda *args: values.append(original(*args)) or values[-1])
    labels = [np.where(np.arange(len(part)) % 4 == 1, -1, part) for part in y]
    weights = [1.0, 2.0, 3.0]
    crf = GraphCRFClassifier(inference=BOUND, missing_label=-1).fit(X, labels, sample_weight=weights)
    found = np.concatenate(labels)
    known = found >= 0
    losses = -np.log(crf.predict_proba(X).values[known, found[known]])
    assert values[0] == pytest.approx(np.average(losses, weights=np.repeat(weights, 12)[known]))
    assert values[0] < values[1]  # of the model without edges


def test_the_approximate_backend_of_auto_is_checked(data):
    with pytest.raises(TypeError, match="approximate of Auto must be an inference backend, got 'loopy_bp'"):
        GraphCRFClassifier(inference=Auto(approximate="loopy_bp")).fit(*data)


def test_all_weights_have_one_memory_layout(data, monkeypatch):
    """Kernels are compiled for each layout."""
    seen, penalise = [], _penalized._penalise

    def record(*args):
        seen.append(args[-1].flags.c_contiguous)
        return penalise(*args)

    monkeypatch.setattr(_penalized, "_penalise", record)
    GraphCRFClassifier(inference=BOUND, tol=1.0).fit(*data)
    assert len(seen) > 1
    assert all(seen)
