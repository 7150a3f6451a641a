"""Depth from the encoder's features: RMSE, share within a factor of 1.25, and mean relative error.

Each is a picture's own, averaged over pictures, as NYUv2's tables are; but on the centre square at the
model's image size. The head puts out the logarithm of the depth, and learns by Eigen's scale-invariant error.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from dream.data.samples import PICTURES
from dream.errors import InputError
from dream.evaluation.dense import training as dense
from dream.evaluation.dense.data import (
    DensePictures,
    Map,
    Pair,
    drawn_pictures,
    matched,
    sampled_pairs,
    stored_pictures,
)
from dream.evaluation.dense.heads import ConvHead, LinearHead, pixels_a_token
from dream.evaluation.dense.training import BlockMaps, HeadSettings
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.statistics import Measure, mean
from dream.randomness import seed_of

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

MIN_DEPTH = 1e-3
"""Depths below are not measured, and not predicted."""
MILLIMETRES = 1000.0
"""Units of NYUv2's PNG files in a metre."""
INVARIANCE = 0.5
"""Share of the scale's error that the loss forgives (Eigen 2014)."""
MEASURES = ("RMSE", "within 1.25", "relative error")
MAT = "nyu_depth_v2_labeled.mat"


@dataclass(frozen=True)
class DepthSettings(HeadSettings):
    """How the head is made and trained."""

    head: Literal["linear", "conv"] = "linear"
    """`linear`: one layer on the last block's tokens; `conv`: behind two 3 x 3 convolutions."""
    max_depth: float = 10.0
    """Metres; farther pixels are not measured, and nothing farther is predicted (shapes: 1, the ground)."""


def depth(
    pretrained: "Pretrained",
    *,
    data: str = "shapes",
    settings: DepthSettings = DepthSettings(),
    seed: int = 0,
    progress: Progress = quiet,
) -> list[Measure]:
    """RMSE (metres; shapes: the ground is at 1), share within 1.25, relative error; intervals over pictures.

    `data`: shapes (larger things are nearer; test pictures half of unseen combinations), a folder of NYUv2
    pairs (`nyu_pairs`), or NYUv2's own .mat file. Raises InputError for bad settings, or nothing to read.
    """
    dense.check_settings("depth", settings)
    if settings.head not in ("linear", "conv"):
        raise InputError(f"depth.head must be linear or conv, got '{settings.head}'")
    if not settings.max_depth > MIN_DEPTH:
        raise InputError(f"depth.max_depth must be above {MIN_DEPTH} metres, got {settings.max_depth}")
    config = pretrained.config
    size, farthest = config.image.size, 1.0 if data == "shapes" else settings.max_depth
    train, test = _pictures(pretrained, data, settings, seed)
    maps = BlockMaps(pretrained, (config.encoder.depth,), frozen=settings.frozen)
    cell = pixels_a_token(config.image, settings.upsampling)
    with dense.seeded(maps.device, seed, "depth"):
        head: nn.Module = LinearHead(maps.width, 1, cell)
        if settings.head == "conv":
            head = ConvHead(maps.width, 1, cell, settings.channels)
        loss = scale_invariant_loss(farthest)
        dense.train_head(maps, head.to(maps.device), train, loss, settings, size, seed, progress)
    found = [
        errors(outputs[:, 0].exp().clamp(MIN_DEPTH, farthest).numpy(), targets.numpy(), farthest)
        for outputs, targets in dense.predictions(maps, head, test, size)
    ]
    rows = np.concatenate(found) if found else np.empty((0, len(MEASURES)))
    if not len(rows):
        raise InputError(f"'{data}' has no test picture with depths in (0, {farthest:g}] that can be read")
    where = {"data": data, "head": settings.head, "frozen": settings.frozen}
    draws = np.random.default_rng(seed_of(seed, "depth intervals"))
    return [Measure("depth", name, where, mean(rows[:, i], draws)) for i, name in enumerate(MEASURES)]


# numbers


