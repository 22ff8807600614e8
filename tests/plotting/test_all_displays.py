"""What all displays have in common: pipelines, axes, drawing again, and a clear error without matplotlib."""

import sys

import numpy as np
import pytest
from matplotlib import pyplot
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skstruct import GraphCRFClassifier, RaggedArray, plotting
from skstruct.datasets import make_chain
from skstruct.metrics import node_accuracy
from skstruct.preprocessing import NodeTransformer

pytest.importorskip("pandas")
pytest.importorskip("networkx")

# Display: arguments of `from_estimator` after the model, given X and y.
ARGUMENTS = {
    "TransitionsDisplay": lambda X, y: ([], {}),
    "ExplanationDisplay": lambda X, y: ([X, 1, 2], {}),
    "SequenceDisplay": lambda X, y: ([X, 1], {"y": y}),
    "GraphDisplay": lambda X, y: ([X, 1], {"y": y}),
    "ImageDisplay": lambda X, y: ([X, 1], {"y": y, "pixels": (2, 5)}),
    "TrainingCurveDisplay": lambda X, y: ([], {}),
    "ConfusionMatrixDisplay": lambda X, y: ([X, y], {}),
    "ReliabilityDisplay": lambda X, y: ([X, y], {}),
    "InferenceReportDisplay": lambda X, y: ([X], {}),
}


@pytest.fixture(scope="module")
def data():
    return make_chain(n_graphs=20, return_X_y=True, random_state=0)


@pytest.fixture(scope="module")
def models(data):
    X, y = data
    pipeline = make_pipeline(NodeTransformer(StandardScaler()), GraphCRFClassifier())
    search = GridSearchCV(pipeline, {"graphcrfclassifier__C": [1.0]}, cv=2, scoring=node_accuracy)
    return {"crf": GraphCRFClassifier().fit(X, y), "pipeline": pipeline.fit(X, y), "search": search.fit(X, y)}


def draw(name, model, data, **kwargs):
    arguments, keywords = ARGUMENTS[name](*data)
    return getattr(plotting, name).from_estimator(model, *arguments, **keywords, **kwargs)


def test_every_display_is_here():
    assert set(ARGUMENTS) == set(plotting.__all__)


@pytest.mark.parametrize("name", sorted(set(ARGUMENTS) - {"ConfusionMatrixDisplay"}))  # scikit-learn draws that one
def test_bad_axes(name, models, data):
    axes = np.empty(2, object)
    with pytest.raises(TypeError, match=r"ax must be one matplotlib Axes or None, got array"):
        draw(name, models["crf"], data, ax=axes)


def picture(display):
    """Everything that the axes show, as text."""
    shown = []
    for artist in display.ax_.get_children():
        for reader in ("get_array", "get_xydata", "get_text", "get_offsets", "get_paths", "get_width", "get_facecolor"):
            if hasattr(artist, reader):
                shown.append((type(artist).__name__, reader, str(getattr(artist, reader)())))
    return shown


@pytest.mark.parametrize("kind", ["pipeline", "search"])
@pytest.mark.parametrize("name", ARGUMENTS)
def test_pipelines(name, kind, models, data):
    """The picture of a pipeline is that of its last step, for transformed graphs."""
    if name == "InferenceReportDisplay":  # shows times
        assert draw(name, models[kind], data).bars_["exact"][0].get_width() == 20
        return
    crf, X = models["pipeline"][-1], models["pipeline"][:-1].transform(data[0])
    expected, found = draw(name, crf, (X, data[1])), draw(name, models[kind], data)
    if name in ("ExplanationDisplay", "TransitionsDisplay"):  # names flow through the pipeline
        assert len(picture(found)) == len(picture(expected))
    else:
        assert picture(found) == picture(expected)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_axes(name, models, data):
    figure, (left, right) = pyplot.subplots(1, 2)
    display = draw(name, models["crf"], data, ax=left)
    assert display.ax_ is left
    assert display.figure_ is figure
    assert not right.has_data()
    before = picture(display)
    assert display.plot(ax=right) is display
    assert display.ax_ is right
    assert picture(display) == before or name in ("ConfusionMatrixDisplay", "TransitionsDisplay")  # colour bars
    new = display.plot()
    assert new.figure_ is not figure


