"""The training contract: losses of chunks in another process, plans that nobody needs, components out of place."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

from skstruct import GraphCRFClassifier
from skstruct.estimator import _chunks
from skstruct.exceptions import UnsupportedTopology
from skstruct.features import ConstrainedFeatures, FeaturePlan, LinearFeatures, NetworkFeatures
from skstruct.features._linear import LinearPlan
from skstruct.inference import Enumeration, LoopyBP, Tree
from skstruct.objectives import Likelihood, Objective
from skstruct.optim import LBFGS, Optimizer
from skstruct.scores import Scores

MAPS = {
    "linear": LinearFeatures(),
    "observed": LinearFeatures("observed", node_weights="observed"),
    "float32": LinearFeatures(dtype="float32"),
    "constrained": ConstrainedFeatures(forbidden_pairs=[(0, 7)]),
    "network": NetworkFeatures((4, 3), "tanh"),
}


class Grab(Optimizer):
    """Hands the loss to a test and ends."""

    accepts_l1 = True

    def __init__(self, seen):
        self.seen = seen

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        self.seen.append(loss)
        yield from LBFGS().iterate(loss, start, l1=l1, max_iter=1, tol=tol)


@pytest.fixture
def losses(make_data, monkeypatch):
    """Return the training loss of a map on chains in several chunks."""
    monkeypatch.setattr(_chunks, "CHUNK_SCORES", 40)
    X, y = make_data("chain", sizes=[4] * 12, n_states=2, storage="csr")

    def grab(**parameters):
        seen = []
        with warnings.catch_warnings(action="ignore"):  # the optimiser does not optimise
            GraphCRFClassifier(optimizer=Grab(seen), classes=[0, 1, 7], **parameters).fit(X, y)
        return seen[0]

    return grab


def test_chunk_losses_have_the_same_value_in_another_process(losses, tmp_path):
    sent, expected = [], []
    for features in MAPS.values():
        loss = losses(features=features)
        assert len(loss.losses) > 2
        coef = np.random.default_rng(0).normal(size=loss.feature_plan.n_coef) * loss.free
        coef = coef.astype(loss.feature_plan.dtype)
        expected.append([part(coef) for part in loss.losses])
        assert all(part.inference.is_planned for part in loss.losses)
        sent.append((loss.losses, coef))
    path = tmp_path / "losses.pickle"
    path.write_bytes(pickle.dumps(sent))
    code = (
        "import pickle, sys; sent = pickle.load(open(sys.argv[1], 'rb'));"
        "assert not any(part.inference.is_planned for losses, _ in sent for part in losses);"
        "pickle.dump([[part(coef) for part in losses] for losses, coef in sent], open(sys.argv[1], 'wb'))"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True, timeout=200)
    for name, ours, theirs in zip(MAPS, expected, pickle.loads(path.read_bytes()), strict=True):
        for (value, gradient), (their_value, their_gradient) in zip(ours, theirs, strict=True):
            assert their_value == value, name
            np.testing.assert_array_equal(their_gradient, gradient, err_msg=name)


@pytest.mark.parametrize("name", MAPS)
def test_chunk_losses_add_up_and_batches_too(losses, name):
    loss = losses(features=MAPS[name])
    coef = np.random.default_rng(1).normal(size=loss.feature_plan.n_coef) * loss.free
    value, gradient = loss(coef)
    penalty = 0.5 * (loss.l2 * coef) @ coef
    single = loss.feature_plan.dtype == np.float32
    for parts in (
        [(loss.factor * v, loss.factor * g * loss.free) for v, g in (part(coef) for part in loss.losses)],
        [loss.batch(number, coef) for number in range(loss.n_batches)],
    ):
        assert sum(v for v, _ in parts) + penalty == pytest.approx(value, rel=1e-5 if single else 1e-12)
        np.testing.assert_allclose(sum(g for _, g in parts) + loss.l2 * coef, gradient, atol=1e-5 if single else 1e-12)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("name", [name for name in MAPS if name != "network"])
def test_products_with_the_hessian(losses, name, missing):
    loss = losses(features=MAPS[name])
    if missing:
        for part in loss.losses:
            codes = part.targets.codes.copy()
            codes[::3] = -1
            part.targets = part.targets._replace(codes=codes)
    rng = np.random.default_rng(2)
    coef, direction = rng.normal(size=(2, loss.feature_plan.n_coef)) * loss.free
    found = loss.product(coef, direction)
    step, accuracy = (1e-2, 1e-2) if loss.feature_plan.dtype == np.float32 else (1e-5, 1e-6)
    slope = (loss(coef + step * direction)[1] - loss(coef - step * direction)[1]) / (2 * step)
    np.testing.assert_allclose(found, slope, rtol=0, atol=accuracy * np.abs(slope).max())
    loss.product(-coef, direction)
    np.testing.assert_array_equal(loss.product(coef, direction), found)  # what it keeps belongs to a point
    assert loss.product(coef, 2 * direction) == pytest.approx(2 * found, rel=1e-9, abs=1e-12)


def test_minibatches_are_parts_of_the_inputs(losses, monkeypatch):
    loss = losses(features=LinearFeatures(node_weights="observed"))
    prepared = []
    monkeypatch.setattr(LinearPlan, "prepare", lambda *args: prepared.append(args))
    assert loss.n_batches >= len(loss.losses)
    assert not prepared


# ---- lazy plans
class Independent(Objective):
    """The negative log-likelihood of a model that ignores the edges: no inference."""

    uses_inference = False

    def value_and_gradient(self, inference, scores, targets):
        shifted = scores.node - scores.node.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        nodes, t = np.arange(len(log_p)), inference.topology
        node = np.exp(log_p)
        node[nodes, targets.codes] -= 1.0
        node *= targets.graph_weight[t.node_graph][:, None]
        losses = -t.sum_nodes(log_p[nodes, targets.codes])
        return losses, Scores(node, np.zeros_like(scores.edge), scores.edge_matrix)


def test_an_objective_without_inference_plans_none(make_data, monkeypatch):
    """No refusal of cycles by "tree", and no warning that inference did not converge."""
    X, y = make_data("cycle", sizes=(4, 5, 6))
    planned = []
    original = LoopyBP.plan
    monkeypatch.setattr(LoopyBP, "plan", lambda *args: planned.append(1) or original(*args))
    crf = GraphCRFClassifier(objective=Independent(), inference=LoopyBP(max_iter=1)).fit(X, y)
    assert not planned
    crf.set_params(inference="tree").fit(X, y)
    with pytest.raises(UnsupportedTopology, match="graph 0: inference='tree'"):
        crf.predict(X)
    table = GraphCRFClassifier().fit(X.node_features, y.values)
    np.testing.assert_allclose(crf.coef_, table.coef_, atol=1e-4)


def test_an_objective_without_probabilities_says_so(make_data):
    class Margin(Likelihood):
        probabilistic = False

    X, y = make_data()
    crf = GraphCRFClassifier(objective=Margin()).fit(X, y)
    assert len(crf.predict(X)) == len(X)
    for name in ("predict_proba", "predict_log_proba", "predict_edge_proba"):
        assert not hasattr(crf, name)
        with pytest.raises(AttributeError) as caught:
            getattr(crf, name)
        assert "define no probabilities" in f"{caught.value} {caught.value.__cause__}"


def test_plans_are_made_once(make_data, monkeypatch):
    X, y = make_data("tree")
    planned = []
    original = Tree.plan
    monkeypatch.setattr(Tree, "plan", lambda *args: planned.append(1) or original(*args))
    crf = GraphCRFClassifier(inference=Tree()).fit(X, y)
    assert crf.n_evaluations_ > 3
    assert len(planned) == 1


def test_queries_use_the_inference_that_is_set(make_data):
    X, y = make_data("cycle", sizes=(4, 5))
    crf = GraphCRFClassifier().fit(X, y)
    exact = crf.log_partition(X)
    crf.set_params(inference="mean_field")
    assert (crf.log_partition(X) < exact).all()
    assert crf.inference_report(X)["backend"].tolist() == ["mean_field"] * 2
    np.testing.assert_allclose(crf.set_params(inference=Enumeration()).log_partition(X), exact)


# ---- maps whose gradient depends on the parameters
class SquaredPlan(LinearPlan):
    """Scores of the squared parameters; `pullback` reads `coef` while it writes `out`."""

    def scores(self, inputs, coef):
        scores, context = super().scores(inputs, coef**2)
        return scores, (context, coef)

    def pullback(self, context, d_scores, out):
        inputs, coef = context
        of_squares = np.zeros_like(out)
        super().pullback(inputs, d_scores, of_squares)
        for _ in range(2):  # two terms: the second one reads `coef` after the first one was written
            out += coef * of_squares

    step = FeaturePlan.step
    has_tangent = FeaturePlan.has_tangent


class Squared(LinearFeatures):
    """A map that is not linear in its parameters."""

    def plan_from(self, statistics, classes):
        return SquaredPlan(**vars(super().plan_from(statistics, classes)))


def test_newton_needs_hessian_products(make_data):
    X, y = make_data("chain")
    for parameters, missing in (
        ({"features": Squared()}, "SquaredPlan"),
        ({"objective": Independent()}, "Independent"),
    ):
        with pytest.raises(ValueError, match=f"NewtonCG needs Hessian products, without support in {missing}; use"):
            GraphCRFClassifier(optimizer="newton_cg", **parameters).fit(X, y)


def test_the_gradient_of_a_step_is_that_of_the_batch(losses):
    """SGD passed `coef` as `out`: such a map was trained on a wrong gradient, in silence."""
    loss = losses(features=Squared())
    coef = np.random.default_rng(3).normal(size=loss.feature_plan.n_coef) * loss.free
    for number in range(loss.n_batches):
        stepped = coef.copy()
        loss.steps([number], stepped, 0.1)
        np.testing.assert_allclose(stepped, coef - 0.1 * loss.batch(number, coef)[1], rtol=1e-12)
