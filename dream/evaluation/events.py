"""Records of what happens in an evaluation, in the order in which `session.evaluate` yields them.

Every question is asked first; then each is at work for a while and ends with an entry. `event_to_dict` and
`event_from_dict` convert a record to plain JSON values and back.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from dream.evaluation.results import TaskResult


@dataclass(frozen=True)
class Question:
    """One task put to one model on one source of data."""

    model: str
    """Name of the model's column."""
    task: str
    data: str

    @property
    def title(self) -> str:
        """`demo: knn on shapes`."""
        return f"{self.model}: {self.task} on {self.data}"


@dataclass(frozen=True)
class TaskAsked:
    """A question that will be answered; until then it waits."""

    question: Question


@dataclass(frozen=True)
class TaskAtWork:
    """Progress of the question that is being answered."""

    question: Question
    share: float
    """Share of the task that is done, 0 to 1."""
    doing: str
    """Current activity, in the task's words; empty if it reports none."""
    seconds_left: float
    """Estimated seconds until the whole evaluation ends."""


@dataclass(frozen=True)
class TaskEnded:
    """End of a question: one of `TaskAnswered`, `TaskSkipped` and `TaskCached`."""

    question: Question
    entry: TaskResult


@dataclass(frozen=True)
class TaskAnswered(TaskEnded):
    """The task was measured; its entry is in the results file."""


@dataclass(frozen=True)
class TaskSkipped(TaskEnded):
    """Model or data do not allow the task; `entry.skipped` is the reason."""


@dataclass(frozen=True)
class TaskCached(TaskEnded):
    """The results file already answers the question."""


@dataclass(frozen=True)
class BrokenDataFound:
    """A source has problems that no earlier event reported."""

    data: str
    problems: int
    """All problems of the source so far."""
    kinds: dict[str, Any]
    """Counts and names by kind and shard (`DataReport.to_dict`)."""


@dataclass(frozen=True)
class ClassesRead:
    """A folder of labelled pictures is laid out in this way, before the first task on it starts."""

    data: str
    reading: str
    """Layout, number of classes and pictures, and what was left out, in words."""


@dataclass(frozen=True)
class EvaluationEnded:
    """Every question has ended; always the last event."""

    refused: str
    """Reason why a task that was named could be measured on no source; empty if all could."""


EvaluationEvent = (
    TaskAsked | ClassesRead | TaskAtWork | TaskAnswered | TaskSkipped | TaskCached | BrokenDataFound | EvaluationEnded
)
_NAMES: dict[type[Any], str] = {
    TaskAsked: "asked",
    ClassesRead: "classes read",
    TaskAtWork: "at work",
    TaskAnswered: "answered",
    TaskSkipped: "skipped",
    TaskCached: "cached",
    BrokenDataFound: "broken data",
    EvaluationEnded: "ended",
}
_KINDS = {name: kind for kind, name in _NAMES.items()}


def event_to_dict(event: EvaluationEvent) -> dict[str, Any]:
    """Returns the event as JSON values; `event` holds the kind."""
    tree = {"event": _NAMES[type(event)], **asdict(event)}
    return {**tree, "entry": event.entry.to_dict()} if isinstance(event, TaskEnded) else tree


def event_from_dict(tree: Mapping[str, Any]) -> EvaluationEvent | None:
    """Returns the event of `event_to_dict`'s result; None for an unknown kind.

    Unknown fields are ignored. Raises KeyError or TypeError if a field is missing or has another type.
    """
    kind = _KINDS.get(tree["event"])
    if kind is None:
        return None
    values = {field.name: tree[field.name] for field in fields(kind)}
    if "question" in values:
        values["question"] = Question(**{field.name: tree["question"][field.name] for field in fields(Question)})
    if "entry" in values:
        values["entry"] = TaskResult.from_dict(tree["entry"])
    return kind(**values)
