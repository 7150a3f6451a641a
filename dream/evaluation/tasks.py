"""Table of tasks: what each measures, which data and models it takes, and where its settings are.

A task is a subclass of `TaskSettings`, named by module and class and imported only when needed, so that the command's
help needs no torch.
"""

import difflib
import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dream.config import DreamConfig
from dream.data.emoji.corpus import SOURCE, is_emoji
from dream.errors import InputError
from dream.evaluation.progress import Progress, quiet
from dream.overrides import assign

if TYPE_CHECKING:  # the command's help needs no torch
    from dream.evaluation.settings import TaskSettings
    from dream.evaluation.statistics import Measure
    from dream.model.pretrained import Pretrained

SHAPES, CAPTIONS, LABELS, SEGMENTATION, DEPTH = "shapes", "captions", "labels", "segmentation", "depth"
"""Kinds of data: drawn pictures, or real ones with captions, classes, segmentation or depth maps."""
JUDGED, EMOJI = "judged", "emoji"
"""Kinds of data beside shapes with an answer key: those with a judge (`judging.worlds`), and emoji."""
HELD_OUT = ("val", "unseen")
"""Splits that `emoji` is measured on: a known thing in a style never seen, and a thing never seen."""
JOINT, PAINTING, PROMPTING = "joint", "painting", "prompting"
"""Abilities that a model must have been trained for: a joint space, painting, painting from a caption."""
REFUSALS = {
    JOINT: "it was trained without the contrastive loss and has no joint space of pictures and captions",
    PAINTING: "it was trained without the generative loss and cannot paint",
    PROMPTING: "it was trained without captions and cannot paint what a prompt says",
}


@dataclass(frozen=True)
class Task:
    """One entry of the table."""

    name: str
    about: str
    """One line on what it measures."""
    settings: str
    """Its subclass of `TaskSettings`, as `module:class` in dream.evaluation."""
    takes: tuple[str, ...]
    """Kinds of data that it can be measured on."""
    needs: tuple[str, ...] = ()
    """Abilities that the model must have been trained for."""
    seconds: float = 10.0
    """Approximate duration with the defaults on shapes (tiny, two cores); used only to estimate the time left."""
    alone: bool = False
    """Measured by rank 0 alone where several ranks evaluate: it asks for nothing `in_pieces` (`pieces.py`)."""
    named_only: bool = False
    """Not part of `all`, because it takes longer than minutes or does not depend on the model."""

    def load(self) -> "type[TaskSettings]":
        """The class of its settings."""
        module, _, name = self.settings.partition(":")
        return getattr(importlib.import_module(f"dream.evaluation.{module}"), name)

    def defaults(self) -> "TaskSettings":
        """The settings with their defaults."""
        return self.load()()

    def measure(
        self, pretrained: "Pretrained", data: str, settings: "TaskSettings", seed: int = 0, progress: Progress = quiet
    ) -> "list[Measure]":
        """Measures of a model on `data`. Raises InputError for data or a model that cannot be measured so.

        So it does, by name, for weights and for measures that are not finite.
        """
        from dream.evaluation.results import require_measured
        from dream.weights.finite import require_finite_weights

        require_finite_weights(pretrained.model.state_dict(), str(pretrained.path))
        measures = settings.measure(pretrained, data, seed, progress)
        require_measured(measures)
        return measures

    def refusal(self, config: DreamConfig) -> str:
        """Reason why a model of this configuration cannot be measured; empty if it can."""
        return next((REFUSALS[need] for need in self.needs if need not in trained_for(config)), "")


