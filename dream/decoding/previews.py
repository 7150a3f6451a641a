"""Pictures of unfinished decodes: what each row shows so far."""

import torch
from torch import Tensor

from dream.config import ImageConfig
from dream.decoding.state import StepRecord
from dream.model.latents import ImageTokenizer

HIDDEN_GREY = 200
"""Grey level of a cell that is still hidden."""


def previews(image_tokenizer: ImageTokenizer, config: ImageConfig, record: StepRecord) -> Tensor:
    """(R, 3, H, W) uint8: each row as far as it is decoded; hidden cells are pale grey."""
    pictures = to_uint8(image_tokenizer.to_pixels(record.tokens))
    hidden = record.mask.view(-1, 1, config.grid, config.grid)
    cell = config.size // config.grid
    hidden = hidden.repeat_interleave(cell, dim=2).repeat_interleave(cell, dim=3).to(pictures.device)
    return pictures.masked_fill(hidden, HIDDEN_GREY)


def to_uint8(pictures: Tensor) -> Tensor:
    """Pictures with values in [0, 1] as uint8, rounded."""
    return (pictures.clamp(0, 1) * 255).round().to(torch.uint8)
