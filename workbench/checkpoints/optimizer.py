"""An optimiser's state as one row per parameter: steps taken, momentum, and size of recent gradients.

It is derived from the statistics of the moments and opens no file.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from workbench.checkpoints.statistics import TensorStatistics
from workbench.checkpoints.words import layer_of

MOMENTUM = ("exp_avg", "momentum_buffer")
SECOND = ("exp_avg_sq", "max_exp_avg_sq")


@dataclass(frozen=True)
class OptimizerMoments:
    """Optimiser state of one parameter; NaN for state that the optimiser does not keep."""

    parameter: str
    rule: str
    """Update rule in words: two moments (Adam), or momentum only (Muon, SGD)."""
    step: float
    count: int
    momentum: float
    """RMS of the running mean of its gradients."""
    gradient: float
    """RMS of recent gradients, from the running mean of squared gradients."""
    nonfinite: int

    @property
    def agreement(self) -> float:
        """Momentum over gradient size: near 1 where recent gradients agree, near 0 where they cancel."""
        return self.momentum / self.gradient if self.gradient else math.nan


def moments(statistics: Iterable[TensorStatistics]) -> list[OptimizerMoments]:
    """One row per parameter, in order of appearance."""
    groups: dict[str, dict[str, TensorStatistics]] = {}
    for one in statistics:
        parameter, _, kind = one.name.rpartition("/" if "/" in one.name else ".")
        groups.setdefault(_short(parameter), {})[kind] = one
    return [_row(parameter, kinds) for parameter, kinds in groups.items() if _first(kinds, MOMENTUM)]


def moments_by_layer(rows: Iterable[OptimizerMoments]) -> list[OptimizerMoments]:
    """One combined row per layer, in order of appearance."""
    groups: dict[str, list[OptimizerMoments]] = {}
    for row in rows:
        groups.setdefault(layer_of(row.parameter), []).append(row)
    return [_combined(name, group) for name, group in groups.items()]


def _combined(name: str, group: list[OptimizerMoments]) -> OptimizerMoments:
    rules, steps = {row.rule for row in group}, [row.step for row in group if row.step == row.step]
    return OptimizerMoments(
        parameter=name,
        rule=rules.pop() if len(rules) == 1 else "both",
        step=max(steps, default=math.nan),
        count=sum(row.count for row in group),
        momentum=_rms([(row.momentum, row.count) for row in group]),
        gradient=_rms([(row.gradient, row.count) for row in group]),
        nonfinite=sum(row.nonfinite for row in group),
    )


def _rms(values: list[tuple[float, int]]) -> float:
    """Overall RMS of several (RMS, count) pairs, without NaN ones."""
    known = [(value, count) for value, count in values if value == value]
    count = sum(count for _, count in known)
    return math.sqrt(sum(value**2 * count for value, count in known) / count) if count else math.nan


def _row(parameter: str, kinds: dict[str, TensorStatistics]) -> OptimizerMoments:
    momentum, second, step = _first(kinds, MOMENTUM), _first(kinds, SECOND), kinds.get("step")
    assert momentum is not None
    return OptimizerMoments(
        parameter=parameter,
        rule="two moments (Adam)" if second else "momentum (Muon, SGD)",
        step=step.mean if step else math.nan,
        count=momentum.count,
        momentum=momentum.rms,
        gradient=math.sqrt(second.mean) if second and second.mean >= 0 else math.nan,
        nonfinite=sum(one.nonfinite for one in kinds.values()),
    )


def _first(kinds: dict[str, TensorStatistics], names: tuple[str, ...]) -> TensorStatistics | None:
    return next((kinds[name] for name in names if name in kinds), None)


def _short(parameter: str) -> str:
    """Display name of a parameter, which torch numbers if the checkpoint has no names."""
    return re.sub(r"^state\.(\d+)$", r"parameter \1", parameter)
