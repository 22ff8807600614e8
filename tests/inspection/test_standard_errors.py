"""Standard errors: the covariance of sufficient statistics by enumeration, logistic regression, coverage."""

import dataclasses
import itertools

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale

from skstruct import GraphCRFClassifier, GraphDataset, RaggedArray
from skstruct.features import LinearFeatures
from skstruct.inference import TreeReweightedBP
from skstruct.inspection import _standard_errors, standard_errors
from skstruct.inspection._information import DenseInformation, NotPositive, conjugate_gradients

LOOSE, TIGHT = {"C": 1e8, "tol": 1e-9}, {"tol": 1e-9}


class Oracle:
    """Graphs of one shape, by enumeration: statistics of all labellings, one column for each entry of the weights.

    The columns are in the order coef_, intercept_, edge_coef_, with as many classes as `n_states`.
    """

    def __init__(self, edges, n_nodes, n_states):
        self.edges, self.n_nodes, self.n_states = edges, n_nodes, n_states
        self.labellings = np.array(list(itertools.product(range(n_states), repeat=n_nodes)))

    def statistics(self, x, f):
        """(n_labellings, n_weights) of one graph with node features `x` and edge features `f`."""
        one_hot = np.eye(self.n_states)[self.labellings]  # (n_labellings, n_nodes, n_states)
        node = np.einsum("lic,id->lcd", one_hot, x)
        i, j = np.reshape(self.edges, (-1, 2)).T
        edge = np.einsum("lea,leb,ek->lkab", one_hot[:, i], one_hot[:, j], f)
        return np.concatenate([t.reshape(len(self.labellings), -1) for t in (node, one_hot.sum(axis=1), edge)], axis=1)

    def information(self, weights, graphs, sample_weight, known=None):
        """Sum of the covariances of the statistics, less those given the known labels."""
        total = 0.0
        for g, (x, f) in enumerate(graphs):
            statistics = self.statistics(x, f)
            scores = statistics @ weights
            cases = [(1.0, np.ones(len(scores), bool))]
            if known is not None:
                cases.append((-1.0, ((self.labellings == known[g]) | (known[g] < 0)).all(axis=1)))
            for sign, allowed in cases:
                p = softmax(np.where(allowed, scores, -np.inf))
                mean = p @ statistics
                total = total + sign * sample_weight[g] * (
                    statistics.T @ (p[:, None] * statistics) - np.outer(mean, mean)
                )
        return total

    def probabilities(self, weights, graphs):
        """(n_graphs, n_labellings)."""
        return softmax([self.statistics(x, f) @ weights for x, f in graphs], axis=1)

    def sample(self, probabilities, rng):
        """Draw a labelling for each graph, (n_graphs, n_nodes)."""
        below = np.cumsum(probabilities, axis=1) < rng.random((len(probabilities), 1))
        return self.labellings[np.minimum(below.sum(axis=1), len(self.labellings) - 1)]


SHAPES = {
    "chain": ([(0, 1), (1, 2), (2, 3)], 4),
    "tree": ([(0, 1), (2, 0), (0, 3)], 4),
    "grid": ([(0, 1), (2, 3), (0, 2), (1, 3)], 4),
}


def flat(found):
    return np.concatenate([np.ravel(found[name]) for name in ("coef_", "intercept_", "edge_coef_")])


def packed(graphs, edges, use_f):
    n_nodes, n_edges = len(graphs[0][0]), len(edges)
    return GraphDataset(
        np.concatenate([x for x, _ in graphs]),
        np.tile(edges, (len(graphs), 1)),
        np.concatenate([f for _, f in graphs]) if use_f else None,
        np.arange(len(graphs) + 1) * n_nodes,
        np.arange(len(graphs) + 1) * n_edges,
    )


def information_of(oracle, basis, crf, graphs, sample_weight, known=None):
    """Information of the parameters, given that of the entries of the weights."""
    return basis.T @ oracle.information(flat(vars(crf)), graphs, sample_weight, known) @ basis


