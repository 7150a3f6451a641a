"""Pictures and captions as a model sees them, as every evaluation takes them. It measures nothing.

Joint features are normalised; encoder and patch features are the encoder's output with nothing masked.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from dream.errors import InputError
from dream.masking import mask_from_order, num_masked, sample_orders

if TYPE_CHECKING:
    from dream.evaluation.classes.pictures import LabelledPictures
    from dream.model.pretrained import Pretrained

MASK_RATIOS = (0.0, 0.25, 0.5, 0.75)
"""Shares of the tokens hidden at which the joint space is looked at."""
POOLINGS = ("image", "buffer", "all", "joint")
"""What a picture's one vector is: the mean of its encoder tokens of a kind, or its joint feature."""
CHUNK = 256
"""Pictures or captions that go through the model at once."""


@torch.no_grad()
def picture_features(pretrained: "Pretrained", images: Tensor, mask_ratio: float, generator: Generator) -> Tensor:
    """(B, E) normalised features of pictures (B, 3, H, W) uint8, each with its own random tokens hidden."""
    config, model = pretrained.config.image, pretrained.model
    device = next(model.parameters()).device
    masked = num_masked(mask_ratio, config.num_tokens)
    found = []
    for part in images.split(CHUNK):
        tokens = pretrained.image_tokenizer.tokenize(part).to(device)
        mask = mask_from_order(sample_orders(len(part), config.num_tokens, generator), masked).to(device)
        found.append(model.image_features(model.encode(tokens, mask), mask).float().cpu())
    return torch.cat(found)


@torch.no_grad()
def caption_features(pretrained: "Pretrained", captions: Sequence[str]) -> Tensor:
    """(B, E) normalised features of captions."""
    device = next(pretrained.model.parameters()).device
    ids = pretrained.tokenizer.token_ids(list(captions))
    return torch.cat([pretrained.model.text_features(part.to(device)).float().cpu() for part in ids.split(CHUNK)])


@torch.no_grad()
def encoder_features(pretrained: "Pretrained", images: Tensor, pooling: str = "image") -> Tensor:
    """(B, D) mean of the `image`, `buffer` or `all` encoder tokens, or (B, E) `joint` (normalised) features.

    Nothing of the pictures (B, 3, H, W) uint8 is masked. Raises InputError for another pooling, and for
    `buffer` where the model has no buffer tokens.
    """
    check_pooling(pretrained, pooling)
    parts = images.split(CHUNK) if len(images) else ()
    found = [pooled(pretrained, _encoded(pretrained, part), pooling).float().cpu() for part in parts]
    return torch.cat(found) if found else torch.empty(0, feature_width(pretrained, pooling))


@torch.no_grad()
def patch_features(pretrained: "Pretrained", images: Tensor) -> Tensor:
    """(B, N, D) encoder output at the image tokens in raster order, nothing of the pictures masked."""
    front = pretrained.config.encoder.buffer_tokens
    return torch.cat([_encoded(pretrained, part)[:, front:].float().cpu() for part in images.split(CHUNK)])


def labelled_features(
    pretrained: "Pretrained", chunks: "Iterable[LabelledPictures]", pooling: str = "image"
) -> tuple[Tensor, Tensor]:
    """`encoder_features` (B, D) and labels (B,) of labelled pictures, which are dropped as they are read."""
    found = [(encoder_features(pretrained, part.images, pooling), part.labels) for part in chunks]
    assert found, "a set that was opened has a chunk"
    return torch.cat([features for features, _ in found]), torch.cat([labels for _, labels in found])


def pooled(pretrained: "Pretrained", encoded: Tensor, pooling: str) -> Tensor:
    """(B, D) or (B, E): one vector of each picture's encoder output (B, R + N, D), nothing masked."""
    front = pretrained.config.encoder.buffer_tokens
    if pooling == "joint":
        bare = torch.zeros(len(encoded), encoded.shape[1] - front, dtype=torch.bool, device=encoded.device)
        return pretrained.model.image_features(encoded, bare)
    kept = {"image": encoded[:, front:], "buffer": encoded[:, :front], "all": encoded}[pooling]
    return kept.mean(dim=1)


def check_pooling(pretrained: "Pretrained", pooling: str) -> None:
    """Raises InputError for a pooling that there is not."""
    if pooling not in POOLINGS:
        raise InputError(f"pooling must be one of {', '.join(POOLINGS)}, got '{pooling}'")
    if pooling == "buffer" and not pretrained.config.encoder.buffer_tokens:
        raise InputError("this model has no buffer tokens to pool: use pooling image, all or joint")


def feature_width(pretrained: "Pretrained", pooling: str) -> int:
    """D, or E for `joint`."""
    return pretrained.config.joint.width if pooling == "joint" else pretrained.config.encoder.width


def _encoded(pretrained: "Pretrained", images: Tensor) -> Tensor:
    """(B, R + N, D) encoder output of whole pictures."""
    tokens = pretrained.image_tokenizer.tokenize(images).to(next(pretrained.model.parameters()).device)
    return pretrained.model.encode(tokens, torch.zeros(tokens.shape[:2], dtype=torch.bool, device=tokens.device))
