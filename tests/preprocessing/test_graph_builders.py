"""SequencesToGraphs and ImagesToGraphs."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skstruct.data.dataset import GraphDataset
from skstruct.data.ragged import as_ragged
from skstruct.preprocessing import ImagesToGraphs, NodeClassifier, NodeTransformer, SequencesToGraphs


def test_lists_of_dicts_through_a_pipeline():
    sentences = [[{"w": w} for w in s.split()] for s in ["the dog runs", "a cat", "the cat runs", "a dog runs"] * 3]
    y = [[len(token["w"]) > 2 for token in sentence] for sentence in sentences]
    model = make_pipeline(SequencesToGraphs(), NodeTransformer(DictVectorizer()), NodeClassifier(LogisticRegression()))
    assert cross_val_score(model, sentences, as_ragged(y), cv=3, error_score="raise").mean() == 1
    assert cross_val_score(model, sentences, y, cv=KFold(3), error_score="raise").mean() == 1
    assert model.fit(sentences, y)[:-1].get_feature_names_out()[0] == "w=a"


@pytest.mark.parametrize("builder", [SequencesToGraphs(), ImagesToGraphs()], ids=lambda builder: type(builder).__name__)
def test_what_is_no_list(builder):
    for X in (None, 3):
        with pytest.raises(TypeError, match=r"expected a list of (sequences|images), got"):
            builder.fit_transform(X)


def test_an_empty_first_sequence():
    X = SequencesToGraphs().fit_transform([[], ["a", "b"]])
    assert [graph.n_nodes for graph in X] == [0, 2]


def test_arrays():
    sequences = [np.ones((3, 2)), np.zeros((1, 2))]
    X = SequencesToGraphs().fit_transform(sequences)
    assert X.edges.tolist() == [[0, 1], [1, 2]]
    assert SequencesToGraphs().transform(X) is X


def test_images():
    images = np.random.default_rng(0).random((6, 3, 4))
    X = ImagesToGraphs(connectivity=8, contrast=True).fit_transform(images)
    expected = GraphDataset.from_images(images, 8, True)
    assert all(a == b for a, b in zip(X, expected))
    y = images.reshape(6, -1) > 0.5
    model = make_pipeline(ImagesToGraphs(), NodeTransformer(StandardScaler()), NodeClassifier(LogisticRegression()))
    search = GridSearchCV(model, {"imagestographs__connectivity": [4, 8]}, cv=2, error_score="raise")
    assert search.fit(images, as_ragged(y)).best_score_ > 0.8
    with pytest.raises(ValueError, match="connectivity must be 4 or 8 for images, got 5"):
        ImagesToGraphs(connectivity=5).fit_transform(images)


@pytest.mark.parametrize("builder", [SequencesToGraphs(), ImagesToGraphs()])
def test_nothing_is_learnt(builder):
    assert get_tags(builder).requires_fit is False
    check_is_fitted(builder)
    assert clone(builder).set_output(transform="pandas") is not None
    with config_context(transform_output="pandas"):
        assert isinstance(builder.fit_transform([np.ones((2, 2))]), GraphDataset)