def problem(shape, n_graphs=40, n_states=3, n_features=2, n_edge_features=0, seed=0, size=0.5):
    rng = np.random.default_rng(seed)
    edges, n_nodes = SHAPES[shape]
    oracle = Oracle(edges, n_nodes, n_states)
    graphs = [
        (rng.normal(size=(n_nodes, n_features)), rng.normal(size=(len(edges), n_edge_features or 1)))
        if n_edge_features
        else (rng.normal(size=(n_nodes, n_features)), np.ones((len(edges), 1)))
        for _ in range(n_graphs)
    ]
    truth = size * rng.normal(size=oracle.statistics(*graphs[0]).shape[1])
    y = oracle.sample(oracle.probabilities(truth, graphs), rng)
    return (
        oracle,
        packed(graphs, edges, n_edge_features),
        RaggedArray(y.ravel(), np.arange(n_graphs + 1) * n_nodes),
        graphs,
    )


def embedding(form, n_states, n_node_weights, n_matrices):
    """Weights as a linear function of the parameters: (n_weights, n_parameters)."""
    cells = np.arange(n_states**2).reshape(n_states, n_states)
    columns = {
        "full": [np.eye(n_states**2)[k] for k in range(n_states**2)],
        "symmetric": [
            ((cells == cells[a, b]) | (cells == cells[b, a])).ravel().astype(float)
            for a in range(n_states)
            for b in range(a, n_states)
        ],
        "antisymmetric": [
            ((cells == cells[a, b]).astype(float) - (cells == cells[b, a])).ravel()
            for a in range(n_states)
            for b in range(a + 1, n_states)
        ],
        "potts": [np.eye(n_states).ravel()],
    }[form]
    inner = np.array(columns).T
    out = np.zeros((n_node_weights + n_matrices * len(inner), n_node_weights + n_matrices * inner.shape[1]))
    out[:n_node_weights, :n_node_weights] = np.eye(n_node_weights)
    out[n_node_weights:, n_node_weights:] = np.kron(np.eye(n_matrices), inner)
    return out


