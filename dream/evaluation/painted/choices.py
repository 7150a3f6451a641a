"""Choosing one of K candidates: exact expectations over all smaller sets, and rank correlation of two scores.

Arrays are (P, K), one row per prompt. Ties are broken at random: tied candidates share the choice equally.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def value_of_choice(scores: ArrayLike, values: ArrayLike, size: int | None = None) -> Array:
    """(P,): expected value of the candidate with the best score among `size` of the K (default: all).

    Exact over all C(K, size) sets, without sampling. `size` must be in [1, K].
    """
    values = np.asarray(values, float)
    return (choice_weights(scores, values.shape[1] if size is None else size) * values).sum(1)


def choice_weights(scores: ArrayLike, size: int) -> Array:
    """(P, K): probability that each candidate has the best score in a random set of `size`.

    With b candidates better and e equal (itself included), its group wins in C(K - b, size) - C(K - b - e, size) of the
    C(K, size) sets, and each member of the group in an equal share of them.
    """
    s = np.asarray(scores, float)
    better = (s[:, None, :] > s[:, :, None]).sum(2)  # (P, K)
    equal = (s[:, None, :] == s[:, :, None]).sum(2)
    sets = _sets(s.shape[1], size)
    left = s.shape[1] - better
    return (sets[left] - sets[left - equal]) / (equal * sets[-1])


def any_hit(hits: ArrayLike, size: int | None = None) -> Array:
    """(P,): probability that a random set of `size` of the K candidates (default: all) contains a hit."""
    flags = np.asarray(hits, bool)
    count = flags.shape[1]
    sets = _sets(count, count if size is None else size)
    return 1 - sets[count - flags.sum(1)] / sets[-1]


def between(expected: Callable[[int], Array], size: float) -> Array:
    """`expected` (a function of a whole size) at the fractional `size`: some prompts get one more than others."""
    low = math.floor(size)
    share = size - low
    return expected(low) if share < 1e-9 else (1 - share) * expected(low) + share * expected(low + 1)


def ranks(values: ArrayLike) -> Array:
    """(P, K): ranks within the row, 1 the lowest; ties share their mean rank."""
    v = np.asarray(values, float)
    below = (v[:, None, :] < v[:, :, None]).sum(2)
    equal = (v[:, None, :] == v[:, :, None]).sum(2)
    return below + (equal + 1) / 2


def rank_correlations(first: ArrayLike, second: ArrayLike) -> Array:
    """(P,): Spearman's rank correlation within each row; NaN if one of the two is constant."""
    a, b = (r - r.mean(1, keepdims=True) for r in (ranks(first), ranks(second)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))


def _sets(count: int, size: int) -> Array:
    """(count + 1,): number of ways to choose `size` out of 0 .. count."""
    if not 1 <= size <= count:
        raise ValueError(f"size must be in [1, {count}], got {size}")
    return np.array([math.comb(n, size) for n in range(count + 1)], float)
