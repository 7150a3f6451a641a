"""Estimates with their 95 % intervals, each of a kind that holds what it promises (`intervals`)."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dream.evaluation import intervals

TOO_FEW, EQUAL = "too few rows", "equal rows"
"""Kinds of an estimate without interval."""
WORDS = {
    "wilson": "Wilson interval",
    "clusters": "Wilson interval with the effective number of rows",
    "student": "Student interval",
    "skewed": "Student interval with Hall's correction for skewness",
    "paired": "Bonett-Price interval of paired differences",
    "jackknife": "jackknife interval at this number of rows",
    "spread": "chi-square interval of a spread",
    "combined": "interval combined from those of the parts",
}
"""Kinds of intervals, in words."""
SHARES = ("wilson", "clusters")
"""Kinds of intervals of numbers in [0, 1]."""


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % confidence interval; low and high are NaN where no kind of interval is right."""

    value: float
    low: float
    high: float
    count: int
    """Number of independent observations."""
    kind: str = ""
    """A key of WORDS, or why there is no interval; empty in results of earlier versions."""
    rows: str = ""
    """Name of the observations, in the plural."""

    def __str__(self) -> str:
        ends = f"[{self.low:.3f}, {self.high:.3f}]" if self.has_interval else "(no interval)"
        return f"{self.value:.3f} {ends}"

    @property
    def has_interval(self) -> bool:
        """Whether low and high are numbers."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def interval(self) -> str:
        """The kind of interval and the number of observations in words, or why there is none."""
        return interval_words(self.kind, self.has_interval, f"{self.count:,}", self.rows or "rows")


def interval_words(kind: str, given: bool, count: str, rows: str) -> str:
    """Returns `95 % Wilson interval, n = 64 prompts`, or why none is given."""
    if kind == TOO_FEW:
        return f"too few {rows} for an interval: {count}"
    if kind == EQUAL:
        return f"no interval where all or nearly all of the {count} {rows} are equal"
    if not given:
        return f"no interval, n = {count} {rows}"
    return f"95 % {WORDS.get(kind, 'interval')}, n = {count} {rows}"


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
        numbers = {k: None if v != v or v in (math.inf, -math.inf) else v for k, v in asdict(self.estimate).items()}
        return {"task": self.task, "name": self.name, "where": self.where, **numbers}


# shares


def share(hits: ArrayLike, rows: str = "pictures") -> Estimate:
    """Returns the share of true entries, each independent of the others, with Wilson's interval; NaN for no entries."""
    flags = np.asarray(hits, bool).ravel()
    value = float(flags.mean()) if len(flags) else math.nan
    return _estimate(value, intervals.wilson_ends(value, max(1, len(flags))), len(flags), "wilson", rows)


def mean_share(values: ArrayLike, rows: str = "pictures", trials: int = 1) -> Estimate:
    """Returns the mean of independent values in [0, 1], each itself a share, with Wilson's interval.

    `trials` is the number of tosses behind each value if they are independent of each other; 1 takes none for granted.
    """
    table = np.asarray(values, float).ravel()
    if np.isin(table, (0.0, 1.0)).all() and trials == 1:
        return share(table > 0.5, rows)
    value = float(table.mean())
    return _clusters(value, intervals.share_ends(value, table - value, trials=trials), len(table), rows)


def ratio_share(parts: ArrayLike, rows: str = "pictures") -> Estimate:
    """Returns sum a / sum b of independent rows (n, 2) of (a, b), 0 <= a <= b, with Wilson's interval over rows.

    Rows with b = 0 do not count; NaN if all are.
    """
    table = np.asarray(parts, float).reshape(-1, 2)
    table = table[table[:, 1] > 0]
    if not len(table):
        return Estimate(math.nan, math.nan, math.nan, 0, "", rows)
    value, moves = _ratio(table)
    return _clusters(value, intervals.share_ends(value, moves, table[:, 1]), len(table), rows)


