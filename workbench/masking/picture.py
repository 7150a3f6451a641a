"""Pictures to show masks on: a drawing with its caption, or one that a user brought. It draws no masks."""

import numpy as np

from dream.data.drawing import draw
from dream.data.grammar import caption
from dream.data.shapes import sample_scenes
from dream.errors import InputError
from workbench.pictures import picture_of

LEVEL = 1
"""Which drawings: some things beside or above each other."""
SEED = 10
"""Of the drawings; with this one the first ones show two things."""
SIDE = 240
"""About how many pixels a side has, to look good; it is the next multiple of the tokens a side."""
MAX_BYTES = 20_000_000
"""A larger file is refused unread."""


def drawing(number: int, grid: int) -> tuple[np.ndarray, str]:
    """((3, side, side) uint8, caption) of the drawing of that number, for `grid` tokens a side."""
    scene = sample_scenes(LEVEL, 1, np.random.default_rng([number, SEED]))[0]
    return draw([scene], side(grid))[0], caption(scene)


def uploaded(content: bytes, grid: int, name: str = "the file") -> np.ndarray:
    """(3, side, side) uint8: the centre square of a picture's bytes, for `grid` tokens a side.

    Raises InputError for what is too large, or no picture that can be used.
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"{name} has {len(content) / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are read")
    return picture_of(content, side(grid), name)


def side(grid: int) -> int:
    """Pixels a side of a picture of `grid` x `grid` tokens."""
    return -(-SIDE // grid) * grid
