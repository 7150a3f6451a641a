"""An evaluation from start to end: models, sources and tasks, each question answered once and written at once.

An answer that the results file already holds is taken from there. A stop loses the task at work and nothing else.
"""

import json
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from dream.data.report import DataReport, reports_made
from dream.errors import InputError
from dream.evaluation.classes.sources import readings_of
from dream.evaluation.events import (
    BrokenDataFound,
    ClassesRead,
    EvaluationEnded,
    EvaluationEvent,
    Question,
    TaskAnswered,
    TaskAsked,
    TaskAtWork,
    TaskCached,
    TaskEnded,
    TaskSkipped,
)
from dream.evaluation.fingerprint import fingerprint, paths_in
from dream.evaluation.pieces import ALONE, EvaluationRank, kept_pieces
from dream.evaluation.progress import Progress
from dream.evaluation.results import Results, TaskResult, add_entry, changed_fields, plain, read_or_new
from dream.evaluation.statistics import Measure
from dream.evaluation.task_thread import TaskThread
from dream.evaluation.tasks import LABELS, Task, chosen_settings, measured_on, objective_of
from dream.model.pretrained import Pretrained
from dream.pretrained import checkpoint_of, load_pretrained, weights_file
from dream.training import checkpoint
from dream.training.run_log import git_commit, versions
from dream.weights.distributed import by_first_rank, together

AT_WORK_SECONDS = 0.5
"""Time between two `TaskAtWork` events."""
CPU = torch.device("cpu")
NAMES = 10
"""Broken samples named per shard and kind."""


@dataclass(frozen=True)
class EvaluationRequest:
    """Models, tasks, data and settings of an evaluation."""

    models: Mapping[str, Path]
    """Runs, checkpoints or shipped models, by the name of their column."""
    tasks: Sequence[Task]
    sources: Sequence[str]
    out: Path
    """Folder of the results."""
    assignments: Sequence[str] = ()
    """TASK.FIELD=VALUE."""
    named: frozenset[str] = frozenset()
    """Tasks requested by name: it is an error if one of them can be measured on no source."""
    seed: int = 0
    raw: bool = False
    """Evaluate the raw weights instead of the averaged ones."""
    overwrite: bool = False
    """Measure again what the results already hold."""
    device: torch.device = CPU
    """Where the models run."""
    member: EvaluationRank = ALONE
    """Which of the ranks that share the evaluation this process is; each makes the same request."""


@dataclass(frozen=True)
class _Planned:
    """A question with all that its answer depends on."""

    question: Question
    task: Task
    settings: Any
    unanswered: TaskResult
    """The entry without its measures."""
    refusal: str
    """Reason why this model cannot be asked; empty if it can."""


def evaluate(request: EvaluationRequest) -> Generator[EvaluationEvent, None, None]:
    """Measures what the results do not hold yet, and yields what happens; each answer is written before its event.

    Closing the generator, or an exception such as KeyboardInterrupt, stops the task at work; answers stay
    written. Raises InputError for bad models, data, settings or results files before anything is measured.
    """
    settings = chosen_settings(request.tasks, request.assignments)
    asking = measured_on(request.tasks, request.sources)
    readings = {source: _readings(source, [t for t, s in asking if s == source]) for _, source in asking}
    planned = {name: _planned(name, path, request, settings, readings) for name, path in request.models.items()}
    known = by_first_rank(lambda: _known(request, planned))
    _require_alike(planned)
    clock = _Clock([each for per_model in planned.values() for each in per_model])
    broken = {source: DataReport() for _, source in asking}
    ended: list[TaskAnswered | TaskSkipped | TaskCached] = []
    for per_model in planned.values():
        yield from (TaskAsked(each.question) for each in per_model)
    yield from _classes_read(readings)
    for name, path in request.models.items():
        pretrained: Pretrained | None = None
        for each, entry in zip(planned[name], known[name], strict=True):
            if not request.member.writes and (entry is not None or each.refusal or each.task.alone):
                continue
            if entry is not None:
                ended.append(TaskCached(each.question, entry))
            else:
                report = DataReport()
                if each.refusal:
                    entry = replace(each.unanswered, skipped=each.refusal, time=time.time())
                else:
                    pretrained = pretrained or load_pretrained(path, ema=not request.raw).to(request.device)
                    entry = yield from _measured(each, pretrained, clock, report, request)
                if request.member.writes:
                    add_entry(request.out, name, str(path), entry)
                yield from _broken_data(each.question.data, report, broken[each.question.data])
                how = TaskSkipped if entry.skipped else TaskAnswered
                ended.append(how(each.question, entry))
            clock.passed(each, 0.0 if isinstance(ended[-1], TaskCached) else entry.seconds)
            yield ended[-1]
    yield EvaluationEnded(_refused(request.named, ended, planned))


