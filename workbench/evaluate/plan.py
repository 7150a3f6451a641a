"""What is to be measured, as `dream evaluate` takes it: checked before it is started, and which tasks fit
which models and data. It measures nothing, and opens of a model only what its state says.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dream.commands.evaluate import NAME
from dream.config import DreamConfig
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
    "Painting": ("prompts", "generation"),
    "Choosing": ("selection", "headroom", "judge"),
}
"""All tasks, by what they are about."""
QUICK = ("losses", "retrieval", "edits", "zero_shot", "knn")
"""Tasks of a first look."""
QUICK_SETTINGS = ("losses.pictures=256", "retrieval.pools=8", "edits.count=600")
"""Settings with which the first look at the shipped model takes about two minutes on two cores."""
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
    """What to measure, in the words of the command line."""

    models: tuple[str, ...] = ()
    """Names of shipped models, runs and checkpoints; `NAME=PATH` names the column."""
    tasks: tuple[str, ...] = ()
    sources: tuple[str, ...] = ("shapes",)
    assignments: tuple[str, ...] = ()
    """TASK.FIELD=VALUE."""
    seed: int = 0
    raw: bool = False
    """The raw weights instead of the averaged ones."""
    overwrite: bool = False
    """Measure anew what is there."""
    out: str = "results"

    @property
    def name(self) -> str:
        """What the job is called."""
        models = ", ".join(model_column(model) for model in self.models)
        return f"{models}: {', '.join(self.tasks)}"

    def arguments(self) -> tuple[str, ...]:
        """Of `dream`; what is at its default goes unsaid."""
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
        """About how long it takes with the tasks' defaults, on two cores and shapes."""
        asked = [TASKS[name].seconds for name in self.tasks]
        return sum(asked) * len(self.models) * len(self.sources)


@dataclass(frozen=True)
class TaskFit:
    """Whether a task can be asked of models and data."""

    task: Task
    sources: tuple[str, ...]
    """The data that it can be measured on."""
    models: tuple[str, ...]
    """The columns of the models that can be asked."""
    reasons: tuple[str, ...]
    """Why the others cannot."""

    @property
    def fits(self) -> bool:
        """Whether anything can be measured."""
        return bool(self.sources and self.models)


def first_look(model: str = "demo") -> EvaluationPlan:
    """A plan of about two minutes."""
    return EvaluationPlan(models=(model,), tasks=QUICK, assignments=QUICK_SETTINGS)


# models and data


def split_model(word: str, root: Path = Path()) -> tuple[str, str]:
    """The column's name and the path of a `NAME=PATH`; the name is empty where there is none, and for a path
    (from `root` on) that has `=` in it.
    """
    name, equals, path = word.partition("=")
    named = equals and not (root / word).exists()
    return (name.strip(), path.strip()) if named else ("", word.strip())


def model_column(word: str) -> str:
    """The name of a model's column: as given, else its folder's, a checkpoint's with its run."""
    name, path = split_model(word)
    full = Path(os.path.abspath(path))
    return name or (f"{full.parents[1].name}-{full.name}" if full.name.startswith("step-") else full.name)


def named_apart(workspace: Workspace, words: Iterable[str]) -> tuple[str, ...]:
    """The models as the command takes them in the workspace's folder; two of one name are told apart by their
    folders' names.

    Raises InputError for a path outside of the workspace, and for a name given twice.
    """
    found: dict[str, str] = {}
    for word in dict.fromkeys(word.strip() for word in words):
        given, path = split_model(word, workspace.root)
        place = workspace.model(path)
        shown = workspace.shown(place)
        name = given or model_column(place)
        if name in found and not given:
            name = f"{Path(place).parent.name} {name}"
        if not NAME.fullmatch(name) or name.startswith("."):
            raise InputError(f"'{word}': a column's name must not be '{name}'; give one without '/'")
        if name in found:
            raise InputError(f"two models are named '{name}': name one of them, as in other={shown}")
        found[name] = shown if name == model_column(shown) else f"{name}={shown}"
    return tuple(found.values())


def named_sources(workspace: Workspace, words: Iterable[str]) -> tuple[str, ...]:
    """The data as the command takes them in the workspace's folder.

    Raises InputError for a path outside of it, and for one where nothing is.
    """
    found = [_source(workspace, word.strip()) for word in words if word.strip()]
    for place in found:
        named = resolve(place)[0] != (place, place)
        if place != "shapes" and not named and not place.startswith("hf:") and not Path(place).is_dir():
            shard_paths(place)
    return tuple(dict.fromkeys(map(workspace.shown, found)))


def _source(workspace: Workspace, word: str) -> str:
    """As `Workspace.source`, and the names of the few-shot sets as they are."""
    if word in SETS or word == ALL:
        return word
    if word.startswith(f"{ALL}:"):
        return f"{ALL}:{workspace.path(word.removeprefix(f'{ALL}:'))}"
    return workspace.source(word)


def planned_config(workspace: Workspace, word: str) -> DreamConfig:
    """What a model was trained as; reads no weights. InputError if it cannot be opened."""
    return checkpoint.read_state(folder_of(workspace, word)).config


def folder_of(workspace: Workspace, word: str) -> Path:
    """The checkpoint folder of a model named in the words of a plan or of a results file."""
    path = split_model(word, workspace.root)[1]
    if path in SHIPPED and not (workspace.root / path).exists():
        return SHIPPED[path]
    return checkpoint_of(workspace.root / path)


def verdicts(configs: Mapping[str, DreamConfig], sources: Sequence[str]) -> dict[str, TaskFit]:
    """For every task which of these models (by column) and data it fits, and why not the others."""
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
    """The assignments in a text, one a line; what is empty or begins with # is left out."""
    lines = (line.strip() for line in text.splitlines())
    return [line.removeprefix("--set ").strip() for line in lines if line and not line.startswith("#")]


def complaints(tasks: Sequence[str], assignments: Sequence[str]) -> list[str]:
    """What `dream evaluate` has against each of the assignments, in its words; empty if nothing."""
    chosen = [TASKS[name] for name in tasks]
    found = []
    for assignment in assignments:
        try:
            chosen_settings(chosen, [assignment])
        except InputError as error:
            found.append(str(error))
    if not found and assignments:  # fields that are right alone may not go together
        try:
            chosen_settings(chosen, assignments)
        except InputError as error:
            found.append(str(error))
    return found


def _check_paths(workspace: Workspace, assignments: Iterable[str]) -> None:
    """InputError for a setting that names a file outside of the workspace."""
    for assignment in assignments:
        key, _, value = assignment.partition("=")
        for part in value.strip("()[]").split(",") if key.strip() in PATHS else ():
            if part.strip() and part.strip() != "none" and not part.strip().startswith("hf:"):
                workspace.path(part)


def checked(workspace: Workspace, plan: EvaluationPlan) -> EvaluationPlan:
    """The plan with what can be measured at all, in words for the workspace's folder.

    Raises InputError for what is wrong with models, data, settings or the folder, as the command would.
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
        raise InputError(f"{plan.out} is not below results: name results itself, or one like results/mine")
    check_writable(out)
    return replace(plan, models=models, sources=sources, out=workspace.shown(out))
