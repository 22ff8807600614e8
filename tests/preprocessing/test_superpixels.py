"""Superpixels, and the way back from nodes to images, against scikit-image."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skstruct import GraphCRFClassifier, GraphDataset
from skstruct.inspection import transitions, weights
from skstruct.preprocessing import ImagesToGraphs, NodeTransformer, SuperpixelsToGraphs

skimage = pytest.importorskip("skimage")
graph = pytest.importorskip("skimage.graph")
measure = pytest.importorskip("skimage.measure")
segmentation = pytest.importorskip("skimage.segmentation")

RNG = np.random.default_rng(0)
IMAGES = [RNG.random((*shape, 3)) / 5 + np.indices(shape)[0][..., None] / shape[0] for shape in [(20, 30), (12, 15)]]
MASKS = [RNG.integers(0, 3, image.shape[:2]) for image in IMAGES]


def blocks(image):
    """Superpixels of 4 x 5 pixels, with numbers that have gaps."""
    i, j = np.indices(image.shape[:2])
    return 7 * (i // 4) + 100 * (j // 5)


@pytest.mark.parametrize("segment", [None, blocks])
def test_graphs_of_superpixels(segment):
    builder = SuperpixelsToGraphs(20, contrast=True, features=lambda image: image[..., 0] ** 2, segmentation=segment)
    dataset = builder.fit_transform(IMAGES)
    names = builder.get_feature_names_out().tolist()
    for image, region, one in zip(IMAGES, builder.regions(IMAGES), dataset, strict=True):
        expected = graph.RAG(region, connectivity=1)
        assert len(expected) > 8
        assert {frozenset(e) for e in one.edges.tolist()} == {frozenset(e) for e in expected.edges}
        assert one.n_edges == expected.number_of_edges()
        for r, properties in enumerate(measure.regionprops(region + 1, image)):
            row = dict(zip(names, one.node_features[r]))
            inside = image[region == r]
            np.testing.assert_allclose([row[f"mean_channel{c}"] for c in range(3)], properties.intensity_mean)
            np.testing.assert_allclose([row[f"std_channel{c}"] for c in range(3)], inside.std(axis=0))
            np.testing.assert_allclose(row["mean_feature0"], np.mean(inside[:, 0] ** 2))
            np.testing.assert_allclose(row["std_feature0"], np.std(inside[:, 0] ** 2))
            centre = np.array(properties.centroid) / np.subtract(region.shape, 1)
            np.testing.assert_allclose([row["row"], row["column"]], centre, rtol=1e-12, atol=1e-15)
            np.testing.assert_allclose(row["size"], properties.area / region.size)
        colours = one.node_features[:, :3]
        squared = np.square(colours[one.edges[:, 0]] - colours[one.edges[:, 1]]).sum(axis=1)
        np.testing.assert_allclose(one.edge_features[:, 1], np.exp(-squared / (2 * squared.mean())))
        assert (one.edge_features[:, 0] == 1).all()
    assert builder.transform(dataset) is dataset


def test_slic_is_that_of_scikit_image():
    expected = segmentation.slic(IMAGES[0], n_segments=20, compactness=3.0, start_label=0)
    found = SuperpixelsToGraphs(20, 3.0).regions(IMAGES[:1])[0]
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((3, 4)),
        np.ones((1, 1, 3), np.uint8),
        np.eye(9, dtype=bool),
        RNG.integers(0, 255, (8, 9, 5)).astype(np.uint8),
        RNG.random((6, 7, 8, 2)),
        RNG.integers(-5, 5, (8, 9)),
    ],
    ids=lambda image: str(image.shape),
)
def test_kinds_of_images(image):
    builder = SuperpixelsToGraphs(10)
    dataset = builder.fit_transform([image])
    region = builder.regions([image])[0]
    assert np.array_equal(np.unique(region), np.arange(dataset.n_nodes))
    assert len(builder.get_feature_names_out()) == dataset.shape[1]
    assert builder.to_images([np.arange(dataset.n_nodes)], [image])[0].tolist() == region.tolist()


@pytest.mark.parametrize("builder", [ImagesToGraphs(), SuperpixelsToGraphs(15, segmentation=blocks)])
def test_to_images(builder):
    dataset = builder.fit_transform(IMAGES)
    values = [RNG.random((graph.n_nodes, 2)) for graph in dataset]
    maps = builder.to_images(values, IMAGES)
    for image, region, value, found in zip(IMAGES, builder.regions(IMAGES), values, maps):
        assert found.shape == (*image.shape[:2], 2)
        for place in np.ndindex(*image.shape[:2]):
            assert np.array_equal(found[place], value[region[place]])
    with pytest.raises(ValueError, match="got values of 1 graphs but 2 images"):
        builder.to_images(values[:1], IMAGES)
    with pytest.raises(ValueError, match=r"values\[0\] has the shape \(3,\), but the graph of image 0 has \d+ nodes"):
        builder.to_images([[1, 2, 3], values[1]], IMAGES)


@pytest.mark.parametrize("missing", [None, 1, "2"])
def test_labels_of_superpixels(missing):
    """The most frequent label of each region, counted in the plainest way."""
    builder = SuperpixelsToGraphs(segmentation=blocks)
    masks = [mask.astype(str) for mask in MASKS] if isinstance(missing, str) else MASKS
    masks[0][:4, :5] = masks[0].dtype.type(missing or 0)  # a superpixel without any other label
    y = builder.node_labels(masks, IMAGES, missing)
    assert y.values.dtype == masks[0].dtype
    for mask, region, labels in zip(masks, builder.regions(IMAGES), y):
        for r, label in enumerate(labels):
            inside = [value for value in mask[region == r].tolist() if value != missing]
            counts = {value: inside.count(value) for value in sorted(set(inside))}
            assert label == max(counts, key=counts.get) if counts else label == missing
    grid = ImagesToGraphs().node_labels(masks, IMAGES, missing)
    assert grid.values.tolist() == np.concatenate([mask.ravel() for mask in masks]).tolist()
    with pytest.raises(ValueError, match=r"mask 1 has shape \(15, 12\) but image 1 has \(12, 15\) pixels"):
        builder.node_labels([masks[0], masks[1].T], IMAGES)
    with pytest.raises(ValueError, match="got 1 masks but 2 images"):
        builder.node_labels(masks[:1], IMAGES)
    with pytest.raises(TypeError, match="expected a list of masks, got None"):
        builder.node_labels(None, IMAGES)
    with pytest.raises(ValueError, match=r"mask 0 contains NaN or None: mask 0\[0\] is None"):
        builder.node_labels([np.full(mask.shape, None) for mask in masks], IMAGES)


@pytest.mark.parametrize(
    ("parameters", "image", "error", "message"),
    [
        ({}, np.full((4, 5), np.nan), ValueError, "image 1 has the value nan at row 0, column 0: superpixels need"),
        ({}, np.zeros(5), ValueError, "image 1 must hold numbers of shape"),
        ({"segmentation": lambda image: image}, np.ones((4, 5)), ValueError, "must return integers of shape"),
        ({"segmentation": lambda image: np.arange(4)}, np.ones((4, 5)), ValueError, r"got shape \(4,\)"),
        (
            {"features": "sobel"},
            np.ones((4, 5)),
            TypeError,
            "features must be a function of an image or None, got 'sob",
        ),
        ({"features": lambda image: 3}, np.ones((4, 5)), ValueError, "features of image 0 must hold numbers of shape"),
        *(
            ({"n_segments": n}, np.ones((4, 5)), ValueError, f"n_segments must be an integer >= 1, got {n!r}")
            for n in (0, np.nan, "9", 2.5, None)
        ),
        *(
            ({"compactness": c}, np.ones((4, 5)), ValueError, f"compactness must be a positive number, got {c!r}")
            for c in (0, -1.0, np.nan, "1", None)
        ),
    ],
)
def test_bad_images(parameters, image, error, message):
    good = np.ones((4, 5), int)
    with pytest.raises(error, match=message):
        SuperpixelsToGraphs(**parameters).fit_transform([good, image])


@pytest.mark.parametrize("builder", [SuperpixelsToGraphs(), ImagesToGraphs()], ids=lambda b: type(b).__name__)
def test_no_list_of_images(builder):
    for call in (builder.fit_transform, builder.regions, lambda X: builder.to_images([[0]], X)):
        with pytest.raises(TypeError, match="expected a list of images, got None"):
            call(None)
    with pytest.raises(TypeError, match="expected a list of values of graphs, got None"):
        builder.to_images(None, IMAGES)


def test_an_image_without_pixels():
    empty, full = SuperpixelsToGraphs(4, contrast=True).fit_transform([np.zeros((0, 3)), np.ones((6, 6))])
    assert (empty.n_nodes, empty.n_edges) == (0, 0)
    assert empty.node_features.shape[1] == full.node_features.shape[1]


def test_without_the_library(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"no {name}", name="skimage")

    monkeypatch.setattr("skstruct.data.optional.import_module", missing)
    with pytest.raises(ImportError, match=r'SuperpixelsToGraphs needs skimage: pip install "skstruct\[images\]"'):
        SuperpixelsToGraphs().transform(IMAGES)


def test_names_before_fit_and_in_a_pipeline():
    builder = SuperpixelsToGraphs(10)
    assert builder.get_feature_names_out() is None
    assert builder.fit(builder.transform(IMAGES)).get_feature_names_out() is None
    model = make_pipeline(
        SuperpixelsToGraphs(10, contrast=True), NodeTransformer(StandardScaler()), GraphCRFClassifier(max_iter=3, tol=1)
    )
    model.fit(IMAGES, builder.node_labels(MASKS, IMAGES))
    names = ["mean_channel0", "mean_channel1", "mean_channel2", "std_channel0", "std_channel1", "std_channel2"]
    assert model[:-1].get_feature_names_out().tolist() == [*names, "row", "column", "size"]
    assert set(weights(model, top=None)["feature"]) <= {*names, "row", "column", "size", "(intercept)"}
    assert transitions(model).index.levels[0].tolist() == ["constant", "contrast"]
    grid = ImagesToGraphs(features=lambda image: image[..., :2]).fit(IMAGES)
    assert grid.get_feature_names_out().tolist() == ["channel0", "channel1", "channel2", "feature0", "feature1"]


def test_street_scenes(shared_data):
    """With 200 superpixels, masks are recovered except near contours, and a model learns from few images."""
    with np.load(shared_data("camvid-120x90.npz")) as data:
        images, masks = data["train_images"], data["train_labels"]
    builder = SuperpixelsToGraphs(200, contrast=True)
    y = builder.node_labels(masks, images, missing_label=11)
    best = builder.to_images(y, images)
    known = masks != 11
    assert np.mean(np.stack(best)[known] == masks[known]) > 0.9
    model = make_pipeline(
        builder,
        NodeTransformer(StandardScaler()),
        GraphCRFClassifier(objective="pseudolikelihood", missing_label=11, tol=1e-2),
    )
    found = np.stack(builder.to_images(model.fit(images[:20], y[:20]).predict(images[20:]), images[20:]))
    assert np.mean(found[known[20:]] == masks[20:][known[20:]]) > 0.6
    assert isinstance(model[:-1].transform(images[:2]), GraphDataset)