def _known(request: EvaluationRequest, planned: Mapping[str, Sequence[_Planned]]) -> dict[str, list[TaskResult | None]]:
    """What the results hold already, per model and question; nothing if all is to be measured again."""
    stored = {name: read_or_new(request.out, name, str(path)) for name, path in request.models.items()}
    return {
        name: [None if request.overwrite else stored[name].find(each.unanswered) for each in questions]
        for name, questions in planned.items()
    }


def _require_alike(planned: Mapping[str, Sequence[_Planned]]) -> None:
    """Raises InputError on every rank if they were asked, or see, different things."""
    asked = [each.unanswered.to_dict() for questions in planned.values() for each in questions]
    if any(other != asked for other in together(lambda: asked)):
        raise InputError("ranks see different models or data: start them all by one line, on one disk that all see")


def results_of(models: Mapping[str, Path], ended: Iterable[TaskEnded]) -> list[Results]:
    """Returns the entries of these events per model, for every model that has any."""
    entries: dict[str, list[TaskResult]] = {}
    for event in ended:
        entries.setdefault(event.question.model, []).append(event.entry)
    return [Results(name, str(path), tuple(entries[name])) for name, path in models.items() if name in entries]


def _readings(source: str, tasks: Iterable[Task]) -> dict[str, Any]:
    """Returns how the labelled pictures of a source are read; empty if no task on classes takes it."""
    return readings_of(source) if any(LABELS in task.takes for task in tasks) else {}


def _without_prose(sets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: {k: v for k, v in reading.items() if k != "sentence"} for name, reading in sets.items()}


def _classes_read(readings: Mapping[str, Mapping[str, Any]]) -> Iterator[ClassesRead]:
    for source, sets in readings.items():
        for name, reading in sets.items():
            if "sentence" in reading:
                yield ClassesRead(source if len(sets) == 1 else f"{source}, {name}", reading["sentence"])


def _planned(
    name: str,
    path: Path,
    request: EvaluationRequest,
    settings: Mapping[str, Any],
    readings: Mapping[str, dict[str, Any]],
) -> list[_Planned]:
    """Returns the questions to a model, source by source; reads its state and no weights."""
    folder = checkpoint_of(path)
    state = checkpoint.read_state(folder)
    model_id = checkpoint.weights_id(folder, weights_file(folder, ema=not request.raw))
    asking = measured_on(request.tasks, request.sources)
    data = {source: fingerprint(source, state.config) for _, source in asking}
    planned = []
    for task, source in asking:
        chosen = settings[task.name]
        classified = LABELS in task.takes and readings[source]
        reading = {"reading": _without_prose(readings[source])} if classified else {}
        unanswered = TaskResult(
            task=task.name,
            data=source,
            settings=plain(chosen),
            changed=changed_fields(chosen, task.defaults()),
            seed=request.seed,
            weights="raw" if request.raw else "ema",
            model_id=model_id,
            fingerprint=data[source] | paths_in(plain(chosen)) | reading,
            objective=objective_of(state.config),
            step=state.step,
        )
        planned.append(
            _Planned(Question(name, task.name, source), task, chosen, unanswered, task.refusal(state.config))
        )
    return planned


