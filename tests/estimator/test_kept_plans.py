"""Plans of small datasets are kept between predictions, and never used for another graph or backend."""

import pickle

import numpy as np

from skstruct import GraphCRFClassifier, GraphDataset
from skstruct.datasets import make_chain
from skstruct.estimator._chunks import N_KEPT
from skstruct.inference import LoopyBP


def fitted(**parameters):
    X, y = make_chain(n_graphs=30, return_X_y=True, random_state=0)
    return GraphCRFClassifier(**parameters).fit(X, y), X


def test_a_plan_serves_all_graphs_of_one_shape():
    crf, X = fitted()
    one_by_one = [crf.predict(X[[g]]).values for g in range(len(X))]
    assert len(crf._model.kept_plans._plans) == 1
    np.testing.assert_array_equal(np.concatenate(one_by_one), crf.predict(X).values)


def test_graphs_that_differ_in_edges_or_sizes_only():
    crf, X = fitted()
    x = X.node_features[:6]
    datasets = [
        GraphDataset(x, [(0, 1), (1, 2)]),
        GraphDataset(x, [(0, 1), (2, 1)]),
        GraphDataset(x, [(0, 1), (1, 2)], node_ptr=[0, 3, 6], edge_ptr=[0, 2, 2]),
        GraphDataset(x, [(0, 1), (1, 2)], node_ptr=[0, 3, 6], edge_ptr=[0, 0, 2]),
        GraphDataset(x),
    ]
    found = [[crf.predict_proba(dataset).values for dataset in datasets] for _ in range(2)]
    for dataset, first, second in zip(datasets, *found):
        np.testing.assert_array_equal(first, second)
        alone = pickle.loads(pickle.dumps(crf))
        assert not alone._model.kept_plans._plans
        np.testing.assert_array_equal(first, alone.predict_proba(dataset).values)


def test_another_backend_has_other_plans():
    backend = LoopyBP(max_iter=100)
    crf, X = fitted(inference=backend)
    converged = crf.inference_report(X[[0]])
    backend.set_params(max_iter=1, damping=0.5)  # the object that was passed to the estimator
    stopped = crf.inference_report(X[[0]])
    assert converged["converged"].all()
    assert not stopped["converged"].any()
    assert crf.set_params(inference="chain").inference_report(X[[0]])["backend"] == ["chain"]
    backend.set_params(max_iter=100, damping=0.0)
    assert crf.set_params(inference=backend).inference_report(X[[0]])["converged"].all()


def test_the_number_of_plans_is_bounded():
    crf, X = fitted()
    for n in range(1, N_KEPT + 20):
        crf.predict(GraphDataset.from_sequences([X.node_features[:n]]))
    assert 0 < len(crf._model.kept_plans._plans) <= N_KEPT
