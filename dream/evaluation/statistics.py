"""Estimates with their 95 % intervals, as pure functions of arrays."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z95 = 1.959964
RESAMPLED_AT_ONCE = 2**21
"""Rows that the bootstrap draws at once, to bound its memory."""


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % confidence interval."""

    value: float
    low: float
    high: float
    count: int
    """Number of independent observations."""

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Measure:
    """One measured number: its name, its conditions and its estimate."""

    task: str
    name: str
    where: dict[str, Any]
    """Conditions, e.g. {'mask_ratio': 0.75}."""
    estimate: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Returns a flat dict of JSON values; NaN becomes None."""
        numbers = {k: v if math.isfinite(v) else None for k, v in asdict(self.estimate).items()}
        return {"task": self.task, "name": self.name, "where": self.where, **numbers}


def share(hits: ArrayLike) -> Estimate:
    """Returns the share of true entries with Wilson's interval (Wilson 1927); NaN for no entries."""
    flags = np.asarray(hits, bool).ravel()
    n = len(flags)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    p, z2 = float(flags.mean()), Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # at 0 and 1, rounding would put the value just outside the interval
    return Estimate(p, max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half)), n)


def bootstrap(
    rows: ArrayLike,
    statistic: Callable[[NDArray[Any]], NDArray[Any]],
    generator: np.random.Generator,
    resamples: int = 2000,
) -> Estimate:
    """Returns `statistic` of the mean row with its percentile bootstrap interval.

    Rows (n, k) are independent observations (prompts, pools); `statistic` maps mean rows (..., k) to values
    (...): the mean is `lambda m: m[..., 0]`, a ratio `lambda m: m[..., 0] / m[..., 1]`.
    """
    table = np.asarray(rows, float)
    n = len(table)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    table = table.reshape(n, -1)
    drawn = _resampled(table, generator, resamples)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(statistic(table.mean(0)))
        low, high = np.nanquantile(statistic(drawn), [0.025, 0.975]) if value == value else (math.nan, math.nan)
    return Estimate(value, float(low), float(high), n)


def _resampled(table: NDArray[np.float64], generator: np.random.Generator, resamples: int) -> NDArray[np.float64]:
    """Returns (resamples, k): means of n rows drawn with replacement, computed in chunks that fit into memory."""
    n, parts = len(table), []
    for first in range(0, resamples, at_once := max(1, RESAMPLED_AT_ONCE // n)):
        count = min(at_once, resamples - first)
        rows = generator.integers(n, size=(count, n)) + n * np.arange(count)[:, None]
        times = np.bincount(rows.ravel(), minlength=count * n).reshape(count, n)  # how often each row was drawn
        parts.append(times @ table / n)
    return np.concatenate(parts)


def mean(values: ArrayLike, generator: np.random.Generator) -> Estimate:
    """Returns the mean of independent values with its bootstrap interval."""
    return bootstrap(values, lambda sums: sums[..., 0], generator)


def ordered_pairs(scores: ArrayLike, right: ArrayLike) -> NDArray[np.float64]:
    """Returns (P, 2) per prompt: correctly ordered pairs of a right and a wrong candidate, and all such pairs.

    `scores` and `right` are (P, K); ties count one half. The ratio of the sums is the area under the curve.
    """
    s, r = np.asarray(scores, float), np.asarray(right, bool)
    pairs = r[:, :, None] & ~r[:, None, :]  # (P, K, K): right one, wrong one
    gap = s[:, :, None] - s[:, None, :]
    won = (gap > 0) + 0.5 * (gap == 0)
    return np.stack([(pairs * won).sum((1, 2)), pairs.sum((1, 2)).astype(float)], 1)


def auc(scores: ArrayLike, right: ArrayLike, generator: np.random.Generator) -> Estimate:
    """Returns how well scores (P, K) separate right from wrong candidates of one prompt: 1 is perfect, 0.5 chance."""
    return bootstrap(ordered_pairs(scores, right), lambda sums: sums[..., 0] / sums[..., 1], generator)
