"""ImagesToGraphs: the first step of a pipeline for images."""

from collections.abc import Sequence

import numpy as np

from skstruct.data.dataset import GraphDataset
from skstruct.data.images import as_pixels, list_of_pixels, own_features
from skstruct.data.labels import refuse_blank
from skstruct.data.missing import missing_mask
from skstruct.data.ragged import RaggedArray
from skstruct.data.structure import list_of, offsets
from skstruct.estimator.callbacks import one_task
from skstruct.preprocessing._sequences import GraphBuilder


class ImageBuilder(GraphBuilder, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
    """Base class of the transformers that divide each image into regions, which are the nodes of a graph.

    A subclass has the parameters `features` and `contrast`, and implements `transform` and `regions`.
    """

    def regions(self, images):
        """Return the number of the node of each pixel."""
        raise NotImplementedError

    @one_task
    def fit(self, X, y=None):
        """Count the features of the first image, for their names.

        Parameters
        ----------
        X : array or list of images
            Images.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._counts = None
        if isinstance(X, Sequence | np.ndarray) and len(X):
            pixels = as_pixels(X[0], 0)
            own = self._own_features(X[:1], [pixels])
            self._counts = pixels.ndim - 1, pixels.shape[-1], own[0].shape[-1] if own else 0
        return self

    def _own_features(self, images, pixels):
        """Features beside the channels, one array for each image; None without `features`."""
        if self.features is None:
            return None
        if not callable(self.features):
            raise TypeError(f"features must be a function of an image or None, got {self.features!r}")
        return [own_features(self.features(x), p.shape[:-1], g) for g, (x, p) in enumerate(zip(images, pixels))]

    def to_images(self, values, images):
        """Write values of nodes to the pixels of the nodes: the way back from predictions to images.

        Parameters
        ----------
        values : RaggedArray or list of arrays
            Values per node of the graph of each image, such as labels or probabilities.
        images : array or list of images
            The images that `transform` received.

        Returns
        -------
        list of arrays
            One array for each image, of its shape without channels. Probabilities have one more axis.

        Raises
        ------
        ValueError
            If the numbers of images or of nodes differ.
        """
        values, images = list_of("values of graphs", values), list_of("images", images)
        if len(values) != len(images):
            raise ValueError(f"got values of {len(values)} graphs but {len(images)} images")
        maps = []
        for g, (value, region) in enumerate(zip(values, self.regions(images))):
            n_nodes = region.max(initial=-1) + 1
            try:
                value = np.asarray(value)
            except ValueError as error:
                raise ValueError(f"values[{g}] must be an array with a row for each node: {error}") from error
            if value.shape[:1] != (n_nodes,):
                raise ValueError(
                    f"values[{g}] has the shape {value.shape}, but the graph of image {g} has {n_nodes} nodes"
                )
            maps.append(value[region])
        return maps

    def node_labels(self, masks, images, missing_label=None):
        """Labels of nodes from labels of pixels: the most frequent label of the pixels of each node.

        Parameters
        ----------
        masks : array or list of arrays
            Labels of the pixels, of the shape of each image without channels.
        images : array or list of images
            The images that `transform` receives.
        missing_label : object, default=None
            The label of pixels without a label, which are not counted. A node without any other pixel has this label.
            None: all pixels have labels.

        Returns
        -------
        RaggedArray
            If two labels are equally frequent, the smaller one.

        Raises
        ------
        ValueError
            If a mask and its image differ in shape, or if a pixel has no label and `missing_label` is None.
        """
        masks, images = list_of("masks", masks), list_of("images", images)
        if len(masks) != len(images):
            raise ValueError(f"got {len(masks)} masks but {len(images)} images")
        labels = []
        for g, (mask, region) in enumerate(zip(masks, self.regions(images))):
            mask = np.asarray(mask)
            if mask.shape != region.shape:
                raise ValueError(f"mask {g} has shape {mask.shape} but image {g} has {region.shape} pixels")
            refuse_blank(mask.ravel(), f"mask {g}", missing_label)
            labels.append(_majority(mask.ravel(), region.ravel(), missing_label))
        return RaggedArray(np.concatenate(labels), offsets(list(map(len, labels))))

    def get_feature_names_out(self, input_features=None):
        """Return the names of the node features.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str, or None
            None before `fit`, and if `fit` received a GraphDataset.
        """
        counts = getattr(self, "_counts", None)
        if counts is None:
            return None
        n_axes, n_channels, n_own = counts
        groups = [[f"channel{c}" for c in range(n_channels)], [f"feature{k}" for k in range(n_own)]]
        return np.array(self._names(groups, n_axes), object)

    @staticmethod
    def _names(groups, n_axes):
        """Names of node features, from the names of the channels and of the further features of pixels."""
        return groups[0] + groups[1]

    def get_edge_feature_names_out(self, input_features=None):
        """Return the names of the edge features.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str, or None
            None if `contrast` is False, so that there are no edge features.
        """
        return np.array(["constant", "contrast"], object) if self.contrast else None


class ImagesToGraphs(ImageBuilder, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn has no types for this keyword
    """Make a grid graph of each image, so that a pipeline accepts images.

    Parameters
    ----------
    connectivity : int, default=4
        Number of neighbours of a pixel: 4 or 8 in images; 6, 18 or 26 in volumes.
    contrast : bool, default=False
        Whether to add a constant edge feature and a contrast-sensitive edge feature, which `GraphDataset.from_images`
        describes.
    features : callable, default=None
        A function of an image that returns further features of its pixels, for example filters of scikit-image: an
        array of the shape of the image without channels, or with an axis of features in their place.

    See Also
    --------
    SuperpixelsToGraphs : for large images.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.preprocessing import ImagesToGraphs
    >>> images = np.zeros((2, 3, 3))
    >>> ImagesToGraphs(connectivity=8).fit_transform(images)
    GraphDataset(n_graphs=2, n_nodes=18, n_edges=40, n_features=1)

    With the row of each pixel as another feature:

    >>> grids = ImagesToGraphs(features=lambda image: np.indices(image.shape)[0])
    >>> grids.fit_transform(images)[0].node_features.tolist()[-1]
    [0.0, 2.0]
    >>> grids.get_feature_names_out().tolist()
    ['channel0', 'feature0']
    """

    def __init__(self, connectivity=4, contrast=False, features=None):
        self.connectivity = connectivity
        self.contrast = contrast
        self.features = features

    def transform(self, X):
        """Make a grid graph of each image, whose edges join neighbouring pixels.

        Parameters
        ----------
        X : array or list of images
            As for `GraphDataset.from_images`. A GraphDataset is returned unchanged.

        Returns
        -------
        GraphDataset
        """
        if isinstance(X, GraphDataset):
            return X
        images = list_of("images", X)
        features = self._own_features(images, list_of_pixels(images))
        return GraphDataset.from_images(images, self.connectivity, self.contrast, features)

    def regions(self, images):
        """Return the number of the node of each pixel.

        Parameters
        ----------
        images : array or list of images
            Images.

        Returns
        -------
        list of ndarray of int
        """
        shapes = [pixels.shape[:-1] for pixels in list_of_pixels(images)]
        return [np.arange(np.prod(shape)).reshape(shape) for shape in shapes]


def _majority(labels, region, missing_label):
    """Most frequent label of the pixels of each region, (n_regions,)."""
    _, first = np.unique(region, return_index=True)
    result = labels[first]  # of regions without labels: the label that means a missing one
    known = ~missing_mask(labels, missing_label)
    kinds, code = np.unique(labels[known], return_inverse=True)
    pairs, counts = np.unique(region[known] * len(kinds) + code, return_counts=True)
    order = np.lexsort((-counts, pairs // max(len(kinds), 1)))  # stable: of equal counts, the smaller label is first
    where, first = np.unique(pairs[order] // max(len(kinds), 1), return_index=True)
    result[where] = kinds[pairs[order][first] % max(len(kinds), 1)]
    return result
