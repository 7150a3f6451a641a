"""Semantic segmentation from the encoder's features: mean IoU, IoU of each class, and pixel accuracy.

Predictions are scored on the centre square at the model's image size, against maps that are cut as the pictures are
(`crop`). ADE20K's tables score whole pictures at their own sizes, so the figures are comparable between models
measured here, not with the tables. The mean is over the classes that are true or predicted in the whole test set, as
in mmsegmentation.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from dream.data.drawn.grammar import LEVELS
from dream.errors import InputError
from dream.evaluation.dense.ade20k import ADE_SPLITS, IGNORE, ade_classes, ade_names, ade_pairs
from dream.evaluation.dense.blocks import four_blocks
from dream.evaluation.dense.data import DensePictures, DenseSplits, sampled_pairs, stored_pictures
from dream.evaluation.dense.heads import LinearHead, UPerHead, pixels_per_token
from dream.evaluation.dense.training import HeadPlan, HeadSettings, head_outputs
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.statistics import Measure, mean_of_ratios, ratio_share
from dream.model.pretrained import Pretrained


@dataclass(frozen=True)
class SegmentationSettings(HeadSettings, task="segmentation"):
    """The head, its training, and what is reported."""

    head: Literal["linear", "upernet"] = "linear"
    """`linear`: one layer on the last block's tokens; `upernet`: four blocks, pooled and fused."""
    per_class: bool = True
    """Also report the IoU of each class."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """Mean IoU, pixel accuracy and IoU by class of a head trained on the encoder; intervals over pictures.

        `data` is shapes (the shape at each pixel; half of the test pictures are unseen combinations), or a folder laid
        out as ADE20K (`ade_pairs`). Raises InputError if there is nothing to read.
        """
        config, upper = pretrained.config, self.head == "upernet"
        splits, classes = self._splits(pretrained, data, seed)

        def make_head(width: int) -> nn.Module:
            if upper:
                return UPerHead(width, len(classes), self.channels)
            return LinearHead(width, len(classes), pixels_per_token(config.image, self.upsampling))

        plan = HeadPlan(four_blocks(config) if upper else (config.encoder.depth,), make_head, _loss)
        counts = [
            pixel_counts(outputs.argmax(1).numpy(), targets.numpy(), len(classes))
            for outputs, targets in head_outputs(pretrained, splits, plan, self, seed, progress)
        ]
        if not counts:
            raise InputError(f"'{data}' has no test picture whose map can be read")
        where = {"data": data, "head": self.head, "frozen": self.frozen}
        return iou_measures(np.concatenate(counts), classes if self.per_class else (), where)

    def _splits(self, pretrained: Pretrained, data: str, seed: int) -> tuple[DenseSplits, tuple[str, ...]]:
        """The pictures and their class names."""
        config = pretrained.config
        if data == "shapes":
            counts = (self.pictures, self.test_pictures)
            splits = DenseSplits.drawn(config, counts, seed, lambda key: key.segmentation)
            return splits, ("ground", *LEVELS[config.data.level].shapes)
        root = Path(data).expanduser()

        def read(split: str) -> DensePictures:
            pairs = sampled_pairs(ade_pairs(root, split), self.limit, seed)
            return stored_pictures(pairs, config.image.size, ade_classes, ADE_SPLITS[split])

        return DenseSplits.stored(read), ade_names(root)


def pixel_counts(predicted: NDArray[np.int64], target: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """(B, 3, C): per picture and class, the pixels that are right, predicted, and true.

    These are the diagonal and the margins of its confusion matrix; pixels with the value IGNORE do not count.
    """
    counted = target != IGNORE
    picture = np.broadcast_to(np.arange(len(target))[:, None, None], target.shape)

    def by_class(values: NDArray[np.integer], where: NDArray[np.bool_]) -> NDArray[np.int64]:
        cells = picture[where] * classes + values[where].astype(np.int64)
        return np.bincount(cells, minlength=len(target) * classes).reshape(-1, classes)

    right = counted & (predicted == target)
    return np.stack([by_class(target, right), by_class(predicted, counted), by_class(target, counted)], 1)


def class_ious(counts: NDArray[np.floating]) -> NDArray[np.floating]:
    """(..., C) intersection over union of counts (..., 3, C); NaN for a class that never occurs."""
    right, predicted, true = counts[..., 0, :], counts[..., 1, :], counts[..., 2, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        return right / (predicted + true - right)


def mean_iou(counts: NDArray[np.floating]) -> NDArray[np.floating]:
    """(...) mean over the classes that are true or predicted somewhere."""
    ious = class_ious(counts)
    occurs = ~np.isnan(ious)
    with np.errstate(invalid="ignore"):
        return np.where(occurs, ious, 0).sum(-1) / occurs.sum(-1)


def iou_measures(counts: NDArray[np.int64], classes: tuple[str, ...], where: dict[str, object]) -> list[Measure]:
    """Measures of pictures with counts (B, 3, C), with intervals over pictures."""
    right, true = counts[:, 0], counts[:, 2]
    parts = np.stack([right, counts[:, 1] + true - right], 1)  # (B, 2, C): intersection and union
    accuracy = ratio_share(np.stack([right.sum(1), true.sum(1)], 1))
    measures = [
        Measure("segmentation", "mIoU", where, mean_of_ratios(parts)),
        Measure("segmentation", "pixel accuracy", where, accuracy),
    ]
    for number, name in enumerate(classes):
        one = ratio_share(parts[:, :, number])
        if not math.isnan(one.value):
            measures.append(Measure("segmentation", "IoU", {**where, "class": name}, one))
    return measures


def _loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the pixels that have a class; zero with a gradient if none has."""
    counted = (targets != IGNORE).sum().clamp(min=1)
    return F.cross_entropy(outputs, targets.long(), ignore_index=IGNORE, reduction="sum") / counted