def mean_of_ratios(parts: ArrayLike, rows: str = "pictures") -> Estimate:
    """Returns the mean over C of sum a / sum b, of independent rows (n, 2, C) of (a, b), with the interval over rows.

    Ratios with sum b = 0 do not count. The spread of a ratio that rests on few rows is not seen in them: its variance
    comes from its own interval instead (`ratio_share`).
    """
    table = np.asarray(parts, float)
    table = table[:, :, table[:, 1].sum(0) > 0]
    n, _, count = table.shape
    if not n or not count:
        return Estimate(math.nan, math.nan, math.nan, n, "", rows)
    moves, values, rare = np.zeros(n), [], 0.0
    for number in range(count):
        one = table[:, :, number]
        ratio, influence = _ratio(one)
        values.append(ratio)
        if one[:, 1].sum() ** 2 / (one[:, 1] ** 2).sum() >= intervals.FEWEST_ROWS:
            moves += influence / count
        else:
            low, high = intervals.share_ends(ratio, influence, one[:, 1])
            rare += ((float(high) - float(low)) / (2 * intervals.Z95 * count)) ** 2
    value = float(np.mean(values))
    return _clusters(value, intervals.share_ends(value, moves, also=rare), n, rows)


def pooled_share(hits: ArrayLike, rows: str = "pools") -> Estimate:
    """Returns the share of hits (pools, queries), with the interval over pools.

    Where no pool or query tells how much pools differ, queries count as independent, as they nearly are.
    """
    flags = np.asarray(hits, bool)
    return mean_share(flags.mean(1), rows, trials=flags.shape[1])


def two_set_share(flags: ArrayLike, moves: ArrayLike, rows: str = "pictures") -> Estimate:
    """Returns the share of true flags (n,) of one set of pictures, which depend on another set of pictures (m,) too.

    `moves` (m,) is the change of the share if one of those were left out. The interval is over both sets.
    """
    table = np.asarray(flags, float)
    value, n = float(table.mean()), len(table)
    variance = value * (1 - value) / n + _left_out(moves)
    few = min(value, 1 - value) * n < 1 or variance == 0
    effective = n / 2 if few else value * (1 - value) / variance
    return _estimate(value, intervals.wilson_ends(value, effective), n, "clusters", rows)


def auc(scores: ArrayLike, right: ArrayLike, rows: str = "prompts") -> Estimate:
    """Returns how well scores (P, K) separate right from wrong candidates of one prompt: 1 is perfect, 0.5 chance."""
    return ratio_share(ordered_pairs(scores, right), rows)


def ordered_pairs(scores: ArrayLike, right: ArrayLike) -> NDArray[np.float64]:
    """Returns (P, 2) per prompt: correctly ordered pairs of a right and a wrong candidate, and all such pairs.

    `scores` and `right` are (P, K); ties count one half. The ratio of the sums is the area under the curve.
    """
    s, r = np.asarray(scores, float), np.asarray(right, bool)
    pairs = r[:, :, None] & ~r[:, None, :]  # (P, K, K): right one, wrong one
    gap = s[:, :, None] - s[:, None, :]
    won = (gap > 0) + 0.5 * (gap == 0)
    return np.stack([(pairs * won).sum((1, 2)), pairs.sum((1, 2)).astype(float)], 1)


# other numbers


def mean(values: ArrayLike, rows: str = "pictures", *, least: float = -math.inf, most: float = math.inf) -> Estimate:
    """Returns the mean of independent values of any distribution in [least, most], with Student's widened interval.

    Two different values that both occur again are a share. There is no interval for fewer rows than
    `intervals.FEWEST_ROWS`, nor if nearly all are equal: how large rare values are is then unknown.
    """
    table = np.asarray(values, float).ravel()
    n, value = len(table), float(table.mean()) if len(table) else math.nan
    different, times = np.unique(table, return_counts=True)
    # a value that occurs once does not say that others of its kind are as large
    if len(different) == 2 and n >= intervals.FEWEST_ROWS and times.min() > 1:
        first, last = different.tolist()
        hits = share(table == last, rows)
        ends = (first + (last - first) * hits.low, first + (last - first) * hits.high)
        return _estimate(value, ends, n, "wilson", rows)
    if n < intervals.FEWEST_ROWS:
        return _none(value, n, TOO_FEW, rows)
    low, high = np.clip(intervals.mean_ends(table), least, most)
    return _estimate(value, (low, high), n, "skewed", rows)


