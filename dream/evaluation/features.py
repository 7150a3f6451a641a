"""Pictures and captions in a model's joint space, as every evaluation takes them. It measures nothing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from dream.masking import mask_from_order, num_masked, sample_orders

if TYPE_CHECKING:
    from dream.pretrained import Pretrained

MASK_RATIOS = (0.0, 0.25, 0.5, 0.75)
"""Shares of the tokens hidden at which the joint space is looked at."""
CHUNK = 256
"""Pictures or captions that go through the model at once."""


@torch.no_grad()
def picture_features(
    pretrained: "Pretrained", images: Tensor, mask_ratio: float, generator: Generator
) -> Tensor:
    """(B, E) normalised features of pictures (B, 3, H, W) uint8, each with its own random tokens hidden."""
    config, model = pretrained.config.image, pretrained.model
    device = next(model.parameters()).device
    masked = num_masked(mask_ratio, config.num_tokens)
    found = []
    for part in images.split(CHUNK):
        tokens = pretrained.images.encode(part).to(device)
        mask = mask_from_order(sample_orders(len(part), config.num_tokens, generator), masked).to(device)
        found.append(model.image_features(model.encode(tokens, mask), mask).float().cpu())
    return torch.cat(found)


@torch.no_grad()
def caption_features(pretrained: "Pretrained", captions: Sequence[str]) -> Tensor:
    """(B, E) normalised features of captions."""
    device = next(pretrained.model.parameters()).device
    ids = pretrained.tokenizer.encode(list(captions))
    return torch.cat(
        [pretrained.model.text_features(part.to(device)).float().cpu() for part in ids.split(CHUNK)]
    )
