"""Pictures to show masks on: a drawing with its caption, or an uploaded picture."""

import numpy as np

from dream.data.drawn.drawing import draw
from dream.data.drawn.grammar import caption
from dream.data.drawn.shapes import sample_scenes
from dream.errors import InputError
from workbench.pictures import picture_of

LEVEL = 1
"""Level of the drawings: several objects next to or above each other."""
SEED = 10
"""Seed of the drawings; with this one the first drawings show two objects."""
SIDE = 240
"""Minimum pixels per side; rounded up to a multiple of the tokens per side."""
MAX_BYTES = 20_000_000
"""Maximum size of an uploaded file."""


def drawing(number: int, grid: int) -> tuple[np.ndarray, str]:
    """Returns ((3, side, side) uint8, caption) of a drawing by its number, for `grid` tokens per side."""
    scene = sample_scenes(LEVEL, 1, np.random.default_rng([number, SEED]))[0]
    return draw([scene], side(grid))[0], caption(scene)


def uploaded(content: bytes, grid: int, name: str = "the file") -> np.ndarray:
    """Returns the centre square (3, side, side) uint8 of a picture file's bytes, for `grid` tokens per side.

    Raises InputError if the file is too large or not a usable picture.
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"{name} has {len(content) / 1e6:.0f} MB; the maximum is {MAX_BYTES / 1e6:.0f} MB")
    return picture_of(content, side(grid), name)


def side(grid: int) -> int:
    """Returns the pixels per side of a picture of `grid` x `grid` tokens."""
    return -(-SIDE // grid) * grid
