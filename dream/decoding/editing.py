"""In- and outpainting: keep some tokens of a given picture, untouched to the bit, and decode the rest.

A token is a square cell of the picture. It knows nothing of the decoding loop: it makes the `Given` that
starts one.
"""

import re
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from dream.config import ImageConfig
from dream.decoding.state import Given
from dream.errors import InputError
from dream.model.latents import ImageTokenizer


class Box(NamedTuple):
    """A rectangle of the square picture as the model sees it, in pixels; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int


def parse_box(text: str, size: int) -> Box:
    """The box 'left,top,right,bottom' within a picture of `size` x `size` pixels, or InputError."""
    match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*", text)
    if not match:
        raise InputError(f"a box is left,top,right,bottom in pixels, e.g. 0,0,{size // 2},{size}, got '{text}'")
    box = Box(*(int(number) for number in match.groups()))
    if not (box.left < box.right <= size and box.top < box.bottom <= size):
        raise InputError(
            f"a box must have left < right and top < bottom within {size} x {size} pixels, got {text.strip()}"
        )
    return box


def inside(box: Box, config: ImageConfig) -> Tensor:
    """(N,) bool: cells that lie wholly in the box."""
    rows, columns = _covered(box.top, box.bottom, config), _covered(box.left, box.right, config)
    return (rows[0][:, None] & columns[0][None]).flatten()


def touched(box: Box, config: ImageConfig) -> Tensor:
    """(N,) bool: cells that the box meets."""
    rows, columns = _covered(box.top, box.bottom, config), _covered(box.left, box.right, config)
    return (rows[1][:, None] & columns[1][None]).flatten()


def keep_tokens(
    image_tokenizer: ImageTokenizer, picture: Tensor, kept: Tensor, generator: Generator | None = None
) -> Given:
    """What a decode starts from: the tokens of `picture` (1 or B, 3, H, W) uint8 at the `kept` (N,) bool
    cells.

    Raises InputError where no cell is kept, or none is left to paint.
    """
    if not bool(kept.any()) or bool(kept.all()):
        whole = "no cell of the picture is kept" if not bool(kept.any()) else "every cell is kept: nothing to paint"
        raise InputError(f"{whole}; choose a larger or smaller box")
    with torch.no_grad():
        return Given(image_tokenizer.tokenize(picture, generator), kept)


def open_square(path: Path, size: int) -> Tensor:
    """(1, 3, size, size) uint8: the picture's centre square, as in training. Raises InputError if it is
    none.
    """
    from dream.data.transforms import BrokenPicture, load_pixels

    if not path.is_file():
        raise InputError(f"no such picture: {path}")
    try:
        return torch.from_numpy(load_pixels(path.read_bytes(), size)).unsqueeze(0)
    except BrokenPicture as error:
        raise InputError(f"{path} is no picture that can be used: {error}") from error


def _covered(low: int, high: int, config: ImageConfig) -> tuple[Tensor, Tensor]:
    """Which of a side's cells lie wholly in [low, high), and which it meets; each (grid,) bool."""
    cell = config.stride * config.patch_size
    start = torch.arange(config.grid) * cell
    return (start >= low) & (start + cell <= high), (start < high) & (start + cell > low)
