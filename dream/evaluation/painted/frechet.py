"""How far apart two sets of pictures are, from features of each: Frechet distance, precision and recall, and
the Inception Score. Pure functions of arrays; nothing about pictures or models.

The Frechet distance (FID under Inception features, arXiv 1706.08500) is that between two Gaussians with the
sets' means and covariances. Its estimate is biased upwards by about 1 / number of pictures, so distances are
comparable only between sets of the same sizes, and the interval is of the distance at these sizes.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dream.evaluation.statistics import Z95, Estimate

Array = NDArray[np.float64]

ROWS = 256
"""Rows of a distance matrix that are held at once."""


@dataclass(frozen=True)
class Moments:
    """Mean and scatter of n features of D numbers; those of two sets add up to those of both."""

    count: int
    mean: Array
    """(D,)."""
    scatter: Array
    """(D, D) sum of outer products of what is left without the mean."""

    @classmethod
    def of(cls, features: ArrayLike) -> "Moments":
        """The moments of features (n, D), n at least 1."""
        x = np.asarray(features, np.float64)
        centre = x.mean(0)
        return cls(len(x), centre, (x - centre).T @ (x - centre))

    def __add__(self, other: "Moments") -> "Moments":
        """The moments of both sets (Chan et al. 1983): large sets are summed part by part."""
        count, gap = self.count + other.count, other.mean - self.mean
        between = np.outer(gap, gap) * self.count * other.count / count
        return Moments(count, self.mean + gap * other.count / count, self.scatter + other.scatter + between)

    @property
    def covariance(self) -> Array:
        """(D, D), divided by n - 1."""
        return self.scatter / (self.count - 1)


class _Root(NamedTuple):
    """A mean (D,) and a root (k, D) of the covariance: root^T root."""

    mean: Array
    root: Array


class _Factors(NamedTuple):
    """Centred features (n, D), over sqrt(n - 1), as basis (n, k) root (k, D) with orthonormal columns."""

    mean: Array
    basis: Array
    root: Array


def frechet_distance(a: "Moments | ArrayLike", b: "Moments | ArrayLike") -> float:
    """|mean a - mean b|^2 + tr(A + B - 2 (A B)^(1/2)) of two sets' features (n, D), or of their moments.

    The trace of the root of A B is the sum of the singular values of root_a root_b^T. No covariance is
    inverted and, given features, none is formed, so that singular ones do no harm.
    """
    return _distance(_root(a), _root(b))


def frechet_estimate(a: ArrayLike, b: ArrayLike) -> Estimate:
    """The distance of features (n, D) and (m, D), with the interval over pictures of both sets.

    Value +- 1.96 standard errors by the infinitesimal jackknife: how much the distance moves with the weight
    of each picture. For a, that is x (I - T) x + 2 (mean a - mean b) x for centred x, T being the linear map
    that carries the one Gaussian onto the other. The count is that of the smaller set.
    """
    one, other = _factors(a), _factors(b)
    left, values, right = np.linalg.svd(one.root @ other.root.T, full_matrices=False)
    gap = one.mean - other.mean
    value = max(0.0, float(gap @ gap + _square(one.root) + _square(other.root) - 2 * values.sum()))
    variance = 0.0
    for part, side, sign in ((one, left, 1.0), (other, right.T, -1.0)):
        influence = _influence(part, side, values, sign * gap)
        variance += influence.var(ddof=1) / len(influence)
    half = Z95 * math.sqrt(variance)
    return Estimate(value, max(0.0, value - half), value + half, min(len(one.basis), len(other.basis)))


def inception_scores(probabilities: ArrayLike, splits: int = 10) -> Array:
    """(splits,) exp of the mean KL divergence of class probabilities (n, C) from their mean, split by split.

    The Inception Score (arXiv 1606.03498) is their mean; splits are consecutive, as torch-fidelity cuts them.
    With fewer pictures than splits there are fewer splits.
    """
    table = np.asarray(probabilities, np.float64)
    splits = min(splits, len(table))
    cuts = [i * len(table) // splits for i in range(splits + 1)]
    return np.array([_inception_score(table[a:b]) for a, b in itertools.pairwise(cuts)])


class Overlap(NamedTuple):
    """What k-nearest-neighbour balls say of two sets; precision and recall of arXiv 1904.06991, density and
    coverage of arXiv 2002.09797.
    """

    precision: NDArray[np.bool_]
    """(painted,): in the ball of some real picture (as far as its k-th nearest real neighbour)."""
    recall: NDArray[np.bool_]
    """(real,): in the ball of some painted picture."""
    density: Array
    """(painted,): real pictures' balls that hold it, over k."""
    coverage: NDArray[np.bool_]
    """(real,): its ball holds a painted picture."""


