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
    for size in (4, 20, 48, 300, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match=rf"damaged: it has {size} bytes instead of"):
            from_crfsuite(path)
    path.write_bytes(b"lCRF" + (20).to_bytes(4, "little") + bytes(12))
    with pytest.raises(ValueError, match=r"Model file .* complete header"):
        from_crfsuite(path)
    trainer = pycrfsuite.Trainer(verbose=False)
    trainer.append([{"a\nb": 1.0}, {}], ["A", "B"])
    trainer.train(str(path))
    with pytest.raises(ValueError, match="attributes with line breaks"):
        from_crfsuite(path)


@pytest.mark.parametrize(
    ("at", "message"), [(8, "too short for 4294967295 weights"), (16, "a weight belongs to a name")]
)
def test_a_damaged_table_of_weights(at, message, tmp_path, monkeypatch):
    path = tmp_path / "model"
    train(str(path), "lbfgs", LABELS, np.random.default_rng(0))
    data = bytearray(path.read_bytes())
    start = int.from_bytes(data[28:32], "little")
    data[start + at : start + at + 4] = b"\xff" * 4
    damaged = tmp_path / "damaged"
    damaged.write_bytes(data)

    class Tagger:  # CRFsuite itself could crash on the damaged file
        def __new__(cls):
            tagger = pycrfsuite.Tagger()

            class OfTheWholeFile:
                labels, dump = tagger.labels, tagger.dump

                def open(self, name):
                    return tagger.open(str(path))

            return OfTheWholeFile()

    monkeypatch.setattr(
        "skstruct.compat._model_file.optional_module", lambda *_: type("library", (), {"Tagger": Tagger})
    )
    with pytest.raises(ValueError, match=message):
        from_crfsuite(damaged)
