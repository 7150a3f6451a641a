"""Pixels of emoji."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dream.data.emoji.table import Drawing, damaged_table, table_path
from dream.data.transforms import BrokenPicture, load_pixels


def pixels_of(drawings: Sequence[Drawing], size: int) -> NDArray[np.uint8]:
    """Pictures (B, 3, size, size) of drawings. Raises InputError if one cannot be decoded."""
    pixels = np.empty((len(drawings), 3, size, size), np.uint8)
    for row, drawing in enumerate(drawings):
        try:
            pixels[row] = load_pixels(drawing.picture, size)
        except BrokenPicture as error:
            raise damaged_table(table_path(), f"the picture of {drawing.key}: {error}") from None
    return pixels
