"""Cuts a picture and its map alike: every pixel of the map is read where the picture's pixel has its centre.

Each resize of `center_crop` maps the whole picture onto the whole result, halvings of odd sizes too, so the resizes
compose to one scale along each side. The crop then adds whole pixels of the result, which are fractions of a pixel of
the original: cutting the map first would move it by up to half a pixel of the result.

Maps take the nearest value, as is usual for classes and for depths: a mean of two classes is a third one, and a mean of
two surfaces is a depth where nothing is.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dream.data.transforms import Pixels, center_crop, crop_sizes

Map = NDArray[Any]


def cut(picture: Image.Image, values: Map, size: int) -> tuple[Pixels, Map]:
    """Centre squares of a picture (3, size, size) uint8 and of its map (H, W), which has the picture's size."""
    pixels = np.asarray(center_crop(picture, size), np.uint8).transpose(2, 0, 1)
    return np.ascontiguousarray(pixels), nearest_crop(values, size)


def nearest_crop(values: Map, size: int) -> Map:
    """(size, size) of a map (H, W): the value nearest to the centre of each pixel of `center_crop`.

    Where a centre lies between pixels, they are equally near (in every halving). Of integers, which are classes, the
    most frequent one of them is taken; of floats, which are depths, the middle one of those that are known (above 0).
    Taking always the pixel after the centre would move the map by a quarter of a pixel.
    """
    height, width = values.shape
    rows, columns = centres(width, height, size)
    pairs = [(_before(spots), spots.astype(int)) for spots in (rows, columns)]
    near = np.stack([values[np.ix_(row, column)] for row in pairs[0] for column in pairs[1]])
    return _middle_known(near) if np.issubdtype(values.dtype, np.floating) else _most_frequent(near)


def centres(width: int, height: int, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows (size,) and columns (size,) of a picture where the pixels of its `center_crop` have their centres.

    In pixels of the picture: the first pixel reaches from 0 to 1, and has its centre at 0.5.
    """
    wide, high = crop_sizes(width, height, size)[-1]
    return _centres(height, high, size), _centres(width, wide, size)


def _centres(before: int, after: int, size: int) -> NDArray[np.float64]:
    """(size,) centres along one side that was resized from `before` to `after` pixels and then cropped."""
    return ((after - size) // 2 + np.arange(size) + 0.5) * before / after


def _before(positions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Pixel at each position; the one that ends there if the position lies between two."""
    return np.ceil(positions).astype(int) - 1


def _most_frequent(near: Map) -> Map:
    """(H, W) of four equally near values (4, H, W). Of two that are equally frequent, each is taken in turn."""
    votes = (near[:, None] == near[None]).sum(1)  # (4, H, W)
    every_other = np.indices(near.shape[1:]).sum(0) % 2 == 1  # a chessboard, so that no edge moves
    chosen = np.where(every_other, votes.argmax(0), 3 - votes[::-1].argmax(0))
    return np.take_along_axis(near, chosen[None], 0)[0]


def _middle_known(near: Map) -> Map:
    """(H, W) of four equally near depths (4, H, W): the middle of the known ones, the nearer of two; 0 if none is."""
    known = np.isfinite(near) & (near > 0)
    ordered = np.sort(np.where(known, near, np.inf), 0)
    middle = np.maximum(known.sum(0) - 1, 0) // 2
    chosen = np.take_along_axis(ordered, middle[None], 0)[0]
    return np.where(known.any(0), chosen, 0).astype(near.dtype)
