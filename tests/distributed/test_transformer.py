"""Transformers that learn from partitions, alone and before the classifier."""

import pickle
from itertools import chain

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.feature_extraction import FeatureHasher
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skstruct import GraphCRFClassifier
from skstruct.distributed import DaskGraphCRFClassifier, DaskTransformer
from skstruct.exceptions import PartitionError
from skstruct.io import load_model
from skstruct.preprocessing import NodeTransformer, TokenTemplates

dask = pytest.importorskip("dask")
pytest.importorskip("distributed")

SENTENCES = [[["the", "dog", "barks"], ["a", "cat"]], [["the", "cat", "sleeps"]], [["dogs", "sleep"], ["a", "dog"]]]
TAGS = [[["D", "N", "V"], ["D", "N"]], [["D", "N", "V"]], [["N", "V"], ["D", "N"]]]
WORDS, LABELS = list(chain(*SENTENCES)), list(chain(*TAGS))


@pytest.fixture
def tokens():
    return [dask.delayed(_pair)(x, y) for x, y in zip(SENTENCES, TAGS)]


def _pair(*items):
    return items


@pytest.mark.parametrize(
    "parameters", [{}, {"min_count": 2}, {"n_bits": 8}], ids=["vocabulary", "frequent features", "hashing"]
)
def test_templates_are_those_of_all_partitions(parameters, client, tokens):
    templates = TokenTemplates(["w[-1..1]", "w[-1]|w[0]", "w.suffix(1)[0]"], **parameters)
    local = make_pipeline(templates, GraphCRFClassifier(tol=1e-3)).fit(WORDS, LABELS)
    pipe = make_pipeline(DaskTransformer(templates), DaskGraphCRFClassifier(tol=1e-3)).fit(tokens)
    np.testing.assert_allclose(pipe[-1]._model.coef, local[-1]._model.coef, atol=1e-6)
    assert pipe.score(tokens) == pytest.approx(local.score(WORDS, LABELS))
    found = dask.compute(*pipe.predict(tokens))
    assert list(chain(*(part.tolist() for part in found))) == local.predict(WORDS).tolist()
    again = pickle.loads(pickle.dumps(pipe))  # without the futures on the workers
    assert dask.compute(*again.predict(tokens))[0] == dask.compute(*pipe.predict(tokens))[0]


def test_the_vocabulary_is_the_same_for_any_number_of_workers(start_cluster, tokens):
    templates = TokenTemplates(["w[-1..1]", "w[-1]|w[0]", "w.suffix(1)[0]"], min_count=2)
    expected = templates.fit(WORDS).get_feature_names_out().tolist()
    assert len(expected) < TokenTemplates(templates.templates).fit(WORDS)._n_features_out
    for n_workers in (1, 3):
        with start_cluster(n_workers):
            fitted = DaskTransformer(templates).fit(tokens).transformer_
        assert fitted.get_feature_names_out().tolist() == expected


def test_moments_are_those_of_all_partitions(client, make_data, cut):
    X, y = make_data()
    local = NodeTransformer(StandardScaler()).fit(X)
    found = DaskTransformer(NodeTransformer(StandardScaler())).fit(cut(3, X, y))
    np.testing.assert_allclose(found.transformer_.transformer_.mean_, local.transformer_.mean_, rtol=1e-12)
    np.testing.assert_allclose(found.transformer_.transformer_.var_, local.transformer_.var_, rtol=1e-12)
    (data, labels), *_ = dask.compute(*found.transform(cut(3, X, y)))
    np.testing.assert_allclose(data.node_features, local.transform(X).node_features[: data.n_nodes], atol=1e-12)
    assert labels == y[: len(labels)]
    (bare,) = dask.compute(*found.transform([dask.delayed(X)]))
    assert bare.n_nodes == X.n_nodes


def test_a_fitted_transformer_outlives_its_cluster(start_cluster, tokens):
    with start_cluster(1):
        fitted = DaskTransformer(TokenTemplates(["w[0]"])).fit(tokens)
    with start_cluster(1):
        (X, _), *_ = dask.compute(*fitted.transform(tokens))
        assert X.node_features.shape == (5, 8)


def test_a_transformer_that_learns_nothing_and_one_that_needs_all_data(client, make_data, cut):
    parts = [dask.delayed(_pair)([([{"a": 1.0}, {"b": 2.0}], [(0, 1)])], [[0, 1]])] * 2
    hasher = NodeTransformer(FeatureHasher(8))
    (X, _), _ = dask.compute(*DaskTransformer(hasher).fit_transform(parts))
    assert X.node_features.shape[1] == 8
    with pytest.raises(TypeError, match="DaskTransformer needs a transformer with a method partial_fit, got Node"):
        DaskTransformer(NodeTransformer(PCA())).fit(cut(2, *make_data()))


def test_a_partition_that_the_transformer_refuses_is_named(client, tokens):
    bad = dask.delayed(_pair)([["the", 1]], [["D", "N"]])
    with pytest.raises(PartitionError, match="partition 3: TypeError: sequence 0, token 1"):
        DaskTransformer(TokenTemplates(["w[0]"])).fit([*tokens, bad])
    fitted = DaskTransformer(TokenTemplates(["w[0]"])).fit(tokens)
    with pytest.raises(PartitionError, match="partition 1: TypeError: sequence 0, token 1"):
        dask.compute(*fitted.transform([tokens[0], bad]))


def test_data_in_memory_need_no_cluster():
    transformer = clone(DaskTransformer(TokenTemplates(["w[0]"]), client="a client"))
    assert transformer.client == "a client"
    assert transformer.fit_transform(SENTENCES[0]).node_features.shape[1] == 5
    with pytest.raises(TypeError, match="sequence 0, token 0"):
        transformer.fit([[1]])


def test_a_pipeline_is_saved_by_skops(client, tokens, tmp_path):
    skops = pytest.importorskip("skops.io")
    pipe = make_pipeline(DaskTransformer(TokenTemplates(["w[0]"])), DaskGraphCRFClassifier(tol=1e-3)).fit(tokens)
    skops.dump(pipe, tmp_path / "pipe.skops")
    assert load_model(tmp_path / "pipe.skops").predict(WORDS) == pipe.predict(WORDS)
