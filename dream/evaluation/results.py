"""Results of evaluations on disk: one JSON file per model, with its writer and readers.

An entry is one task on one source with one choice of settings, seed and weights. Entries of other weights, data
or settings are kept, so that no measurement is lost; measuring an entry again replaces it.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dream.errors import InputError
from dream.evaluation.statistics import Estimate, Measure
from dream.fields import as_dataclass
from dream.files import locked, replace_text
from dream.json_text import read_json_object

MAY_BE_UNDEFINED = {"AUC", "AUC within reach", "mIoU", "pixel accuracy"}
"""Measures that are ratios of what the data may not have (a right and a wrong candidate, a pixel with a class)."""
FORMAT = 2
"""Version of the layout; files of another version are refused."""


@dataclass(frozen=True)
class TaskResult:
    """Measures of one task, and all that they depend on."""

    task: str
    data: str
    """The source, as given to `--data`."""
    settings: dict[str, Any]
    """Every field of the task's settings."""
    changed: dict[str, Any]
    """The settings that differ from their defaults."""
    seed: int
    weights: str
    """`ema` or `raw`."""
    model_id: str
    """Short hash of the weights."""
    fingerprint: dict[str, Any]
    """Identity of the data (`fingerprint.fingerprint`)."""
    objective: str = ""
    """Training objective of the model: dream, clip, fluid, mar or repa."""
    step: int = 0
    """Optimizer steps of the weights."""
    skipped: str = ""
    """Reason for having no measures; empty if there are any."""
    measures: tuple[Measure, ...] = ()
    seconds: float = 0.0
    """Duration of the measurement."""
    time: float = 0.0
    """Time of the measurement, in seconds since 1970."""
    about: dict[str, Any] = field(default_factory=dict)
    """Device, versions, commit, and the report of broken data."""

    def same_question(self, other: "TaskResult") -> bool:
        """Returns whether both have the same task, data, settings, seed and weights."""
        names = ("task", "data", "seed", "weights", "model_id")
        same = all(getattr(self, name) == getattr(other, name) for name in names)
        return same and self._same_settings(other) and _same_data(self.fingerprint, other.fingerprint)

    def _same_settings(self, other: "TaskResult") -> bool:
        """Whether all settings are equal; one that an older version did not have counts as its default."""
        of_both = self.settings.keys() & other.settings.keys()
        added = self.settings.keys() ^ other.settings.keys()
        alike = all(self.settings[name] == other.settings[name] for name in of_both)
        return alike and not added & (self.changed.keys() | other.changed.keys())

    @property
    def group(self) -> tuple[str, str, str]:
        """Task, data and changed settings: the heading under which a table shows the entry."""
        special = [f"{key}={_short(value)}" for key, value in self.changed.items()]
        special += [f"seed {self.seed}"] if self.seed else []
        special += ["raw weights"] if self.weights == "raw" else []
        return self.task, self.data, ", ".join(special)

    def to_dict(self) -> dict[str, Any]:
        """Returns the entry as JSON values."""
        return {**asdict(self), "measures": [measure.to_dict() for measure in self.measures]}

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> "TaskResult":
        """Returns the entry of `to_dict`'s result; raises InputError for one of another shape."""
        try:
            json.dumps(tree, allow_nan=False)
        except ValueError as error:
            raise InputError("it has a number that is not finite") from error
        stored = as_dataclass(tree, _StoredMeasures).measures
        plain_fields = as_dataclass({**tree, "measures": ()}, cls)
        return replace(plain_fields, measures=tuple(measure.read() for measure in stored))


@dataclass(frozen=True)
class _StoredMeasure:
    """A measure as its file has it: null for a number that is not finite."""

    task: str
    name: str
    where: dict[str, Any]
    value: float | None
    low: float | None
    high: float | None
    count: int
    kind: str = ""
    rows: str = ""

    def read(self) -> Measure:
        """The measure."""
        value, low, high = (math.nan if number is None else number for number in (self.value, self.low, self.high))
        return Measure(self.task, self.name, self.where, Estimate(value, low, high, self.count, self.kind, self.rows))


@dataclass(frozen=True)
class _StoredMeasures:
    measures: tuple[_StoredMeasure, ...]


