"""Ends of 95 % intervals, as pure functions of arrays; NaN where no interval would hold what it promises.

`tests/dream/evaluation/test_interval_coverage.py` simulates how often each kind holds the truth. The percentile
bootstrap is not among them: it covers 75 % of the time with 3 rows and 90 % with 10, and less for rare events.

Arrays are (..., n): n rows that are independent of each other, and any number of data sets before them.
"""

import math
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Ends = tuple[Array, Array]
"""Low and high ends (...)."""

Z95 = 1.959964
FEWEST_ROWS = 8
"""Rows that a mean of arbitrary values needs; with fewer, skewed values are held less than 90 % of the time."""
FEWEST_OTHERS = 5
"""Rows that must differ from the most frequent value: the size of rare events is not known from fewer."""
WIDENING = 1.6
"""Over n: how much wider intervals of arbitrary values are; few rows show too little of a long tail."""
RARE_ENDS = (0.0, 0.051293, 0.355362, 0.817691)
"""Mean of a Poisson count that reaches 0, 1, 2 or 3 with a probability of 5 %."""


def wilson_ends(p: ArrayLike, n: ArrayLike) -> Ends:
    """Wilson's interval (1927) of a share p of n rows, with the correction of Brown, Cai and DasGupta for rare events.

    Wilson's own covers only 84 % where one row in n / 0.18 is a hit. For up to 3 hits (or misses) the end is that of a
    Poisson count (Statistical Science 16, 2001, section 4.1.1). Few rows that are all alike have the exact end, since
    Wilson's excludes one half for 4 hits of 4, which 6 % of all data sets are. n may be an effective number of rows.
    """
    share, rows = np.asarray(p, float), np.asarray(n, float)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scale = 1 + Z95**2 / rows
        middle = (share + Z95**2 / (2 * rows)) / scale
        half = Z95 * np.sqrt(share * (1 - share) / rows + Z95**2 / (4 * rows**2)) / scale
        low = np.minimum(middle - half, _rare_end(share, rows))
        high = np.maximum(middle + half, 1 - _rare_end(1 - share, rows))
        exact = np.where(rows < FEWEST_ROWS, 0.025 ** (1 / rows), np.inf)
        low = np.where(share >= 1, np.minimum(low, exact), low)
        high = np.where(share <= 0, np.maximum(high, 1 - exact), high)
    # at 0 and 1, rounding would put the value just outside the interval
    return np.clip(np.minimum(low, share), 0, 1), np.clip(np.maximum(high, share), 0, 1)


def _rare_end(share: Array, rows: Array) -> Array:
    hits = share * rows
    return np.where(hits <= 3 + 1e-9, np.interp(hits, range(4), RARE_ENDS) / rows, np.inf)


def student_ends(values: ArrayLike) -> Ends:
    """Student's interval of the mean of two or more rows that are themselves averages, so about normal: runs, pools."""
    table = np.asarray(values, float)
    middle, error = _moments(table)
    half = student_quantile(max(1, table.shape[-1] - 1)) * error
    return middle - half, middle + half


def mean_ends(values: ArrayLike) -> Ends:
    """Interval of the mean of rows of any distribution: Student's, widened by Hall's correction for skewness.

    Hall (1992, JRSS B 54, 221) turns the t statistic into one without skewness by a cubic that can be inverted. With
    Student's on the other side, it covers skewed values better than BCa and the studentized bootstrap do, from 8 rows.
    It is widened by WIDENING / n: without that, 8 to 15 rows with a long tail or a rare second cluster are held 91 to
    93 % of the time.
    """
    table = np.asarray(values, float)
    n = table.shape[-1]
    middle, error = _moments(table)
    if n < FEWEST_ROWS:
        return np.full_like(middle, np.nan), np.full_like(middle, np.nan)
    few = n - _most_frequent(table) < FEWEST_OTHERS
    error = np.where(few, np.nan, error)
    low, high = _skewed(table, error, student_quantile(n - 1))
    return middle - low * (1 + WIDENING / n), middle + high * (1 + WIDENING / n)


def _skewed(table: Array, error: Array, quantile: Array) -> Ends:
    """Distances below and above the mean: the longer of Student's and of those with Hall's correction for skewness."""
    n = table.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        cubes = ((table - table.mean(-1, keepdims=True)) ** 3).mean(-1) / (error * math.sqrt(n)) ** 3
        a = cubes * n**2 / ((n - 1) * (n - 2)) / 3
        a = np.where(np.abs(a) < 1e-6, 1e-6, a)

    def statistic(end: Array) -> Array:
        """The t statistic whose value without skewness is `end`: the inverse of Hall's cubic."""
        return math.sqrt(n) / a * (np.cbrt(1 + 3 * a * (end / math.sqrt(n) - a / (2 * n))) - 1)

    return error * np.maximum(quantile, statistic(quantile)), error * np.maximum(quantile, -statistic(-quantile))


