"""Numbers with their 95 % intervals. Pure functions of arrays; nothing about models."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z95 = 1.959964
RESAMPLED_AT_ONCE = 2**21
"""Rows that a bootstrap draws at once."""


@dataclass(frozen=True)
class Estimate:
    """A number and the interval that holds the true one in 95 % of such measurements."""

    value: float
    low: float
    high: float
    count: int
    """Independent things that it is the mean of."""

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Measure:
    """One line of a result: what was measured, under which conditions, and what came out."""

    task: str
    name: str
    where: dict[str, Any]
    """Conditions, e.g. {'mask_ratio': 0.75}."""
    estimate: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Flat and JSON-able; what is not a number is null."""
        numbers = {k: v if math.isfinite(v) else None for k, v in asdict(self.estimate).items()}
        return {"task": self.task, "name": self.name, "where": self.where, **numbers}


def share(hits: ArrayLike) -> Estimate:
    """The share of true entries with Wilson's interval (Wilson 1927); not a number of nothing."""
    flags = np.asarray(hits, bool).ravel()
    n = len(flags)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    p, z2 = float(flags.mean()), Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # at 0 and 1 rounding would leave the value just outside
    return Estimate(p, max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half)), n)


def bootstrap(
    rows: ArrayLike,
    statistic: Callable[[NDArray[Any]], NDArray[Any]],
    generator: np.random.Generator,
    resamples: int = 2000,
) -> Estimate:
    """`statistic` of the sum over rows, with the interval of sums over rows drawn again with replacement.

    Rows (n, k) are what is independent (prompts, pools); `statistic` maps sums (..., k), divided by n, to
    values (...): the mean is `lambda m: m[..., 0]`, a ratio `lambda m: m[..., 0] / m[..., 1]`.
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
    """(resamples, k): means of as many rows drawn with replacement; in parts that fit the memory."""
    n, parts = len(table), []
    for first in range(0, resamples, at_once := max(1, RESAMPLED_AT_ONCE // n)):
        count = min(at_once, resamples - first)
        rows = generator.integers(n, size=(count, n)) + n * np.arange(count)[:, None]
        times = np.bincount(rows.ravel(), minlength=count * n).reshape(count, n)  # a row was drawn so often
        parts.append(times @ table / n)
    return np.concatenate(parts)


def mean(values: ArrayLike, generator: np.random.Generator) -> Estimate:
    """The mean of independent values with its bootstrap interval."""
    return bootstrap(values, lambda sums: sums[..., 0], generator)


def ordered_pairs(scores: ArrayLike, right: ArrayLike) -> NDArray[np.float64]:
    """(P, 2): a prompt's pairs of a right and a wrong candidate that are ordered well, and all its pairs.

    `scores` and `right` are (P, K); ties count a half. The ratio of the sums is the area under the curve.
    """
    s, r = np.asarray(scores, float), np.asarray(right, bool)
    pairs = r[:, :, None] & ~r[:, None, :]  # (P, K, K): right one, wrong one
    gap = s[:, :, None] - s[:, None, :]
    won = (gap > 0) + 0.5 * (gap == 0)
    return np.stack([(pairs * won).sum((1, 2)), pairs.sum((1, 2)).astype(float)], 1)


def auc(scores: ArrayLike, right: ArrayLike, generator: np.random.Generator) -> Estimate:
    """How well scores (P, K) tell right from wrong candidates of the same prompt: 1 always, 0.5 by chance."""
    return bootstrap(ordered_pairs(scores, right), lambda sums: sums[..., 0] / sums[..., 1], generator)