class NoMatplotlib:
    """A finder of modules that behaves as if matplotlib was not installed."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError(f"No module named {name!r}", name="matplotlib")


@pytest.mark.parametrize("name", [name for name in ARGUMENTS if name != "ConfusionMatrixDisplay"])
def test_without_matplotlib(name, models, data, monkeypatch):
    """`ConfusionMatrixDisplay` has the message of scikit-learn."""
    for module in [module for module in sys.modules if module.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [NoMatplotlib, *sys.meta_path])
    with pytest.raises(ImportError, match=rf"{name} needs matplotlib: pip install .skstruct\[plot\]"):
        draw(name, models["crf"], data)


@pytest.mark.parametrize("name", ["SequenceDisplay", "GraphDisplay", "ImageDisplay"])
@pytest.mark.parametrize(
    ("graph", "error", "match"),
    [
        (20, ValueError, "graph is 20, but X has 20 graphs"),
        ([0], TypeError, "an integer, got"),
        (True, TypeError, "got True"),
    ],
)
def test_bad_graphs(name, graph, error, match, models, data):
    arguments = {"pixels": (2, 5)} if name == "ImageDisplay" else {}
    with pytest.raises(error, match=match):
        getattr(plotting, name).from_estimator(models["crf"], data[0], graph, **arguments)
    with pytest.raises(TypeError, match="X must contain graphs, got a ndarray"):
        getattr(plotting, name).from_estimator(models["crf"], data[0].node_features, **arguments)


@pytest.mark.parametrize("name", ["SequenceDisplay", "ImageDisplay"])
def test_bad_predictions(name):
    draw = getattr(plotting, name).from_predictions
    extra = {"pixels": (1, 2)} if name == "ImageDisplay" else {}
    proba = np.full((2, 2), 0.5)
    with pytest.raises(ValueError, match=r"nodes of one graph.*shape \(2,\)"):
        draw(proba[0], **extra)
    with pytest.raises(ValueError, match=r"classes must have a name for each of the 2 columns of proba, got .* \(3,\)"):
        draw(proba, classes=["a", "b", "c"], **extra)
    with pytest.raises(ValueError, match=r"y_true must have a label for each of the 2 nodes"):
        draw(proba, y_true=[0], **extra)
    with pytest.raises(ValueError, match="'z'"):
        draw(proba, classes=["a", "b"], y_pred=["a", "z"], **extra)


def test_decoding_and_known_labels(models, data):
    """The predicted labels are those of `predict`, and known labels change only their graph."""
    X, y = data
    crf = models["crf"]
    known = [[None] * 10 for _ in range(20)]
    known[1][2] = 0
    display = plotting.SequenceDisplay.from_estimator(crf, X, 1, known=known)
    np.testing.assert_allclose(display.proba, crf.predict_proba(X, known)[1], atol=1e-12)
    np.testing.assert_array_equal(display.y_pred, crf.predict(X, known)[1])
    np.testing.assert_array_equal(display.im_.get_array(), display.proba.T)
    some = RaggedArray(np.where(np.arange(200) % 3, -1, y.values), y.ptr)
    transductive = GraphCRFClassifier(transductive=True, missing_label=-1).fit(X, some)
    shown = plotting.SequenceDisplay.from_estimator(transductive, X, 1)
    np.testing.assert_allclose(shown.proba, transductive.predict_proba(X)[1], atol=1e-12)
    negative = plotting.SequenceDisplay.from_estimator(crf, X, -1, y=y)
    np.testing.assert_array_equal(negative.y_true, y[19])
