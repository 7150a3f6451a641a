"""Curves of a run as arrays: over steps, minutes or pictures, smoothed and thinned. It reads no file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.runs.rows import Row, is_number

Axis = Literal["steps", "minutes", "pictures"]
AXES: dict[Axis, str] = {
    "steps": "optimiser steps",
    "minutes": "minutes of training (without validations and pauses)",
    "pictures": "pictures seen",
}
"""Horizontal axes of the curves, with their titles."""
MOST_POINTS = 1200
"""Approximate maximum number of points per curve."""
CHANCE_MARGIN = 0.02
"""Share by which the contrastive loss must be below that of guessing to count as better."""
NUMBERS = (
    "loss",
    "generative_loss",
    "contrastive_loss",
    "alignment_loss",
    "generative_share",
    "contrastive_share",
    "contrastive_accuracy",
    "grad_norm",
    "lr",
    "samples_per_second",
    "data_wait",
    "progress",
)
"""Values of a training row."""
RETRIEVAL = (
    "text_to_image_r1_at_0.00",
    "image_to_text_r1_at_0.00",
    "text_to_image_r1_at_0.75",
    "image_to_text_r1_at_0.75",
)
"""Recall values of a validation row: text to image and the reverse, with nothing and with 75 % hidden."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """A run's values by row; NaN where a row lacks one."""

    name: str = ""
    batch_size: int = 1
    """Pictures per optimiser step."""
    steps: Numbers = field(default_factory=lambda: np.zeros(0))
    """Steps of the training rows."""
    minutes: Numbers = field(default_factory=lambda: np.zeros(0))
    """Minutes spent on training steps up to each row."""
    train: dict[str, Numbers] = field(default_factory=dict)
    by_ratio: dict[str, Numbers] = field(default_factory=dict)
    """Generative training loss by mask ratio band, e.g. `0.5-0.6`."""
    ratios: list[list[float]] = field(default_factory=list)
    """Mask ratios drawn at each row's step, one per group."""
    checked: Numbers = field(default_factory=lambda: np.zeros(0))
    """Steps of the validations."""
    validation: dict[str, Numbers] = field(default_factory=dict)
    generative_at: dict[str, Numbers] = field(default_factory=dict)
    """Generative validation loss by mask ratio, e.g. `0.75`."""
    contrastive_at: dict[str, Numbers] = field(default_factory=dict)
    among: int = 0
    """Number of captions that retrieval chooses from."""
    compared: int = 1
    """Pictures of a step that the contrastive loss compares with each other (those of a micro-batch)."""

    @property
    def chance(self) -> Numbers:
        """The contrastive loss of guessing at each row, in nats: ln of how many captions and pictures take part.

        All captions take part, and those pictures that count. Where equal captions are left out, it is a little less.
        """
        counted = self.train.get("contrastive_share", self.steps * np.nan) * self.compared
        with np.errstate(divide="ignore", invalid="ignore"):
            return (np.log(float(self.compared)) + np.log(np.where(counted >= 1, counted, np.nan))) / 2

    @property
    def steps_at_chance(self) -> int:
        """Steps up to the last row in which the contrastive loss was at most CHANCE_MARGIN better than guessing."""
        loss, chance = self.train.get("contrastive_loss", self.steps * np.nan), self.chance
        known = np.isfinite(loss) & np.isfinite(chance)
        better = np.flatnonzero(smoothed(loss, 0.8)[known] < (1 - CHANCE_MARGIN) * chance[known])
        steps = self.steps[known]
        if not len(steps):
            return 0
        begin = steps[better[-1]] if len(better) else 0
        return int(steps[-1] - begin)

    def at(self, steps: Numbers, axis: Axis) -> Numbers:
        """Converts steps to positions on an axis."""
        if axis == "minutes":
            return np.interp(steps, [0, *self.steps], [0, *self.minutes]) if len(self.steps) else 0 * steps
        return steps * (self.batch_size if axis == "pictures" else 1)


def curves_of(rows: Sequence[Row], name: str = "", batch_size: int = 1, accumulate: int = 1) -> Curves:
    """Curves from a run's rows; `accumulate` is the number of micro-batches per step."""
    train = [row for row in rows if row["kind"] == "train"]
    checks = [row for row in rows if row["kind"] == "validation"]
    steps, speed = _column(train, "step"), _column(train, "samples_per_second")
    seconds = np.diff(steps, prepend=0.0).clip(min=0) * batch_size / np.where(speed > 0, speed, np.nan)
    return Curves(
        name,
        batch_size,
        steps,
        np.nancumsum(seconds) / 60,
        {key: _column(train, key) for key in NUMBERS},
        _table(train, "generative_by_ratio"),
        [[r for r in _list(row.get("mask_ratios")) if is_number(r)] for row in train],
        _column(checks, "step"),
        {key: _column(checks, key) for key in ("loss", *RETRIEVAL)},
        _table(checks, "generative_by_ratio"),
        _table(checks, "contrastive_by_ratio"),
        int(next((row["retrieval_among"] for row in checks if is_number(row.get("retrieval_among"))), 0)),
        max(1, batch_size // max(1, accumulate)),
    )


def smoothed(values: Numbers, strength: float) -> Numbers:
    """Exponential moving average with decay `strength` (0 = no smoothing, below 1); NaN stays NaN.

    The weights are normalised over the rows seen so far, so the start is not biased towards zero.
    """
    if not 0 <= strength < 1:
        raise ValueError(f"strength must be in [0, 1), got {strength}")
    total = weight = 0.0
    result = np.full(len(values), np.nan)
    for i, value in enumerate(values.tolist()):
        if value == value:
            total, weight = strength * total + value, strength * weight + 1.0
            result[i] = total / weight
    return result


def thinned(count: int, most: int = MOST_POINTS) -> NDArray[np.int64]:
    """Indices of at most about `most` of `count` rows, evenly spaced and including the last."""
    stride = max(1, -(-count // most))
    return np.arange(count - 1, -1, -stride)[::-1] if count else np.zeros(0, dtype=np.int64)


def drawn_by_step(curves: Curves, bins: int = 40, bands: int = 20) -> tuple[Numbers, Numbers, Numbers]:
    """Distribution of the drawn mask ratios over the training.

    Returns the step edges (bins + 1), the band centers (bands) and the shares (bands, bins) of each bin's draws, NaN
    where nothing was drawn. With fewer rows than bins there is one bin per row.
    """
    bins = max(1, min(bins, len(curves.steps)))
    last = curves.steps[-1] if len(curves.steps) else 1.0
    edges = np.linspace(0, last, bins + 1)
    steps = np.repeat(curves.steps, [len(ratios) for ratios in curves.ratios])
    ratios = np.array([ratio for row in curves.ratios for ratio in row], dtype=float)
    counts, _, _ = np.histogram2d(ratios, steps, bins=[np.linspace(0, 1, bands + 1), edges])
    totals = counts.sum(axis=0)
    shares = np.where(totals > 0, counts / np.maximum(totals, 1), np.nan)
    return edges, (np.arange(bands) + 0.5) / bands, shares


def _column(rows: Sequence[Row], key: str) -> Numbers:
    return np.array([row[key] if is_number(row.get(key)) else np.nan for row in rows], dtype=np.float64)


def _table(rows: Sequence[Row], key: str) -> dict[str, Numbers]:
    """One column per name that occurs in any row's table."""
    tables: list[Row] = [row[key] if isinstance(row.get(key), dict) else {} for row in rows]
    names = sorted({name for table in tables for name in table})
    return {name: _column(tables, name) for name in names}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
