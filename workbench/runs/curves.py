"""Curves of a run as arrays: over steps, minutes or pictures, smoothed and thinned. It reads no file."""

from array import array
from collections.abc import Iterable, Sequence
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
MOST_DRAWN = 10_000
"""Approximate maximum number of rows whose mask ratios are counted."""
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


class _Columns:
    """Numbers by name that grow row by row; NaN where a row lacks one."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.count = 0
        self.by_name = {name: array("d") for name in names}

    def add(self, values: Any, every_name: bool = False) -> None:
        """Adds a row, with names that no row had before if `every_name`."""
        found = values if isinstance(values, dict) else {}
        if every_name:
            for name in found.keys() - self.by_name.keys():
                self.by_name[name] = array("d", [np.nan]) * self.count
        for name, column in self.by_name.items():
            value = found.get(name)
            column.append(float(value) if value is not None and is_number(value) else np.nan)
        self.count += 1

    def arrays(self) -> dict[str, Numbers]:
        """The columns so far, by name."""
        return {name: np.array(self.by_name[name], dtype=np.float64) for name in self.by_name}

    def tables(self) -> dict[str, Numbers]:
        """The same in the order of names."""
        return dict(sorted(self.arrays().items()))


class CurveBuilder:
    """A run's curves, built as its rows come: a new row costs no look at the earlier ones."""

    def __init__(self) -> None:
        self._train, self._by_ratio, self._ratios = _Columns(("step", *NUMBERS)), _Columns(), list[list[float]]()
        self._checks = _Columns(("step", "loss", *RETRIEVAL))
        self._generative, self._contrastive = _Columns(), _Columns()
        self._among = 0

    def add(self, rows: Iterable[Row]) -> None:
        """Adds rows, oldest first."""
        for row in rows:
            if row["kind"] == "train":
                self._train.add(row)
                self._by_ratio.add(row.get("generative_by_ratio"), every_name=True)
                self._ratios.append([ratio for ratio in _list(row.get("mask_ratios")) if is_number(ratio)])
            elif row["kind"] == "validation":
                self._checks.add(row)
                self._generative.add(row.get("generative_by_ratio"), every_name=True)
                self._contrastive.add(row.get("contrastive_by_ratio"), every_name=True)
                if not self._among and is_number(row.get("retrieval_among")):
                    self._among = int(row["retrieval_among"])

    def curves(self, name: str = "", batch_size: int = 1, accumulate: int = 1) -> Curves:
        """The curves so far; `accumulate` is the number of micro-batches per step."""
        train, checks = self._train.arrays(), self._checks.arrays()
        steps, speed = train.pop("step"), train["samples_per_second"]
        seconds = np.diff(steps, prepend=0.0).clip(min=0) * batch_size / np.where(speed > 0, speed, np.nan)
        return Curves(
            name,
            batch_size,
            steps,
            np.nancumsum(seconds) / 60,
            train,
            self._by_ratio.tables(),
            list(self._ratios),
            checks.pop("step"),
            checks,
            self._generative.tables(),
            self._contrastive.tables(),
            self._among,
            max(1, batch_size // max(1, accumulate)),
        )


def curves_of(rows: Iterable[Row], name: str = "", batch_size: int = 1, accumulate: int = 1) -> Curves:
    """Curves from a run's rows; `accumulate` is the number of micro-batches per step."""
    builder = CurveBuilder()
    builder.add(rows)
    return builder.curves(name, batch_size, accumulate)


def smoothed(values: Numbers, strength: float) -> Numbers:
    """Exponential moving average with decay `strength` (0 = no smoothing, below 1); NaN stays NaN.

    The weights are normalised over the rows seen so far, so the start is not biased towards zero.
    """
    if not 0 <= strength < 1:
        raise ValueError(f"strength must be in [0, 1), got {strength}")
    known = ~np.isnan(values)
    result = np.full(len(values), np.nan)
    if strength < 1e-6 or not known.any():
        result[known] = values[known]
        return result
    sums = _decayed_sums(values[known], strength) * (1 - strength)
    young = min(len(sums), int(40 / -np.log(strength)) + 1)  # later weights are 1 to all digits
    sums[:young] /= 1 - strength ** np.arange(1, young + 1)
    result[known] = sums
    return result


def _decayed_sums(values: Numbers, decay: float) -> Numbers:
    """Sums of all values up to each one, those before it weighted by `decay` per place between."""
    size = max(1, min(len(values), int(20 / -np.log(decay))))  # the weights of a block stay above 1e-9
    rows = np.pad(values, (0, -len(values) % size)).reshape(-1, size)
    weights = decay ** np.arange(size)
    within = np.cumsum(rows / weights, axis=1) * weights
    before, carried = np.zeros(len(rows)), 0.0
    for row, last in enumerate(within[:, -1].tolist()):
        before[row], carried = carried, last + decay**size * carried
    return (within + before[:, None] * weights * decay).ravel()[: len(values)]


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
    chosen = thinned(len(curves.steps), MOST_DRAWN)
    drawn = [curves.ratios[row] for row in chosen]
    steps = np.repeat(curves.steps[chosen], [len(ratios) for ratios in drawn])
    ratios = np.array([ratio for row in drawn for ratio in row], dtype=float)
    counts, _, _ = np.histogram2d(ratios, steps, bins=[np.linspace(0, 1, bands + 1), edges])
    totals = counts.sum(axis=0)
    shares = np.where(totals > 0, counts / np.maximum(totals, 1), np.nan)
    return edges, (np.arange(bands) + 0.5) / bands, shares


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
