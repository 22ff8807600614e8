"""Parameters of optimisers that are out of range: an error that names them, and the estimator as it was."""

import numpy as np
import pytest

from skstruct import GraphCRFClassifier
from skstruct.optim import LBFGS, AveragedSGD


@pytest.mark.parametrize(
    ("optimizer", "problem"),
    [
        (AveragedSGD(n_epochs=0), "n_epochs must be an integer >= 1, got 0"),
        (AveragedSGD(n_epochs=2.5), "n_epochs must be an integer >= 1, got 2.5"),
        (AveragedSGD(learning_rate=0.0), "learning_rate must be None or a positive number, got 0.0"),
        (AveragedSGD(learning_rate=np.nan), "learning_rate must be None or a positive number, got nan"),
        (AveragedSGD(learning_rate="auto"), "learning_rate must be None or a positive number, got 'auto'"),
        (LBFGS(n_corrections=0), "n_corrections must be an integer >= 1, got 0"),
        (LBFGS(start_with="sgd"), "start_with must be None or an optimiser, got 'sgd'"),
        (LBFGS(start_with=AveragedSGD(n_epochs=-1)), "n_epochs must be an integer >= 1, got -1"),
    ],
)
def test_the_parameter_is_named(optimizer, problem):
    crf = GraphCRFClassifier(optimizer=optimizer)
    before = dict(vars(crf))
    with pytest.raises(ValueError, match=problem):
        crf.fit(np.eye(4), [0, 1, 0, 1])
    assert vars(crf) == before