def overlap(real: ArrayLike, painted: ArrayLike, k: int = 3) -> Overlap:
    """Flags of each picture of two sets of features (n, D) and (m, D), both of more than k pictures."""
    x, y = np.asarray(real, np.float64), np.asarray(painted, np.float64)
    if min(len(x), len(y)) <= k:
        raise ValueError(f"{k} neighbours need more than {k} pictures, got {len(x)} real, {len(y)} painted")
    reach, painted_reach = _radii(x, k), _radii(y, k)
    recall, coverage, holding = np.zeros(len(x), bool), np.zeros(len(x), bool), np.zeros(len(y))
    for rows, distances in _distances(x, y):
        held = distances <= reach[rows, None]  # (rows, m): in the real pictures' balls
        holding += held.sum(0)
        coverage[rows] = held.any(1)
        recall[rows] = (distances <= painted_reach).any(1)
    return Overlap(holding > 0, recall, holding / k, coverage)


def _distance(one: _Root, other: _Root) -> float:
    shared = np.linalg.svd(one.root @ other.root.T, compute_uv=False).sum()
    gap = one.mean - other.mean
    return max(0.0, float(gap @ gap + _square(one.root) + _square(other.root) - 2 * shared))


def _square(root: Array) -> float:
    return float(np.square(root).sum())


def _root(of: "Moments | ArrayLike") -> _Root:
    if not isinstance(of, Moments):
        found = _factors(of)
        return _Root(found.mean, found.root)
    values, vectors = np.linalg.eigh(of.covariance)
    least = len(values) * np.finfo(np.float64).eps * max(values[-1], 0.0)  # what lies below is rounding
    kept = values > least
    return _Root(of.mean, np.sqrt(values[kept])[:, None] * vectors[:, kept].T)


def _factors(features: ArrayLike) -> _Factors:
    x = np.asarray(features, np.float64)
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"a covariance needs 2 or more features (n, D), got shape {x.shape}")
    centre = x.mean(0)
    basis, root = np.linalg.qr((x - centre) / math.sqrt(len(x) - 1))
    return _Factors(centre, basis, root)


def _influence(part: _Factors, side: Array, values: Array, gap: Array) -> Array:
    """(n,): what each picture's weight does to the distance, from the singular vectors of its `side`."""
    count = len(part.basis)
    centred = part.basis @ part.root  # over sqrt(n - 1)
    carried = np.square(part.basis @ side) @ values  # x T x, likewise over n - 1
    return (count - 1) * (np.square(centred).sum(1) - carried) + 2 * math.sqrt(count - 1) * (centred @ gap)


def _inception_score(table: Array) -> float:
    marginal = np.broadcast_to(table.mean(0), table.shape)
    there = table > 0
    divergence = table[there] * np.log(table[there] / marginal[there])
    return math.exp(divergence.sum() / len(table))


def _radii(features: Array, k: int) -> Array:
    """(n,): distance of each to its k-th nearest other."""
    parts = []
    for rows, distances in _distances(features, features):
        distances[np.arange(len(distances)), rows] = math.inf
        parts.append(np.partition(distances, k - 1, axis=1)[:, k - 1])
    return np.concatenate(parts)


def _distances(one: Array, other: Array) -> Iterator[tuple[NDArray[np.int64], Array]]:
    """Row numbers of `one`, and distances to all of `other`, ROWS at a time; of equal ones exactly 0."""
    import torch

    exact = "donot_use_mm_for_euclid_dist"
    there = torch.from_numpy(other)
    for start in range(0, len(one), ROWS):
        part = torch.from_numpy(one[start : start + ROWS])
        yield np.arange(start, start + len(part)), torch.cdist(part, there, compute_mode=exact).numpy()
