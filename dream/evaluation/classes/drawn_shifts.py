"""Drawn pictures that differ from those a classifier was trained on, with labels that still hold."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dream.config import DreamConfig
from dream.data.drawn.drawing import GROUND_RGB, answer_key, draw
from dream.data.drawn.grammar import Scene
from dream.data.drawn.shapes import sample_scenes
from dream.evaluation.judging.damage import SIZE, worn
from dream.randomness import seed_of

NOISE = 0.15
"""Standard deviation of the noise, as a fraction of the value range."""
BLUR = 1 / 20
"""Standard deviation of the blur, as a fraction of the side."""
OUTLINE = 1 / 15
"""Width of an outline, as a fraction of the side."""

Change = Callable[[Sequence[Scene], int, np.random.Generator], NDArray[np.uint8]]
"""Draws scenes as pictures (B, 3, size, size)."""


def drawn_shifts(config: DreamConfig, count: int, seed: int) -> Iterator[tuple[str, Tensor, list[Scene]]]:
    """Name, pictures (B, 3, H, W) uint8 and scenes of each shift.

    `none` is as trained, and `unseen` shows combinations never trained. The others show the scenes of `none`: `worn`
    (slight blur, noise, colour cast), `noise`, `blur`, and `outlines` (hollow objects, as in a sketch).
    """
    level, size = config.data.level, config.image.size
    draws = np.random.default_rng(seed_of(seed, "drawn shifts"))
    seen, unseen = (sample_scenes(level, count, draws, unseen=new) for new in (False, True))
    changes: dict[str, Change] = {"worn": _worn, "noise": _noisy, "blur": _blurred, "outlines": _outlined}
    yield "none", torch.from_numpy(draw(seen, size)), seen
    yield "unseen", torch.from_numpy(draw(unseen, size)), unseen
    for name, change in changes.items():
        yield name, torch.from_numpy(change(seen, size, draws)), seen


def outlines(instances: NDArray[np.uint8], width: int) -> NDArray[np.bool_]:
    """(B, H, W): pixels of objects (number above 0) within `width` pixels of their edge."""
    numbers = torch.from_numpy(instances).float()[:, None]
    side = 2 * width + 1
    greatest = F.max_pool2d(numbers, side, stride=1, padding=width)
    least = -F.max_pool2d(-numbers, side, stride=1, padding=width)
    return ((greatest != least)[:, 0] & (numbers[:, 0] > 0)).numpy()


def _worn(scenes: Sequence[Scene], size: int, draws: np.random.Generator) -> NDArray[np.uint8]:
    pictures = torch.from_numpy(worn(draw(scenes, SIZE).astype(np.float32) / 255, draws)).float()
    if size != SIZE:
        pictures = F.interpolate(pictures, (size, size), mode="bilinear", antialias=True)
    return _rounded(pictures.numpy())


def _noisy(scenes: Sequence[Scene], size: int, draws: np.random.Generator) -> NDArray[np.uint8]:
    pictures = draw(scenes, size).astype(np.float32) / 255
    return _rounded(pictures + NOISE * draws.standard_normal(pictures.shape, dtype=np.float32))


def _blurred(scenes: Sequence[Scene], size: int, draws: np.random.Generator) -> NDArray[np.uint8]:
    pictures = torch.from_numpy(draw(scenes, size)).float().flatten(0, 1)[:, None] / 255
    reach = int(3 * BLUR * size) + 1
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / (BLUR * size)) ** 2)
    line = line / line.sum()
    pictures = F.pad(pictures, (reach,) * 4, mode="replicate")
    pictures = F.conv2d(F.conv2d(pictures, line[None, None, None]), line[None, None, :, None])
    return _rounded(pictures.view(len(scenes), 3, size, size).numpy())


def _outlined(scenes: Sequence[Scene], size: int, draws: np.random.Generator) -> NDArray[np.uint8]:
    instances = answer_key(scenes, size).instances
    hollow = (instances > 0) & ~outlines(instances, max(1, round(OUTLINE * size)))
    grounds = np.array([GROUND_RGB[scene.ground] for scene in scenes], np.uint8)[:, :, None, None]
    return np.where(hollow[:, None], grounds, draw(scenes, size))


def _rounded(pictures: NDArray[np.floating]) -> NDArray[np.uint8]:
    return (np.clip(pictures, 0, 1) * 255 + 0.5).astype(np.uint8)
