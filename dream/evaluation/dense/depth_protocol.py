"""Which pixels a depth is measured at: all known ones, or those of BTS's protocol for NYUv2.

BTS (arXiv 1907.10326; its evaluation is also AdaBins' and DINOv2's) counts the pixels whose depth lies strictly between
1 mm and 10 m, inside the crop of Eigen (arXiv 1406.2283), which leaves out borders that the sensor does not see.
Predictions are clamped to that range. Errors are computed per picture and averaged, and pictures are not mirrored.
BTS reads sensor depths (`rawDepths`), not those with filled holes. The crop of Garg is for KITTI, not for NYUv2.
"""

from collections.abc import Callable

import numpy as np

from dream.evaluation.dense.crop import Map

MIN_DEPTH = 1e-3
"""Metres; smaller depths are neither measured nor predicted."""
EIGEN_ROWS, EIGEN_COLUMNS = (45 / 480, 471 / 480), (41 / 640, 601 / 640)
"""Eigen's crop of NYUv2's 480 x 640 pixels, as shares of height and width: rows 45 to 471, columns 41 to 601."""
Counted = Callable[[Map], Map]
"""Clears (sets to 0) the depths (H, W) of a picture that do not count."""


def every_depth(depths: Map) -> Map:
    """The depths as they are."""
    return depths


def bts_depths(farthest: float) -> Counted:
    """Keeps the depths inside Eigen's crop and strictly between MIN_DEPTH and `farthest` metres."""

    def counted(depths: Map) -> Map:
        return np.where(eigen_crop(*depths.shape) & (depths > MIN_DEPTH) & (depths < farthest), depths, 0)

    return counted


def eigen_crop(height: int, width: int) -> Map:
    """(H, W) bool: the pixels inside Eigen's crop, at the same shares of a picture of any size."""
    (top, bottom), (left, right) = (
        (round(low * side), round(high * side)) for (low, high), side in ((EIGEN_ROWS, height), (EIGEN_COLUMNS, width))
    )
    inside = np.zeros((height, width), bool)
    inside[top:bottom, left:right] = True
    return inside
