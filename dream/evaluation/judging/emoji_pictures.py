"""The built emoji in memory, with the classes that the judge reads in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from dream.data.emoji.build import SIDE as STORED
from dream.data.emoji.pixels import pixels_of
from dream.data.emoji.table import Drawing
from dream.evaluation.judging.emoji_names import STYLES, EmojiNames


@dataclass(frozen=True)
class EmojiPictures:
    """B pictures and their classes."""

    pixels: Tensor
    """(B, 3, 64, 64) uint8."""
    things: Tensor
    """(B,) numbers into `names.things`."""
    styles: Tensor
    """(B,) numbers into STYLES."""
    names: EmojiNames

    @classmethod
    def of(cls, drawings: Sequence[Drawing], names: EmojiNames | None = None) -> "EmojiPictures":
        """Decodes the drawings, with class numbers of `names` (default: their own). Raises InputError."""
        names = names or EmojiNames.of(drawings)
        return cls(
            torch.from_numpy(pixels_of(drawings, STORED)),
            torch.tensor([names.named(drawing.caption).thing for drawing in drawings]),
            torch.tensor([STYLES.index(drawing.style) for drawing in drawings]),
            names,
        )

    def images(self, rows: Tensor) -> Tensor:
        """(R, 3, 64, 64) in [0, 1]."""
        return self.pixels[rows].float() / 255

    def others(self, rows: Tensor, generator: Generator) -> Tensor:
        """(R,) rows of pictures of other things than those in `rows`."""
        others = torch.randint(len(self.things), rows.shape, generator=generator)
        while bool((same := self.things[others] == self.things[rows]).any()):
            others[same] = torch.randint(len(self.things), (int(same.sum()),), generator=generator)
        return others