def share_ends(
    value: ArrayLike, influence: ArrayLike, weights: ArrayLike | None = None, trials: int = 1, also: float = 0.0
) -> Ends:
    """Interval of a share in [0, 1] whose rows move it by `influence` (..., n) / n: means, ratios, areas under curves.

    It is Wilson's with the effective number of rows, value (1 - value) / variance, and Student's quantile (Korn and
    Graubard 1998), widened by Hall's correction. Where too few rows tell the variance, or all are equal, each counts
    as `trials` coin tosses, as rows that are `weights` (..., n) alike do: nothing in [0, 1] varies more than a coin.
    `also` is variance that the influence lacks.
    """
    share, moves = np.asarray(value, float), np.asarray(influence, float)
    n = moves.shape[-1]
    size = np.ones_like(moves) if weights is None else np.asarray(weights, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        rows = size.sum(-1) ** 2 / (size**2).sum(-1)
        error = np.sqrt(moves.var(-1, ddof=1) / n + also) if n > 1 else np.full_like(share, np.nan)
        quantile = student_quantile(_degrees(moves))
        spread = wilson_ends(share, share * (1 - share) / error**2 * (Z95 / quantile) ** 2)
        if n >= FEWEST_ROWS:
            low, high = _skewed(moves, error, quantile)
            spread = np.fmax(0, np.fmin(spread[0], share - low)), np.fmin(1, np.fmax(spread[1], share + high))
        few = (rows < (FEWEST_ROWS if weights is not None else 3)) | (np.minimum(share, 1 - share) * rows * trials < 1)
        few |= ~(error > 1e-12)  # equal rows would have an interval without width
        tossed = wilson_ends(share, rows * trials)
    return np.where(few, tossed[0], spread[0]), np.where(few, tossed[1], spread[1])


def _degrees(moves: Array) -> Array:
    """Degrees of freedom of the variance of rows (..., n): fewer where a few of them make most of it."""
    n = moves.shape[-1]
    centred = moves - moves.mean(-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        kurtosis = (centred**4).mean(-1) / (centred**2).mean(-1) ** 2
        return np.clip(np.nan_to_num(2 * n / (kurtosis - 1), nan=n, posinf=n), 1, max(1, n - 1))


def difference_ends(values: ArrayLike) -> Ends:
    """Interval of the mean of paired differences in [-1, 1], which are mostly 0, with two more rows: one -1 and one 1.

    That is Bonett and Price's interval (2012) for differences of paired shares, with Student's quantile. It has a width
    even where all differences are 0.
    """
    table = np.asarray(values, float)
    n = table.shape[-1]
    middle = table.sum(-1) / (n + 2)
    square = ((table**2).sum(-1) + 2) / (n + 2)
    half = student_quantile(n + 1) * np.sqrt((square - middle**2) / (n + 2))
    value = table.mean(-1)
    return np.clip(np.minimum(middle - half, value), -1, 1), np.clip(np.maximum(middle + half, value), -1, 1)


def student_quantile(degrees: ArrayLike) -> Array:
    """97.5 % quantile of Student's t distribution with any degrees of freedom from 1, to 1e-4."""
    inverse, quantiles = _student_table()
    return np.interp(1 / np.asarray(degrees, float), inverse, quantiles)


@cache
def _student_table() -> tuple[Array, Array]:
    """1 / degrees of freedom, and the quantiles.

    With t = sqrt(degrees) tan(angle), the density is cos^(degrees - 1) of the angle.
    """
    inverse = np.linspace(0, 1, 421)
    angles = np.linspace(0, math.pi / 2, 4001)
    found = [Z95]
    for degrees in 1 / inverse[1:]:
        density = np.cos(angles) ** (degrees - 1)
        area = np.concatenate([[0], np.cumsum(density[1:] + density[:-1])])
        found.append(math.sqrt(degrees) * math.tan(np.interp(0.95 * area[-1], area, angles)))
    return inverse, np.array(found)


def _moments(table: Array) -> Ends:
    """Mean and its standard error, NaN for fewer than two rows and for rows that are all equal."""
    n = table.shape[-1]
    middle = table.mean(-1) if n else np.full(table.shape[:-1], np.nan)
    if n < 2:
        return middle, np.full_like(middle, np.nan)
    error = table.std(-1, ddof=1) / math.sqrt(n)
    return middle, np.where(np.ptp(table, -1) <= 1e-12 * np.abs(table).max(-1), np.nan, error)


def _most_frequent(table: Array) -> NDArray[np.int64]:
    """(...): how many rows have the most frequent value."""
    ordered = np.sort(table, -1)
    run = np.ones(table.shape[:-1], np.int64)
    longest = run
    for i in range(1, table.shape[-1]):
        run = np.where(ordered[..., i] == ordered[..., i - 1], run + 1, 1)
        longest = np.maximum(longest, run)
    return longest
