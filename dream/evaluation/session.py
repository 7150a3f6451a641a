"""The walk through an evaluation: models, sets and tasks, each question answered once and written at once.

What a results file answers already is taken from there. A stop loses the task in progress and no other.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from dream.console import Console, duration
from dream.data.report import DataReport, reports_made
from dream.errors import InputError
from dream.evaluation.fingerprint import fingerprint, paths_in
from dream.evaluation.results import Results, TaskResult, add_entry, changed_fields, plain, read_or_new
from dream.evaluation.tasks import Task, chosen_settings, may_take, objective_of
from dream.model.pretrained import Pretrained
from dream.pretrained import checkpoint_of, load_pretrained, weights_file
from dream.training import checkpoint
from dream.training.run_log import git_commit, versions

NAMES = 10
"""Broken samples that are named of each shard and kind."""


@dataclass(frozen=True)
class EvaluationRequest:
    """What to measure."""

    models: dict[str, Path]
    """Runs, checkpoints or shipped models, by the name of their column."""
    tasks: Sequence[Task]
    sources: Sequence[str]
    out: Path
    """Folder of the results."""
    assignments: Sequence[str] = ()
    """TASK.FIELD=VALUE."""
    named: frozenset[str] = frozenset()
    """Tasks that were asked for by name: it is an error if one of them can be measured on no set."""
    seed: int = 0
    raw: bool = False
    """The raw weights instead of the averaged ones."""
    overwrite: bool = False
    """Measure anew what is there."""
    device: str = "auto"


@dataclass(frozen=True)
class Inquiry:
    """One question to one model."""

    model: str
    task: Task
    settings: Any
    wanted: TaskResult
    """The entry to be, without its measures."""
    refusal: str
    """Why this model cannot be asked; empty if it can."""


@dataclass(frozen=True)
class Outcome:
    """What an evaluation came to."""

    results: list[Results]
    """The answers to this evaluation's questions, a model each."""
    refused: str
    """Why a task that was named could not be measured on any set; empty if all could."""


def evaluate(request: EvaluationRequest, console: Console) -> Outcome:
    """Measures what is not in the results yet, and writes each task as soon as it is done.

    Raises InputError for what is wrong with models, data, settings or results files, before anything is
    measured.
    """
    device = _device(request.device)
    settings = chosen_settings(request.tasks, request.assignments)
    jobs = {name: _jobs(name, path, request, settings) for name, path in request.models.items()}
    known = {name: read_or_new(request.out, name, str(path)) for name, path in request.models.items()}
    clock = _Clock([job for per_model in jobs.values() for job in per_model])
    broken = {source: DataReport() for source in request.sources}
    for name, path in request.models.items():
        pretrained: Pretrained | None = None
        for job in jobs[name]:
            if known[name].find(job.wanted) and not request.overwrite:
                console.say(f"{_title(job)}: cached")
                clock.passed(job)
                continue
            if job.refusal:
                entry = replace(job.wanted, skipped=job.refusal, time=time.time())
            else:
                pretrained = pretrained or load_pretrained(path, ema=not request.raw).to(device)
                entry, report = _measured(job, pretrained, console, clock)
                _say_broken(report, broken[job.wanted.data], job, console)
            add_entry(request.out, name, str(path), entry)
            console.say(f"{_title(job)}: {_ended(entry)}")
            clock.passed(job, entry.seconds)
    return _outcome(request, jobs)


def _jobs(name: str, path: Path, request: EvaluationRequest, settings: dict[str, Any]) -> list[Inquiry]:
    """The questions to a model, data by data; nothing of it is loaded but its state."""
    folder = checkpoint_of(path)
    state = checkpoint.read_state(folder)
    model_id = checkpoint.weights_id(folder, weights_file(folder, ema=not request.raw))
    found = []
    for source in request.sources:
        data = fingerprint(source, state.config)
        for task in request.tasks:
            if may_take(task, source):
                chosen = settings[task.name]
                wanted = TaskResult(
                    task=task.name,
                    data=source,
                    settings=plain(chosen),
                    changed=changed_fields(chosen, task.defaults()),
                    seed=request.seed,
                    weights="raw" if request.raw else "ema",
                    model_id=model_id,
                    fingerprint=data | paths_in(plain(chosen)),
                    objective=objective_of(state.config),
                    step=state.step,
                )
                found.append(Inquiry(name, task, chosen, wanted, task.refusal(state.config)))
    return found


