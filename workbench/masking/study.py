"""Effects of a masking over a training, as plain numbers.

Density, location and true mean of the mask ratio, the objectives that draws train, the chance that a batch trains
both, draws at a moment, and masks. All of it follows `dream.masking`, including the rounding to whole tokens.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from dream.config import MaskingConfig, ObjectiveConfig
from dream.masking import (
    RatioDistribution,
    masking_center,
    num_masked,
    ratio_distribution,
    sample_mask_ratios,
    sample_masks,
)
from dream.randomness import generator
from workbench.masking.settings import used_parts

MOMENTS = 101
"""Number of moments at which curves are computed."""
BINS = 60
"""Number of mask-ratio bins in a density."""
GROUP_COUNTS = (1, 2, 4, 8, 32)
"""Numbers of groups for which the chance of both objectives is shown, besides the chosen one."""


class Shares(NamedTuple):
    """Shares of all draws, 0 to 1; `contrast` and `generation` both include `both`."""

    contrast: float
    generation: float
    both: float
    neither: float


@dataclass(frozen=True)
class Schedule:
    """A masking over the training. P moments, B bins of the mask ratio."""

    progress: np.ndarray
    """(P,) training progress, 0 to 1."""
    edges: np.ndarray
    """(B + 1,) edges of the mask-ratio bins."""
    density: np.ndarray
    """(P, B) mean density in a bin, per unit of mask ratio; integrates to 1."""
    center: np.ndarray
    """(P,) location of the normal; NaN if there is none."""
    mean: np.ndarray
    """(P,) true mean of the ratio."""
    shares: dict[str, np.ndarray]
    """(P,) by field of `Shares`."""
    chance: dict[int, np.ndarray]
    """(P,) chance that a batch trains both objectives, by number of groups."""
    groups: int
    min_masked: float
    max_masked: float
    """Highest ratio that counts in contrast."""


@dataclass(frozen=True)
class Moment:
    """The mask ratio at one moment: closed form and draws."""

    progress: float
    center: float | None
    mean: float
    """True mean in closed form."""
    ratios: np.ndarray
    """(draws,) ratios drawn by `dream.masking`."""
    at: np.ndarray
    """(M,) mask ratios of the density curve."""
    density: np.ndarray
    """(M,) closed-form density there, without the point masses."""
    points: list[tuple[float, float]]
    """(ratio, share of the draws) of each point mass."""
    shares: Shares
    counted: Shares
    """The same shares, counted in the draws."""
    chance: float


class DrawnMask(NamedTuple):
    """Mask of one group, with the objectives it trains."""

    ratio: float
    hidden: np.ndarray
    """(grid, grid) bool, True = hidden."""
    contrast: bool
    generation: bool


def mixture(progress: float, masking: MaskingConfig, objective: ObjectiveConfig) -> dict[RatioDistribution, float]:
    """Returns the distribution of a ratio over all groups: components with weights that sum to 1."""
    weights: dict[RatioDistribution, float] = {}
    for part, count in zip(_parts(progress, masking, objective), _counts(masking), strict=True):
        if count:
            weights[part] = weights.get(part, 0.0) + count / masking.groups
    return weights


def _parts(progress: float, masking: MaskingConfig, objective: ObjectiveConfig) -> list[RatioDistribution]:
    return used_parts(ratio_distribution(progress, masking), masking, objective)


def _counts(masking: MaskingConfig) -> list[int]:
    """Returns how many groups of a batch draw from each part."""
    if masking.generation_share is None:
        return [masking.groups]
    generative = round(masking.groups * masking.generation_share)
    return [generative, masking.groups - generative]


def bounds(objective: ObjectiveConfig, num_tokens: int) -> tuple[float, float]:
    """Returns (a, b): ratios above `a` count in generation, ratios up to `b` in contrast.

    Rounding to whole tokens shifts both slightly from the configured bounds.
    """
    share = np.arange(num_tokens + 1) / num_tokens
    generation = np.flatnonzero((share >= objective.min_masked) & (share > 0))
    contrast = np.flatnonzero(1.0 - share >= objective.min_visible)
    return float(share[generation[0] - 1]), float(share[contrast[-1]])


def mean_shares(progress: float, masking: MaskingConfig, objective: ObjectiveConfig, num_tokens: int) -> Shares:
    """Returns the shares of all draws at a moment that train contrast, generation, both or neither."""
    ends = _shares_below([progress], masking, objective, bounds(objective, num_tokens))
    return Shares(**{name: float(share[0]) for name, share in _trained(ends, masking).items()})


def chance_of_both(progress: float, masking: MaskingConfig, objective: ObjectiveConfig, num_tokens: int) -> float:
    """Returns the chance that a batch has a group that trains contrast and one (maybe the same) for generation."""
    ends = _shares_below([progress], masking, objective, bounds(objective, num_tokens))
    return float(_chance(ends, masking)[0])


def density_in_bins(
    progress: float, masking: MaskingConfig, objective: ObjectiveConfig, edges: Sequence[float]
) -> np.ndarray:
    """Returns the mean density (B,) in each bin, per unit of mask ratio; the first bin includes its lower edge."""
    return _density(_shares_below([progress], masking, objective, edges), masking, np.asarray(edges))[0]


def over_training(
    masking: MaskingConfig, objective: ObjectiveConfig, num_tokens: int, *, moments: int = MOMENTS, bins: int = BINS
) -> Schedule:
    """Returns the masking at `moments` evenly spaced moments of a training, start and end included."""
    progress = np.linspace(0.0, 1.0, moments)
    edges = np.linspace(0.0, 1.0, bins + 1)
    times = progress.tolist()
    below = _shares_below(times, masking, objective, [*edges.tolist(), *bounds(objective, num_tokens)])
    ends = below[..., -2:]
    chance = {g: _chance(ends, replace(masking, groups=g)) for g in sorted({*GROUP_COUNTS, masking.groups})}
    return Schedule(
        progress,
        edges,
        _density(below[..., :-2], masking, edges),
        np.array([center(t, masking) for t in times], dtype=float),
        np.array([true_mean(t, masking, objective) for t in times]),
        _trained(ends, masking),
        chance,
        masking.groups,
        objective.min_masked,
        1.0 - objective.min_visible,
    )


def _shares_below(
    times: Sequence[float], masking: MaskingConfig, objective: ObjectiveConfig, ratios: Sequence[float]
) -> np.ndarray:
    """Returns the probability (P, parts, R) that a draw from each part is at most each ratio, at each moment."""
    at = torch.tensor(ratios, dtype=torch.float64)
    return np.array([[part.shares_below(at).numpy() for part in _parts(t, masking, objective)] for t in times])


def _density(below: np.ndarray, masking: MaskingConfig, edges: np.ndarray) -> np.ndarray:
    """Returns the mean density (P, B) between edges from the shares of draws `below` them (P, parts, B + 1)."""
    below[..., 0] = 0.0
    return np.einsum("tpb,p->tb", np.diff(below), _weights(masking)) / np.diff(edges)


def _trained(ends: np.ndarray, masking: MaskingConfig) -> dict[str, np.ndarray]:
    """Returns (P,) for each field of `Shares`; `ends` (P, parts, 2) are the shares of draws below the two `bounds`."""
    below, contrast = ends[..., 0], ends[..., 1]
    both, neither = np.maximum(0.0, contrast - below), np.maximum(0.0, below - contrast)
    kinds = zip(Shares._fields, (contrast, 1.0 - below, both, neither), strict=True)
    return {name: kind @ _weights(masking) for name, kind in kinds}


def _chance(ends: np.ndarray, masking: MaskingConfig) -> np.ndarray:
    """Returns the chance (P,) that a batch trains both; `ends` (P, parts, 2) are the shares of draws below `bounds`."""
    draws = np.repeat(ends, _counts(masking), axis=1)  # (P, G, 2)
    if masking.stratified:  # each group draws a band of its part's quantiles
        sizes = np.repeat(_counts(masking), _counts(masking))
        band = np.concatenate([np.arange(count) for count in _counts(masking)])
        draws = np.clip(draws * sizes[:, None] - band[:, None], 0.0, 1.0)
    below, contrast = draws[..., 0], draws[..., 1]
    neither = np.maximum(0.0, below - contrast).prod(1)
    return np.clip(1 - below.prod(1) - (1 - contrast).prod(1) + neither, 0.0, 1.0)


def _weights(masking: MaskingConfig) -> np.ndarray:
    return np.array(_counts(masking)) / masking.groups


def center(progress: float, masking: MaskingConfig) -> float | None:
    """Returns the location of the normal at a moment; None for a schedule without one."""
    return masking_center(progress, masking) if masking.schedule in ("warmup", "constant") else None


def true_mean(progress: float, masking: MaskingConfig, objective: ObjectiveConfig) -> float:
    """Returns the mean of all ratios drawn at a moment."""
    return sum(weight * part.mean for part, weight in mixture(progress, masking, objective).items())


def draw_batches(
    progress: float, masking: MaskingConfig, objective: ObjectiveConfig, batches: int, seed: int = 0
) -> np.ndarray:
    """Returns the ratios (batches, G) of that many batches at a moment, drawn as in training."""
    source = generator(seed, "masking study")
    if not masking.stratified and masking.generation_share is None:  # groups are as independent as batches
        many = replace(masking, groups=batches * masking.groups)
        return np.array(sample_mask_ratios(progress, many, objective, source)).reshape(batches, -1)
    return np.array([sample_mask_ratios(progress, masking, objective, source) for _ in range(batches)])


def at_moment(
    progress: float,
    masking: MaskingConfig,
    objective: ObjectiveConfig,
    num_tokens: int,
    *,
    draws: int = 1600,
    seed: int = 0,
) -> Moment:
    """Returns the closed form and about `draws` draws at a moment."""
    at = np.linspace(0.0, 1.0, 401)
    density, points = np.zeros(len(at)), []
    for part, weight in mixture(progress, masking, objective).items():
        if part.low == part.high:
            points.append((part.low, weight))
        else:
            density += weight * part.density(torch.from_numpy(at)).numpy()
    ratios = draw_batches(progress, masking, objective, max(1, draws // masking.groups), seed).ravel()
    return Moment(
        progress,
        center(progress, masking),
        true_mean(progress, masking, objective),
        ratios,
        at,
        density,
        points,
        mean_shares(progress, masking, objective, num_tokens),
        counted_shares(ratios, objective, num_tokens),
        chance_of_both(progress, masking, objective, num_tokens),
    )


def counted_shares(ratios: np.ndarray, objective: ObjectiveConfig, num_tokens: int) -> Shares:
    """Returns the shares of these ratios that train contrast, generation, both or neither; NaN if there are none."""
    if not len(ratios):
        return Shares(*[math.nan] * 4)
    share = np.array([num_masked(ratio, num_tokens) for ratio in ratios.tolist()]) / num_tokens
    generation = (share >= objective.min_masked) & (share > 0)
    contrast = 1.0 - share >= objective.min_visible
    kinds = (contrast, generation, contrast & generation, ~contrast & ~generation)
    return Shares(*(float(kind.mean()) for kind in kinds))


def draw_masks(
    progress: float, masking: MaskingConfig, objective: ObjectiveConfig, grid: int, count: int, seed: int = 0
) -> list[DrawnMask]:
    """Returns `count` masks of `grid` x `grid` tokens, with the ratios of as many batches as needed."""
    batches = -(-count // masking.groups)
    ratios = draw_batches(progress, masking, objective, batches, seed).ravel()[:count].tolist()
    masks = sample_masks(ratios, count, grid**2, generator(seed, "masking study", "masks")).numpy()
    drawn = []
    for ratio, mask in zip(ratios, masks, strict=True):
        counted = counted_shares(np.array([ratio]), objective, grid**2)
        drawn.append(DrawnMask(ratio, mask.reshape(grid, grid), counted.contrast > 0, counted.generation > 0))
    return drawn
