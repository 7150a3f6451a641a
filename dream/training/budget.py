"""Converts minutes to steps, from the measured time of a step over the masking schedule and of the rest.

A training is a list of segments, each given by the step at which it ends: the training itself, then its
extensions. Masking and the first learning-rate schedule cover the first segment; an extension stays at their end.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

PROGRESS_POINTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where step times are measured: the cost of a step changes with the mask ratios."""
CALIBRATION_SHARE, CALIBRATION_SECONDS = 0.03, (3.0, 30.0)
"""Share of the budget spent on measuring, and bounds of it in seconds."""
OVERHEAD_SHARE = 0.2
"""Largest share of the budget for validations and sample sheets; a short run has fewer of them."""


SAVING_SHARE = 0.03
"""Largest share of the time that checkpoints may take; where they take longer, they come more rarely."""


@dataclass(frozen=True)
class StepCost:
    """Measured seconds per step at `progress` points (rising from 0 to 1)."""

    progress: tuple[float, ...]
    seconds: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean seconds per step over the whole schedule."""
        return float(np.trapezoid(self.seconds, self.progress))

    def at(self, progress: np.ndarray) -> np.ndarray:
        """Seconds at any progress, interpolated between the points."""
        return np.interp(progress, self.progress, self.seconds)


def save_interval(minutes: float, last_save: float) -> float:
    """Seconds between checkpoints: `minutes`, or longer if the last one took more than SAVING_SHARE of that."""
    return max(60 * minutes, last_save / SAVING_SHARE)


def calibration_seconds(budget: float) -> float:
    """Seconds to spend on measuring, for a budget in seconds."""
    low, high = CALIBRATION_SECONDS
    return min(max(CALIBRATION_SHARE * budget, low), high)


def measure_steps(
    take_step: Callable[[int, float], object], seconds: float, agree: Callable[[bool], bool] = bool
) -> StepCost:
    """Cost of `take_step(number, progress)`, measured in rounds over the points for about `seconds`.

    There is at least one round. Two steps before it warm up caches and are not counted. `agree` makes all ranks
    decide alike whether another round follows.
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

    Without `total` they are a whole schedule; with it they continue a schedule of `total` steps after `done`.
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
    """Number of validations (or sheets), up to `wanted`, that fit into half of the overhead of a budget in seconds."""
    return min(wanted, int(OVERHEAD_SHARE / 2 * budget / max(seconds_each, 1e-6)))


def extended(segments: Sequence[int], end: int) -> tuple[int, ...]:
    """The segments of a training that continues to step `end`; a new one only if `end` is beyond the last."""
    return tuple(segments) if end <= segments[-1] else (*segments, end)


def is_due(step: int, segments: Sequence[int], count: int) -> bool:
    """Whether one of `count` events, spread evenly over each segment and including its end, falls on `step`."""
    starts = (0, *segments)
    for start, end in zip(starts, segments, strict=False):
        if start < step <= end and count > 0:
            return (step - start) * count // (end - start) > (step - 1 - start) * count // (end - start)
    return False
