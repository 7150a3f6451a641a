"""Settings of tasks: frozen dataclasses with each field's bounds beside it, checked on construction."""

import math
import typing
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from dream.errors import InputError
from dream.evaluation.progress import Progress, quiet

if TYPE_CHECKING:  # help and forms read settings without torch
    from dream.evaluation.statistics import Measure
    from dream.model.pretrained import Pretrained


@dataclass(frozen=True)
class Bounds:
    """Interval that numbers must lie in; a field carries one as `Annotated[int, at_least(1)]`."""

    low: float
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below

    def __str__(self) -> str:
        """The interval after 'must be'."""
        if self.high == math.inf:
            return f"{'above' if self.low_open else 'at least'} {self.low:g}"
        return f"in {'(' if self.low_open else '['}{self.low:g}, {self.high:g}{')' if self.high_open else ']'}"


def at_least(low: float) -> Bounds:
    """[low, infinity)."""
    return Bounds(low)


def above(low: float) -> Bounds:
    """(low, infinity)."""
    return Bounds(low, low_open=True)


FROM_0 = Bounds(0, 1, high_open=True)
"""Fractions that may be 0 but not 1."""
UP_TO_1 = Bounds(0, 1, low_open=True)
"""Fractions that may be 1 but not 0."""


@dataclass(frozen=True)
class TaskSettings(ABC):
    """Settings of one task, and the measurement they describe.

    A field may have `Bounds` (for a tuple: one or more numbers, each within them; `None` is always allowed where
    the type allows it) or be a `Literal`. Constructing settings out of range raises InputError with every problem.
    """

    task: ClassVar[str]
    """Name of the task, which messages put before a field's."""

    def __init_subclass__(cls, task: str = "") -> None:
        super().__init_subclass__()
        if task:
            cls.task = task

    def __post_init__(self) -> None:
        problems = [*_field_problems(self), *self.problems()]
        if problems:
            raise InputError("; ".join(problems))

    def problems(self) -> Iterable[str]:
        """Problems that involve several fields or more than an interval; none by default."""
        return ()

    @abstractmethod
    def measure(
        self, pretrained: "Pretrained", data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> "list[Measure]":
        """Measures of a model on `data`. Raises InputError for data or a model that cannot be measured so."""


MASK_RATIOS = (0.0, 0.25, 0.5, 0.75)
"""Mask ratios at which tasks measure the joint space by default."""


@dataclass(frozen=True)
class JointSettings(TaskSettings):
    """Pictures in the joint space at several mask ratios."""

    mask_ratios: Annotated[tuple[float, ...], FROM_0] = MASK_RATIOS
    """Shares of the tokens masked; each picture has its own random ones."""


@dataclass(frozen=True)
class HeldOutSettings(TaskSettings):
    """Captioned pictures that training did not see."""

    split: str | None = None
    """Split of the data; none: `test` of shapes, `val` of other data."""


def needs_answer_key(task: str, data: str) -> None:
    """Raises InputError for data other than `shapes`."""
    if data != "shapes":
        raise InputError(f"task '{task}' needs an answer key: use --data shapes, not '{data}'")


def _field_problems(settings: TaskSettings) -> Iterator[str]:
    kinds = typing.get_type_hints(type(settings), include_extras=True)
    for field in fields(settings):
        value, kind = getattr(settings, field.name), kinds[field.name]
        bounds = [extra for extra in getattr(kind, "__metadata__", ()) if isinstance(extra, Bounds)]
        expected = next((text for text in (_expected(value, kind), *(_outside(value, b) for b in bounds)) if text), "")
        if expected:
            got = f"'{value}'" if isinstance(value, str) else value
            yield f"{settings.task}.{field.name} must be {expected}, got {got}"


def _expected(value: Any, kind: Any) -> str:
    """The choices of a `Literal` that `value` is not among; empty if it is, or for another type."""
    choices = typing.get_args(kind) if typing.get_origin(kind) is Literal else (value,)
    return "" if value in choices else f"one of {', '.join(map(str, choices))}"


def _outside(value: Any, bounds: Bounds) -> str:
    """The bounds as words if `value` is outside; empty if it is within, or `None`."""
    if isinstance(value, tuple):
        return "" if value and all(v in bounds for v in value) else f"one or more numbers, each {bounds}"
    return "" if value is None or value in bounds else str(bounds)
