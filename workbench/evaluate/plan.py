"""Plan of an evaluation: the arguments of `dream evaluate`, checked before it starts, and which tasks fit.

Reads of a model only its state, never its weights.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dream.commands.evaluate import NAME
from dream.config import DreamConfig
from dream.data.emoji.corpus import is_emoji, open_emoji
from dream.data.matlab import is_matlab
from dream.data.paths import shard_paths
from dream.errors import InputError
from dream.evaluation.classes.few_shot_sets import ALL, SETS, resolve
from dream.evaluation.tasks import TASKS, Task, chosen_settings, may_take, named_tasks
from dream.files import check_writable
from dream.pretrained import SHIPPED, checkpoint_of
from dream.training import checkpoint
from workbench.workspace import Workspace

GROUPS = {
    "Captions and pictures": ("losses", "retrieval", "edits", "zero_shot"),
    "Frozen features": ("knn", "probe", "few_shot", "robustness", "segmentation", "depth", "fine_tune"),
    "Painting": ("prompts", "inpainting", "generation", "front"),
    "Choosing": ("selection", "choosing", "headroom", "judge"),
}
"""All tasks by subject."""
QUICK = ("losses", "retrieval", "edits", "zero_shot", "knn")
"""Tasks of a first look."""
QUICK_SETTINGS = ("losses.pictures=256", "retrieval.pools=8", "edits.count=600")
"""Settings with which a first look at the shipped model takes about two minutes on two cores."""
PATHS = (
    "zero_shot.names",
    "robustness.names",
    "robustness.shifted",
    "generation.inception",
    "generation.encoder_weights",
    "generation.clip",
)
"""Settings that name files."""


@dataclass(frozen=True)
class EvaluationPlan:
    """Models, tasks, data and settings to measure, as the command line takes them."""

    models: tuple[str, ...] = ()
    """Names of shipped models, runs and checkpoints; `NAME=PATH` names the column."""
    tasks: tuple[str, ...] = ()
    sources: tuple[str, ...] = ("shapes",)
    assignments: tuple[str, ...] = ()
    """TASK.FIELD=VALUE."""
    seed: int = 0
    raw: bool = False
    """Evaluate the raw weights instead of the averaged ones."""
    overwrite: bool = False
    """Measure again what the results already hold."""
    out: str = "results"

    @property
    def name(self) -> str:
        """Name of the job."""
        models = ", ".join(model_column(model) for model in self.models)
        return f"{models}: {', '.join(self.tasks)}"

    def arguments(self) -> tuple[str, ...]:
        """Returns the arguments of `dream`, without those at their defaults."""
        words = ["evaluate"]
        for model in self.models:
            words += ["--model", model]
        words += ["--tasks", ",".join(self.tasks)]
        for source in self.sources if self.sources != ("shapes",) else ():
            words += ["--data", source]
        words += ["--out", self.out] if self.out != "results" else []
        words += ["--set", *self.assignments] if self.assignments else []
        words += ["--seed", str(self.seed)] if self.seed else []
        words += ["--raw"] if self.raw else []
        words += ["--overwrite"] if self.overwrite else []
        return tuple(words)

    def seconds(self) -> float:
        """Returns the approximate duration with the tasks' default settings on shapes and two cores."""
        return sum(TASKS[name].seconds for name in self.tasks) * len(self.models) * len(self.sources)


@dataclass(frozen=True)
class TaskFit:
    """Which models and data a task can be measured on."""

    task: Task
    sources: tuple[str, ...]
    """Sources that the task takes."""
    models: tuple[str, ...]
    """Columns of the models that were trained for it."""
    reasons: tuple[str, ...]
    """Reasons why other models and sources do not fit."""

    @property
    def fits(self) -> bool:
        """Whether it fits at least one model and one source."""
        return bool(self.sources and self.models)


def first_look(model: str = "demo", source: str = "shapes") -> EvaluationPlan:
    """Returns a plan that takes about two minutes on drawn shapes."""
    return EvaluationPlan(models=(model,), tasks=QUICK, sources=(source,), assignments=QUICK_SETTINGS)


# models and data


def split_model(word: str, root: Path = Path()) -> tuple[str, str]:
    """Returns name and path of `NAME=PATH`.

    The name is empty if there is none, and if the whole word is an existing path (relative to `root`).
    """
    name, equals, path = word.partition("=")
    named = equals and not (root / word).exists()
    return (name.strip(), path.strip()) if named else ("", word.strip())


def model_column(word: str) -> str:
    """Returns the name of a model's column: as given, else its folder's; a checkpoint's starts with its run's."""
    name, path = split_model(word)
    full = Path(os.path.abspath(path))
    return name or (f"{full.parents[1].name}-{full.name}" if full.name.startswith("step-") else full.name)


def named_apart(workspace: Workspace, words: Iterable[str]) -> tuple[str, ...]:
    """Returns the models as the command takes them in the workspace's folder, each with its own column name.

    Of two models with the same name, the second gets its parent folder's name in front. Raises InputError for a
    path outside of the workspace, and for a name given twice.
    """
    named: dict[str, str] = {}
    for word in dict.fromkeys(word.strip() for word in words):
        given, path = split_model(word, workspace.root)
        place = workspace.model(path)
        shown = workspace.shown(place)
        name = given or model_column(place)
        if name in named and not given:
            name = f"{Path(place).parent.name} {name}"
        if not NAME.fullmatch(name) or name.startswith("."):
            raise InputError(f"'{word}': a column's name must not be '{name}'; give one without '/'")
        if name in named:
            raise InputError(f"two models are named '{name}': name one of them, as in other={shown}")
        named[name] = shown if name == model_column(shown) else f"{name}={shown}"
    return tuple(named.values())


