"""Pictures of unfinished decodes: what each row shows so far."""

import torch
from torch import Tensor

from dream.config import ImageConfig
from dream.decoding.pictures import hatching
from dream.decoding.state import StepRecord
from dream.model.latents import ImageTokenizer

STRIPES = 3
"""Stripes across a hidden cell."""


def previews(image_tokenizer: ImageTokenizer, config: ImageConfig, record: StepRecord) -> Tensor:
    """(R, 3, H, W) uint8: each row as far as it is decoded; hidden cells are hatched."""
    pictures = to_uint8(image_tokenizer.to_pixels(record.tokens))
    hidden = record.mask.view(-1, 1, config.grid, config.grid)
    cell = config.size // config.grid
    hidden = hidden.repeat_interleave(cell, dim=2).repeat_interleave(cell, dim=3).to(pictures.device)
    pattern = torch.from_numpy(hatching(config.size, max(1, cell // STRIPES)))
    return torch.where(hidden, pattern.to(pictures.device), pictures)


def to_uint8(pictures: Tensor) -> Tensor:
    """Pictures with values in [0, 1] as uint8, rounded."""
    return (pictures.clamp(0, 1) * 255).round().to(torch.uint8)
