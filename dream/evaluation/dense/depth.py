"""Depth from the encoder's features: RMSE, shares within factors of 1.25, mean relative error, and error of log10.

Each is computed per picture and averaged, as in NYUv2's tables, but on the centre square at the model's image size,
where the tables use the pictures' own 480 x 640 pixels. Which pixels count is a protocol (`depth_protocol`). The head
predicts the logarithm of the depth, and is trained with Eigen's scale-invariant error (arXiv 1406.2283).
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
from dream.evaluation.dense.depth_protocol import MIN_DEPTH, bts_depths, every_depth
from dream.evaluation.dense.heads import ConvHead, LinearHead, pixels_per_token
from dream.evaluation.dense.nyu_mat import Depths, find_mat, open_mat
from dream.evaluation.dense.nyu_pairs import metres, nyu_pairs
from dream.evaluation.dense.training import HeadPlan, HeadSettings, Loss, head_outputs
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.statistics import Measure, mean, mean_share
from dream.fields import Bounds
from dream.model.pretrained import Pretrained

INVARIANCE = 0.5
"""Share of the scale's error that the loss forgives (Eigen 2014)."""
MEASURES = ("RMSE", "within 1.25", "relative error", "within 1.25^2", "within 1.25^3", "log10 error")
SHARES = ("within 1.25", "within 1.25^2", "within 1.25^3")
"""Measures that are shares of a picture's pixels."""


@dataclass(frozen=True)
class DepthSettings(HeadSettings, task="depth"):
    """The head, its training, and the range of depths."""

    head: Literal["linear", "conv"] = "linear"
    """`linear`: one layer on the last block's tokens; `conv`: the same after two 3 x 3 convolutions."""
    max_depth: Annotated[float, Bounds(above=MIN_DEPTH)] = 10.0
    """Metres; farther pixels are not measured, and nothing farther is predicted (shapes: 1, the ground)."""
    protocol: Literal["bts", "whole"] = "bts"
    """Test pixels of NYUv2: `bts` (usual, the published tables'): inside Eigen's crop, and nearer than max_depth;
    `whole`: all known ones up to max_depth. Shapes are measured whole.
    """
    values: Depths = "auto"
    """Depths of NYUv2's .mat: `raw` (the sensor's, with holes), `inpainted` (holes filled in), or auto: raw, as in
    BTS, if the file has them. A folder of pairs has those of its files.
    """

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """RMSE (metres; in shapes the ground is at 1) and the other MEASURES; intervals over pictures.

        `data` is shapes (larger objects are nearer; half of the test pictures are unseen combinations), a folder of
        NYUv2 pairs (`nyu_pairs`), or NYUv2's own .mat file or its folder, with the official split if `splits.mat` is
        next to it. Raises InputError if there is nothing to read.
        """
        config, farthest = pretrained.config, 1.0 if data == "shapes" else self.max_depth
        cell = pixels_per_token(config.image, self.upsampling)

        def make_head(width: int) -> nn.Module:
            return ConvHead(width, 1, cell, self.channels) if self.head == "conv" else LinearHead(width, 1, cell)

        plan = HeadPlan((config.encoder.depth,), make_head, scale_invariant_loss(farthest))
        splits, stored = self._splits(pretrained, data, seed)
        rows = [
            errors(outputs[:, 0].exp().clamp(MIN_DEPTH, farthest).numpy(), targets.numpy(), farthest)
            for outputs, targets in head_outputs(pretrained, splits, plan, self, seed, progress)
        ]
        table = np.concatenate([np.empty((0, len(MEASURES))), *rows])
        if not len(table):
            raise InputError(f"'{data}' has no readable test picture with depths in (0, {farthest:g}]")
        where = {"data": data, "head": self.head, "frozen": self.frozen, **stored}
        estimates = (
            mean_share(row) if "within" in name else mean(row, least=0)
            for name, row in zip(MEASURES, table.T, strict=True)
        )
        return [Measure("depth", name, where, one) for name, one in zip(MEASURES, estimates, strict=True)]

    def _splits(self, pretrained: Pretrained, data: str, seed: int) -> tuple[DenseSplits, dict[str, object]]:
        """The pictures, and the conditions of a stored set."""
        if data == "shapes":
            counts = (self.pictures, self.test_pictures)
            return DenseSplits.drawn(pretrained.config, counts, seed, lambda key: key.depth), {}
        path, size = Path(data).expanduser(), pretrained.config.image.size
        bts = bts_depths(self.max_depth) if self.protocol == "bts" else every_depth
        counted = {"train": every_depth, "test": bts}
        if found := find_mat(path):
            mat = open_mat(found, self.values)
            splits = DenseSplits.stored(lambda split: mat.pictures(split, size, self.limit, seed, counted[split]))
            return splits, {"protocol": self.protocol, **mat.conditions}
        if self.values != "auto":
            raise InputError(
                f"depth.values={self.values} is for NYUv2's .mat: a folder of pairs has one depth per pixel"
            )

        def read(split: str) -> DensePictures:
            pairs = sampled_pairs(nyu_pairs(path, split), self.limit, seed)
            return stored_pictures(pairs, size, lambda values: counted[split](metres(values)), split)

        return DenseSplits.stored(read), {"protocol": self.protocol}


def measured(target: NDArray[np.floating], farthest: float) -> NDArray[np.bool_]:
    """Pixels whose depth counts (0 is unknown)."""
    return (target >= MIN_DEPTH) & (target <= farthest)


def errors(predicted: NDArray[np.floating], target: NDArray[np.floating], farthest: float) -> NDArray[np.float64]:
    """(B', 6) MEASURES of pictures (B, H, W), for the B' pictures that have a measured pixel."""
    rows = []
    for guess, truth in zip(predicted.astype(float), target.astype(float), strict=True):
        counted = measured(truth, farthest)
        if not counted.any():
            continue
        g, t = guess[counted], truth[counted]
        factor, gap = np.maximum(g / t, t / g), np.abs(g - t)
        within, second, third = ((factor < 1.25**power).mean() for power in (1, 2, 3))
        row = math.sqrt(np.mean(gap**2)), within, np.mean(gap / t), second, third, np.mean(np.log10(factor))
        rows.append(row)
    return np.array(rows, float).reshape(-1, len(MEASURES))


def scale_invariant_loss(farthest: float) -> Loss:
    """Eigen's error of log depths: mean square minus INVARIANCE times the squared mean, averaged over pictures."""

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        counted = (targets >= MIN_DEPTH) & (targets <= farthest)  # (B, H, W)
        gap = (outputs[:, 0] - targets.clamp(min=MIN_DEPTH).log()) * counted  # (B, H, W)
        count = counted.sum((1, 2)).clamp(min=1)  # (B,)
        return ((gap**2).sum((1, 2)) / count - INVARIANCE * (gap.sum((1, 2)) / count) ** 2).mean()

    return loss
