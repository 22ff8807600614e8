"""The interface of CRF is that of the class of sklearn-crfsuite."""

import inspect
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score

from skstruct.compat import CRF
from skstruct.compat._algorithms import CRFSUITE_NAMES, read_settings
from skstruct.compat._sequences import read_sequences
from skstruct.inspection import weights
from skstruct.io import trusted_types
from skstruct.preprocessing import AttributeVectorizer

pycrfsuite = pytest.importorskip("pycrfsuite")
sklearn_crfsuite = pytest.importorskip("sklearn_crfsuite")
metrics = pytest.importorskip("sklearn_crfsuite.metrics")

METHODS = ["fit", "predict", "predict_single", "predict_marginals", "predict_marginals_single", "score"]


# ------------------------------------------------------------------------------------ the same interface
def test_parameters_and_public_names(train):
    def parameters(function):
        return [(p.name, p.default, p.kind) for p in inspect.signature(function).parameters.values()]

    for method in ("__init__", *METHODS):
        assert parameters(getattr(CRF, method)) == parameters(getattr(sklearn_crfsuite.CRF, method))
    expected = sklearn_crfsuite.CRF(max_iterations=2).fit(*train)
    found = CRF(max_iterations=2).fit(*train)
    public = {name for name in dir(expected) if name[0] != "_"}
    assert public <= set(dir(found))
    for name in public - set(METHODS):
        values = getattr(found, name), getattr(expected, name)
        if not callable(values[0]) and name not in ("training_log_", "tagger_", "modelfile"):
            assert type(values[0]) is type(values[1]), name
    assert set(found.attributes_) == set(expected.attributes_)
    assert found.num_attributes_ == expected.num_attributes_ == len(found.attributes_)
    assert found.size_ > 1000
    assert found.modelfile.name is None


@pytest.mark.parametrize("algorithm", ["lbfgs", "l2sgd", "ap", "pa", "arow"])
def test_parameters_of_the_algorithms(algorithm, train):
    expected = pycrfsuite.Trainer(algorithm, verbose=False).get_params()
    settings = read_settings(CRF(algorithm=algorithm))[1]
    assert {CRFSUITE_NAMES[name]: value for name, value in settings.items()} == expected
    for parameter, name in CRFSUITE_NAMES.items():
        if name not in expected:
            with pytest.raises(
                ValueError, match=f"algorithm='{algorithm}' has no parameter {parameter}, got {parameter}=1"
            ):
                CRF(algorithm=algorithm, **{parameter: 1}).fit(*train)


def test_clone_and_pickle(fitted, test):
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params()
    assert fresh.classes_ is None
    fitted.predict(test[0])
    copy = pickle.loads(pickle.dumps(fitted))
    assert copy.predict(test[0]).tolist() == fitted.predict(test[0]).tolist()
    assert copy.predict_marginals(test[0]).tolist() == fitted.predict_marginals(test[0]).tolist()
    assert copy.state_features_ == fitted.state_features_
    assert copy.training_log_.iterations == fitted.training_log_.iterations


def test_outputs_are_lists(fitted, test):
    X = test[0][:4]
    labels, probabilities = fitted.predict(X), fitted.predict_marginals(X)
    assert [type(labels), labels.dtype, labels.shape, type(labels[0]), type(labels[0][0])] == [
        np.ndarray,
        object,
        (4,),
        list,
        str,
    ]
    assert labels[1] == fitted.predict_single(X[1])
    single = fitted.predict_marginals_single(X[1])
    assert [list(token) for token in single] == [fitted.classes_] * len(X[1])
    assert_allclose([[*token.values()] for token in single], [[*token.values()] for token in probabilities[1]])
    assert type(probabilities[1][0]["A"]) is float
    assert_allclose([sum(token.values()) for token in probabilities[0]], 1.0)
    assert fitted.predict([X[0], X[0]]).shape == (2,)  # sklearn-crfsuite has another shape if all lengths agree
    assert fitted.predict([]).tolist() == fitted.predict_marginals([]).tolist() == []
    assert fitted.predict_single([]) == []
    assert fitted.predict([[], X[0]]).tolist() == [[], labels[0]]
    assert fitted.predict(iter(X)).tolist() == labels.tolist()


