"""Renderings that train and test the judge of emoji: worn ones that are still right, and malformed ones.

Wear is what a picture may suffer and stay what it is: another size, a shift, a small turn or bend, blur, noise, a tint,
steps between patches, JPEG. Damage leaves neither thing nor style to read: two emoji mixed, halves or patches of two,
patches shuffled, noise, nothing at all, heavy blur. No model's picture is among them.
"""

import io
import math
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from dream.evaluation.judging.networks import rescaled

SIDE = 48
"""Side length of the pictures that the judge reads; wear in pixels is of this side."""
PATCH = 6
"""Side length of the patches with steps between them."""
CHUNK = 32
"""Pictures that share a size and a blur."""
WEAR = ("size", "shift", "turn", "bend", "blur", "noise", "tint", "steps", "jpeg")
"""Kinds of wear."""
DAMAGES = ("mixture", "halves", "patches of two", "shuffled", "noise", "blank", "blurred")
"""Kinds of damage."""
ALIKE = 0.04
"""A damaged picture that differs less than this (mean over the channels, of 1) from one of its parts is not used."""
SIZES = (28, 64)
SHIFT, TURN, ZOOM, BEND = 4 / SIDE, math.radians(10), 0.12, 1.2 / SIDE
BLUR, NOISE, TINT, STEPS = 1.1, 0.08, 0.06, 0.05
QUALITY = (35, 95)


class Malformed(NamedTuple):
    """B damaged pictures."""

    images: Tensor
    """(B, 3, H, W) in [0, 1]."""
    certain: Tensor
    """(B,) bool: it does not happen to be like one of the pictures that it is made of."""


def worn_renderings(images: Tensor, generator: Generator, kinds: Collection[str] = WEAR, share: float = 0.5) -> Tensor:
    """(B, 3, SIDE, SIDE) in [0, 1]: pictures (B, 3, H, W) in [0, 1], each with each kind of wear by chance `share`."""
    parts = []
    for chunk in images.split(CHUNK):
        side = SIDE
        if "size" in kinds and _chance(generator, share):
            low, high = (math.log(size) for size in SIZES)
            side = round(math.exp(_between(low, high, generator)))
        chunk = _moved(rescaled(chunk, max(side, SIDE)), generator, kinds, share)
        chunk = rescaled(chunk, side)
        if "blur" in kinds and _chance(generator, share):
            chunk = blurred(chunk, BLUR * side / SIDE * float(torch.rand((), generator=generator)))
        parts.append(rescaled(_coloured(chunk, generator, kinds, share), SIDE))
    return torch.cat(parts)


def damaged(kind: str, images: Tensor, others: Tensor, generator: Generator) -> Malformed:
    """Pictures (B, 3, H, W) in [0, 1] with one kind of damage; `others` are the second pictures, of other things."""
    count, side = len(images), images.shape[-1]
    if kind == "noise":
        return Malformed(_noise(count, side, generator), torch.ones(count, dtype=torch.bool))
    if kind == "blank":
        colours = torch.rand(count, 3, 1, 1, generator=generator)
        extreme = torch.rand(count, 1, 1, 1, generator=generator)
        colours = torch.where(extreme < 0.3, 1.0, torch.where(extreme < 0.4, 0.0, colours))
        return Malformed(colours.expand(count, 3, side, side).clone(), torch.ones(count, dtype=torch.bool))
    if kind == "blurred":
        made = torch.cat([blurred(chunk, _between(0.1, 0.2, generator) * side) for chunk in images.split(CHUNK)])
    elif kind == "shuffled":
        made = torch.stack([_shuffled(image, generator) for image in images])
    else:
        share = torch.stack([_second(kind, side, generator) for _ in range(count)])[:, None]  # (B, 1, H, W)
        made = images + share * (others - images)
    gaps = [(made - whole).abs().mean((1, 2, 3)) for whole in (images, others)]
    return Malformed(made, torch.minimum(*gaps) > ALIKE)


def blurred(images: Tensor, sigma: float) -> Tensor:
    """(B, 3, H, W) blurred by a Gaussian of `sigma` pixels, renormalised at the edge."""
    line = torch.arange(images.shape[-1], dtype=images.dtype)
    weights = torch.exp(-0.5 * ((line[:, None] - line) / max(sigma, 0.05)) ** 2)
    weights = weights / weights.sum(1, keepdim=True)
    return weights @ images @ weights.T


