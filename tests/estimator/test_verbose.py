"""The table that `fit` and `partial_fit` print with ``verbose=1``."""

import warnings

import numpy as np
import pytest

from skstruct import GraphCRFClassifier, MultiLabelCRFClassifier
from skstruct.datasets import make_chain, make_grid
from skstruct.objectives import ExpectedLoss
from skstruct.optim import LBFGS, AveragedSGD


@pytest.fixture(scope="module")
def chains():
    return make_chain(n_graphs=30, return_X_y=True, random_state=0)


def tables(text, name="GraphCRFClassifier"):
    """Tables of the printed text, each a list of dicts of words."""
    found = []
    for line in text.splitlines():
        if line == f"[{name}]":
            found.append([])
            columns = None
        elif columns is None:
            columns = line.split()
        else:
            assert len(line) <= 60
            found[-1].append(dict(zip(columns, line.split(), strict=True)))
    return found


def column(table, name):
    return [float(row[name]) for row in table]


def test_the_columns_are_the_attributes(chains, capsys):
    crf = GraphCRFClassifier(C=100, early_stopping=True, random_state=0, verbose=1).fit(*chains)
    (table,) = tables(capsys.readouterr().out)
    assert column(table, "iteration") == list(range(1, crf.n_iter_ + 1))
    np.testing.assert_allclose(column(table, "loss"), crf.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(column(table, "validation"), crf.validation_scores_, atol=5.1e-5)
    assert (np.diff(column(table, "seconds")) >= 0).all()
    assert column(table, "gradient")[-1] < column(table, "gradient")[0]


def test_the_last_gradient_is_below_the_tolerance(chains, capsys):
    GraphCRFClassifier(tol=1e-4, verbose=1).fit(*chains)
    (table,) = tables(capsys.readouterr().out)
    assert list(table[0]) == ["iteration", "seconds", "loss", "gradient"]
    assert column(table, "gradient")[-1] <= 1e-4 < column(table, "gradient")[-2]


def test_gradients_that_are_not_computed(chains, capsys):
    GraphCRFClassifier(optimizer="sgd", verbose=1, random_state=0).fit(*chains)
    (table,) = tables(capsys.readouterr().out)
    assert [row["gradient"] for row in table] == ["-"] * 8


def test_several_trainings(chains, capsys):
    """The second objective has a table of its own, with the scores on held-out graphs."""
    crf = GraphCRFClassifier(objective=ExpectedLoss(), early_stopping=True, verbose=1, random_state=0).fit(*chains)
    first, second = tables(capsys.readouterr().out)
    assert {row["validation"] for row in first} == {"-"}
    np.testing.assert_allclose(column(second, "validation"), crf.validation_scores_, atol=5.1e-5)


def test_continued_trainings(chains, capsys):
    crf = GraphCRFClassifier(max_iter=3, warm_start=True, verbose=1, optimizer=LBFGS(start_with=AveragedSGD(2)))
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # max_iter is reached
        crf.fit(*chains).set_params(max_iter=6).fit(*chains)
    first, second = tables(capsys.readouterr().out)
    assert column(first, "iteration") + column(second, "iteration") == list(range(1, crf.n_iter_ + 1))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_passes_over_parts(chains, capsys, optimizer):
    """The names of the columns are printed in the first call only."""
    X, y = chains
    crf = GraphCRFClassifier(optimizer=optimizer, verbose=1, random_state=0)
    for start in (0, 10, 20):
        crf.partial_fit(X[start : start + 10], y[start : start + 10], [0, 1, 2])
    (table,) = tables(capsys.readouterr().out)
    assert column(table, "iteration") == [1, 2, 3]
    np.testing.assert_allclose(column(table, "loss"), crf.loss_curve_, rtol=1e-6)


def test_approximate_inference(capsys):
    """The model without edges, which is trained for comparison, does not appear."""
    crf = GraphCRFClassifier(inference="loopy_bp", verbose=1, tol=1e-3)
    crf.fit(*make_grid(n_graphs=2, return_X_y=True, random_state=0))
    assert [len(table) for table in tables(capsys.readouterr().out)] == [crf.n_iter_]


def test_other_estimators(capsys):
    MultiLabelCRFClassifier(verbose=1).fit([[0.0], [1.0], [2.0]], [[0, 1], [1, 1], [1, 0]])
    assert len(tables(capsys.readouterr().out)) == 1


def test_nothing_is_printed_by_default(chains, capsys):
    GraphCRFClassifier().fit(*chains)
    assert capsys.readouterr() == ("", "")
