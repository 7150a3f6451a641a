"""What figures of results share: which measures they show, and how the models look. It draws nothing."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from dream.evaluation.results import Results
from dream.evaluation.statistics import Measure
from workbench.figures import style
from workbench.figures.panels import Point


class Wanted(NamedTuple):
    """A measure that a figure shows: the first that has this task, name and conditions."""

    title: str
    axis: str
    """What the numbers are, with their unit."""
    task: str
    name: str
    """Or several, `A or B`."""
    where: Mapping[str, Any] = MappingProxyType({})
    better: str = "higher"

    def fits(self, measure: Measure) -> bool:
        """Whether this is such a measure; it may leave a condition out, unless that has to be true."""
        if measure.task != self.task or measure.name not in self.name.split(" or "):
            return False
        return all(
            measure.where.get(key, value if value is not True else False) == value for key, value in self.where.items()
        )


class ModelStyles(NamedTuple):
    """Colours and symbols of the models."""

    colours: dict[str, str]
    symbols: dict[str, str]

    @classmethod
    def of(cls, results: Sequence[Results]) -> "ModelStyles":
        """Of these models. Figures of some of them take the look of all, so that each keeps its colour."""
        objectives = [(r.name, next((e.objective for e in r.entries), "")) for r in results]
        return cls(style.model_colours(objectives), style.model_symbols([name for name, _ in objectives]))

    def marker(self, model: str) -> dict[str, Any]:
        """The model's marker."""
        return {"color": self.colours[model], "size": 10, "symbol": self.symbols[model]}


def current_measures(result: Results, source: str | None = None) -> list[Measure]:
    """A model's current measures (on one source), those with unusual settings last."""
    entries = sorted(result.current().entries, key=lambda e: bool(e.group[2]))
    return [m for e in entries if source in (None, e.data) for m in e.measures if m.estimate.count]


def chance_of(measure: Measure) -> float | None:
    """What a model that knows nothing would get, where that is known."""
    pool = measure.where.get("pool")
    if measure.task == "retrieval" and pool:
        return int(measure.name.rpartition("@")[2]) / pool
    if measure.name == "contrastive loss" and pool:
        return math.log(pool)
    return 0.5 if measure.task == "edits" else measure.where.get("chance")


def sources_of(results: Sequence[Results]) -> list[str]:
    """The data sets that there are current measures of, in the order in which they were measured."""
    return list(dict.fromkeys(e.data for r in results for e in r.current().entries if e.measures))


def short_name(source: str) -> str:
    """The last part of a source's path."""
    return source.rstrip("/").rpartition("/")[2] or source


def span_of(points: Sequence[Point], also: Sequence[float] = ()) -> list[float]:
    """Ends of an axis that shows all intervals (and these values), and never so little that the last digits
    look large.
    """
    ends = [value for point in points for value in (point.low, point.value, point.high)]
    known = [value for value in (*ends, *also) if math.isfinite(value)] or [0.0]
    low, high = min(known), max(known)
    margin = max(0.08 * (high - low), 0.02 * max(abs(low), abs(high)), 1e-3)
    return [low - margin, high + margin]
