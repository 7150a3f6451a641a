"""Depth from the encoder's features: RMSE, share within a factor of 1.25, and mean relative error.

Each is computed per picture and averaged, as in NYUv2's tables, but on the centre square at the model's image size. The
head predicts the logarithm of the depth, and is trained with Eigen's scale-invariant error.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from dream.errors import InputError
from dream.evaluation.dense.data import DensePictures, DenseSplits, sampled_pairs, stored_pictures
from dream.evaluation.dense.heads import ConvHead, LinearHead, pixels_per_token
from dream.evaluation.dense.nyu_mat import mat_pictures
from dream.evaluation.dense.nyu_pairs import metres, nyu_pairs
from dream.evaluation.dense.training import HeadPlan, HeadSettings, Loss, head_outputs
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.statistics import Measure, mean, mean_share
from dream.fields import Bounds
from dream.model.pretrained import Pretrained

MIN_DEPTH = 1e-3
"""Smaller depths are neither measured nor predicted."""
INVARIANCE = 0.5
"""Share of the scale's error that the loss forgives (Eigen 2014)."""
MEASURES = ("RMSE", "within 1.25", "relative error")
MAT = "nyu_depth_v2_labeled.mat"


@dataclass(frozen=True)
class DepthSettings(HeadSettings, task="depth"):
    """The head, its training, and the range of depths."""

    head: Literal["linear", "conv"] = "linear"
    """`linear`: one layer on the last block's tokens; `conv`: the same after two 3 x 3 convolutions."""
    max_depth: Annotated[float, Bounds(above=MIN_DEPTH)] = 10.0
    """Metres; farther pixels are not measured, and nothing farther is predicted (shapes: 1, the ground)."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """RMSE (metres; in shapes the ground is at 1), share within 1.25, relative error; intervals over pictures.

        `data` is shapes (larger objects are nearer; half of the test pictures are unseen combinations), a folder of
        NYUv2 pairs (`nyu_pairs`), or NYUv2's own .mat file. Raises InputError if there is nothing to read.
        """
        config, farthest = pretrained.config, 1.0 if data == "shapes" else self.max_depth
        cell = pixels_per_token(config.image, self.upsampling)

        def make_head(width: int) -> nn.Module:
            return ConvHead(width, 1, cell, self.channels) if self.head == "conv" else LinearHead(width, 1, cell)

        plan = HeadPlan((config.encoder.depth,), make_head, scale_invariant_loss(farthest))
        rows = [
            errors(outputs[:, 0].exp().clamp(MIN_DEPTH, farthest).numpy(), targets.numpy(), farthest)
            for outputs, targets in head_outputs(
                pretrained, self._splits(pretrained, data, seed), plan, self, seed, progress
            )
        ]
        table = np.concatenate([np.empty((0, len(MEASURES))), *rows])
        if not len(table):
            raise InputError(f"'{data}' has no readable test picture with depths in (0, {farthest:g}]")
        where = {"data": data, "head": self.head, "frozen": self.frozen}
        estimates = (mean(table[:, 0], least=0), mean_share(table[:, 1]), mean(table[:, 2], least=0))
        return [Measure("depth", name, where, one) for name, one in zip(MEASURES, estimates, strict=True)]

    def _splits(self, pretrained: Pretrained, data: str, seed: int) -> DenseSplits:
        if data == "shapes":
            counts = (self.pictures, self.test_pictures)
            return DenseSplits.drawn(pretrained.config, counts, seed, lambda key: key.depth)
        path, size = Path(data).expanduser(), pretrained.config.image.size
        mat = path / MAT if (path / MAT).is_file() else path
        if mat.suffix == ".mat":
            return DenseSplits.stored(lambda split: mat_pictures(mat, split, size, self.limit, seed))

        def read(split: str) -> DensePictures:
            return stored_pictures(sampled_pairs(nyu_pairs(path, split), self.limit, seed), size, metres, split)

        return DenseSplits.stored(read)


def measured(target: NDArray[np.floating], farthest: float) -> NDArray[np.bool_]:
    """Pixels whose depth counts (0 is unknown)."""
    return (target >= MIN_DEPTH) & (target <= farthest)


def errors(predicted: NDArray[np.floating], target: NDArray[np.floating], farthest: float) -> NDArray[np.float64]:
    """(B', 3) MEASURES of pictures (B, H, W), for the B' pictures that have a measured pixel."""
    rows = []
    for guess, truth in zip(predicted.astype(float), target.astype(float), strict=True):
        counted = measured(truth, farthest)
        if not counted.any():
            continue
        g, t = guess[counted], truth[counted]
        within = np.maximum(g / t, t / g) < 1.25
        rows.append((math.sqrt(np.mean((g - t) ** 2)), within.mean(), np.mean(np.abs(g - t) / t)))
    return np.array(rows, float).reshape(-1, len(MEASURES))


def scale_invariant_loss(farthest: float) -> Loss:
    """Eigen's error of log depths: mean square minus INVARIANCE times the squared mean, averaged over pictures."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        counted = (targets >= MIN_DEPTH) & (targets <= farthest)  # (B, H, W)
        gap = (outputs[:, 0] - targets.clamp(min=MIN_DEPTH).log()) * counted  # (B, H, W)
        count = counted.sum((1, 2)).clamp(min=1)  # (B,)
        return ((gap**2).sum((1, 2)) / count - INVARIANCE * (gap.sum((1, 2)) / count) ** 2).mean()

    return loss