@pytest.mark.parametrize("C", [1e8, 0.5])
@pytest.mark.parametrize(
    ("shape", "form", "n_edge_features"),
    [
        ("chain", "full", 0),
        ("tree", "symmetric", 0),
        ("grid", "potts", 2),
        ("grid", "antisymmetric", 1),
        ("chain", "full", 2),
    ],
)
def test_same_as_enumeration(shape, form, n_edge_features, C):
    """Pseudo-inverse of the information without a penalty; with a penalty, its projection on what is determined."""
    oracle, X, y, graphs = problem(shape, n_edge_features=n_edge_features)
    sample_weight = np.random.default_rng(1).integers(1, 4, size=len(X))
    crf = GraphCRFClassifier(LinearFeatures(form), C=C, tol=1e-9).fit(X, y, sample_weight)
    found = standard_errors(crf, X, y, sample_weight)
    basis = embedding(form, 3, 3 * 2 + 3, n_edge_features or 1)
    information = information_of(oracle, basis, crf, graphs, sample_weight)
    penalty = np.ones(len(information)) / C
    penalty[6:9] = 0.0
    inverse = np.linalg.pinv(information, rcond=1e-9, hermitian=True)
    determined = inverse @ information
    posterior = np.linalg.pinv(information + np.diag(penalty), rcond=1e-13, hermitian=True)
    covariance = basis @ (determined @ (inverse if C > 1e6 else posterior) @ determined.T) @ basis.T
    np.testing.assert_allclose(flat(found), np.sqrt(np.diag(covariance)), rtol=1e-5, atol=1e-9)
    assert len(found.undetermined) == len(information) - np.linalg.matrix_rank(information, tol=1e-8)
    assert {"coef_[:, 0]", "coef_[:, 1]", "intercept_[:]"} <= set(found.undetermined)
    some = standard_errors(
        crf, X, y, sample_weight, weights={"edge_coef_": True, "coef_": [[True, False]] + 2 * [[False] * 2]}
    )
    np.testing.assert_allclose(some.edge_coef_, found.edge_coef_, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(some.coef_[0, 0], found.coef_[0, 0], rtol=1e-4)
    assert np.isnan(some.coef_.ravel()[1:]).all()
    assert np.isnan(some.intercept_).all()


def test_hidden_labels():
    """The information of the known labels: that of all labels less that of the missing ones given the known ones."""
    oracle, X, y, graphs = problem("chain", n_graphs=150, n_states=2, n_features=1)
    known = np.where(np.random.default_rng(2).random(len(y.values)) < 0.3, -1, y.values)
    crf = GraphCRFClassifier(missing_label=-1, **LOOSE).fit(X, RaggedArray(known, X.node_ptr))
    found = standard_errors(crf, X, RaggedArray(known, X.node_ptr))
    information = oracle.information(flat(vars(crf)), graphs, np.ones(150), known.reshape(150, 4))
    wanted = np.sqrt(np.diag(np.linalg.pinv(information, rcond=1e-8, hermitian=True)))
    np.testing.assert_allclose(flat(found), wanted, rtol=1e-5)
    complete = standard_errors(GraphCRFClassifier(**LOOSE).fit(X, y), X, y)
    assert (found.coef_ > complete.coef_).all()


@pytest.mark.parametrize("storage", ["dense", "csr"])
def test_logistic_regression(storage):
    """The textbook formula: ``inv(X' diag(p (1 - p)) X)`` is the covariance of the difference of the two classes."""
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X[:, [1, 8, 11]])
    crf = GraphCRFClassifier(**LOOSE).fit(X, y)
    found = standard_errors(crf, csr_array(X) if storage == "csr" else X, y)
    design, p = np.column_stack([X, np.ones(len(X))]), crf.predict_proba(X)[:, 1]
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ ((p * (1 - p))[:, None] * design))))
    # the weights of the two classes are +- half of those of logistic regression
    np.testing.assert_allclose(found.coef_, [errors[:3] / 2] * 2, rtol=1e-6)
    np.testing.assert_allclose(found.intercept_, errors[3] / 2, rtol=1e-6)
    assert found.undetermined == ["coef_[:, 0]", "coef_[:, 1]", "coef_[:, 2]", "intercept_[:]"]


def test_observed_weights():
    """Sparse `coef_` gives sparse errors."""
    rng = np.random.default_rng(0)
    x = (rng.random((60, 5)) < 0.4).astype(float)
    y = rng.integers(3, size=60)
    X = GraphDataset(csr_array(x), node_ptr=np.arange(61))
    labels = RaggedArray(y, np.arange(61))
    errors = [
        standard_errors(GraphCRFClassifier(LinearFeatures(node_weights=kind), **TIGHT).fit(X, labels), X, labels)
        for kind in ("all", "observed")
    ]
    assert errors[1].coef_.nnz == 15
    np.testing.assert_allclose(errors[1].coef_.toarray(), errors[0].coef_, rtol=1e-6)


