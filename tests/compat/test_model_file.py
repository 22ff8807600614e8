"""Model files of CRFsuite, as python-crfsuite writes and reads them."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skstruct.compat import from_crfsuite
from skstruct.inspection import transitions
from skstruct.io import trusted_types
from skstruct.preprocessing import AttributeVectorizer

pycrfsuite = pytest.importorskip("pycrfsuite")

LABELS = ["B-y", "O", "I-x --> y", "a"]  # not in the order of the classes


def random_tokens(rng, n_tokens):
    names = ["w:the", "w: --> b", "Zoë:1", "x", "(0) y"]
    return [{name: float(rng.normal()) for name in names if rng.random() < 0.7} for _ in range(n_tokens)]


def train(path, algorithm, labels, rng, **parameters):
    trainer = pycrfsuite.Trainer(algorithm, parameters, verbose=False)
    for n_tokens in rng.integers(1, 7, 25).tolist():
        trainer.append(random_tokens(rng, n_tokens), rng.choice(labels, n_tokens).tolist())
    trainer.train(path)
    tagger = pycrfsuite.Tagger()
    tagger.open(path)
    return tagger


@pytest.mark.parametrize(
    ("algorithm", "labels", "parameters"),
    [
        ("lbfgs", LABELS, {"c2": 0.1}),
        ("lbfgs", LABELS, {"c1": 2.0, "feature.possible_transitions": True}),
        ("l2sgd", LABELS[:3], {"feature.possible_states": True}),
        ("ap", LABELS, {}),
        ("arow", LABELS[:3], {"feature.minfreq": 2}),
    ],
)
def test_same_labels_and_marginals(algorithm, labels, parameters, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "model"
    tagger = train(str(path), algorithm, labels, rng, **parameters)
    model = from_crfsuite(path)
    assert sorted(model.classes_) == sorted(tagger.labels())
    X = [[*random_tokens(rng, n_tokens), {"w:the": 1.0, "unknown": 2.0}, {}] for n_tokens in range(8)]
    for x, labels_of_x, found in zip(X, model.predict(X).tolist(), model.predict_proba(X)):
        expected = tagger.tag(x)
        if labels_of_x != expected:  # equally probable labels come in another order
            assert_allclose(tagger.probability(labels_of_x), tagger.probability(expected), rtol=1e-9)
        expected = [[tagger.marginal(label, i) for label in model.classes_] for i in range(len(x))]
        assert_allclose(found, expected, rtol=1e-9, atol=1e-12)  # the weights have all their digits
    x, y = X[3], [labels[i % len(labels)] for i in range(len(X[3]))]
    tagger.set(x)
    probability = np.exp(model[-1].log_likelihood(model[:-1].transform([x]), [y]))
    assert_allclose(probability, tagger.probability(y), rtol=1e-9)


def test_nested_tokens_and_lists(tmp_path):
    trainer, path = pycrfsuite.Trainer(verbose=False), str(tmp_path / "model")
    X = [{"w": "the", "n": {"a": 2, "b": ["c"]}}, {"w": "dog", "up": True}, {"n": {"a": 1}}]
    trainer.append(X, ["A", "B", "C"])
    trainer.train(path)
    tagger = pycrfsuite.Tagger()
    tagger.open(path)
    model = from_crfsuite(path)
    for x in (X, [["w:dog", "up"], ["w:the", "n:b:c"]]):
        tagger.set(x)
        expected = [[tagger.marginal(label, i) for label in "ABC"] for i in range(len(x))]
        assert_allclose(model.predict_proba([x])[0], expected, rtol=1e-9)


def test_the_pipeline_is_like_a_trained_one(tmp_path):
    path, rng = str(tmp_path / "model"), np.random.default_rng(0)
    train(path, "lbfgs", LABELS, rng)
    model = from_crfsuite(path)
    X = [random_tokens(rng, 5)]
    assert pickle.loads(pickle.dumps(model)).predict(X) == model.predict(X)
    assert transitions(model).shape == (4, 4)
    y = [["O", "a", "a", "O", "a"]]
    again = make_pipeline(AttributeVectorizer(separator=":"), clone(model[-1]))
    assert clone(model).fit(X, y).predict(X) == again.fit(X, y).predict(X)  # trained from the data only
    skops = pytest.importorskip("skops.io")
    assert skops.loads(skops.dumps(model), trusted=trusted_types()).predict(X) == model.predict(X)


def test_one_label_and_no_attribute(tmp_path):
    for number, (x, y) in enumerate([([{"a": 1.0}, {}], ["A", "A"]), ([{}, {}, {}], ["A", "B", "C"])]):
        path, trainer = str(tmp_path / str(number)), pycrfsuite.Trainer(verbose=False)
        trainer.append(x, y)
        trainer.train(path)
        tagger = pycrfsuite.Tagger()
        tagger.open(path)
        assert from_crfsuite(path).predict([x]).tolist() == [tagger.tag(x)]


def test_refusals(tmp_path):
    path = tmp_path / "model"
    with pytest.raises(FileNotFoundError):
        from_crfsuite(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="model is no model file of CRFsuite: it does not begin with b'lCRF'"):
        from_crfsuite(path)
    train(str(path), "lbfgs", LABELS, np.random.default_rng(0))
    data = path.read_bytes()
    for size in (4, 20, 47):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match="model is damaged: it is too short for 1 records of 48 bytes at byte 0"):
            from_crfsuite(path)
    for size in (48, 300, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match=rf"damaged: it has {size} bytes instead of {len(data)}"):
            from_crfsuite(path)


def test_names_with_line_breaks(tmp_path):
    path, trainer = str(tmp_path / "model"), pycrfsuite.Trainer(verbose=False)
    trainer.append([{"a\nb": 1.0}, {}], ["A\n", "B"])
    trainer.train(path)
    model = from_crfsuite(path)
    assert model[0].get_feature_names_out().tolist() == ["a\nb"]
    assert model.predict([[{"a\nb": 1.0}, {}]]).tolist() == [["A\n", "B"]]


HUGE, NAN = b"\xff" * 4, np.array(np.nan).tobytes()
WEIGHTS_AT, LABELS_AT, ATTRIBUTES_AT = 28, 32, 36  # positions of the positions of the tables in the file


@pytest.mark.parametrize(
    ("table", "at", "value", "message"),
    [
        (None, 20, HUGE, "it has 4 names instead of 4294967295"),
        (None, 20, bytes(4), "it has no labels"),
        (None, 24, HUGE, "names instead of 4294967295"),
        (None, WEIGHTS_AT, HUGE, "too short for 1 records of 12 bytes at byte 4294967295"),
        (None, LABELS_AT, HUGE, "too short for 1 records of 24 bytes"),
        (WEIGHTS_AT, 8, HUGE, "too short for 4294967295 records of 20 bytes"),
        (WEIGHTS_AT, 16, HUGE, "a weight belongs to a name"),
        (WEIGHTS_AT, 20, HUGE, "a weight belongs to a name"),
        (WEIGHTS_AT, 24, NAN, "a weight is not finite"),
        (LABELS_AT, 20, HUGE, "too short for 4 records of 4 bytes"),
        (ATTRIBUTES_AT, 20, bytes(4), "the position of name|too short"),
        (ATTRIBUTES_AT, 24 + 256 * 8, HUGE, "the position of name 0"),
        (ATTRIBUTES_AT, 24 + 256 * 8 + 4, HUGE, "too short for 4294967295 records of 1 bytes"),
        (ATTRIBUTES_AT, 24 + 256 * 8 + 8, b"\xff", "invalid start byte"),
    ],
)
def test_damaged_tables(table, at, value, message, tmp_path):
    """CRFsuite itself crashes on such files."""
    path = tmp_path / "model"
    train(str(path), "lbfgs", LABELS, np.random.default_rng(0))
    data = bytearray(path.read_bytes())
    start = 0 if table is None else int.from_bytes(data[table : table + 4], "little")
    data[start + at : start + at + len(value)] = value
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"model is damaged: .*{message}"):
        from_crfsuite(path)
