"""Tables, whose rows are graphs without edges: training compared with logistic regression."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from benchmarks._measure import case
from skstruct import GraphCRFClassifier


@case("Many classes without edges: training")
def many_classes(run):
    """Up to 5,000 classes of dense rows without edges: time to train; asserted: LogisticRegression's objective (2e-3).

    There are two rows of each class. Both programs stop when no component of the gradient of the mean loss
    exceeds 1e-4.
    """
    n_classes, n_features, C = run.pick(50, 500, 5000), run.pick(10, 50, 100), 0.1
    rng = np.random.default_rng(0)
    y = np.arange(2 * n_classes) % n_classes
    X = rng.normal(size=(n_classes, n_features))[y] + 0.7 * rng.normal(size=(len(y), n_features))
    ours, theirs = GraphCRFClassifier(C=C, tol=1e-4), LogisticRegression(C=C, tol=1e-4, max_iter=1000)
    engines = {"skstruct": lambda: ours.fit(X, y), "LogisticRegression": lambda: theirs.fit(X, y)}
    GraphCRFClassifier(C=C, max_iter=2, tol=1.0).fit(X[:100], y[:100])  # compiles
    sizes = f"{len(y)} rows, {n_features} features, {n_classes} classes"
    with threadpool_limits(1, user_api="blas"):  # several threads on one core would wait for each other
        run.compare(f"training, {sizes}", engines, unit="s", cold_rounds=2)

    def objective(model):
        return 0.5 * (model.coef_**2).sum() - C * model.predict_log_proba(X)[np.arange(len(y)), y].sum()

    run.check("objective", objective(ours), objective(theirs), rtol=2e-3)
    for name, model in (("skstruct", ours), ("LogisticRegression", theirs)):
        run.record(name, "iterations", int(np.max(model.n_iter_)), "")
