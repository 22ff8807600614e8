"""Images and volumes become grid graphs, given by tuples ``(node_features, edges, edge_features)``.

In this module the *pixels* of an image are an array of shape ``(*shape, n_channels)``, where `shape` has two or three
axes.
"""

import itertools
import math
from collections.abc import Hashable

import numpy as np

from skstruct.data.builders import pack_graphs
from skstruct.data.distances import contrast, root_mean_square, row_norms
from skstruct.data.structure import list_of
from skstruct.data.tables import first_nonfinite, refuse_masked

AXES = ("plane", "row", "column")
# number of axes along which a neighbour can differ
CONNECTIVITY: dict[int, dict[Hashable, int]] = {2: {4: 1, 8: 2}, 3: {6: 1, 18: 2, 26: 3}}


def as_pixels(image, number):
    """Pixels of an image, of which `number` is the position in the list of images."""
    refuse_masked(image, f"image {number}")
    try:
        image = np.asarray(image)
    except ValueError as error:
        raise ValueError(f"image {number} must hold numbers in rows of equal length: {error}") from error
    if image.ndim not in (2, 3, 4) or image.dtype.kind not in "biuf":
        raise ValueError(
            f"image {number} must hold numbers of shape (height, width), (height, width, n_channels) or (depth, "
            f"height, width, n_channels), got shape {image.shape} and dtype {image.dtype}; pass [image] for one image"
        )
    return image[..., None] if image.ndim == 2 else image


def table_of(pixels):
    """Pixels as a table of shape (n_pixels, n_channels)."""
    return pixels.reshape(math.prod(pixels.shape[:-1]), pixels.shape[-1])


def list_of_pixels(images):
    """Pixels of each image."""
    return [as_pixels(image, g) for g, image in enumerate(list_of("images", images))]


def own_features(values, shape, number):
    """Features of the pixels of an image beside its channels, as an array of shape ``(*shape, n_features)``."""
    refuse_masked(values, f"features of image {number}")
    values = np.asarray(values)
    if values.shape[: len(shape)] != shape or values.ndim > len(shape) + 1 or values.dtype.kind not in "biuf":
        raise ValueError(
            f"features of image {number} must hold numbers of shape {shape}, or of one more axis, got shape "
            f"{values.shape} and dtype {values.dtype}"
        )
    return values[..., None] if values.ndim == len(shape) else values


def grid_edges(shape, connectivity):
    """Edges of a grid of pixels numbered as by ``ravel``, int32.

    They go right, down and to the next plane, then to diagonal neighbours: in an image down-right, then down-left.
    """
    n_axes = CONNECTIVITY[len(shape)].get(connectivity) if isinstance(connectivity, Hashable) else None
    if n_axes is None:
        *others, last = map(str, CONNECTIVITY[len(shape)])
        kind = "images" if len(shape) == 2 else "volumes"
        raise ValueError(f"connectivity must be {', '.join(others)} or {last} for {kind}, got {connectivity!r}")
    steps = [step for step in itertools.product((-1, 0, 1), repeat=len(shape)) if step > (0,) * len(shape)]
    steps = [step for step in steps if np.count_nonzero(step) <= n_axes]
    steps.sort(key=lambda step: (np.count_nonzero(step), *map(abs, step), *map(int.__neg__, step)))
    number = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    return np.concatenate([np.column_stack(_shifted(number, step)) for step in steps])


def _shifted(number, step):
    """Numbers of all pixels that have a neighbour at `step`, and of these neighbours."""
    sides = []
    for sign in (-1, 1):
        cut = [slice(max(sign * s, 0), n - max(-sign * s, 0)) for s, n in zip(step, number.shape)]
        sides.append(number[tuple(cut)].ravel())
    return sides


def pack_images(images, connectivity, contrast, features):
    """Fields of a dataset of grids."""
    pixels = list_of_pixels(images)
    features = None if features is None else list_of("features of images", features)
    if features is not None and len(features) != len(pixels):
        raise ValueError(f"got {len(pixels)} images but features of {len(features)} images")
    grids, graphs = {}, []
    for g, image in enumerate(pixels):
        shape = image.shape[:-1]
        if shape not in grids:
            grids[shape] = grid_edges(shape, connectivity)
        edge_features = image_contrast(image, grids[shape], g) if contrast else None
        if features is not None:
            image = np.concatenate([image, own_features(features[g], shape, g)], axis=-1)
        graphs.append((table_of(image), grids[shape], edge_features))
    return pack_graphs(graphs)


def image_contrast(pixels, edges, number):
    """Return the edge features that `GraphDataset.from_images` describes, (n_edges, 2), of image `number`."""
    reason = "contrast=True needs finite pixels; impute them first, or pass contrast=False"
    return constant_and_contrast(finite_table(pixels, number, reason), edges)


def finite_table(pixels, number, reason):
    """Pixels of image `number` as a table of float64; NaN and infinity are refused for a `reason`."""
    with np.errstate(over="ignore"):  # long doubles beyond the range of floats become infinite
        values = table_of(pixels).astype(np.float64)
    position = first_nonfinite(values)
    if position is not None:
        axes = AXES[-(pixels.ndim - 1) :]
        place = ", ".join(f"{axis} {i}" for axis, i in zip(axes, np.unravel_index(position[0], pixels.shape[:-1])))
        raise ValueError(f"image {number} has the value {values[position]} at {place}: {reason}")
    return values


def constant_and_contrast(x, edges):
    """Column of ones, and the contrast of the rows of `x` that each edge joins, relative to its mean over the edges."""
    i, j = edges.T
    norms = row_norms(x[i] - x[j])
    return np.column_stack([np.ones(len(edges)), contrast(norms, root_mean_square(norms))])
