"""Minutes into steps: how long a step takes over the masking schedule, and what else will take time.

It measures what it is handed and knows nothing of models. A training is a list of legs: the steps at which it
and each later extension end. Masking and the first learning-rate schedule belong to the first leg; an
extension stays at their end.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

PROGRESS_POINTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where step times are measured: what a step costs changes with the mask ratios."""
CALIBRATION_SHARE, CALIBRATION_SECONDS = 0.03, (3.0, 30.0)
"""Share of the budget spent on measuring, within bounds."""
OVERHEAD_SHARE = 0.2
"""Most of the budget that validations and sample sheets may take; there are fewer of them in a short run."""


@dataclass(frozen=True)
class StepCost:
    """Measured seconds of a step at `progress` points (rising from 0 to 1)."""

    progress: tuple[float, ...]
    seconds: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the whole schedule."""
        return float(np.trapezoid(self.seconds, self.progress))

    def at(self, progress: np.ndarray) -> np.ndarray:
        """Seconds at any progress, between the points."""
        return np.interp(progress, self.progress, self.seconds)


def calibration_seconds(budget: float) -> float:
    """How long to measure for a budget in seconds."""
    low, high = CALIBRATION_SECONDS
    return min(max(CALIBRATION_SHARE * budget, low), high)


def measure_steps(
    take_step: Callable[[int, float], object], seconds: float, agree: Callable[[bool], bool] = bool
) -> StepCost:
    """Cost of `take_step(number, progress)`, measured in rounds over the points for about `seconds`, one
    round at least.

    Two steps before that warm caches up and are not counted.
    """
    number, begin = 0, time.monotonic()
    for progress in (PROGRESS_POINTS[0], PROGRESS_POINTS[-1]):
        take_step(number, progress)
        number += 1
    totals, rounds = np.zeros(len(PROGRESS_POINTS)), 0
    while agree(rounds == 0 or time.monotonic() - begin < seconds):
        for point, progress in enumerate(PROGRESS_POINTS):
            start = time.monotonic()
            take_step(number, progress)
            totals[point] += time.monotonic() - start
            number += 1
        rounds += 1
    return StepCost(PROGRESS_POINTS, tuple((totals / rounds).tolist()))


def steps_within(cost: StepCost, seconds: float, done: int = 0, total: int | None = None) -> int:
    """Steps (at least 1) that fit into `seconds`.

    Without `total` they are a whole schedule; with it they go on after `done` steps of a schedule of `total`
    steps.
    """
    if total is None:
        return max(1, round(seconds / cost.mean))
    at_the_end = cost.seconds[-1]
    most = max(1, total - done) + int(seconds / min(cost.seconds)) + 1
    progress = np.minimum(1.0, np.arange(done, done + most) / total)
    spent = np.cumsum(cost.at(progress))
    fitting = int(np.searchsorted(spent, seconds + at_the_end / 2))
    return max(1, fitting)


def affordable(wanted: int, seconds_each: float, budget: float) -> int:
    """How many of `wanted` validations (or sheets) half of the overhead of a budget in seconds affords."""
    return min(wanted, int(OVERHEAD_SHARE / 2 * budget / max(seconds_each, 1e-6)))


def extended(legs: Sequence[int], end: int) -> tuple[int, ...]:
    """The legs of a training that goes on to step `end`: a new leg only where `end` is beyond the last."""
    return tuple(legs) if end <= legs[-1] else (*legs, end)


def is_due(step: int, legs: Sequence[int], count: int) -> bool:
    """Whether one of `count` events, evenly spread over each leg and its end, falls on `step`."""
    starts = (0, *legs)
    for start, end in zip(starts, legs, strict=False):
        if start < step <= end and count > 0:
            return (step - start) * count // (end - start) > (step - 1 - start) * count // (end - start)
    return False
