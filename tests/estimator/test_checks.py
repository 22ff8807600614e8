"""scikit-learn's own estimator checks: a table is a batch of graphs with one node."""

import inspect
import re

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_estimator,
    parametrize_with_checks,
)

from skstruct import GraphCRFClassifier
from skstruct.features import LinearFeatures

ESTIMATORS = [
    GraphCRFClassifier(),
    GraphCRFClassifier(inference="tree"),  # its kernels are compiled once for all numbers of classes
    GraphCRFClassifier(features=LinearFeatures(edge_weights="symmetric")),
    GraphCRFClassifier(decoding="marginal"),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_column_names(estimator):
    check_dataframe_column_names_consistency("GraphCRFClassifier", estimator)


def checks_by_status(estimator):
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    return {
        status: {r["check_name"] for r in results if r["status"] == status}
        for status in ("passed", "failed", "xfail", "skipped")
    }


def test_none_is_skipped_or_expected_to_fail():
    ours, logistic = checks_by_status(GraphCRFClassifier()), checks_by_status(LogisticRegression())
    assert ours["skipped"] <= logistic["skipped"]
    assert not ours["failed"] | ours["xfail"]
    assert len(ours["passed"]) > 40


def test_parameters_are_documented():
    section = GraphCRFClassifier.__doc__.split("Parameters\n")[1].split("Attributes\n")[0]
    documented = re.findall(r"^ {4}(\w+) :", section, flags=re.MULTILINE)
    assert documented == list(inspect.signature(GraphCRFClassifier).parameters)