_ALL = (
    Task("losses", "losses of unseen pictures by mask ratio", "by_ratio:LossesSettings", (SHAPES, CAPTIONS), (), 25),
    Task(
        "retrieval",
        "whether a caption finds its picture, and a picture its caption, by mask ratio",
        "retrieval:RetrievalSettings",
        (SHAPES, CAPTIONS),
        (JOINT,),
        10,
    ),
    Task(
        "edits",
        "whether a picture is nearer to its caption than to one that is wrong in one thing",
        "edits:EditsSettings",
        (SHAPES, EMOJI),
        (JOINT,),
        12,
    ),
    Task(
        "zero_shot",
        "classes recognised by captions that name them",
        "classes.zero_shot:ZeroShotSettings",
        (SHAPES, LABELS),
        (JOINT,),
        14,
    ),
    Task("knn", "nearest neighbours of frozen features", "classes.knn:KnnSettings", (SHAPES, LABELS), seconds=15),
    Task("probe", "linear classifier on frozen features", "classes.probe:ProbeSettings", (SHAPES, LABELS), seconds=33),
    Task(
        "few_shot",
        "5 classes from 5 pictures each, frozen features",
        "classes.few_shot:FewShotSettings",
        (SHAPES, LABELS),
        seconds=17,
    ),
    Task(
        "fine_tune",
        "classification after training all weights further",
        "classes.fine_tune:FineTuneSettings",
        (SHAPES, LABELS),
        seconds=300,
        named_only=True,
        alone=True,
    ),
    Task(
        "robustness",
        "the same classes in pictures of another kind",
        "classes.robustness:RobustnessSettings",
        (SHAPES, LABELS),
        seconds=26,
    ),
    Task(
        "segmentation",
        "the class of every pixel, from frozen features",
        "dense.segmentation:SegmentationSettings",
        (SHAPES, SEGMENTATION),
        seconds=20,
        alone=True,
    ),
    Task(
        "depth",
        "the depth of every pixel, from frozen features",
        "dense.depth:DepthSettings",
        (SHAPES, DEPTH),
        seconds=15,
        alone=True,
    ),
    Task(
        "prompts",
        "painted pictures that show everything in the prompt",
        "painted.prompts:PromptsSettings",
        (SHAPES, JUDGED),
        (PROMPTING,),
        43,
    ),
    Task(
        "inpainting",
        "the hidden half of a picture painted from its caption, from another's, and from none",
        "painted.inpainting:InpaintingSettings",
        (SHAPES, CAPTIONS),
        (PAINTING,),
        40,
    ),
    Task(
        "generation",
        "distance of painted pictures from real ones",
        "painted.generation:GenerationSettings",
        (SHAPES, CAPTIONS),
        (PAINTING,),
        40,
    ),
    Task(
        "selection",
        "gain from choosing among unfinished candidates, by the step of the choice",
        "painted.selection:SelectionSettings",
        (SHAPES, CAPTIONS),
        (PROMPTING, JOINT),
        240,
    ),
    Task(
        "choosing",
        "gain and time of choosing among unfinished candidates by every score, against other uses of the time",
        "painted.choosing:ChoosingSettings",
        (SHAPES, JUDGED),
        (PROMPTING, JOINT),
        1200,
        named_only=True,
    ),
    Task(
        "front",
        "quality and time of painting in fewer decoding steps and denoising steps",
        "painted.front:FrontSettings",
        (SHAPES, JUDGED),
        (PROMPTING,),
        300,
        named_only=True,
    ),
    Task(
        "headroom",
        "what any score could gain by choosing among unfinished candidates",
        "painted.headroom:HeadroomSettings",
        (SHAPES, JUDGED),
        (PROMPTING,),
        300,
        named_only=True,
    ),
    Task(
        "judge",
        "accuracy of the judge of prompts and selection; independent of the model",
        "judging.judge_task:JudgeSettings",
        (SHAPES, JUDGED),
        seconds=10,
        named_only=True,
        alone=True,
    ),
)

TASKS: dict[str, Task] = {task.name: task for task in _ALL}


def trained_for(config: DreamConfig) -> set[str]:
    """Abilities that a model of this configuration was trained for, among JOINT, PAINTING and PROMPTING."""
    objective = config.objective
    abilities = {JOINT} if objective.contrastive_weight > 0 else set()
    if objective.generative_weight > 0:
        abilities |= {PAINTING, PROMPTING} if objective.text else {PAINTING}
    return abilities


def objective_of(config: DreamConfig) -> str:
    """Name of the objective with the configuration's losses: dream, clip, repa, mar or fluid."""
    learned = trained_for(config)
    if JOINT in learned:
        return "dream" if PAINTING in learned else "clip"
    if config.objective.alignment_weight > 0:
        return "repa"
    return "fluid" if PROMPTING in learned else "mar"


