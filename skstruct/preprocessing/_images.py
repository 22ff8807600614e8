"""ImagesToGraphs: the first step of a pipeline for images."""

import numpy as np

from skstruct.data.dataset import GraphDataset
from skstruct.preprocessing._sequences import GraphBuilder


class ImagesToGraphs(GraphBuilder, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn untyped keyword
    """Make a grid graph of each image, so that a pipeline accepts images.

    Parameters
    ----------
    connectivity : {4, 8}, default=4
        Number of neighbours of a pixel.
    contrast : bool, default=False
        Whether to add a constant edge feature and a contrast-sensitive edge feature, which `GraphDataset.from_images`
        describes.

    Examples
    --------
    >>> import numpy as np
    >>> from skstruct.preprocessing import ImagesToGraphs
    >>> ImagesToGraphs(connectivity=8).fit_transform(np.zeros((2, 3, 3)))
    GraphDataset(n_graphs=2, n_nodes=18, n_edges=40, n_features=1)
    """

    def __init__(self, connectivity=4, contrast=False):
        self.connectivity = connectivity
        self.contrast = contrast

    def transform(self, X):
        """Make a grid graph of each image, whose edges join neighbouring pixels.

        Parameters
        ----------
        X : array of shape (n_images, height, width[, n_channels]), or list of images
            A GraphDataset is returned unchanged.

        Returns
        -------
        GraphDataset
        """
        return X if isinstance(X, GraphDataset) else GraphDataset.from_images(X, self.connectivity, self.contrast)

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
