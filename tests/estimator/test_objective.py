"""The function that fit minimises: its gradient, and its value against enumeration of all labellings."""

import numpy as np
import pytest

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.features import LinearFeatures
from skstruct.inference import LoopyBP
from skstruct.optim import Optimizer, OptimizerState


class Probe(Optimizer):
    """An optimiser that goes to a random point and compares the gradient there with central differences."""

    def __init__(self, seed=0):
        self.seed = seed

    accepts_l1 = True

    def iterate(self, loss, start, *, l1=None, max_iter, tol):
        rng = np.random.default_rng(self.seed)
        x, step = rng.normal(size=len(start)), 1e-5
        value, gradient = loss(x)
        for direction in [*rng.normal(size=(4, len(x))), *np.eye(len(x))[:: max(1, len(x) // 4)]]:
            numeric = (loss(x + step * direction)[0] - loss(x - step * direction)[0]) / (2 * step)
            np.testing.assert_allclose(gradient @ direction, numeric, rtol=1e-6, atol=1e-8)
        yield OptimizerState(x, value, 0.0, success=True)


def hide(y, share=0.4, seed=1):
    """Labels with a share of them replaced by -1; the first three stay."""
    values = y.values.copy()
    hidden = np.random.default_rng(seed).random(len(values)) < share
    hidden[:3] = False
    values[hidden] = -1
    return RaggedArray(values, y.ptr)


def enumerated_loss(crf, X, y, brute_force, weights=None):
    """What the class docstring says is minimised, by enumeration."""
    node, edge = crf.scores(X)
    loss = 0.0
    for g, graph in enumerate(X):
        ll = brute_force(node[g], graph.edges, edge[g]).log_likelihood(y[g])
        loss -= ll if weights is None else weights[g] * ll
    return crf.C * loss


def squared_norm(crf):
    """Of the free parameters of all edge weights but "antisymmetric", which has each twice."""
    kind = crf.features.edge_weights
    if kind == "potts":
        edge = crf.edge_coef_[:, 0, 0]
    elif kind == "antisymmetric":
        edge = crf.edge_coef_[:, *np.triu_indices(crf.edge_coef_.shape[1], k=1)]
    elif kind == "symmetric":
        edge = crf.edge_coef_[:, *np.triu_indices(crf.edge_coef_.shape[1])]
    else:
        edge = crf.edge_coef_
    return (crf.coef_**2).sum() + (edge**2).sum()


@pytest.mark.parametrize("edge_weights", ["full", "symmetric", "antisymmetric", "potts"])
@pytest.mark.parametrize("n_edge_features", [0, 2])
@pytest.mark.parametrize(("storage", "dtype"), [("dense", np.float64), ("csr", np.float64), ("csr", np.float32)])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(("kind", "inference"), [("chain", "chain"), ("tree", "tree"), ("cycle", "enumeration")])
def test_value_and_gradient(
    make_data, brute_force, edge_weights, n_edge_features, storage, dtype, missing, kind, inference
):
    X, y = make_data(kind, n_edge_features=n_edge_features, storage=storage, dtype=dtype)
    y = hide(y) if missing else y
    weights = np.array([1.0, 0.5, 2.0, 0.0])
    crf = GraphCRFClassifier(LinearFeatures(edge_weights), inference, optimizer=Probe(), C=0.7, missing_label=-1)
    crf.fit(X, y, weights)
    expected = 0.5 * squared_norm(crf) + enumerated_loss(crf, X, y, brute_force, weights)
    assert crf.loss_curve_[-1] == pytest.approx(expected, rel=1e-6 if dtype == np.float32 else 1e-10)


def test_dense_float32(make_data):
    X, y = make_data(n_edge_features=2, dtype=np.float32)
    GraphCRFClassifier(optimizer=Probe()).fit(X, y)


def test_l1_is_no_part_of_the_smooth_function(make_data, brute_force):
    X, y = make_data()
    crf = GraphCRFClassifier(LinearFeatures(), optimizer=Probe(), l1_ratio=0.25).fit(X, y)
    expected = 0.75 / 2 * squared_norm(crf) + enumerated_loss(crf, X, y, brute_force)
    assert crf.loss_curve_[-1] == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["chain", "tree", "cycle"])
def test_loopy_bp(make_data, kind):
    """On trees the loss is exact; on cycles the gradient is that of the surrogate, at a fixed point."""
    X, y = make_data(kind, sizes=(4, 1, 3), seed=3)
    GraphCRFClassifier(inference=LoopyBP(tol=1e-12, max_iter=1000), optimizer=Probe()).fit(X, y)


def test_repeated_and_reversed_edges_add(make_data, brute_force):
    """Edge (0, 1) three times, once in reverse, is one edge with the matrix ``2 U + U.T``."""
    X, y = make_data("chain", sizes=(3, 2))
    edges = [(0, 1), (1, 2), (1, 0), (0, 1), (0, 1)]
    multigraph = GraphDataset(X.node_features, edges, None, X.node_ptr, [0, 4, 5])
    crf = GraphCRFClassifier(LinearFeatures(), optimizer=Probe()).fit(multigraph, y)
    expected = 0.5 * squared_norm(crf) + enumerated_loss(crf, multigraph, y, brute_force)
    assert crf.loss_curve_[-1] == pytest.approx(expected)

    U = crf.edge_coef_[0]
    node, _ = crf.scores(multigraph)
    simple = brute_force(node[0], [(0, 1), (1, 2)], np.array([2 * U + U.T, U]))
    assert crf.log_partition(multigraph)[0] == pytest.approx(simple.log_partition)
    np.testing.assert_allclose(crf.predict_proba(multigraph)[0], simple.node)
    np.testing.assert_array_equal(crf.predict(multigraph)[0], crf.classes_[simple.best])
    first, second = simple.edge
    np.testing.assert_allclose(crf.predict_edge_proba(multigraph)[0], [first, second, first.T, first])


def test_missing_labels_in_all_forms(make_data):
    """-1 among numbers, nan, None among strings, and a graph without any label say the same."""
    X, y = make_data(sizes=(3, 2, 4))
    y = hide(y)
    y.values[3:5] = -1  # the second graph says nothing
    hidden = y.values == -1
    names = np.array(["a", "b", "c", None], dtype=object)
    forms = {
        -1: y,
        "?": RaggedArray(np.where(hidden, "?", y.values.astype(str)), y.ptr),
    }
    as_float = RaggedArray(np.where(hidden, np.nan, y.values), y.ptr)
    as_none = [names[part].tolist() for part in y]
    coefs = [GraphCRFClassifier(missing_label=m).fit(X, labels).coef_ for m, labels in forms.items()]
    coefs += [GraphCRFClassifier(missing_label=np.nan).fit(X, labels).coef_ for labels in (as_float, as_none)]
    without = GraphCRFClassifier(missing_label=-1).fit(X[[0, 2]], y[[0, 2]])
    for coef in [*coefs[1:], without.coef_]:
        np.testing.assert_allclose(coef, coefs[0], atol=1e-4)