def test_labels_in_arrays(train, test):
    X, y = train
    crf = CRF(max_iterations=5).fit(X, [np.array(labels) for labels in y])
    assert crf.predict(test[0]).tolist() == CRF(max_iterations=5).fit(X, y).predict(test[0]).tolist()
    assert {type(label) for label in crf.classes_} == {str}
    assert_allclose(crf.score(test[0], list(map(np.array, test[1]))), crf.score(*test))


def test_selection_with_a_scorer_of_lists(train):
    scorer = make_scorer(metrics.flat_f1_score, average="weighted", labels=["A", "B"])
    search = GridSearchCV(CRF(max_iterations=5, c2=0.1), {"c1": [0.1, 100.0]}, scoring=scorer, cv=3).fit(*train)
    assert search.best_params_ == {"c1": 0.1}
    assert search.best_estimator_.predict(train[0]).shape == (50,)
    scores = cross_val_score(CRF(max_iterations=5), *train, cv=3)
    assert_allclose(scores, cross_val_score(sklearn_crfsuite.CRF(max_iterations=5), *train, cv=3), atol=0.02)


ITEMS = [
    [{"a": 1, "b": 0.5, "c": True, "d": False, "e": "x:y", "": "z", "f": np.float32(2), "g": np.True_}, {}],
    [{"a": {"b": {"c": 2, "d": "e"}, "f": ["g", "h"], "i": {"j"}}, "k": {}, "l": []}],
    [["a", "b"], ("c", "a"), {"d"}, []],
    [["a", "b"], {"a": 1.5}, {"b"}],
]


@pytest.mark.parametrize("sequence", ITEMS, ids=repr)
def test_tokens_are_read_as_python_crfsuite_reads_them(sequence):
    given = pycrfsuite.ItemSequence(sequence)
    for form in (sequence, iter(sequence), given):
        vectorizer = AttributeVectorizer(separator=":", keep_zeros=True)
        matrix = vectorizer.fit_transform(read_sequences([form])).node_features
        names = vectorizer.get_feature_names_out()
        rows = [
            dict(zip(names[matrix.indices[i:j]], matrix.data[i:j])) for i, j in zip(matrix.indptr, matrix.indptr[1:])
        ]
        assert rows == given.items()


def test_tagger(fitted, test):
    x, tagger = test[0][2], fitted.tagger_
    assert tagger.tag(x) == tagger.tag() == fitted.predict_single(x)
    tagger.set(x)
    assert tagger.labels() == fitted.classes_
    expected = fitted.predict_marginals_single(x)
    assert {label: tagger.marginal(label, 1) for label in tagger.labels()} == expected[1]
    pairs = [(a, b) for a in fitted.classes_ for b in fitted.classes_]
    tagger.set(x[:2])
    assert_allclose(sum(tagger.probability(pair) for pair in pairs), 1.0)
    assert tagger.info().state_features is fitted.state_features_
    assert tagger.info().header == {"num_labels": "4", "num_attrs": str(fitted.num_attributes_)}
    tagger.close()
    with pytest.raises(ValueError, match="the label 'new' is not one of"):
        tagger.marginal("new", 0)
    with pytest.raises(ValueError, match="call set"):
        pickle.loads(pickle.dumps(fitted)).tagger_.tag()


