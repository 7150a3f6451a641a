"""How far an evaluation is, from the events that it yields, or from those that a job has written."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dream.console import duration
from dream.errors import InputError
from dream.evaluation.event_log import read_events
from dream.evaluation.events import (
    EvaluationEvent,
    Question,
    TaskAnswered,
    TaskAsked,
    TaskAtWork,
    TaskCached,
    TaskEnded,
    TaskSkipped,
)
from dream.evaluation.tasks import TASKS, measured_on, named_tasks
from workbench.evaluate.plan import model_column
from workbench.jobs.job import Job

MOST_AT_WORK = 0.99
"""Share of a task that is at work and reports that it is done."""
USUAL_SECONDS = 10.0
"""Usual time of a task that this version does not know."""


@dataclass(frozen=True)
class QuestionProgress:
    """A question and how far its answer is."""

    question: Question
    state: Literal["waiting", "at work", "done", "cached", "skipped"] = "waiting"
    note: str = ""
    """Time that it took, reason for skipping it, or current activity."""
    share: float = 0.0
    """Share that is done, 0 to 1."""


@dataclass(frozen=True)
class EvaluationProgress:
    """How far an evaluation is."""

    questions: tuple[QuestionProgress, ...] = ()
    seconds_left: float | None = None
    """Estimated time until it ends; None before the first task is at work, and once it was interrupted."""

    @property
    def share(self) -> float:
        """Share that is done, 0 to 1, each task weighted by its usual time."""
        usual = [_usual_seconds(each.question) for each in self.questions]
        done = [seconds * each.share for seconds, each in zip(usual, self.questions, strict=True)]
        return sum(done) / sum(usual) if usual else 0.0

    @property
    def at_work(self) -> QuestionProgress | None:
        """The question that is being answered."""
        return next((each for each in self.questions if each.state == "at work"), None)

    @property
    def ended(self) -> int:
        """Number of questions that have an answer or a reason for having none."""
        return sum(each.state in ("done", "cached", "skipped") for each in self.questions)

    def after(self, event: EvaluationEvent) -> "EvaluationProgress":
        """Returns the progress after one more event."""
        if isinstance(event, TaskAsked):
            return replace(self, questions=(*self.questions, QuestionProgress(event.question)))
        if not isinstance(event, (TaskAtWork, TaskEnded)):
            return self
        questions = tuple(_after(each, event) if each.question == event.question else each for each in self.questions)
        return EvaluationProgress(questions, event.seconds_left if isinstance(event, TaskAtWork) else self.seconds_left)

    def interrupted(self) -> "EvaluationProgress":
        """Returns the progress without what is at work: a task that is stopped has to start again."""
        waiting = [QuestionProgress(e.question) if e.state == "at work" else e for e in self.questions]
        return EvaluationProgress(tuple(waiting))


def progress_of(job: Job) -> EvaluationProgress:
    """Returns how far a job is; all its questions wait if it has not written any event yet."""
    progress = EvaluationProgress()
    for event in read_events(job.progress):
        progress = progress.after(event)
    if not progress.questions:
        return EvaluationProgress(tuple(map(QuestionProgress, _planned_questions(job.arguments))))
    return progress if job.state == "running" else progress.interrupted()


def activity(question: QuestionProgress) -> str:
    """`demo: knn on shapes, features`: a question that is at work, in words."""
    return ", ".join(filter(None, [question.question.title, question.note]))


def _after(progress: QuestionProgress, event: TaskAtWork | TaskEnded) -> QuestionProgress:
    if isinstance(event, TaskAtWork):
        share = min(event.share, MOST_AT_WORK)
        return replace(progress, state="at work", note=event.doing, share=share)
    if isinstance(event, TaskCached):
        return replace(progress, state="cached", note="measured before", share=1.0)
    if isinstance(event, TaskSkipped):
        return replace(progress, state="skipped", note=event.entry.skipped, share=1.0)
    assert isinstance(event, TaskAnswered)
    return replace(progress, state="done", note=duration(event.entry.seconds), share=1.0)


def _usual_seconds(question: Question) -> float:
    task = TASKS.get(question.task)
    return task.seconds if task else USUAL_SECONDS


def _planned_questions(arguments: Sequence[str]) -> Iterator[Question]:
    """Yields the questions of a command line, in the order in which it asks them."""
    models = [model_column(word) for word in _values(arguments, "--model")]
    sources = list(dict.fromkeys(_values(arguments, "--data"))) or ["shapes"]
    try:
        tasks = named_tasks((_values(arguments, "--tasks") or ["all"])[-1], sources)
    except InputError:  # a job that another version queued
        return
    for model in models:
        yield from (Question(model, task.name, source) for task, source in measured_on(tasks, sources))


def _values(arguments: Sequence[str], option: str) -> list[str]:
    return [value for word, value in itertools.pairwise(arguments) if word == option]