def _measured(
    planned: _Planned, pretrained: Pretrained, clock: "_Clock", report: DataReport, request: EvaluationRequest
) -> Generator[TaskAtWork, None, TaskResult]:
    """Measures the task and returns its entry; `report` collects what was broken in the data.

    If data or model do not allow the task, the entry holds the reason instead of measures.
    """
    asked = [planned.unanswered.to_dict(), versions(), request.device.type]
    member = ALONE if planned.task.alone else request.member

    def measure(progress: Progress) -> tuple[Sequence[Measure], str, float]:
        start, data, seed = time.monotonic(), planned.question.data, planned.unanswered.seed
        measures: Sequence[Measure] = ()
        skipped = ""
        with reports_made() as reports:
            try:
                with kept_pieces(request.out, asked, member):
                    measures = planned.task.measure(pretrained, data, planned.settings, seed, progress)
            except InputError as error:
                skipped = str(error)
        for each in reports:
            report.join(each)
        return measures, skipped, time.monotonic() - start

    with TaskThread(measure) as thread:
        while True:
            share, doing = thread.progress
            yield TaskAtWork(planned.question, share, doing, clock.seconds_left(planned, share))
            if not thread.runs_after(AT_WORK_SECONDS):
                break
    measures, skipped, seconds = thread.result()
    entry = replace(
        planned.unanswered,
        measures=tuple(measures),
        skipped=skipped,
        seconds=round(seconds, 2),
        time=time.time(),
        about=_about(pretrained, report),
    )
    return TaskResult.from_dict(json.loads(json.dumps(entry.to_dict())))  # as its file gives it back


def _about(pretrained: Pretrained, report: DataReport) -> dict[str, Any]:
    device = str(next(pretrained.model.parameters()).device)
    return {"device": device, **_code()} | ({"broken": report.to_dict()["kinds"]} if report.total else {})


@cache
def _code() -> dict[str, Any]:
    """Returns the versions and the commit that computed the measures."""
    return {"versions": versions(), "git_commit": git_commit()}


def _refused(named: Iterable[str], ended: Sequence[TaskEnded], planned: Mapping[str, Sequence[_Planned]]) -> str:
    """Returns why a named task, or every task, was measured on no source although the model could be asked."""
    for model, questions in planned.items():
        for task in named:
            entries = [e.entry for e in ended if (e.question.model, e.question.task) == (model, task)]
            able = not any(each.refusal for each in questions if each.question.task == task)
            if entries and able and all(entry.skipped for entry in entries):
                return entries[0].skipped
    unable = {(model, each.question.task) for model, questions in planned.items() for each in questions if each.refusal}
    asked = [each.entry.skipped for each in ended if (each.question.model, each.question.task) not in unable]
    return f"nothing could be measured: {asked[0]}" if asked and all(asked) else ""


def _broken_data(data: str, report: DataReport, known: DataReport) -> Iterable[BrokenDataFound]:
    """Returns an event if the report has problems that earlier tasks did not find; `known` takes them over."""
    before = known.total
    known.join(report)
    return [BrokenDataFound(data, known.total, known.to_dict(NAMES)["kinds"])] if known.total > before else []


class _Clock:
    """Time left, from the tasks' usual times and the time that ended tasks took."""

    def __init__(self, planned: Sequence[_Planned]) -> None:
        self.usual_left = sum(each.task.seconds for each in planned if not each.refusal)
        self.usual_done, self.taken, self.begin = 0.0, 0.0, time.monotonic()

    def passed(self, planned: _Planned, seconds: float = 0.0) -> None:
        """Notes that a question has ended; one that took no time does not count for the pace."""
        self.usual_left -= 0 if planned.refusal else planned.task.seconds
        if seconds:
            self.usual_done, self.taken = self.usual_done + planned.task.seconds, self.taken + seconds
        self.begin = time.monotonic()

    def seconds_left(self, planned: _Planned, share: float) -> float:
        """Returns the estimated time until the evaluation ends, with `share` of this task done."""
        spent = time.monotonic() - self.begin
        pace = self.taken / self.usual_done if self.usual_done else 1.0
        reliable = share > 0.05  # before, the task's usual time is the better estimate
        this = spent * (1 - share) / share if reliable else max(0.0, pace * planned.task.seconds - spent)
        return this + pace * (self.usual_left - planned.task.seconds)