def measured(target: NDArray[np.floating], farthest: float) -> NDArray[np.bool_]:
    """Which pixels have a depth that counts (0 is unknown)."""
    return (target >= MIN_DEPTH) & (target <= farthest)


def errors(predicted: NDArray[np.floating], target: NDArray[np.floating], farthest: float) -> NDArray[np.float64]:
    """(B', 3) of pictures (B, H, W): as MEASURES, of the pictures that have a measured pixel."""
    rows = []
    for guess, truth in zip(predicted.astype(float), target.astype(float), strict=True):
        there = measured(truth, farthest)
        if not there.any():
            continue
        g, t = guess[there], truth[there]
        within = np.maximum(g / t, t / g) < 1.25
        rows.append((math.sqrt(np.mean((g - t) ** 2)), within.mean(), np.mean(np.abs(g - t) / t)))
    return np.array(rows, float).reshape(-1, len(MEASURES))


def scale_invariant_loss(farthest: float) -> dense.Loss:
    """Eigen's error of log depths: mean square, less INVARIANCE times the squared mean, of each picture."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        there = (targets >= MIN_DEPTH) & (targets <= farthest)  # (B, H, W)
        gap = (outputs[:, 0] - targets.clamp(min=MIN_DEPTH).log()) * there
        count = there.sum((1, 2)).clamp(min=1)
        return ((gap**2).sum((1, 2)) / count - INVARIANCE * (gap.sum((1, 2)) / count) ** 2).mean()

    return loss


# pictures


def _pictures(
    pretrained: "Pretrained", data: str, settings: DepthSettings, seed: int
) -> tuple[DensePictures, DensePictures]:
    level, size = pretrained.config.data.level, pretrained.config.image.size
    if data == "shapes":
        train, test = (
            drawn_pictures(level, size, count, split, seed, lambda key: key.depth)
            for split, count in (("train", settings.pictures), ("test", settings.test_pictures))
        )
        return train, test
    path = Path(data).expanduser()
    mat = path / MAT if (path / MAT).is_file() else path
    if mat.suffix == ".mat":
        from dream.evaluation.dense.nyu_mat import mat_pictures

        train, test = (mat_pictures(mat, split, size, settings.limit, seed) for split in ("train", "test"))
        return train, test
    train, test = (
        stored_pictures(sampled_pairs(nyu_pairs(path, split), settings.limit, seed), size, metres, split)
        for split in ("train", "test")
    )
    return train, test


def metres(values: Map) -> Map:
    """Millimetres as metres."""
    return values.astype(np.float32) / np.float32(MILLIMETRES)


def nyu_pairs(root: Path, split: str) -> list[Pair]:
    """ROOT/{train,test}/**/rgb_NAME.jpg (or .png) with sync_depth_NAME.png, else depth_NAME.png, beside it.

    Depths are 16-bit PNG files in millimetres. Raises InputError if that is not how the folder is laid out.
    """
    folder = root / split
    if not folder.is_dir():
        raise InputError(
            f"there is no folder '{folder}': depth reads 'shapes', NYUv2's {MAT}, or a folder with train and "
            f"test, in them rgb_NAME.jpg with sync_depth_NAME.png or depth_NAME.png"
        )
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    pictures = _named(files, folder, "rgb_", PICTURES)
    maps = _named(files, folder, "depth_", (".png",)) | _named(files, folder, "sync_depth_", (".png",))
    if not (pairs := matched(pictures, maps, split)):
        raise InputError(
            f"'{folder}' has no pair of rgb_NAME.jpg and sync_depth_NAME.png or depth_NAME.png "
            f"({len(pictures)} pictures, {len(maps)} depth files)"
        )
    return pairs


def _named(files: list[Path], folder: Path, start: str, endings: tuple[str, ...]) -> dict[str, Path]:
    """Files whose names start so, by their place in the folder and the rest of the name."""
    return {
        (path.parent.relative_to(folder) / path.stem.removeprefix(start)).as_posix(): path
        for path in files
        if path.name.startswith(start) and path.suffix.lower() in endings
    }
