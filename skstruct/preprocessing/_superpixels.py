"""SuperpixelsToGraphs: the first step of a pipeline for large images."""

from numbers import Integral

import numpy as np

from skstruct.components import require_number
from skstruct.data.dataset import GraphDataset
from skstruct.data.images import (
    AXES,
    as_pixels,
    constant_and_contrast,
    finite_table,
    grid_edges,
    list_of_pixels,
    table_of,
)
from skstruct.data.neighbors import unique_pairs
from skstruct.data.optional import optional_module
from skstruct.data.structure import list_of
from skstruct.preprocessing._images import ImageBuilder

SIDES = {2: 4, 3: 6}  # number of neighbours of a pixel with which it shares a side, by the number of axes


class SuperpixelsToGraphs(ImageBuilder, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
    """Divide each image into superpixels, and make a graph of them: edges join superpixels that touch.

    A superpixel is a connected region of similar pixels. An image of a million pixels becomes a graph of a few hundred
    nodes. `node_labels` computes the labels of nodes from masks. `to_images` writes predictions to the pixels.

    The node features are means and standard deviations over the pixels of the superpixel, for each channel and for each
    of the `features`; the position of its centre on each axis, from 0 to 1; and its size as a fraction of the image.

    Parameters
    ----------
    n_segments : int, default=100
        Approximate number of superpixels of an image.
    compactness : float, default=10.0
        Weight of the distance in the image relative to the distance of colours. With a large value, superpixels are
        almost squares. For grey images, a value near 0.1 follows contours.
    contrast : bool, default=False
        Whether to add two edge features: the constant 1, and the contrast of the mean colours, as
        `GraphDataset.from_images` defines it for pixels.
    features : callable, default=None
        A function of an image that returns further features of its pixels, for example filters of scikit-image: an
        array of the shape of the image without channels, or with an axis of features in their place.
    segmentation : callable, default=None
        A function of an image that returns the number of the superpixel of each pixel, for example
        ``skimage.segmentation.felzenszwalb``. None: the algorithm SLIC of scikit-image with the first two parameters,
        which needs ``pip install "skstruct[images]"``.

    Raises
    ------
    ImportError
        In ``transform``, if scikit-image is needed and not installed.
    ValueError
        If an image is malformed, or if a pixel is NaN or infinite; the message names the image.

    See Also
    --------
    ImagesToGraphs : with a node for each pixel.

    Notes
    -----
    The superpixels are not stored: `transform`, `node_labels` and `to_images` compute them. SLIC is deterministic, and
    takes time linear in the number of pixels. Volumes, of shape (depth, height, width, n_channels), are divided into
    supervoxels.

    References
    ----------
    .. [1] R. Achanta, A. Shaji, K. Smith, A. Lucchi, P. Fua, S. Süsstrunk, "SLIC superpixels compared to
       state-of-the-art superpixel methods", IEEE TPAMI 34(11), 2012.

    Examples
    --------
    Segmentation of an image into its bright and its dark half:

    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skstruct import GraphCRFClassifier
    >>> from skstruct.preprocessing import NodeTransformer, SuperpixelsToGraphs
    >>> masks = [np.indices((40, 60))[1] > 30]
    >>> images = [np.random.default_rng(0).normal(size=(40, 60)) / 4 + masks[0]]
    >>> superpixels = SuperpixelsToGraphs(n_segments=50, compactness=0.1)
    >>> y = superpixels.node_labels(masks, images)
    >>> model = make_pipeline(superpixels, NodeTransformer(StandardScaler()), GraphCRFClassifier()).fit(images, y)
    >>> predicted = superpixels.to_images(model.predict(images), images)
    >>> predicted[0].shape, bool(np.mean(predicted[0] == masks[0]) > 0.9)
    ((40, 60), True)
    >>> model[:-1].get_feature_names_out().tolist()
    ['mean_channel0', 'std_channel0', 'row', 'column', 'size']
    """

    def __init__(self, n_segments=100, compactness=10.0, contrast=False, features=None, segmentation=None):
        self.n_segments = n_segments
        self.compactness = compactness
        self.contrast = contrast
        self.features = features
        self.segmentation = segmentation

    def transform(self, X):
        """Make a graph of the superpixels of each image.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or list of images of any sizes
            A GraphDataset is returned unchanged.

        Returns
        -------
        GraphDataset
        """
        if isinstance(X, GraphDataset):
            return X
        images = list_of("images", X)
        pixels = list_of_pixels(images)
        own = self._own_features(images, pixels)
        graphs = []
        for g, (image, region) in enumerate(zip(pixels, self.regions(images))):
            shape, region = region.shape, region.ravel()
            edges = unique_pairs(region[grid_edges(shape, SIDES[len(shape)])])
            mean, deviation = _moments(table_of(image), region)
            edge_features = constant_and_contrast(mean, edges) if self.contrast else None
            columns = [mean, deviation]
            if own is not None:
                columns += _moments(table_of(own[g]), region)
            places = np.indices(shape).reshape(len(shape), -1).T / np.maximum(np.array(shape) - 1, 1)
            columns += [_moments(places, region)[0], np.bincount(region)[:, None] / len(region)]
            graphs.append((np.hstack(columns), edges, edge_features))
        return GraphDataset.from_graphs(graphs)

    def regions(self, images):
        """Return the number of the superpixel of each pixel.

        Parameters
        ----------
        images : array or list of images
            Images.

        Returns
        -------
        list of ndarray of int
            One array for each image, of its shape without channels. The numbers of superpixels start at 0.
        """
        if self.segmentation is None:
            require_number(self, "n_segments", lambda number: number >= 1, "an integer >= 1", Integral)
            require_number(self, "compactness", lambda number: 0 < number < np.inf, "a positive number")
        return [self._segment(image, g) for g, image in enumerate(list_of("images", images))]

    def _segment(self, image, number):
        pixels = as_pixels(image, number)
        finite_table(pixels, number, "superpixels need finite pixels; impute them first")
        shape = pixels.shape[:-1]
        if not np.prod(shape):
            return np.zeros(shape, np.intp)
        if self.segmentation is not None:
            found = np.asarray(self.segmentation(image))
            if found.shape != shape or found.dtype.kind not in "iu":
                raise ValueError(
                    f"segmentation of image {number} must return integers of shape {shape}, got shape {found.shape} "
                    f"and dtype {found.dtype}"
                )
        else:
            slic = optional_module("skimage.segmentation", "images", "SuperpixelsToGraphs").slic
            pixels = pixels.astype(np.float64) if pixels.dtype == bool else pixels
            found = slic(pixels, self.n_segments, self.compactness, start_label=0, channel_axis=-1)
        return np.unique(found, return_inverse=True)[1].reshape(shape)

    @staticmethod
    def _names(groups, n_axes):
        moments = [f"{moment}_{name}" for group in groups for moment in ("mean", "std") for name in group]
        return [*moments, *AXES[-n_axes:], "size"]


def _moments(table, region):
    """Means and standard deviations of the columns of a table over the rows of each region."""
    table, size = table.astype(np.float64), np.bincount(region)[:, None]

    def mean(values):
        return np.column_stack([np.bincount(region, column) for column in values.T]) / size

    center = mean(table)
    return center, np.sqrt(mean(np.square(table - center[region])))
