"""Settings of tasks: frozen dataclasses with each field's bounds next to it, checked on construction."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from dream.decoding.denoising import DENOISING
from dream.errors import InputError
from dream.evaluation.progress import Progress, quiet
from dream.fields import SHARE, Bounds, Section

if TYPE_CHECKING:  # help and forms read settings without torch
    from dream.evaluation.statistics import Measure
    from dream.model.pretrained import Pretrained


def at_least(low: float) -> Bounds:
    """Bounds without an upper end, for the annotation of a field."""
    return Bounds(least=low)


FROM_0 = Bounds(least=0, below=1)
"""Fractions that may be 0 but not 1."""
UP_TO_1 = Bounds(above=0, most=1)
"""Fractions that may be 1 but not 0."""


@dataclass(frozen=True)
class TaskSettings(Section, ABC):
    """Settings of one task, and the measurement they describe.

    Constructing settings out of their bounds raises InputError with every problem.
    """

    task = ""  # name of the task; not a field

    def __init_subclass__(cls, task: str = "") -> None:
        super().__init_subclass__()
        cls.task = task or cls.task

    def __post_init__(self) -> None:
        if problems := self.problems(self.task):
            raise InputError("; ".join(problems))

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


@dataclass(frozen=True)
class PaintingSettings(TaskSettings):
    """Pictures painted as the model paints by itself, or otherwise; what is none is the model's own."""

    steps: Annotated[int | None, at_least(1)] = None
    """Decoding steps; none: the model's."""
    sampling_steps: Annotated[int | None, at_least(1)] = None
    """Denoising steps per token; none: the model's."""
    guidance_scale: Annotated[float | None, at_least(1)] = None
    """Classifier-free guidance; 1: off; none: the model's."""
    temperature: Annotated[float | None, at_least(0)] = None
    """Factor on the noise of sampling; none: the model's."""
    solver: str | None = None
    """How noise becomes tokens: ddpm, ddim, dpm++ (noise heads), euler, heun, dpm++ (flow heads); none: the first."""
    last_sampling_steps: Annotated[int | None, at_least(1)] = None
    """Denoising steps in the last decoding step, approached evenly; none: as many as in the first."""
    time_shift: Annotated[float | None, Bounds(above=0)] = None
    """Factor by which the times of a flow head are moved towards noise; none: 2."""
    start_time: Annotated[float | None, UP_TO_1] = None
    """Share of the times of a noise head at which denoising starts; none: 1."""
    guidance_low: Annotated[float | None, SHARE] = None
    """Lowest noise level with guidance; none: 0, clean."""
    guidance_high: Annotated[float | None, SHARE] = None
    """Highest noise level with guidance; none: 1, noise alone."""
    coarse_steps: Annotated[int | None, at_least(1)] = None
    """Steps that paint every second place first, as on a checkerboard; none: places in one random order."""
    reuse: Annotated[int | None, at_least(1)] = None
    """Steps per decoder pass over all places, with smaller ones in between; none: all places in every step."""

    @property
    def otherwise(self) -> dict[str, Any]:
        """Fields of `DecodeSettings` that are not the model's own; conditions of what is measured, too."""
        names = ("steps", "guidance_scale", "temperature", "coarse_steps", "reuse", *DENOISING)
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def said_in(self, measures: "Iterable[Measure]") -> "list[Measure]":
        """The measures, whose conditions then say what is not the model's own."""
        return [replace(measure, where={**measure.where, **self.otherwise}) for measure in measures]


def needs_answer_key(task: str, data: str) -> None:
    """Raises InputError for data other than `shapes`."""
    if data != "shapes":
        raise InputError(f"task '{task}' needs an answer key: use --data shapes, not '{data}'")
