"""Semantic segmentation from the encoder's features: mean IoU, IoU of each class, and pixel accuracy.

Measured on the centre square at the model's image size, not at the pictures' own size as ADE20K's tables are.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from dream.data import report as kinds
from dream.data.grammar import LEVELS
from dream.data.samples import PICTURES, BadSample
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
from dream.evaluation.dense.heads import LinearHead, UPerHead, four_blocks, pixels_a_token
from dream.evaluation.dense.training import BlockMaps, HeadSettings
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.statistics import Estimate, Measure, bootstrap
from dream.randomness import seed_of

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

IGNORE = 255
"""Value of the pixels that have no class."""
ADE_CLASSES = 150
ADE_SPLITS = {"train": "training", "test": "validation"}
NAMES = "objectInfo150.txt"
"""ADE20K's table of class names, which its archive has beside the pictures."""


@dataclass(frozen=True)
class SegmentationSettings(HeadSettings):
    """How the head is made and trained."""

    head: Literal["linear", "upernet"] = "linear"
    """`linear`: one layer on the last block's tokens; `upernet`: four blocks, pooled and fused."""
    per_class: bool = True
    """Give the IoU of each class too."""


def segmentation(
    pretrained: "Pretrained",
    *,
    data: str = "shapes",
    settings: SegmentationSettings = SegmentationSettings(),
    seed: int = 0,
    progress: Progress = quiet,
) -> list[Measure]:
    """Mean IoU, pixel accuracy and IoU by class of a head trained on the encoder; intervals over pictures.

    `data`: shapes (what shape is at each pixel; test pictures half of unseen combinations), or a folder laid
    out as ADE20K (`ade_pairs`). Raises InputError for bad settings, or where there is nothing to read.
    """
    dense.check_settings("segmentation", settings)
    if settings.head not in ("linear", "upernet"):
        raise InputError(f"segmentation.head must be linear or upernet, got '{settings.head}'")
    config = pretrained.config
    size, upper = config.image.size, settings.head == "upernet"
    train, test, classes = _pictures(pretrained, data, settings, seed)
    blocks = four_blocks(config) if upper else (config.encoder.depth,)
    maps = BlockMaps(pretrained, blocks, frozen=settings.frozen)
    with dense.seeded(maps.device, seed, "segmentation"):
        head: nn.Module
        if upper:
            head = UPerHead(maps.width, len(classes), settings.channels)
        else:
            cell = pixels_a_token(config.image, settings.upsampling)
            head = LinearHead(maps.width, len(classes), cell)
        dense.train_head(maps, head.to(maps.device), train, _loss, settings, size, seed, progress)
    counts = [
        pixel_counts(outputs.argmax(1).numpy(), targets.numpy(), len(classes))
        for outputs, targets in dense.predictions(maps, head, test, size)
    ]
    if not counts:
        raise InputError(f"'{data}' has no test picture with its map that can be read")
    where = {"data": data, "head": settings.head, "frozen": settings.frozen}
    return measures(np.concatenate(counts), classes if settings.per_class else (), where, seed)


# numbers