def named_tasks(text: str, sources: Sequence[str]) -> list[Task]:
    """Tasks that `all` or a comma-separated list refers to, for these sources.

    Raises InputError for an unknown name (suggesting the nearest), and for a task that takes none of the sources.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InputError(f"--tasks is empty; expected all, or some of {', '.join(TASKS)}")
    chosen: dict[str, Task] = {}
    for name in names:
        if name == "all":
            chosen |= {t.name: t for t in _ALL if not t.named_only and any(may_take(t, s) for s in sources)}
        else:
            task = _task(name)
            if not any(may_take(task, source) for source in sources):
                raise InputError(_unfit(task, sources))
            chosen[name] = task
    return [task for task in _ALL if task.name in chosen]


def may_take(task: Task, source: str) -> bool:
    """Whether a source of this name may be of a kind that the task takes; only opening it shows what it holds."""
    if source == SHAPES:
        return SHAPES in task.takes
    if is_emoji(source):
        return any(kind in (CAPTIONS, LABELS, JUDGED, EMOJI) for kind in task.takes)
    if source.endswith(".tar") or ".tar" in source.rpartition("/")[2]:
        return CAPTIONS in task.takes
    if source.lower().endswith(".mat"):
        return DEPTH in task.takes
    return any(kind not in (SHAPES, JUDGED, EMOJI) for kind in task.takes)


def measured_on(tasks: Sequence[Task], sources: Sequence[str]) -> list[tuple[Task, str]]:
    """Each task with each source that it is measured on (`parts_of`), source by source, without repetitions."""
    pairs = ((task, part) for s in sources for task in tasks if may_take(task, s) for part in parts_of(task, s))
    return list({(task.name, part): (task, part) for task, part in pairs}.values())


def parts_of(task: Task, source: str) -> tuple[str, ...]:
    """Sources that a task is measured on where `source` is given: for `emoji` its HELD_OUT splits, each on its own.

    A judge counts the splits apart by itself, so its tasks take `emoji` whole.
    """
    if source == SOURCE and JUDGED not in task.takes:
        return tuple(f"{SOURCE}:{split}" for split in HELD_OUT)
    return (source,)


def chosen_settings(tasks: Iterable[Task], assignments: Sequence[str]) -> dict[str, Any]:
    """Settings of each task, with the command line's TASK.FIELD=VALUE applied.

    Raises InputError for a task that is not chosen, a misspelt field (suggesting the nearest), and a bad value.
    """
    defaults = {task.name: task.defaults() for task in tasks}
    for assignment in assignments:
        name = assignment.partition("=")[0].partition(".")[0].strip()
        if name not in defaults:
            _task(name)  # raises for a misspelt name
            raise InputError(f"--set {assignment}: '{name}' is not among the --tasks to measure")
    return assign(defaults, assignments, "TASK.FIELD=VALUE", "retrieval.pool=32")


def _task(name: str) -> Task:
    if name in TASKS:
        return TASKS[name]
    close = difflib.get_close_matches(name, [*TASKS, "all"], n=1, cutoff=0.4)
    hint = f"did you mean '{close[0]}'?" if close else f"known are all, {', '.join(TASKS)}"
    raise InputError(f"unknown task '{name}'; {hint}")


def _unfit(task: Task, sources: Sequence[str]) -> str:
    if set(task.takes) <= {SHAPES, JUDGED, EMOJI}:
        able = "shapes or emoji" if {JUDGED, EMOJI} & set(task.takes) else "shapes"
        return f"task '{task.name}' needs an answer key: use --data {able}, not '{sources[0]}'"
    kinds = " or ".join(f"pictures with {kind}" for kind in task.takes if kind not in (SHAPES, JUDGED, EMOJI))
    return f"task '{task.name}' takes shapes or {kinds}, and cannot use '{', '.join(sources)}'"


def described(tasks: Mapping[str, Task] = TASKS) -> str:
    """One line per task, for the command's help."""
    notes = {task.name: " (only when named)" if task.named_only else "" for task in tasks.values()}
    return "\n".join(f"  {task.name:<14}{task.about}{notes[task.name]}" for task in tasks.values())
