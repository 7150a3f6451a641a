"""Trainings of a workspace: forms as command lines, the state of each training, and the actions on it.

A training is a run folder, a job of the queue, or both. It opens no weights.
"""

import os
import re
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dream.config import DreamConfig
from dream.errors import InputError, RunError
from dream.overrides import override
from dream.plain_text import require_text
from dream.presets import preset
from dream.training import run_log
from dream.training.claim import holds_other_files, take_claim
from workbench.jobs.job import Job, last_message, log_tail
from workbench.jobs.queue import enqueue, forget_job, list_jobs, stop_job
from workbench.runs import notes
from workbench.runs.folders import RunSummary, list_runs
from workbench.workspace import Workspace

Budget = Literal["minutes", "steps"]
DEVICE_OPTIONS = ("--devices", "--strategy", "--accelerator")
"""Options that a resumed training keeps from its previous job."""


@dataclass(frozen=True)
class TrainForm:
    """A user's request for a training."""

    name: str
    """Name of the run's folder under the workspace's `runs`."""
    source: str = "shapes"
    """Data source as typed."""
    preset: str = "tiny"
    objective: str = "dream"
    budget: Budget = "minutes"
    amount: float = 10.0
    """Number of minutes or steps."""
    seed: int = 0
    assignments: tuple[str, ...] = ()
    devices: str = "auto"
    strategy: str = "auto"
    accelerator: str = "auto"
    precision: str = "32-true"