def _moved(images: Tensor, generator: Generator, kinds: Collection[str], share: float) -> Tensor:
    """Pictures shifted, turned, resized and bent; what comes in from outside is white."""
    count = len(images)

    def amount(kind: str, most: float, *shape: int) -> Tensor:
        worn = torch.rand(count, *(1 for _ in shape), generator=generator) < (share if kind in kinds else 0.0)
        return most * worn * (2 * torch.rand(count, *shape, generator=generator) - 1)

    shift, turn, zoom = amount("shift", 2 * SHIFT, 2), amount("turn", TURN, 1)[:, 0], amount("shift", ZOOM, 1)[:, 0]
    bend = amount("bend", 2 * BEND, 2, 4, 4)
    if not (shift.any() or turn.any() or bend.any()):
        return images
    cos, sin = turn.cos() / (1 + zoom), turn.sin() / (1 + zoom)
    rows = torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1)
    grid = F.affine_grid(rows, [*images.shape], align_corners=False)  # (B, H, W, 2)
    field = F.interpolate(bend, images.shape[-2:], mode="bicubic", align_corners=False).permute(0, 2, 3, 1)
    return 1 - F.grid_sample(1 - images, grid + field, align_corners=False)


def _coloured(images: Tensor, generator: Generator, kinds: Collection[str], share: float) -> Tensor:
    """Pictures with noise, a tint, steps between patches, and the traces of JPEG."""
    count, side = len(images), images.shape[-1]

    def amount(kind: str, most: float) -> Tensor:
        worn = torch.rand(count, 1, 1, 1, generator=generator) < (share if kind in kinds else 0.0)
        return most * worn * torch.rand(count, 1, 1, 1, generator=generator)

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, 3, *shape, generator=generator)

    tint = amount("tint", TINT)
    images = images * (1 + tint * normal(1, 1)) + 0.5 * tint * normal(1, 1)
    steps = F.interpolate(normal(SIDE // PATCH, SIDE // PATCH), (side, side), mode="nearest")
    images = images + amount("steps", STEPS) * steps + amount("noise", NOISE) * normal(side, side)
    images = images.clamp(0, 1)
    if "jpeg" in kinds:
        for row in (torch.rand(count, generator=generator) < (share / 2 if share < 1 else 1)).nonzero()[:, 0].tolist():
            images[row] = _as_jpeg(images[row], round(_between(*QUALITY, generator)))
    return images


def _as_jpeg(image: Tensor, quality: int) -> Tensor:
    stored = io.BytesIO()
    pixels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(stored, "JPEG", quality=quality)
    return torch.from_numpy(np.asarray(Image.open(stored), np.float32)).permute(2, 0, 1) / 255


def _second(kind: str, side: int, generator: Generator) -> Tensor:
    """(H, W): share of the second picture in a mixture, in halves, or in patches of two."""
    if kind == "mixture":
        return torch.full((side, side), _between(0.35, 0.65, generator))
    if kind == "halves":
        angle, at = _between(0, 2 * math.pi, generator), _between(-0.1, 0.1, generator)
        angle = round(angle / (math.pi / 2)) * math.pi / 2 if _chance(generator, 0.7) else angle
        line = (torch.arange(side) + 0.5) / side - 0.5
        return (math.cos(angle) * line + math.sin(angle) * line[:, None] > at).float()
    cells = (4, 8)[int(torch.randint(2, (), generator=generator))]
    chosen = torch.rand(cells, cells, generator=generator) < _between(0.35, 0.65, generator)
    return F.interpolate(chosen[None, None].float(), (side, side), mode="nearest")[0, 0]


def _shuffled(image: Tensor, generator: Generator) -> Tensor:
    """The picture (3, H, W) with its patches in another order."""
    cells = (2, 4, 8)[int(torch.randint(3, (), generator=generator))]
    channels, side = len(image), image.shape[-1] // cells
    patches = image.reshape(channels, cells, side, cells, side).permute(1, 3, 0, 2, 4).flatten(0, 1)
    patches = patches[torch.randperm(cells**2, generator=generator)].unflatten(0, (cells, cells))
    return patches.permute(2, 0, 3, 1, 4).reshape(image.shape)


def _noise(count: int, side: int, generator: Generator) -> Tensor:
    """(B, 3, H, W) of random colours: pixels, patches or smooth clouds."""
    made = []
    for _ in range(count):
        cells, smooth = (4, 8, 16, side)[int(torch.randint(4, (), generator=generator))], _chance(generator, 0.5)
        cloud = torch.randn(1, 3, cells, cells, generator=generator) * _between(0.1, 0.5, generator)
        shape = {"mode": "bicubic", "align_corners": False} if smooth else {"mode": "nearest"}
        cloud = F.interpolate(cloud, (side, side), **shape)[0]
        made.append(cloud + torch.rand(3, 1, 1, generator=generator))
    return torch.stack(made).clamp(0, 1)


def _between(low: float, high: float, generator: Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _chance(generator: Generator, share: float) -> bool:
    return float(torch.rand((), generator=generator)) < share
