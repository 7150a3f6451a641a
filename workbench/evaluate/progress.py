"""How far a started `dream evaluate` is, from its command line and what it has said. It measures nothing."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dream.errors import InputError
from dream.evaluation.tasks import TASKS, may_take, named_tasks
from workbench.evaluate.plan import model_column
from workbench.jobs.job import Job

MOST_BYTES = 4_000_000
"""So much of a log's end is read."""
ENDED = re.compile(r"^(?P<title>.+?: \w+ on .+?): (?P<how>cached|took .+|skipped, .+)$")
AT_WORK = re.compile(r"^(?P<title>.+?: \w+ on .+?)(?: +(?P<percent>\d+)% (?P<what>.*))?, (?P<left>.+ left in all)$")


@dataclass(frozen=True)
class Question:
    """One task to one model on one set."""

    model: str
    task: str
    data: str
    state: Literal["waiting", "at work", "done", "cached", "skipped"] = "waiting"
    note: str = ""
    """How long it took, or why it was skipped, or what it does."""
    share: float = 0.0
    """How far it is, 0 to 1."""

    @property
    def title(self) -> str:
        """As the command names it."""
        return f"{self.model}: {self.task} on {self.data}"


@dataclass(frozen=True)
class EvaluationProgress:
    """How far the whole is."""

    questions: tuple[Question, ...]
    left: str
    """The command's own words for the time left; empty while it has said nothing."""

    @property
    def share(self) -> float:
        """How far it is, 0 to 1, a task weighted by its usual time."""
        usual = [TASKS[question.task].seconds for question in self.questions]
        done = [seconds * question.share for seconds, question in zip(usual, self.questions, strict=True)]
        return sum(done) / sum(usual) if usual else 0.0

    @property
    def at_work(self) -> Question | None:
        """What is being measured."""
        return next((question for question in self.questions if question.state == "at work"), None)

    @property
    def ended(self) -> int:
        """Questions that have an answer, or a reason for having none."""
        return sum(question.share == 1.0 for question in self.questions)


def progress_of(job: Job) -> EvaluationProgress:
    """Where the job stands. What does not run any more is at work at nothing."""
    questions = {question.title: question for question in _asked(job.arguments)}
    left = ""
    for line in _said(job):
        if match := ENDED.match(line):
            question = questions.get(match["title"])
            if question is not None:
                questions[question.title] = _answered(question, match["how"])
        elif (match := AT_WORK.match(line)) and (question := questions.get(match["title"])):
            left = match["left"]
            share = int(match["percent"] or 0) / 100
            questions[question.title] = replace(
                question, state="at work", note=match["what"] or "", share=min(share, 0.99)
            )
    if job.state != "running":
        left = ""
        for title, question in questions.items():
            if question.state == "at work":
                questions[title] = replace(question, state="waiting", note="", share=0.0)
    return EvaluationProgress(tuple(questions.values()), left)


def _answered(question: Question, how: str) -> Question:
    if how == "cached":
        return replace(question, state="cached", note="measured before", share=1.0)
    if how.startswith("skipped, "):
        return replace(question, state="skipped", note=how.removeprefix("skipped, "), share=1.0)
    return replace(question, state="done", note=how.removeprefix("took "), share=1.0)


def _said(job: Job) -> list[str]:
    """The lines of its log since it was started last."""
    try:
        text = job.log.read_bytes()[-MOST_BYTES:].decode(errors="replace")
    except OSError:
        return []
    return [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]


def _asked(arguments: Sequence[str]) -> Iterator[Question]:
    """The questions of a command, in the order in which it asks them."""
    models = [model_column(word) for word in _values(arguments, "--model")]
    sources = list(dict.fromkeys(_values(arguments, "--data"))) or ["shapes"]
    try:
        tasks = named_tasks((_values(arguments, "--tasks") or ["all"])[-1], sources)
    except InputError:  # a queue file of another version
        return
    for model in models:
        for source in sources:
            for task in tasks:
                if may_take(task, source):
                    yield Question(model, task.name, source)


def _values(arguments: Sequence[str], option: str) -> list[str]:
    return [value for word, value in itertools.pairwise(arguments) if word == option]