def assignments_in(text: str) -> tuple[str, ...]:
    """The `section.key=value` lines of a text, without empty lines and # comments."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def form_config(form: TrainForm) -> DreamConfig:
    """Configuration requested by the form; raises InputError as `dream train` does."""
    return override(preset(form.preset, form.objective), form.assignments)


def source_of(workspace: Workspace, form: TrainForm) -> str:
    """The source for the command line, relative to the workspace if it is inside.

    Raises InputError for a path outside the workspace.
    """
    source = workspace.source(form.source)
    return source if source == "shapes" or source.startswith("hf:") else workspace.shown(source)


def run_folder(workspace: Workspace, name: str) -> Path:
    """Folder of the run with this name; raises InputError if the name is empty or leads outside the runs folder."""
    if not require_text(name, "the run's name").strip():
        raise InputError("give the run a name")
    folder = (workspace.runs / name.strip()).resolve()
    inside = folder.is_relative_to(workspace.runs.resolve()) and folder != workspace.runs.resolve()
    if not inside or any(part.startswith((".", "-")) for part in Path(name.strip()).parts):
        raise InputError(f"'{name}' is not a valid run name: use letters, digits, - and _")
    return workspace.runs / name.strip()


def train_arguments(workspace: Workspace, form: TrainForm) -> tuple[str, ...]:
    """Arguments of `dream` for the form, to be run in the workspace folder."""
    optional = {
        "--seed": (str(form.seed), "0"),
        "--devices": (form.devices, "auto"),
        "--strategy": (form.strategy, "auto"),
        "--accelerator": (form.accelerator, "auto"),
        "--precision": (form.precision, "32-true"),
    }
    others = [word for name, (value, usual) in optional.items() if value != usual for word in (name, value)]
    out = workspace.shown(run_folder(workspace, form.name))
    return (
        "train",
        "--preset",
        form.preset,
        "--objective",
        form.objective,
        "--data",
        source_of(workspace, form),
        f"--{form.budget}",
        _amount(form.budget, form.amount),
        "--out",
        out,
        *others,
        *(("--set", *form.assignments) if form.assignments else ()),
    )


def check_form(workspace: Workspace, form: TrainForm) -> tuple[str, ...]:
    """Checks the form as far as possible before a start and returns its arguments; raises InputError."""
    from dream.training.request import TrainRequest, check_train_request

    arguments, folder = train_arguments(workspace, form), run_folder(workspace, form.name)
    if run_log.holds_run(folder):
        raise InputError(
            f"{workspace.shown(folder)} already holds a run: choose another name, or resume the run under Watch"
        )
    if folder.is_file() or holds_other_files(folder):
        raise InputError(f"{workspace.shown(folder)} contains other files: choose another name")
    source, config = workspace.source(form.source), form_config(form)
    _check_source(source, config)
    minutes, steps = _budget(form.budget, form.amount)
    request = TrainRequest(
        out=folder,
        source=source,
        config=override(config, [f"train.precision={form.precision}"]),
        strategy=form.strategy,
        accelerator=form.accelerator,
        minutes=minutes,
        steps=steps,
    )
    check_train_request(request)
    return arguments


def start_training(workspace: Workspace, form: TrainForm) -> Job:
    """Adds the training to the queue and returns its job; raises InputError if the form is invalid."""
    return enqueue(workspace, "train", form.name.strip(), check_form(workspace, form), run_folder(workspace, form.name))


def free_name(workspace: Workspace, wanted: str) -> str:
    """A free run name: `wanted`, with a number appended if a run or a queued job already has it."""
    taken = {training.name for training in list_trainings(workspace)}
    number = 1
    while (name := wanted if number == 1 else f"{wanted}-{number}") in taken or (workspace.runs / name).exists():
        number += 1
    return name


def _check_source(source: str, config: DreamConfig) -> None:
    """Raises InputError if a local source is missing; sets on the hub are not checked."""
    if source == "shapes" or source.startswith("hf:"):
        return
    from dream.data.sources import cache_at, open_corpora, open_source

    if cache_at(source) is None:
        open_corpora(source, config)
    else:
        open_source(source, config, cached=True)


# state of each training


@dataclass(frozen=True)
class Training:
    """A run with its latest job."""

    name: str
    path: Path
    state: str
    """`queued`, `starting`, `running`, `stopping`; `finished`, `stopped`, `failed`, `killed`, `damaged`, `deleted`."""
    sentence: str = ""
    """Why it failed, or what to do next."""
    run: RunSummary | None = None
    job: Job | None = None
    place: int = 0
    """Place in the queue from 1; 0 if it is not queued."""

    @property
    def active(self) -> bool:
        """Whether it is queued or running."""
        return self.state in ("queued", "starting", "running", "stopping")

    @property
    def elsewhere(self) -> str:
        """Where it runs, in words, if on another machine or in another container; nothing here may signal it then."""
        job = self.job
        if self.state == "queued":
            return ""
        if self.run is not None and self.run.elsewhere:
            return self.run.elsewhere
        return f"on host '{job.host}'" if job is not None and job.state == "running" and not job.is_here else ""


def list_trainings(workspace: Workspace) -> list[Training]:
    """Lists running trainings, then the queue in order, then all others, most recently changed first."""
    runs = {run.path: run for run in list_runs(workspace.runs)}
    latest: dict[Path, Job] = {}
    jobs = list_jobs(workspace)
    for job in jobs:  # newest first
        if job.kind == "train":
            latest.setdefault(job.out, job)
    waiting = [job.id for job in reversed(jobs) if job.state == "queued"]
    trainings = [
        _training(workspace, path, runs.get(path), latest.get(path), waiting)
        for path in dict.fromkeys([*latest, *runs])
    ]
    return sorted(trainings, key=_rank)


def _training(
    workspace: Workspace, path: Path, run: RunSummary | None, job: Job | None, waiting: Sequence[str]
) -> Training:
    inside = path.is_relative_to(workspace.runs)
    name = str(path.relative_to(workspace.runs)) if inside else workspace.shown(path)
    state = _state(run, job)
    place = waiting.index(job.id) + 1 if job is not None and job.id in waiting else 0
    return Training(name, path, state, _sentence(state, run, job), run, job, place)


def _state(run: RunSummary | None, job: Job | None) -> str:
    """The job's state while the job is active, otherwise the state that the run itself reports."""
    if job is None:
        assert run is not None
        return "damaged" if run.problem else run.status
    if run is None and not job.active and _has_trained(job):
        return "deleted"
    if job.state == "running":
        if job.stop_asked is not None:
            return "stopping"
        begun = run is not None and run.changed >= (job.started or 0.0) and run.status == "running"
        return "running" if begun else "starting"
    if job.state == "queued" or run is None:
        return job.state
    if run.problem:
        return "damaged"
    later = run.changed > (job.ended or job.queued) + 1 or run.status in ("starting", "running")
    return run.status if later else job.state


