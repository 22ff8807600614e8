"""Pictures of the predictions for one graph: sequences, graphs and images."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from skstruct.plotting import GraphDisplay, ImageDisplay, SequenceDisplay

PROBA = np.array([[1.0, 0.0, 0.0], [0.25, 0.5, 0.25], [0.0, 0.2, 0.8], [1 / 3, 1 / 3, 1 / 3]])
CLASSES = np.array(["a", "b", "c"])
EDGES = [(0, 1), (1, 2), (3, 1)]
BLUE, ORANGE, GREEN = (np.array(to_rgba(f"tab:{name}")[:3]) for name in ("blue", "orange", "green"))


def ticks(axis):
    return [tick.get_text() for tick in axis.get_ticklabels()]


# ---- sequences
def test_sequence():
    y_true = np.array(["a", "c", "c", "z"])
    display = SequenceDisplay.from_predictions(PROBA, classes=CLASSES, y_true=y_true, tokens=["to", "be", "or", "not"])
    np.testing.assert_array_equal(display.im_.get_array(), PROBA.T)
    assert display.im_.get_clim() == (0.0, 1.0)
    np.testing.assert_array_equal(display.predicted_.get_xydata(), [[0, 0], [1, 1], [2, 2], [3, 0]])
    np.testing.assert_array_equal(display.true_.get_xydata(), [[1, 2], [3, np.nan]])  # the model has no label "z"
    assert ticks(display.ax_.yaxis) == ["a", "b", "c"]
    assert ticks(display.ax_.xaxis) == ["to", "be", "or", "not"]
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["predicted", "true, if another"]
    with pytest.raises(ValueError, match="tokens must have a name for each of the 4 nodes, got 1 names"):
        display.plot(tokens=["to"])


def test_sequence_with_labels_of_another_decoder():
    display = SequenceDisplay.from_predictions(PROBA, y_pred=[2, 1, 0, 0], y_true=[2, 1, -1, 0], missing_label=-1)
    assert display.predicted_.get_ydata().tolist() == [2, 1, 0, 0]
    assert len(display.true_.get_xydata()) == 0
    assert display.ax_.get_legend() is None


# ---- graphs
def test_graph():
    display = GraphDisplay.from_predictions(
        EDGES, PROBA, classes=CLASSES, y_true=np.array(["a", "a", None, "b"]), missing_label=np.nan, names=list("wxyz")
    )
    n_sectors = (PROBA > 0).sum()
    assert len(display.sectors_.get_paths()) == n_sectors
    colors = display.sectors_.get_facecolors()[:, :3]
    np.testing.assert_allclose(colors[0], BLUE)
    np.testing.assert_allclose(colors[1:4], [BLUE, ORANGE, GREEN])
    np.testing.assert_allclose(display.edges_.get_segments(), display.positions_[np.array(EDGES)])
    assert display.borders_.get_linewidths() == [0.5, 3.0, 0.5, 3.0]  # node 2 has no true label
    assert [text.get_text() for text in display.text_] == ["w", "x", "y", "z"]
    assert [text.get_text() for text in display.legend_.get_texts()] == ["a", "b", "c"]
    display.figure_.canvas.draw()


def area(path):
    """Area of a closed path, as matplotlib draws it."""
    (polygon,) = path.to_polygons(closed_only=True)
    x, y = polygon.T
    return 0.5 * abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))


def test_areas_of_sectors_are_probabilities():
    display = GraphDisplay.from_predictions(EDGES, PROBA, layout=np.eye(4, 2), radius=0.5)
    areas = [area(path) for path in display.sectors_.get_paths()]
    np.testing.assert_allclose(np.array(areas) / (np.pi * 0.5**2), PROBA[PROBA > 0], atol=0.01)


@pytest.mark.parametrize("layout", ["spectral", "spring", "circular", "kamada_kawai"])
def test_layouts(layout):
    networkx = pytest.importorskip("networkx")
    positions = GraphDisplay.from_predictions(EDGES, PROBA, layout=layout).positions_
    np.testing.assert_array_equal(GraphDisplay.from_predictions(EDGES, PROBA, layout=layout).positions_, positions)
    graph = networkx.Graph(EDGES)
    graph.add_nodes_from(range(4))
    if layout != "spring":
        expected = getattr(networkx, f"{layout}_layout")(graph)
        np.testing.assert_allclose(positions, [expected[node] for node in range(4)], atol=1e-9)
        again = GraphDisplay.from_predictions(EDGES, PROBA, layout=getattr(networkx, f"{layout}_layout"))
        np.testing.assert_array_equal(again.positions_, positions)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, "a", None])
def test_bad_probabilities(wrong):
    table = np.asarray(PROBA).astype(object)
    table[1, 0] = wrong
    table = table if isinstance(wrong, str | None) else table.astype(float)
    with pytest.raises(ValueError, match="proba must contain finite numbers"):
        SequenceDisplay.from_predictions(table)


def test_bad_layouts_and_edges():
    pytest.importorskip("networkx")
    with pytest.raises(ValueError, match=r"layout must be one of \['.*'kamada_kawai'.*got 'round'"):
        GraphDisplay.from_predictions(EDGES, PROBA, layout="round")
    with pytest.raises(ValueError, match=r"two finite coordinates for each of the 4 nodes, got shape \(2, 2\)"):
        GraphDisplay.from_predictions(EDGES, PROBA, layout=np.eye(2))
    with pytest.raises(ValueError, match="two finite coordinates for each of the 4 nodes"):
        GraphDisplay.from_predictions(EDGES, PROBA, layout=np.full((4, 2), np.nan))
    with pytest.raises(ValueError, match="names must have a name for each of the 4 nodes, got 1"):
        GraphDisplay.from_predictions(EDGES, PROBA, names=["to"])
    with pytest.raises(ValueError, match="the graph has no nodes"):
        GraphDisplay.from_predictions([], PROBA[:0])
    with pytest.raises(ValueError, match="edge"):
        GraphDisplay.from_predictions([(0, 4)], PROBA)


@pytest.mark.parametrize("n_nodes", [1, 2])
def test_graphs_without_edges(n_nodes):
    pytest.importorskip("networkx")
    display = GraphDisplay.from_predictions(np.zeros((0, 2), int), PROBA[:n_nodes])
    assert len(display.borders_.get_paths()) == n_nodes
    display.figure_.canvas.draw()


@pytest.mark.parametrize("n_classes", [1, 10, 11, 20, 21, 40])
def test_many_classes_have_different_colors(n_classes):
    display = GraphDisplay.from_predictions(np.zeros((0, 2), int), np.eye(n_classes), layout=np.eye(n_classes, 2))
    assert len(np.unique(display.sectors_.get_facecolors(), axis=0)) == n_classes


# ---- images
def test_image():
    display = ImageDisplay.from_predictions(
        PROBA, pixels=(2, 2), classes=CLASSES, y_true=np.array(["a", "c", "c", "a"])
    )
    image = display.im_.get_array()
    np.testing.assert_allclose(image[0, 0], BLUE)  # certain
    np.testing.assert_allclose(image[1, 1], [1, 1, 1], atol=1e-12)  # all labels are equally probable
    certainty = 1 - (0.5 * np.log(2) + 0.5 * np.log(4)) / np.log(3)
    np.testing.assert_allclose(image[0, 1], 1 - certainty * (1 - ORANGE))
    sides = {frozenset(map(tuple, line)) for line in display.borders_.get_segments()}
    corners = [(0.5, -0.5), (1.5, -0.5), (1.5, 0.5), (0.5, 0.5)]  # of the only wrong pixel, in row 0 and column 1
    assert sides == {frozenset(pair) for pair in zip(corners, corners[1:] + corners[:1])}
    np.testing.assert_allclose(display.plot(uncertainty=False).im_.get_array(), [[BLUE, ORANGE], [GREEN, BLUE]])


def test_superpixels():
    pixels = np.array([[0, 0, 1], [2, -1, 1]])
    display = ImageDisplay.from_predictions(PROBA, pixels=pixels, y_true=[0, 0, 2, 0])
    np.testing.assert_allclose(
        display.plot(uncertainty=False).im_.get_array(), [[BLUE, BLUE, ORANGE], [GREEN, [1, 1, 1], ORANGE]]
    )
    assert len(display.borders_.get_segments()) == 6


@pytest.mark.parametrize(
    ("pixels", "match"),
    [((2, 3), "2 x 3 pixels needs as many nodes, got 4"), ([[0, 4]], "below 4"), ([[0.5]], "dtype float64")],
)
def test_bad_pixels(pixels, match):
    with pytest.raises(ValueError, match=match):
        ImageDisplay.from_predictions(PROBA, pixels=pixels)


def test_one_class():
    assert ImageDisplay.from_predictions(np.ones((2, 1)), pixels=(1, 2)).im_.get_array().shape == (1, 2, 3)
