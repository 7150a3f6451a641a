"""The table of tasks: what each measures, on what data, of which models, and where it is.

Names stand for functions that are imported when they are run, so that the command's help needs no torch. It
measures nothing itself.
"""

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dream.config import DreamConfig
from dream.errors import InputError
from dream.overrides import assign

if TYPE_CHECKING:
    from dream.evaluation.statistics import Measure
    from dream.model.pretrained import Pretrained

SHAPES, CAPTIONS, LABELS, SEGMENTATION, DEPTH = "shapes", "captions", "labels", "segmentation", "depth"
"""What a task takes: drawn pictures, or real ones with captions, classes, segmentation or depth maps."""
JOINT, PAINTING, PROMPTING = "joint", "painting", "prompting"
"""What a model must have been trained for: a joint space, painting, painting what a caption says."""
REFUSALS = {
    JOINT: "it was trained without the contrastive loss and has no joint space of pictures and captions",
    PAINTING: "it was trained without the generative loss and cannot paint",
    PROMPTING: "it was trained without captions and cannot paint what one says",
}


@dataclass(frozen=True)
class Task:
    """One question to a model."""

    name: str
    about: str
    """What it measures, in a line."""
    function: str
    """`module:name` in dream.evaluation."""
    takes: tuple[str, ...]
    """Kinds of data."""
    needs: tuple[str, ...] = ()
    """What the model must have been trained for."""
    seconds: float = 10.0
    """About how long it takes with its defaults on shapes (tiny, two cores); only for the time left."""
    named_only: bool = False
    """Not among `all`: it takes longer than minutes, or says nothing of the model."""

    def load(self) -> "Callable[..., list[Measure]]":
        """The function."""
        module, _, name = self.function.partition(":")
        return getattr(importlib.import_module(f"dream.evaluation.{module}"), name)

    def defaults(self) -> Any:
        """The settings dataclass with its defaults."""
        return inspect.signature(self.load()).parameters["settings"].default

    def measure(
        self, pretrained: "Pretrained", data: str, settings: Any, seed: int, tell: Callable[[float, str], None]
    ) -> "list[Measure]":
        """What comes out; `tell` hears how far it is, if the task says so."""
        function = self.load()
        extra = {"progress": tell} if "progress" in inspect.signature(function).parameters else {}
        return function(pretrained, data=data, settings=settings, seed=seed, **extra)

    def refusal(self, config: DreamConfig) -> str:
        """Why a model of this configuration cannot be asked; empty if it can."""
        return next((REFUSALS[need] for need in self.needs if need not in trained_for(config)), "")


_ALL = (
    Task("losses", "losses of unseen pictures by mask ratio", "by_ratio:losses", (SHAPES, CAPTIONS), seconds=25),
    Task(
        "retrieval",
        "does a caption find its picture, and a picture its caption, by mask ratio",
        "retrieval:retrieval",
        (SHAPES, CAPTIONS),
        (JOINT,),
        10,
    ),
    Task(
        "edits",
        "does a picture prefer its caption to one that is wrong in one thing",
        "edits:edit_accuracy",
        (SHAPES,),
        (JOINT,),
        12,
    ),
    Task(
        "zero_shot",
        "classes told by the captions that name them",
        "classes.zero_shot:zero_shot",
        (SHAPES, LABELS),
        (JOINT,),
        14,
    ),
    Task("knn", "nearest neighbours of frozen features", "classes.knn:knn", (SHAPES, LABELS), seconds=15),
    Task("probe", "linear classifier on frozen features", "classes.probe:linear_probe", (SHAPES, LABELS), seconds=33),
    Task(
        "few_shot",
        "5 classes from 5 pictures each, frozen features",
        "classes.few_shot:few_shot",
        (SHAPES, LABELS),
        seconds=17,
    ),
    Task(
        "fine_tune",
        "all weights trained on to tell classes",
        "classes.fine_tune:fine_tune",
        (SHAPES, LABELS),
        seconds=300,
        named_only=True,
    ),
    Task(
        "robustness",
        "the same classes in pictures of another kind",
        "classes.robustness:robustness",
        (SHAPES, LABELS),
        seconds=26,
    ),
    Task(
        "segmentation",
        "what is where, from frozen features",
        "dense.segmentation:segmentation",
        (SHAPES, SEGMENTATION),
        seconds=20,
    ),
    Task("depth", "how near everything is, from frozen features", "dense.depth:depth", (SHAPES, DEPTH), seconds=15),
    Task(
        "prompts",
        "painted pictures that show all that the prompt asks for",
        "painted.prompts:prompt_accuracy",
        (SHAPES,),
        (PROMPTING,),
        43,
    ),
    Task(
        "generation",
        "distance of painted pictures from real ones",
        "painted.generation:generation",
        (SHAPES, CAPTIONS),
        (PAINTING,),
        40,
    ),
    Task(
        "selection",
        "gain from choosing among unfinished candidates, by the moment of the choice",
        "painted.selection:selection",
        (SHAPES, CAPTIONS),
        (PROMPTING, JOINT),
        240,
    ),
    Task(
        "headroom",
        "what any score could gain by choosing among unfinished candidates",
        "painted.headroom:headroom",
        (SHAPES,),
        (PROMPTING,),
        300,
        named_only=True,
    ),
    Task(
        "judge",
        "how far the judge of prompts and selection can be trusted; says nothing of the model",
        "judging.agreement:judge_agreement",
        (SHAPES,),
        seconds=10,
        named_only=True,
    ),
)