def mean_difference(values: ArrayLike, rows: str = "prompts") -> Estimate:
    """Returns the mean of paired differences in [-1, 1], as of two shares, with Bonett and Price's interval."""
    table = np.asarray(values, float).ravel()
    n = len(table)
    if n < 2:
        return _none(float(table.mean()) if n else math.nan, n, TOO_FEW, rows)
    return _estimate(float(table.mean()), intervals.difference_ends(table), n, "paired", rows)


def mean_of_averages(values: ArrayLike, rows: str = "runs") -> Estimate:
    """Returns the mean of rows that are themselves averages, so about normal, with Student's interval from two rows."""
    table = np.asarray(values, float).ravel()
    n = len(table)
    low, high = intervals.student_ends(table)
    kind = TOO_FEW if n < 2 else EQUAL if np.isnan(low) else "student"
    return _estimate(float(table.mean()), (low, high), n, kind, rows)


def rate(parts: ArrayLike, rows: str = "batches") -> Estimate:
    """Returns sum a / sum b of rows (n, 2) of (a, b), such as pictures and seconds, with Student's interval."""
    value, moves = _ratio(np.asarray(parts, float))
    found = mean_of_averages(value + moves, rows)
    return replace(found, value=value, low=float(np.maximum(0, found.low)))


def two_set_mean(values: ArrayLike, moves: ArrayLike, rows: str = "pictures") -> Estimate:
    """Returns the mean of values (n,) >= 0 of one set of pictures; otherwise like `two_set_share`."""
    table = np.asarray(values, float)
    value, n = float(table.mean()), len(table)
    error = math.sqrt(table.var(ddof=1) / n + _left_out(moves)) if n > 1 else 0.0
    if n < intervals.FEWEST_ROWS or error == 0:
        return _none(value, n, EQUAL if n >= intervals.FEWEST_ROWS else TOO_FEW, rows)
    half = float(intervals.student_quantile(n - 1)) * error
    return _estimate(value, (max(0.0, value - half), value + half), n, "jackknife", rows)


def combined(estimates: Sequence[Estimate], rows: str = "sets") -> Estimate:
    """Returns the mean of independent estimates; its ends follow from theirs (Zou and Donner 2008).

    There is no interval if any of them has none.
    """
    table = np.array([[e.value, e.low, e.high] for e in estimates])
    value = float(table[:, 0].mean())
    if not all(e.has_interval for e in estimates):
        return _none(value, len(table), TOO_FEW, rows)
    gaps = np.abs(table[:, 1:] - table[:, :1])
    below, above = (np.sqrt((gaps**2).sum(0)) / len(table)).tolist()
    return _estimate(value, (value - below, value + above), len(table), "combined", rows)


# the parts


def _ratio(table: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Returns sum a / sum b of rows (n, 2), and n times the move of the ratio with the weight of each row."""
    top, bottom = table.mean(0).tolist()
    return top / bottom, (table[:, 0] - top / bottom * table[:, 1]) / bottom


def _left_out(moves: ArrayLike) -> float:
    """Returns the variance that the jackknife finds from the change without each row."""
    changes = np.asarray(moves, float)
    return float((len(changes) - 1) / len(changes) * np.square(changes - changes.mean()).sum())


def _clusters(value: float, ends: intervals.Ends, count: int, rows: str) -> Estimate:
    return _none(value, count, TOO_FEW, rows) if count < 2 else _estimate(value, ends, count, "clusters", rows)


def _none(value: float, count: int, kind: str, rows: str) -> Estimate:
    return Estimate(value, math.nan, math.nan, count, kind if value == value else "", rows)


def _estimate(value: float, ends: Sequence[Any], count: int, kind: str, rows: str) -> Estimate:
    low, high = map(float, ends)
    if math.isnan(value) or math.isnan(low) or math.isnan(high):
        return _none(value, count, kind if kind in (TOO_FEW, EQUAL) else EQUAL, rows)
    return Estimate(value, low, high, count, kind, rows)
