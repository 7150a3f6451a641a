"""The part of a normal that lies far on one side of its location, cut to an interval: where differences of
its probabilities vanish in floating point, logarithms of their quotients do not.

Everything is said by `distance`: spreads from the end of the interval that is nearer to the location. It
knows nothing of masks.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)
FAR = 45.0
"""Mean distances beyond which the density is nothing."""
NEWTON_STEPS = 6
"""More than enough: the logarithm of the survival is nearly a straight line out there."""


@dataclass(frozen=True)
class NormalTail:
    """A standard normal at `start` (above 0) and beyond, as far as `start + width`."""

    start: float
    width: float

    def cdf(self, distance: Tensor) -> Tensor:
        """Probability of a draw at or below `distance` (any shape, in [0, width])."""
        return torch.expm1(self._log_survival(distance)) / torch.expm1(self._log_survival(self._width))

    def quantile(self, share: Tensor) -> Tensor:
        """Distances below which `share` (any shape, in [0, 1]) of the draws fall."""
        last = self._log_survival(self._width)
        wanted = torch.log1p(share.double() * torch.expm1(last)).clamp(min=last)
        distance = -2 * wanted / (self.start + torch.sqrt(self.start**2 - 2 * wanted))
        for _ in range(NEWTON_STEPS):
            distance = distance + (self._log_survival(distance) - wanted) / self._hazard(distance)
        return distance.clamp(0.0, self.width)

    def density(self, distance: Tensor) -> Tensor:
        """Probability density at `distance` (any shape, in [0, width]), per spread."""
        height = self._hazard(torch.zeros((), dtype=torch.float64)) * torch.exp(self._log_height(distance))
        return height / -torch.expm1(self._log_survival(self._width))

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of the distance, in spreads."""
        end = min(FAR, self.start * self.width)
        at = end * (NODES + 1) / 2  # in units of 1 / start, the mean distance of an endless tail
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
        """Probability beyond `distance` over the density there, up to a factor: about 1 / place."""
        return torch.special.erfcx((self.start + distance) / math.sqrt(2))

    def _log_survival(self, distance: Tensor) -> Tensor:
        """Logarithm of the probability beyond `distance`, relative to that beyond the start."""
        start = self._scaled(torch.zeros((), dtype=torch.float64))
        return torch.log(self._scaled(distance) / start) + self._log_height(distance)

    def _hazard(self, distance: Tensor) -> Tensor:
        return math.sqrt(2 / math.pi) / self._scaled(distance)