def named_sources(workspace: Workspace, words: Iterable[str]) -> tuple[str, ...]:
    """Returns the sources as the command takes them in the workspace's folder.

    Raises InputError for a path outside of the workspace, and for one that does not exist.
    """
    places = [_source(workspace, word.strip()) for word in words if word.strip()]
    for place in places:
        named = resolve(place)[0] != (place, place)
        there = Path(place).is_dir() or is_matlab(Path(place))
        if is_emoji(place):
            open_emoji(place)
        elif place != "shapes" and not named and not place.startswith("hf:") and not there:
            shard_paths(place)
    return tuple(dict.fromkeys(map(workspace.shown, places)))


def _source(workspace: Workspace, word: str) -> str:
    """Returns `Workspace.source` of the word; names of few-shot sets stay as they are."""
    if word in SETS or word == ALL:
        return word
    if word.startswith(f"{ALL}:"):
        return f"{ALL}:{workspace.path(word.removeprefix(f'{ALL}:'))}"
    return workspace.source(word)


def planned_config(workspace: Workspace, word: str) -> DreamConfig:
    """Reads a model's configuration, without its weights; raises InputError if it cannot be opened."""
    return checkpoint.read_state(folder_of(workspace, word)).config


def folder_of(workspace: Workspace, word: str) -> Path:
    """Returns the checkpoint folder of a model, as a plan or a results file names it."""
    path = split_model(word, workspace.root)[1]
    if path in SHIPPED and not (workspace.root / path).exists():
        return SHIPPED[path]
    return checkpoint_of(workspace.root / path)


def verdicts(configs: Mapping[str, DreamConfig], sources: Sequence[str]) -> dict[str, TaskFit]:
    """Returns for every task which of these models (by column) and sources it fits, and why not the others."""
    return {name: _verdict(task, configs, sources) for name, task in TASKS.items()}


def _verdict(task: Task, configs: Mapping[str, DreamConfig], sources: Sequence[str]) -> TaskFit:
    fit = tuple(source for source in sources if may_take(task, source))
    reasons = [_unfit(task, source) for source in sources if source not in fit]
    refusals = {column: task.refusal(config) for column, config in configs.items()}
    reasons += [f"{column}: {why}" for column, why in refusals.items() if why]
    able = tuple(column for column, why in refusals.items() if not why)
    return TaskFit(task, fit, able, tuple(reasons))


def _unfit(task: Task, source: str) -> str:
    try:
        named_tasks(task.name, [source])
    except InputError as error:
        return str(error)
    return ""


# settings


def split_assignments(text: str) -> list[str]:
    """Returns the assignments in a text, one per line, without empty lines and those that begin with #."""
    lines = (line.strip() for line in text.splitlines())
    return [line.removeprefix("--set ").strip() for line in lines if line and not line.startswith("#")]


def complaints(tasks: Sequence[str], assignments: Sequence[str]) -> list[str]:
    """Returns the messages with which `dream evaluate` would refuse these assignments."""
    chosen = [TASKS[name] for name in tasks]
    messages = []
    for assignment in assignments:
        try:
            chosen_settings(chosen, [assignment])
        except InputError as error:
            messages.append(str(error))
    if not messages and assignments:  # settings that are valid alone may not fit together
        try:
            chosen_settings(chosen, assignments)
        except InputError as error:
            messages.append(str(error))
    return messages


def _check_paths(workspace: Workspace, assignments: Iterable[str]) -> None:
    """Raises InputError for a setting that names a file outside of the workspace."""
    for assignment in assignments:
        key, _, value = assignment.partition("=")
        for path in value.strip("()[]").split(",") if key.strip() in PATHS else ():
            if path.strip() and path.strip() != "none" and not path.strip().startswith("hf:"):
                workspace.path(path)


def checked(workspace: Workspace, plan: EvaluationPlan) -> EvaluationPlan:
    """Returns the plan with models, sources and results folder relative to the workspace's folder.

    Raises InputError for bad models, data, settings or results folder, as the command would.
    """
    if not plan.models:
        raise InputError("choose a model to measure")
    if not plan.tasks:
        raise InputError("choose at least one task")
    models = named_apart(workspace, plan.models)
    sources = named_sources(workspace, plan.sources)
    if not sources:
        raise InputError("choose the data to measure on, for example shapes")
    for model in models:
        planned_config(workspace, model)
    named_tasks(",".join(plan.tasks), sources)
    if wrong := complaints(plan.tasks, plan.assignments):
        raise InputError(wrong[0])
    _check_paths(workspace, plan.assignments)
    out = workspace.path(plan.out)
    if not out.is_relative_to(workspace.results.resolve()):
        raise InputError(f"{plan.out} is not below results: choose results itself, or a folder such as results/mine")
    check_writable(out)
    return replace(plan, models=models, sources=sources, out=workspace.shown(out))