def pixel_counts(predicted: NDArray[np.int64], target: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """(B, 3, C): a picture's pixels of each class that are right, that were predicted, that there are.

    These are the diagonal and the two margins of its confusion matrix; pixels of value IGNORE do not count.
    """
    counted = target != IGNORE
    picture = np.broadcast_to(np.arange(len(target))[:, None, None], target.shape)

    def by_class(values: NDArray[np.integer], where: NDArray[np.bool_]) -> NDArray[np.int64]:
        places = picture[where] * classes + values[where].astype(np.int64)
        return np.bincount(places, minlength=len(target) * classes).reshape(-1, classes)

    right = counted & (predicted == target)
    return np.stack([by_class(target, right), by_class(predicted, counted), by_class(target, counted)], 1)


def class_ious(counts: NDArray[np.floating]) -> NDArray[np.floating]:
    """(..., C) intersection over union of counts (..., 3, C); not a number where a class never occurs."""
    right, predicted, there = counts[..., 0, :], counts[..., 1, :], counts[..., 2, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        return right / (predicted + there - right)


def mean_iou(counts: NDArray[np.floating]) -> NDArray[np.floating]:
    """(...) mean over the classes that occur in the truth or are predicted."""
    ious = class_ious(counts)
    occurs = ~np.isnan(ious)
    with np.errstate(invalid="ignore"):
        return np.where(occurs, ious, 0).sum(-1) / occurs.sum(-1)


def measures(counts: NDArray[np.int64], classes: tuple[str, ...], where: dict[str, object], seed: int) -> list[Measure]:
    """What counts (B, 3, C) of pictures amount to, with bootstrap intervals over pictures."""
    shape = counts.shape[1:]

    def estimate(rows: NDArray[np.int64], statistic: object, name: str) -> Estimate:
        draws = np.random.default_rng(seed_of(seed, "segmentation intervals", name))
        return bootstrap(rows, statistic, draws)  # type: ignore[arg-type]

    found = [
        Measure(
            "segmentation",
            "mIoU",
            where,
            estimate(counts, lambda sums: mean_iou(sums.reshape(*sums.shape[:-1], *shape)), "mean"),
        ),
        Measure(
            "segmentation",
            "pixel accuracy",
            where,
            estimate(counts[:, [0, 2]].sum(2), lambda sums: sums[..., 0] / sums[..., 1], "accuracy"),
        ),
    ]
    for number, name in enumerate(classes):
        one = estimate(counts[:, :, number], lambda sums: class_ious(sums[..., None])[..., 0], name)
        if not math.isnan(one.value):
            found.append(Measure("segmentation", "IoU", {**where, "class": name}, one))
    return found


def _loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the pixels that have a class; a zero with gradient where none has."""
    counted = (targets != IGNORE).sum().clamp(min=1)
    return F.cross_entropy(outputs, targets.long(), ignore_index=IGNORE, reduction="sum") / counted


# pictures


def _pictures(
    pretrained: "Pretrained", data: str, settings: SegmentationSettings, seed: int
) -> tuple[DensePictures, DensePictures, tuple[str, ...]]:
    level, size = pretrained.config.data.level, pretrained.config.image.size
    if data == "shapes":
        parts = [
            drawn_pictures(level, size, count, split, seed, lambda key: key.segmentation)
            for split, count in (("train", settings.pictures), ("test", settings.test_pictures))
        ]
        return parts[0], parts[1], ("ground", *LEVELS[level].shapes)
    root = Path(data).expanduser()
    parts = [
        stored_pictures(
            sampled_pairs(ade_pairs(root, split), settings.limit, seed), size, ade_classes, ADE_SPLITS[split]
        )
        for split in ("train", "test")
    ]
    return parts[0], parts[1], ade_names(root)


def ade_pairs(root: Path, split: str) -> list[Pair]:
    """Pictures and maps ROOT/images/SPLIT/*.jpg and ROOT/annotations/SPLIT/*.png (training, validation).

    Raises InputError if that is not how the folder is laid out.
    """
    name = ADE_SPLITS[split]
    folders = root / "images" / name, root / "annotations" / name
    for folder in folders:
        if not folder.is_dir():
            raise InputError(
                f"there is no folder '{folder}': segmentation reads 'shapes' or a folder laid out as ADE20K, "
                f"with images/training, images/validation, annotations/training and annotations/validation"
            )
    pictures, maps = (
        {
            path.relative_to(folder).with_suffix("").as_posix(): path
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in endings and not path.name.startswith(".")
        }
        for folder, endings in zip(folders, (PICTURES, (".png",)), strict=True)
    )
    if not (pairs := matched(pictures, maps, name)):
        raise InputError(
            f"no picture in '{folders[0]}' has a map of its name in '{folders[1]}' "
            f"({len(pictures)} pictures, {len(maps)} maps)"
        )
    return pairs


def ade_classes(values: Map) -> Map:
    """ADE20K's numbers (0 = none, 1 to 150) as classes from 0. Raises BadSample for others."""
    if values.max(initial=0) > ADE_CLASSES:
        raise BadSample(kinds.BROKEN_PICTURE, f"its map has class {values.max()}, the last is {ADE_CLASSES}")
    return np.where(values == 0, IGNORE, values.astype(np.int64) - 1).astype(np.uint8)


def ade_names(root: Path) -> tuple[str, ...]:
    """The 150 class names of the set's table, or their numbers."""
    names = [str(number) for number in range(1, ADE_CLASSES + 1)]
    if not (root / NAMES).is_file():
        return tuple(names)
    for line in (root / NAMES).read_text(errors="replace").splitlines()[1:]:
        fields = line.split("\t")
        if fields[0].strip().isdigit() and 1 <= int(fields[0]) <= ADE_CLASSES:
            names[int(fields[0]) - 1] = fields[-1].strip()
    return tuple(names)