@pytest.fixture
def table():
    """A table with three classes that are far from separable."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2))
    y = [rng.choice(3, p=softmax([0, x[0], x[1]])) for x in X]
    return X, np.array(y)


def test_dependent_features_are_named(table):
    X, y = table
    crf = GraphCRFClassifier(**LOOSE).fit(np.column_stack([X, 2 * X[:, 0], np.zeros(len(X))]), y)
    found = standard_errors(crf, np.column_stack([X, 2 * X[:, 0], np.zeros(len(X))]), y)
    assert found.undetermined == [
        "coef_[0, 0] + 0.5 coef_[1, 2] + 0.5 coef_[2, 2]",  # with "coef_[:, 2]": a feature is twice the other
        "coef_[1, 0] - 0.5 coef_[1, 2]",
        "coef_[2, 0] - 0.5 coef_[2, 2]",
        "coef_[:, 1]",
        "coef_[:, 2]",
        "coef_[0, 3]",
        "coef_[1, 3]",
        "coef_[2, 3]",
        "intercept_[:]",
    ]
    np.testing.assert_array_equal(found.coef_[:, 3], 0)


def test_scales_do_not_matter(table):
    """Features of very different sizes: errors are inversely proportional, and nothing is lost."""
    X, y = table
    sizes = np.array([1e-4, 1e3])
    errors = standard_errors(GraphCRFClassifier(C=1e12, tol=1e-10).fit(X, y), X, y)
    crf = GraphCRFClassifier(C=1e12, tol=1e-10).fit(X, y)
    plan, coef = crf._model.feature_plan, crf._model.coef.copy()
    plan._split(coef)[0][:] /= np.repeat(sizes, 3)  # the optimum, which L-BFGS would find slowly
    crf._model = dataclasses.replace(crf._model, coef=coef)
    other = standard_errors(crf, X * sizes, y)
    np.testing.assert_allclose(other.coef_ * sizes, errors.coef_, rtol=1e-5)  # the prior differs a little
    assert len(other.undetermined) == 3


def test_warns_where_labels_are_separable():
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]] * 10)
    y = (X[:, 0] > 0).astype(int)
    crf = GraphCRFClassifier(C=1e6).fit(X, y)
    with pytest.warns(UserWarning, match=r"weights have huge standard errors, for example coef_\[0, 0\]"):
        standard_errors(crf, X, y)
    standard_errors(GraphCRFClassifier().fit(X, y), X, y)  # the prior is proper: no warning


def test_warns_away_from_the_optimum():
    X, y = load_iris(return_X_y=True)
    crf = GraphCRFClassifier().fit(X[::2], y[::2])
    for weights in (None, {"coef_": True}):
        with pytest.warns(ConvergenceWarning, match="standard errors away from the optimum"):
            standard_errors(crf, X[1::2], y[1::2], weights=weights)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"l1_ratio": 0.5}, "not defined for an L1 penalty"),
        ({"objective": "hinge", "optimizer": "sgd"}, "fit with objective='likelihood'"),
        ({"features": "network", "max_iter": 3}, "linear feature map"),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # the training of the network is cut short
def test_refuses(parameters, message):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        standard_errors(GraphCRFClassifier(**parameters).fit(X, y), X, y)


def test_refuses_bad_weights(monkeypatch):
    X, y = load_iris(return_X_y=True)
    crf = GraphCRFClassifier().fit(X, y)
    with pytest.raises(ValueError, match="attributes are"):
        standard_errors(crf, X, y, weights={"coefs_": True})
    with pytest.raises(TypeError, match="must be a mask"):
        standard_errors(crf, X, y, weights={"coef_": [0, 1]})
    with pytest.raises(ValueError, match=r"weights\['coef_'\] must be a mask.*\(3, 4\) of.*; got shape \(2,\)"):
        standard_errors(crf, X, y, weights={"coef_": [True, False]})
    monkeypatch.setattr(_standard_errors, "MOST_WEIGHTS", 10)
    with pytest.raises(ValueError, match="the model has 15 weights"):
        standard_errors(crf, X, y)


def test_refuses_another_estimator():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(TypeError, match=r"model must be a fitted GraphCRFClassifier, .* got LogisticRegression\(\)"):
        standard_errors(LogisticRegression(), X, y)


def test_edge_features_without_edges():
    """The same as no edge features."""
    rng = np.random.default_rng(0)
    nodes, y = rng.normal(size=(6, 3, 2)), rng.integers(0, 2, size=(6, 3)).tolist()
    plain, typed = ([(x, [], *features) for x in nodes] for features in ((), (np.zeros((0, 4)),)))
    found, wanted = (standard_errors(GraphCRFClassifier().fit(X, y), X, y) for X in (typed, plain))
    np.testing.assert_allclose(found.coef_, wanted.coef_, rtol=1e-10)
    assert not found.edge_coef_.any()


def test_approximate_inference_needs_a_small_tolerance():
    """With the tolerance of training, errors of the derivatives hide which directions the data do not determine."""
    labels = np.zeros((8, 8), int)
    labels[:, 4:], labels[5:] = 1, 2
    images = np.eye(3)[labels] + np.random.default_rng(0).normal(size=(5, 8, 8, 3))
    X, y = GraphDataset.from_images(images), [labels.ravel()] * 5
    crf = GraphCRFClassifier(inference=TreeReweightedBP(max_iter=1000, tol=1e-8)).fit(X, y)
    found = standard_errors(crf, X, y)
    crf.set_params(inference=TreeReweightedBP(tol=1e-3))  # as "auto" trains
    with pytest.raises(NotPositive, match=r"crf.set_params\(inference=TreeReweightedBP\(max_iter=1000, tol=1e-8\)\)"):
        standard_errors(crf, X, y)
    assert found.undetermined[-2:] == ["intercept_[:]", "edge_coef_[0]"]


def test_negative_curvature_is_an_error():
    """With missing labels the point zero can be a saddle: mixtures of two classes have one."""
    information = np.diag([1.0, -0.5])
    with pytest.raises(NotPositive, match="negative curvature"):
        DenseInformation(information, np.zeros(2))
    with pytest.raises(NotPositive, match="negative curvature"):
        conjugate_gradients(lambda v: information @ v, np.ones(2))


FORMS = {"chain": "full", "tree": "symmetric", "grid": "potts"}


def simulate(shape, n_graphs, n_simulations, seed):
    """Deviations of the determined weights from the truth, and standard errors, (n_simulations, n_weights) each."""
    oracle, X, _, graphs = problem(shape, n_graphs, n_states=2, n_features=3, seed=seed)
    rng = np.random.default_rng(seed + 1)
    node, intercept, edge = rng.normal(size=6), rng.normal(size=2), rng.normal(size=(2, 2))
    edge = {"full": edge, "symmetric": edge + edge.T, "potts": np.eye(2) * edge[0, 0]}[FORMS[shape]]
    truth = 0.4 * np.concatenate([node, intercept, edge.ravel()])
    probabilities, deviations, errors = oracle.probabilities(truth, graphs), [], []
    for _ in range(n_simulations):
        y = RaggedArray(oracle.sample(probabilities, rng).ravel(), X.node_ptr)
        crf = GraphCRFClassifier(LinearFeatures(FORMS[shape]), C=1e8).fit(X, y)
        errors.append(flat(standard_errors(crf, X, y)))
        deviations.append(flat(vars(crf)) - truth)
    basis = embedding(FORMS[shape], 2, 8, 1)
    information = information_of(oracle, basis, crf, graphs, np.ones(n_graphs))
    determined = np.linalg.pinv(information, rcond=1e-8, hermitian=True) @ information
    to_parameters = np.linalg.pinv(basis)
    return np.array(deviations) @ (basis @ determined @ to_parameters).T, np.array(errors)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_coverage(shape):
    """95 % intervals cover the truth in 93 to 97 % of the cases: 300 simulated data sets of 200 graphs, all weights.

    The standard error of the observed fraction is about .6 %, as there are five or more different weights.
    """
    deviations, errors = simulate(shape, n_graphs=200, n_simulations=300, seed=0)
    used = errors.mean(axis=0) > 1e-6  # entries beside the diagonal of a Potts matrix are no weights
    covered = np.abs(deviations[:, used]) <= 1.96 * errors[:, used]
    assert 0.93 <= covered.mean() <= 0.97


def test_estimates_approach_the_truth():
    """With 16 times as many graphs, the root mean square deviation and the standard error are a quarter."""
    few, many = (simulate("tree", n_graphs, 20, seed=0) for n_graphs in (100, 1600))
    for before, after in zip(few, many):
        assert 3 <= np.sqrt((before**2).mean() / (after**2).mean()) <= 5.5