@dataclass(frozen=True)
class _StoredResults:
    format: int
    name: str
    model: str
    entries: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Results:
    """All entries of one model: one column of a table, one colour of a figure."""

    name: str
    model: str
    """Path of the model."""
    entries: tuple[TaskResult, ...] = ()

    def find(self, wanted: TaskResult) -> TaskResult | None:
        """Returns the measured entry that answers the question of `wanted`, or None."""
        answers = [e for e in self.entries if e.same_question(wanted) and not e.skipped]
        return answers[-1] if answers else None

    def current(self) -> "Results":
        """Returns the entries of the newest weights, the newest of each group.

        Entries stand in the order in which they were measured; their times are those of clocks, which may go back.
        """
        newest = {e.weights: e.model_id for e in self.entries}
        kept = {e.group: e for e in self.entries if e.model_id == newest[e.weights]}
        order = {id(e): i for i, e in enumerate(self.entries)}
        return Results(self.name, self.model, tuple(sorted(kept.values(), key=lambda e: order[id(e)])))


def results_path(folder: Path, name: str) -> Path:
    """Returns the path of a model's results file."""
    return folder / f"{name}.json"


def read_results(path: Path) -> Results:
    """Reads a results file; raises InputError if it is damaged or not a results file."""
    try:
        tree = read_json_object(path)
        if tree.get("format", FORMAT) != FORMAT:
            raise InputError("it has another format version")
        stored = as_dataclass(tree, _StoredResults)
        return Results(stored.name, stored.model, tuple(map(TaskResult.from_dict, stored.entries)))
    except InputError as error:
        raise InputError(
            f"{path} is damaged or not a results file ({error}): move it away or delete it, and measure again"
        ) from error


def read_or_new(folder: Path, name: str, model: str) -> Results:
    """Reads a model's results; returns empty ones if there is no file yet."""
    path = results_path(folder, name)
    return read_results(path) if path.exists() else Results(name, model)


def read_folder(folder: Path) -> list[Results]:
    """Reads the results of all models in a folder, sorted by name; raises InputError if there are none."""
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise InputError(f"there are no results in {folder}: run 'dream evaluate --model PATH --out {folder}' first")
    return [read_results(path) for path in paths]


def add_entry(folder: Path, name: str, model: str, entry: TaskResult) -> None:
    """Writes an entry into the model's file; it replaces one that answers the same question.

    Reads the file again first, under its lock, so that evaluations of one model into one folder lose nothing.
    """
    with locked(results_path(folder, name)):
        before = read_or_new(folder, name, model).entries
        kept = [e for e in before if not e.same_question(entry)]
        write_results(folder, Results(name, model, (*kept, entry)))


def write_results(folder: Path, results: Results) -> None:
    """Writes the model's file, replacing an older one."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = [entry.to_dict() for entry in results.entries]
    tree = {"format": FORMAT, "name": results.name, "model": results.model, "entries": entries}
    replace_text(results_path(folder, results.name), json.dumps(tree, indent=1, allow_nan=False) + "\n")


def require_measured(measures: Iterable[Measure]) -> None:
    """Raises InputError for a value that is infinite, or NaN though there were observations.

    NaN stands only for what the data has nothing of: no observation, or a ratio in MAY_BE_UNDEFINED.
    """
    for measure in measures:
        value, count = measure.estimate.value, measure.estimate.count
        undefined = math.isnan(value) and (count == 0 or measure.name in MAY_BE_UNDEFINED)
        if not (math.isfinite(value) or undefined):
            conditions = ", ".join(f"{key} {_short(condition)}" for key, condition in measure.where.items())
            raise InputError(
                f"'{measure.name}' of {measure.task} ({conditions}) is {value}, not a number: the model overflows or "
                "was damaged; nothing was kept of this task"
            )


def plain(settings: Any) -> dict[str, Any]:
    """Returns the fields of a settings dataclass as JSON values (lists for tuples)."""
    return json.loads(json.dumps(asdict(settings)))


def changed_fields(settings: Any, defaults: Any) -> dict[str, Any]:
    """Returns the fields that differ from those of `defaults`."""
    before = plain(defaults)
    return {key: value for key, value in plain(settings).items() if value != before[key]}


def measures_of(results: Sequence[Results], task: str | None = None) -> list[tuple[Results, Measure]]:
    """Returns every current measure (of one task, if given) with the results of its model."""
    rows = [(r, e) for r in results for e in r.current().entries if task in (None, e.task)]
    return [(r, measure) for r, entry in rows for measure in entry.measures]


def _same_data(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Returns whether the fingerprints are equal; a hub set's revision counts only where both are known."""

    def same(mine: Any, theirs: Any) -> bool:
        both = isinstance(mine, dict) and isinstance(theirs, dict)
        return _same_data(mine, theirs) if both else mine == theirs

    shared: Iterable[str] = one.keys() | other.keys()
    if None in (one.get("revision", ""), other.get("revision", "")):
        shared = set(shared) - {"revision"}
    return all(same(one.get(key), other.get(key)) for key in shared)


def _short(value: Any) -> str:
    return ",".join(_short(v) for v in value) if isinstance(value, list) else str(value)