def _has_trained(job: Job) -> bool:
    """Whether the job had a folder to write to, by its end or its log; what it did before that leaves no folder."""
    return job.state == "finished" or re.search(r"\bstep \d+/\d+", log_tail(job)) is not None


def _sentence(state: str, run: RunSummary | None, job: Job | None) -> str:
    if state == "damaged" and run is not None:
        return run.problem
    if state == "failed":
        message = run.message if run is not None else ""
        return message or (last_message(job) if job is not None else "") or "it ended without an error message"
    if state == "killed":
        return "its process ended unexpectedly (killed, or the machine restarted): resume it to continue"
    return ""


def _rank(training: Training) -> tuple[int, float, float]:
    if training.state == "queued":
        return 1, training.place, 0.0
    times = [training.run.changed if training.run else 0.0]
    times += [training.job.ended or training.job.queued] if training.job else []
    return (0 if training.active else 2), 0.0, -max(times)


# actions on a training


def stop_training(workspace: Workspace, training: Training) -> None:
    """Removes it from the queue, or asks it to save a checkpoint and stop, whatever started it.

    Raises InputError if it runs on another machine or in another container.
    """
    if training.job is not None and training.job.active:
        stop_job(workspace, training.job.id)
        return
    holder = run_log.find_training(training.path)
    if holder is None:
        return
    if not holder.is_here:
        raise InputError(f"{training.name} is being trained {holder.words}: stop it there")
    with suppress(ProcessLookupError):
        os.kill(holder.pid, signal.SIGTERM)


def resume_arguments(
    workspace: Workspace, training: Training, budget: Budget | None = None, amount: float = 0.0
) -> tuple[str, ...]:
    """Arguments of `dream` that continue a run to its planned end, or by an additional budget."""
    more = () if budget is None else (f"--{budget}", _amount(budget, amount))
    before = training.job.arguments if training.job is not None else ()
    devices = [word for at, name in enumerate(before) if name in DEVICE_OPTIONS for word in (name, before[at + 1])]
    return ("train", "--out", workspace.shown(training.path), "--resume", *more, *devices)


def resume_training(workspace: Workspace, training: Training, budget: Budget | None = None, amount: float = 0.0) -> Job:
    """Adds a job that continues the run to the queue; raises InputError if there is nothing to continue."""
    from dream.training.request import TrainRequest, check_train_request

    minutes, steps = _budget(budget, amount)
    check_train_request(TrainRequest(out=training.path, resume=True, minutes=minutes, steps=steps))
    arguments = resume_arguments(workspace, training, budget, amount)
    return enqueue(workspace, "train", training.name, arguments, training.path)


def delete_training(workspace: Workspace, training: Training) -> None:
    """Deletes the run's own files in its folder, its jobs and its note; other files in the folder stay.

    Raises InputError while it is queued or being trained, wherever.
    """
    holder = run_log.find_training(training.path)
    if holder is not None:
        raise InputError(f"{training.name} is being trained {holder.words}: stop it first")
    if training.active:
        raise InputError(f"{training.name} is {training.state}: stop it first")
    if training.path.is_dir():
        with take_claim(training.path):  # so that no training begins while its files go
            run_log.delete_run(training.path)
    if training.path.is_dir() and not any(training.path.iterdir()):
        training.path.rmdir()
    for job in list_jobs(workspace, "train"):
        if job.out == training.path and not job.active:
            forget_job(workspace, job.id)
    notes.forget_notes(workspace, training.name)


def delete_trainings(workspace: Workspace, trainings: Sequence[Training]) -> tuple[list[str], list[str]]:
    """Deletes trainings as `delete_training` does; returns the names of the deleted ones, and why others were not."""
    deleted, refused = [], []
    for training in trainings:
        try:
            delete_training(workspace, training)
            deleted.append(training.name)
        except (InputError, RunError) as error:
            refused.append(str(error))
    return deleted, refused


def _budget(budget: Budget | None, amount: float) -> tuple[float | None, int | None]:
    """The budget as minutes and steps; at least one of them is None."""
    return amount if budget == "minutes" else None, int(amount) if budget == "steps" else None


def _amount(budget: Budget, amount: float) -> str:
    return f"{amount:g}" if budget == "minutes" else str(int(amount))