def _measured(job: Inquiry, pretrained: Pretrained, console: Console, clock: "_Clock") -> tuple[TaskResult, DataReport]:
    """The job's entry, and what was broken; what data or model do not allow is the reason for skipping it."""
    start, skipped, measures = time.monotonic(), "", []

    def tell(done: float, what: str) -> None:
        console.progress(f"{_title(job)} {done:4.0%} {what}, {clock.left(job, done)}")

    console.progress(f"{_title(job)}, {clock.left(job, 0.0)}")
    with reports_made() as found:
        try:
            measures = job.task.measure(pretrained, job.wanted.data, job.settings, job.wanted.seed, tell)
        except InputError as error:
            skipped = str(error)
    report = DataReport()
    for part in found:
        report.join(part)
    entry = replace(
        job.wanted,
        measures=tuple(measures),
        skipped=skipped,
        seconds=round(time.monotonic() - start, 2),
        time=time.time(),
        about=_about(pretrained, report),
    )
    return entry, report


def _about(pretrained: Pretrained, report: DataReport) -> dict[str, Any]:
    device = str(next(pretrained.model.parameters()).device)
    return {"device": device, **_code()} | ({"broken": report.to_dict()["kinds"]} if report.total else {})


@cache
def _code() -> dict[str, Any]:
    """What computed the measures."""
    return {"versions": versions(), "git_commit": git_commit()}


def _outcome(request: EvaluationRequest, jobs: dict[str, list[Inquiry]]) -> Outcome:
    results, refused = [], ""
    for name, path in request.models.items():
        stored = read_or_new(request.out, name, str(path)).entries
        entries = [next(e for e in reversed(stored) if e.same_question(job.wanted)) for job in jobs[name]]
        results.append(Results(name, str(path), tuple(entries)))
        for task in request.named:
            mine = [(job, e) for job, e in zip(jobs[name], entries, strict=True) if e.task == task]
            if all(e.skipped for _, e in mine) and not any(job.refusal for job, _ in mine):
                refused = refused or mine[0][1].skipped
    return Outcome(results, refused)


def _title(job: Inquiry) -> str:
    return f"{job.model}: {job.task.name} on {job.wanted.data}"


def _ended(entry: TaskResult) -> str:
    return f"skipped, {entry.skipped}" if entry.skipped else f"took {duration(entry.seconds)}"


def _say_broken(report: DataReport, told: DataReport, job: Inquiry, console: Console) -> None:
    """Names what is broken in the data, unless an earlier task has."""
    before = told.total
    told.join(report)
    if told.total > before:
        found = "1 problem" if told.total == 1 else f"{told.total:,} problems"
        console.say(f"{job.wanted.data}: {found} in the data; what is touched by it is skipped")
        console.say(told.summary(NAMES))


def _device(name: str) -> Any:
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch sees no CUDA device here; use --device cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


class _Clock:
    """Time left, from the tasks' usual times and how long those took that are done."""

    def __init__(self, jobs: Sequence[Inquiry]) -> None:
        self.left_over = sum(job.task.seconds for job in jobs if not job.refusal)
        self.usual, self.taken, self.begin = 0.0, 0.0, time.monotonic()

    def passed(self, job: Inquiry, seconds: float = 0.0) -> None:
        """Notes that a job is over; what took no time says nothing of the others."""
        self.left_over -= 0 if job.refusal else job.task.seconds
        if seconds:
            self.usual, self.taken = self.usual + job.task.seconds, self.taken + seconds
        self.begin = time.monotonic()

    def left(self, job: Inquiry, done: float) -> str:
        """Words for the time left when `done` of a job is done."""
        now = time.monotonic() - self.begin
        pace = self.taken / self.usual if self.usual else 1.0
        known = done > 0.05  # before, the task's usual time says more
        this = now * (1 - done) / done if known else max(0.0, pace * job.task.seconds - now)
        return f"{duration(this + pace * (self.left_over - job.task.seconds))} left in all"