def test_single_tokens_and_empty_sequences(train):
    tokens = [token for x in train[0] for token in x][:4]
    X, y = [[], *([token] for token in tokens), []], [[], ["A"], ["B"], ["C"], ["D"], []]
    expected = sklearn_crfsuite.CRF(all_possible_transitions=True).fit(X, y)
    found = CRF(all_possible_transitions=True).fit(X, y)
    assert found.transition_features_ == {}  # those of CRFsuite are 0
    assert set(expected.transition_features_.values()) <= {0.0}
    assert found.predict([train[0][0]])[0] == expected.predict([train[0][0]])[0].tolist()


# ------------------------------------------------------------------------------------ programs around the class
class Wrapped(CRF):
    """A program's own class: other defaults, tokens of its own, and a list as the prediction."""

    def __init__(self, c1=0.1, c2=0.1, max_iterations=None):
        super().__init__(algorithm="lbfgs", c1=c1, c2=c2, max_iterations=max_iterations, all_possible_transitions=True)

    def fit(self, X, y, X_dev=None, y_dev=None):
        return super().fit([[{"word": word} for word in x] for x in X], y, X_dev, y_dev)

    def predict(self, X):
        return super().predict([[{"word": word} for word in x] for x in X]).tolist()


def test_a_subclass():
    X, y = [["the", "dog"], ["dog", "barks", "a", "dog"]], [["D", "N"], ["N", "V", "D", "N"]]
    crf = clone(Wrapped(c1=0.01)).fit(X, y)
    assert crf.predict(X) == y
    assert crf.score(X, y) == 1.0
    assert crf.transition_features_["D", "N"] > 0
    assert pickle.loads(pickle.dumps(crf)).predict(X) == y


# ------------------------------------------------------------------------------------ files, and no model
def test_model_filename(train, test, tmp_path):
    path = str(tmp_path / "model")
    expected = sklearn_crfsuite.CRF(max_iterations=5, model_filename=path).fit(*train)
    crf = CRF(model_filename=path)
    assert crf.predict(test[0]).tolist() == expected.predict(test[0]).tolist()
    assert crf.modelfile.name == path
    assert_allclose(
        crf.predict_marginals_single(test[0][0])[0]["A"], expected.predict_marginals_single(test[0][0])[0]["A"]
    )
    pytest.importorskip("skops")
    trained = CRF(max_iterations=3, model_filename=path).fit(*train)
    again = CRF(model_filename=path)
    assert again.classes_ == sorted(trained.classes_)
    assert again.predict_marginals_single(test[0][0]) == trained.predict_marginals_single(test[0][0])
    assert again.state_features_ == trained.state_features_
    with pytest.raises(FileNotFoundError):
        CRF(model_filename=str(tmp_path / "none")).predict(test[0])


def test_skops_and_pickle(fitted, test):
    skops = pytest.importorskip("skops.io")
    held_out = CRF(max_iterations=2).fit(*test, test[0][:5], test[1][:5])
    for crf in (fitted, held_out):
        for loaded in (skops.loads(skops.dumps(crf), trusted=trusted_types()), pickle.loads(pickle.dumps(crf))):
            assert loaded.predict(test[0]).tolist() == crf.predict(test[0]).tolist()
            assert loaded.training_log_.iterations == crf.training_log_.iterations
            assert loaded.training_log_.last_iteration is loaded.training_log_.iterations[-1]


def test_without_a_model(test):
    crf = CRF()
    names = [
        "tagger_",
        "classes_",
        "size_",
        "num_attributes_",
        "attributes_",
        "state_features_",
        "transition_features_",
    ]
    assert [getattr(crf, name) for name in [*names, "training_log_"]] == [None] * 8
    with pytest.raises(NotFittedError, match="this CRF has no model: call fit"):
        crf.predict(test[0])


def test_the_pipeline(fitted, test):
    frame = pytest.importorskip("pandas") and weights(fitted.pipeline_, top=1)
    assert (frame.iloc[0]["feature"], frame.iloc[0]["label"]) == max(
        fitted.state_features_, key=lambda k: abs(fitted.state_features_[k])
    )
    refitted = clone(fitted.pipeline_).set_params(crf__max_iter=1000).fit(*test)
    assert refitted.score(*test) > 0.9