TASKS: dict[str, Task] = {task.name: task for task in _ALL}


def trained_for(config: DreamConfig) -> set[str]:
    """What a model of this configuration has learned, of JOINT, PAINTING and PROMPTING."""
    objective = config.objective
    found = {JOINT} if objective.contrastive_weight > 0 else set()
    if objective.generative_weight > 0:
        found |= {PAINTING, PROMPTING} if objective.text else {PAINTING}
    return found


def objective_of(config: DreamConfig) -> str:
    """The name of the objective whose losses the configuration has: dream, clip, repa, mar or fluid."""
    learned = trained_for(config)
    if JOINT in learned:
        return "dream" if PAINTING in learned else "clip"
    if config.objective.alignment_weight > 0:
        return "repa"
    return "fluid" if PROMPTING in learned else "mar"


def named_tasks(text: str, sources: Sequence[str]) -> list[Task]:
    """The tasks that `all` or a comma-separated list means for these sources.

    Raises InputError for a name that there is not (naming the nearest), or a task that takes none of them.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InputError(f"--tasks names none; expected all, or some of {', '.join(TASKS)}")
    found: dict[str, Task] = {}
    for name in names:
        if name == "all":
            found |= {t.name: t for t in _ALL if not t.named_only and any(may_take(t, s) for s in sources)}
        else:
            task = _task(name)
            if not any(may_take(task, source) for source in sources):
                raise InputError(_unfit(task, sources))
            found[name] = task
    return [task for task in _ALL if task.name in found]


def may_take(task: Task, source: str) -> bool:
    """Whether the source can be of a kind that the task takes; what it really holds is seen on opening it."""
    if source == SHAPES:
        return SHAPES in task.takes
    if source.endswith(".tar") or ".tar" in source.rpartition("/")[2]:
        return CAPTIONS in task.takes
    return any(kind != SHAPES for kind in task.takes)


def chosen_settings(tasks: Iterable[Task], assignments: Sequence[str]) -> dict[str, Any]:
    """Each task's settings with the command line's TASK.FIELD=VALUE applied.

    Raises InputError for a task that is not chosen, a misspelt field (naming the nearest), or a bad value.
    """
    defaults = {task.name: task.defaults() for task in tasks}
    for assignment in assignments:
        name = assignment.partition("=")[0].partition(".")[0].strip()
        if name not in defaults:
            _task(name)  # a misspelt name
            raise InputError(f"--set {assignment}: '{name}' is not among the --tasks to measure")
    return assign(defaults, assignments, "TASK.FIELD=VALUE", "retrieval.pool=32")


def _task(name: str) -> Task:
    if name in TASKS:
        return TASKS[name]
    close = difflib.get_close_matches(name, [*TASKS, "all"], n=1, cutoff=0.4)
    hint = f"did you mean '{close[0]}'?" if close else f"known are all, {', '.join(TASKS)}"
    raise InputError(f"unknown task '{name}'; {hint}")


def _unfit(task: Task, sources: Sequence[str]) -> str:
    if task.takes == (SHAPES,):
        return f"task '{task.name}' needs an answer key: use --data shapes, not '{sources[0]}'"
    kinds = " or ".join(f"pictures with {kind}" for kind in task.takes if kind != SHAPES)
    return f"task '{task.name}' takes shapes or {kinds}, and cannot use '{', '.join(sources)}'"


def described(tasks: Mapping[str, Task] = TASKS) -> str:
    """A line a task, for the command's help."""
    notes = {task.name: " (only when named)" if task.named_only else "" for task in tasks.values()}
    return "\n".join(f"  {task.name:<14}{task.about}{notes[task.name]}" for task in tasks.values())
