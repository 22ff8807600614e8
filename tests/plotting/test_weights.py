"""Heat map of transitions, and bars of an explanation: the numbers are those of `skstruct.inspection`."""

import numpy as np
import pytest

from skstruct import GraphCRFClassifier
from skstruct.datasets import make_chain
from skstruct.inspection import explain, transitions
from skstruct.plotting import ExplanationDisplay, TransitionsDisplay

pandas = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def data():
    return make_chain(n_graphs=10, return_X_y=True, random_state=0)


def ticks(axis):
    return [tick.get_text() for tick in axis.get_ticklabels()]


def test_transitions(data):
    crf = GraphCRFClassifier().fit(*data)
    display = TransitionsDisplay.from_estimator(crf)
    expected = transitions(crf).to_numpy()
    np.testing.assert_array_equal(display.im_.get_array(), expected)
    low, high = display.im_.get_clim()
    assert high == -low == np.abs(expected).max()
    assert [text.get_text() for text in display.text_.ravel()] == [f"{value:.1f}" for value in expected.ravel()]
    assert ticks(display.ax_.xaxis) == ticks(display.ax_.yaxis) == ["0", "1", "2"]
    assert display.plot(include_values=False).text_ is None


def test_transitions_of_edge_features(data):
    X, y = data
    crf = GraphCRFClassifier().fit(
        X.with_edge_features(pandas.DataFrame({"a": np.ones(X.n_edges), "b": np.arange(X.n_edges) / X.n_edges})), y
    )
    display = TransitionsDisplay.from_estimator(crf, feature="b")
    np.testing.assert_array_equal(display.im_.get_array(), crf.edge_coef_[1])
    with pytest.raises(ValueError, match=r"one of the edge features \['a', 'b'\], got None"):
        TransitionsDisplay.from_estimator(crf)
    with pytest.raises(ValueError, match="feature is 'b', but edges have no features"):
        TransitionsDisplay.from_estimator(GraphCRFClassifier().fit(X, y), feature="b")


def test_transitions_that_are_forbidden_or_zero():
    display = TransitionsDisplay([[0.0, -np.inf], [2.0, -1.0]], ["B", "I"]).plot()
    assert display.text_[0, 1].get_text() == "-inf"
    assert display.im_.get_clim() == (-2.0, 2.0)
    display.figure_.canvas.draw()
    assert TransitionsDisplay(np.zeros((2, 2)), [0, 1]).plot().im_.get_clim() == (-1.0, 1.0)
    with pytest.raises(ValueError, match=r"each of the classes, got .* \(2, 2\) and classes of shape \(3,\)"):
        TransitionsDisplay(np.zeros((2, 2)), [0, 1, 2])


def test_many_classes_have_no_values():
    assert TransitionsDisplay(np.zeros((16, 16)), range(16)).plot().text_ is None


def test_explanation(data):
    crf = GraphCRFClassifier().fit(*data)
    frame = explain(crf, data[0], 3, 4)
    display = ExplanationDisplay.from_estimator(crf, data[0], 3, 4, top=100)
    widths = np.array([bar.get_width() for bar in display.bars_])
    np.testing.assert_allclose(widths, frame["contribution"])
    assert [text.get_text() for text in display.text_] == [f"{value:+.2f}" for value in frame["contribution"]]
    assert set(ticks(display.ax_.yaxis)) >= {"(intercept)", "node 3", "node 5"}
    assert display.ax_.get_ylim()[0] > display.ax_.get_ylim()[1]  # the first row is at the top
    label, against = frame.attrs["label"], frame.attrs["against"]
    log_odds = np.subtract(*crf.predict_log_proba(data[0])[3][4, [label, against]])
    assert display.ax_.get_xlabel() == f"log-odds of {label} against {against}, sum {log_odds:+.2f}"
    assert display.ax_.get_title() == "node 4 of graph 3"


@pytest.mark.parametrize(("top", "n_bars"), [(1, 2), (3, 4), (6, 7), (7, 8), (8, 8)])
def test_parts_that_have_no_bar(data, top, n_bars):
    frame = explain(GraphCRFClassifier().fit(*data), data[0], 3, 4)
    assert len(frame) == 8
    display = ExplanationDisplay(frame).plot(top=top)
    widths = [bar.get_width() for bar in display.bars_]
    assert len(widths) == n_bars
    assert sum(widths) == pytest.approx(frame["contribution"].sum(), abs=1e-9)
    with pytest.raises(ValueError, match="top must be a positive integer, got 0"):
        display.plot(top=0)


def test_parts_that_are_infinite(data):
    X, y = data
    crf = GraphCRFClassifier().fit(X, y)
    known = [[None] * 10 for _ in range(10)]
    known[0][1] = 2
    display = ExplanationDisplay.from_estimator(crf, X, 0, 1, label=2, against=0, known=known)
    assert "+inf" in [text.get_text() for text in display.text_]
    assert np.isfinite([bar.get_width() for bar in display.bars_]).all()
    display.figure_.canvas.draw()


def test_long_names_leave_room_for_bars(data):
    X, y = data
    pandas = pytest.importorskip("pandas")
    names = ["d" * 300, *map(str, range(X.shape[1] - 1))]
    X = X.with_node_features(pandas.DataFrame(X.node_features, columns=names))
    display = ExplanationDisplay.from_estimator(GraphCRFClassifier().fit(X, y), X, 0, 1)
    display.figure_.canvas.draw()
    assert max(map(len, ticks(display.ax_.yaxis))) < 60
    assert display.ax_.get_position().width > 0.2


def test_names_of_parts():
    frame = pandas.DataFrame(
        [("feature", "w=a", 1.0, 2.0), ("feature", "size", 0.25, -1.0), ("approximation", "loopy_bp", np.nan, 0.1)],
        columns=["part", "name", "value", "contribution"],
    )
    frame.attrs = {"graph": 0, "node": 1, "label": "a", "against": "b"}
    display = ExplanationDisplay(frame).plot()
    assert ticks(display.ax_.yaxis) == ["w=a", "size = 0.25", "approximation (loopy_bp)"]
