"""In- and outpainting: keep some tokens of a given picture, untouched to the bit, and decode the rest.

A token is a square cell of the picture. The result, `Given`, is where a decode begins.
"""

import re
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from dream.config import ImageConfig
from dream.decoding.state import Given
from dream.errors import InputError
from dream.json_text import read_bounded
from dream.model.latents import ImageTokenizer


class Box(NamedTuple):
    """A rectangle of the model's square picture, in pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int


def parse_box(text: str, size: int) -> Box:
    """Parses 'left,top,right,bottom' within a picture of `size` x `size` pixels; raises InputError."""
    match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*", text)
    if not match:
        raise InputError(f"a box is left,top,right,bottom in pixels, such as 0,0,{size // 2},{size}, got '{text}'")
    box = Box(*(int(number) for number in match.groups()))
    if not (box.left < box.right <= size and box.top < box.bottom <= size):
        raise InputError(
            f"a box must have left < right and top < bottom within {size} x {size} pixels, got {text.strip()}"
        )
    return box


def inside(box: Box, config: ImageConfig) -> Tensor:
    """(N,) bool: cells that lie entirely in the box."""
    rows, columns = _covered(box.top, box.bottom, config), _covered(box.left, box.right, config)
    return (rows[0][:, None] & columns[0][None]).flatten()


def touched(box: Box, config: ImageConfig) -> Tensor:
    """(N,) bool: cells that overlap the box."""
    rows, columns = _covered(box.top, box.bottom, config), _covered(box.left, box.right, config)
    return (rows[1][:, None] & columns[1][None]).flatten()


def keep_tokens(
    image_tokenizer: ImageTokenizer, picture: Tensor, kept: Tensor, generator: Generator | None = None
) -> Given:
    """Tokens of `picture` (1 or B, 3, H, W) uint8 at the `kept` (N,) bool cells, to begin a decode with.

    Raises InputError if no cell is kept, or none is left to paint.
    """
    if not bool(kept.any()) or bool(kept.all()):
        whole = "no cell of the picture is kept" if not bool(kept.any()) else "every cell is kept: nothing to paint"
        raise InputError(f"{whole}; choose a larger or smaller box")
    with torch.no_grad():
        return Given(image_tokenizer.tokenize(picture, generator), kept)


def open_square(path: Path, size: int) -> Tensor:
    """(1, 3, size, size) uint8: the picture's centre square, as in training.

    Raises InputError if the file is missing or is not a picture.
    """
    from dream.data.transforms import BrokenPicture, load_pixels

    if not path.is_file():
        raise InputError(f"no such picture: {path}")
    try:
        return torch.from_numpy(load_pixels(read_bounded(path), size)).unsqueeze(0)
    except BrokenPicture as error:
        raise InputError(f"{path} cannot be used as a picture: {error}") from error


def _covered(low: int, high: int, config: ImageConfig) -> tuple[Tensor, Tensor]:
    """Cells of a side that lie entirely in [low, high), and those that overlap it; each (grid,) bool."""
    cell = config.stride * config.patch_size
    start = torch.arange(config.grid) * cell
    return (start >= low) & (start + cell <= high), (start < high) & (start + cell > low)