@pytest.mark.parametrize(
    ("parameters", "arguments", "error", "message"),
    [
        (
            {"algorithm": "newton"},
            (),
            ValueError,
            "CRF: algorithm must be one of .*'lbfgs', 'l2sgd', 'ap', 'pa', 'arow'",
        ),
        ({"c1": -1}, (), ValueError, "CRF: c1 must be a number >= 0, got -1"),
        ({"max_iterations": 0}, (), ValueError, "CRF: max_iterations must be an integer >= 1, got 0"),
        ({"algorithm": "pa", "pa_type": 3}, (), ValueError, "CRF: pa_type must be 0, 1 or 2, got 3"),
        ({"min_freq": "a"}, (), ValueError, "CRFsuiteFeatures: min_freq must be a number, got 'a'"),
        ({"trainer_cls": dict}, (), ValueError, "CRF: trainer_cls must be a subclass of pycrfsuite.Trainer or None"),
        ({}, ([[{"a": 1}]], None), ValueError, "Pass both X_dev and y_dev"),
        ({"min_freq": 2}, (), ValueError, "min_freq must be at most the largest frequency.*, got 2"),
        ({"all_possible_states": []}, (), ValueError, "CRF: all_possible_states must be a bool, got"),
        ({"model_filename": [1]}, (), ValueError, "CRF: model_filename must be a path or None, got"),
        (
            {"trainer_cls": 3},
            (),
            ValueError,
            "CRF: trainer_cls must be a subclass of pycrfsuite.Trainer or None, got 3",
        ),
        ({}, ([[{"a": 1}]], [["A", "B"]]), ValueError, "graph 0 has 1 nodes but y_dev.0. has 2 values"),
        ({}, ([[{"a": 1}]], [["A"], ["A"]]), ValueError, "y_dev must hold 1 arrays"),
        ({}, ([[{"a": 1}]], [[1]]), ValueError, "y and y_dev mixes strings and numbers"),
        ({}, ([[{"a": 1}]], [[["A"]]]), ValueError, "y_dev"),
        ({}, ([[{"a": None}]], [["A"]]), TypeError, "X_dev: sequence 0, token 0: got None"),
        ({}, ([3], [["A"]]), TypeError, r"X_dev\[0\] must be a sequence, a list of tokens, got 3"),
    ],
)
def test_refusals(parameters, arguments, error, message):
    with pytest.raises(error, match=message):
        CRF(**parameters).fit([[{"a": 1}]], [["A"]], *arguments)


def test_what_is_no_list():
    with pytest.raises(TypeError, match="expected a list of sequences in X, got None"):
        CRF().fit(None, [["A"]])
    with pytest.raises(TypeError, match="expected a list of labels in y, got None"):
        CRF().fit([[{"a": 1}]], None)


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        ([[{"a": 1}, {"b": None}]], [["A", "B"]], TypeError, "sequence 0, token 1: got None"),
        ([[{"a": 1}], [{"a": 1}]], [["A"], ["A", "B"]], ValueError, "graph 1 has 1 nodes but y.1. has 2 values"),
        ([["abc"]], [["A"]], TypeError, "sequence 0, token 0: got 'abc'"),
        ([], [], ValueError, "Found no sequences"),
        ([None], [["A"]], TypeError, r"X\[0\] must be a sequence, a list of tokens, got None"),
        ([[{"a": 1}]], [[[]]], ValueError, "y"),
        ([[{"a": 1}]], [[None]], ValueError, "y must have a label for each token, got None"),
        ([[{"a": 1}]], ["A", "B"], ValueError, "y"),
        ([[{"a": np.nan}]], [["A"]], ValueError, "NaN"),
    ],
)
def test_malformed_data(X, y, error, message):
    with pytest.raises(error, match=message):
        CRF().fit(X, y)
