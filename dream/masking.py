"""Which tokens are hidden, and when: Masking Warmup, orders, masks and the reveal schedule, as pure functions.

Functions that draw random numbers take a generator. The images of one ratio group share a mask ratio: a batch is
split into `MaskingConfig.groups` groups, over all ranks. The published training has one group per rank on 32 ranks. See
docs/method.md, Masking Warmup.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Generator, Tensor

from dream.config import MaskingConfig, ObjectiveConfig
from dream.normal_tail import NormalTail

FAR_SPREADS = 6.0
"""Beyond this distance, in spreads between the location and the nearest allowed ratio, `NormalTail` takes over.
Up to it, the probability of a whole tail (1e-9) keeps 7 digits as a difference of float64 numbers."""


@dataclass(frozen=True)
class RatioDistribution:
    """Distribution of the mask ratio at one moment: a normal(center, std) truncated to [low, high].

    `std = inf` gives the uniform distribution, `low == high` a single ratio. `center` is the location, not the mean; it
    may be any number of spreads outside the interval.
    """

    center: float
    std: float
    low: float
    high: float

    def quantile(self, share: Tensor) -> Tensor:
        """Ratios below which `share` (any shape, in [0, 1]) of the draws fall."""
        share = share.double()
        if math.isinf(self.std) or self.low == self.high:
            return self.low + share * (self.high - self.low)
        if (tail := self._tail) is not None:
            ratio = self._ratio(tail.quantile(share if self._center_is_below else 1 - share))
        else:
            ratio = self.center + self.std * torch.special.ndtri(self._below + share * self._mass)
        return ratio.clamp(self.low, self.high)

    def cdf(self, ratio: float) -> float:
        """Probability of a draw at or below `ratio`."""
        return self.shares_below(torch.tensor(ratio, dtype=torch.float64)).item()

    def shares_below(self, ratio: Tensor) -> Tensor:
        """Probability of a draw at or below each `ratio` (any shape, float64)."""
        if self.low == self.high:
            return (ratio >= self.low).double()
        inside = ratio.clamp(self.low, self.high)
        if math.isinf(self.std):
            share = (inside - self.low) / (self.high - self.low)
        elif (tail := self._tail) is not None:
            share = tail.cdf(self._distance(inside))
            share = share if self._center_is_below else 1 - share
        else:
            normal = 0.5 * torch.special.erfc(-(inside - self.center) / self.std / math.sqrt(2))
            share = (normal - self._below) / self._mass
        return torch.where(ratio >= self.high, 1.0, torch.where(ratio < self.low, 0.0, share.clamp(0.0, 1.0)))

    def density(self, ratio: Tensor) -> Tensor:
        """Probability density at `ratio` (any shape); zero outside [low, high], and everywhere if low == high."""
        inside = (ratio >= self.low) & (ratio <= self.high)
        if self.low == self.high:
            return torch.zeros_like(ratio)
        if math.isinf(self.std):
            return inside / (self.high - self.low)
        if (tail := self._tail) is not None:
            return inside * tail.density(self._distance(ratio.clamp(self.low, self.high))) / self.std
        z = (ratio - self.center) / self.std
        return inside * torch.exp(-0.5 * z**2) / (self.std * math.sqrt(2 * math.pi) * self._mass)

    @property
    def mean(self) -> float:
        """Mean after truncation, which lies well inside the interval."""
        return self._moments()[0]

    @property
    def deviation(self) -> float:
        """Standard deviation after truncation."""
        return self._moments()[1]

    def restricted(self, low: float, high: float) -> "RatioDistribution":
        """The same distribution conditioned on [low, high]; if the intervals do not meet, its nearest ratio."""
        low, high = max(self.low, low), min(self.high, high)
        if low > high:
            low = high = low if self.low > high else high
        return replace(self, low=low, high=high)

    @cached_property
    def _below(self) -> float:
        """Probability of the normal below the interval."""
        return self._normal_cdf(self.low)

    @cached_property
    def _mass(self) -> float:
        """Probability of the normal inside the interval."""
        return self._normal_cdf(self.high) - self._below

    @cached_property
    def _tail(self) -> NormalTail | None:
        """Distribution of the distance from the nearest allowed ratio, if the location is far from that ratio."""
        away = max(self.low - self.center, self.center - self.high) / self.std
        return NormalTail(away, (self.high - self.low) / self.std) if away > FAR_SPREADS else None

    @property
    def _center_is_below(self) -> bool:
        """Whether the nearest allowed ratio is `low`, so that distances from it grow with the ratio."""
        return self.center < self.low

    def _distance(self, ratio: Tensor) -> Tensor:
        return (ratio - self.low if self._center_is_below else self.high - ratio) / self.std

    def _ratio(self, distance: Tensor) -> Tensor:
        return self.low + self.std * distance if self._center_is_below else self.high - self.std * distance

    def _normal_cdf(self, ratio: float) -> float:
        return 0.5 * math.erfc(-(ratio - self.center) / self.std / math.sqrt(2))

    def _moments(self) -> tuple[float, float]:
        if self.low == self.high:
            return self.low, 0.0
        if math.isinf(self.std):
            return (self.low + self.high) / 2, (self.high - self.low) / math.sqrt(12)
        if (tail := self._tail) is not None:
            distance, deviation = tail.moments()
            return self._ratio(torch.tensor(distance, dtype=torch.float64)).item(), self.std * deviation
        a, b = (self.low - self.center) / self.std, (self.high - self.center) / self.std
        pdf_a, pdf_b = (math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi) for x in (a, b))
        shift = (pdf_a - pdf_b) / self._mass
        variance = 1 + (a * pdf_a - b * pdf_b) / self._mass - shift**2
        return self.center + self.std * shift, self.std * math.sqrt(max(variance, 0.0))


def masking_center(progress: float, config: MaskingConfig) -> float:
    """Location of the truncated normal that mask ratios are drawn from (DREAM, Masking Warmup).

    Moves from `center_start` to `center_end` while progress (0 to 1) goes from `hold` to `warmup_end`, then stays. It
    is the location, not the mean: at std 0.45 on [0, 1], center 0 gives mean ratio 0.34 and center 1 gives 0.66.
    """
    if config.schedule == "constant":
        return config.center_end
    if progress >= config.warmup_end:
        moved = 1.0
    else:
        moved = max(0.0, progress - config.hold) / (config.warmup_end - config.hold)
    if config.shape == "cosine":
        moved = (1 - math.cos(math.pi * moved)) / 2
    return config.center_start + (config.center_end - config.center_start) * moved


def ratio_distribution(progress: float, config: MaskingConfig) -> RatioDistribution:
    """Distribution of the mask ratio at `progress` (0 to 1) of the training, for each `config.schedule`."""
    if config.schedule == "never":
        return RatioDistribution(0.0, math.inf, 0.0, 0.0)
    if config.schedule == "uniform":
        return RatioDistribution(0.5, math.inf, config.low, config.high)
    center = masking_center(progress, config)
    std_end = config.std if config.std_end is None else config.std_end
    std = config.std + (std_end - config.std) * min(max(progress, 0.0), 1.0)
    whole = RatioDistribution(center, std, config.low, config.high)
    return whole.restricted(center - std, center + std) if config.moving_interval else whole


def sample_mask_ratios(
    progress: float, config: MaskingConfig, objective: ObjectiveConfig, generator: Generator
) -> list[float]:
    """One mask ratio for each of the `config.groups` ratio groups in a step's batch.

    With `generation_share` that share of the groups (rounded) draws from the ratios that count in the generative loss,
    the others from those that count in the contrastive loss. With `stratified` each set of n groups takes one draw from
    each of n quantile bands, in shuffled order.
    """
    whole = ratio_distribution(progress, config)
    if config.generation_share is None:
        ratios = _draw(whole, config.groups, config.stratified, generator)
        return ratios.tolist()
    for_generation = round(config.groups * config.generation_share)
    generative = whole.restricted(objective.min_masked, 1.0)
    contrastive = whole.restricted(0.0, 1.0 - objective.min_visible)
    ratios = torch.cat(
        [
            _draw(generative, for_generation, config.stratified, generator),
            _draw(contrastive, config.groups - for_generation, config.stratified, generator),
        ]
    )
    return ratios[torch.randperm(len(ratios), generator=generator)].tolist()


def num_masked(ratio: float, num_tokens: int) -> int:
    """Number of tokens hidden at `ratio`: ceil(N * ratio), exact if N * ratio is a whole number."""
    return min(num_tokens, math.ceil(round(num_tokens * ratio, 9)))


def sample_orders(batch: int, num_tokens: int, generator: Generator) -> Tensor:
    """Random permutations of the positions (B, N) long, one per image."""
    return torch.rand(batch, num_tokens, generator=generator).argsort(dim=1)


def coarse_places_last(orders: Tensor) -> Tensor:
    """Orders (B, N) with every second place of the square grid, as on a checkerboard, moved behind the others.

    Decoding then reveals a coarse half of the picture first (GtR, arXiv 2510.17171). Both halves keep their order.
    """
    grid = math.isqrt(orders.shape[1])
    coarse = (orders // grid + orders % grid) % 2 == 0
    return orders.gather(1, coarse.long().argsort(dim=1, stable=True))


def mask_from_order(order: Tensor, masked: int | Tensor) -> Tensor:
    """Mask (B, N) bool, True = hidden, of the first `masked` entries in each order (B, N).

    `masked` is one number or (B,). Decoding reveals an order from its end.
    """
    mask = torch.zeros(order.shape, dtype=torch.bool, device=order.device)
    if isinstance(masked, Tensor):
        first = torch.arange(order.shape[1], device=order.device) < masked[:, None]
        return mask.scatter(1, order, first)
    return mask.scatter(1, order[:, :masked], True)


def sample_masks(ratios: list[float], batch: int, num_tokens: int, generator: Generator) -> Tensor:
    """Masks (B, N) bool of a batch split into len(ratios) equal, contiguous ratio groups."""
    orders = sample_orders(batch, num_tokens, generator)
    groups = orders.chunk(len(ratios))
    return torch.cat(
        [mask_from_order(order, num_masked(r, num_tokens)) for order, r in zip(groups, ratios, strict=True)]
    )


def masked_share(mask: Tensor) -> Tensor:
    """Share of hidden tokens (B,) float64. It divides whole counts, so that thresholds compare exactly."""
    return mask.sum(dim=1).double() / mask.shape[1]


def counts_in_generation(mask: Tensor, min_masked: float) -> Tensor:
    """Images (B,) bool that hide enough for the generative loss. At ratio 0 there is nothing to predict."""
    share = masked_share(mask)
    return (share >= min_masked) & (share > 0)


def counts_in_contrast(mask: Tensor, min_visible: float) -> Tensor:
    """Images (B,) bool that are visible enough for the contrastive loss."""
    return 1.0 - masked_share(mask) >= min_visible


def reveal_schedule(num_tokens: int, num_steps: int, coarse_steps: int | None = None) -> list[int]:
    """Number of tokens to reveal at each of `num_steps` decoding steps (DREAM, section 4; MaskGIT's cosine).

    They sum to `num_tokens`. After step s, floor(N cos(pi/2 (s+1)/S)) tokens are still hidden, but at least one fewer
    than before, and at least one until the last step. With more steps than tokens some steps reveal nothing.
    With `coarse_steps` (below `num_steps`) these reveal half of the tokens, and the others the rest, each so.
    """
    if coarse_steps is not None:
        coarse = math.ceil(num_tokens / 2)
        rest = reveal_schedule(num_tokens - coarse, num_steps - coarse_steps)
        return reveal_schedule(coarse, coarse_steps) + rest
    if num_tokens == 0:
        return [0] * num_steps
    plan, hidden = [], num_tokens
    for step in range(num_steps):
        target = math.floor(num_tokens * math.cos(math.pi / 2 * (step + 1) / num_steps))
        after = max(1, min(hidden - 1, target)) if step < num_steps - 1 else 0
        plan.append(hidden - after)
        hidden = after
    return plan


def _draw(distribution: RatioDistribution, count: int, stratified: bool, generator: Generator) -> Tensor:
    share = torch.rand(count, generator=generator, dtype=torch.float64)
    if stratified:
        share = (torch.arange(count) + share) / max(count, 1)
        share = share[torch.randperm(count, generator=generator)]
    return distribution.quantile(share)
