"""What evaluations leave on disk: one JSON a model, writer and readers side by side.

An entry is one task on one set with one choice of settings, seed and weights. Entries of other weights, data
or settings stay beside it, so that nothing measured is lost; an entry measured again takes its own place. It
opens no model and knows nothing of tasks.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dream.errors import InputError
from dream.evaluation.statistics import Estimate, Measure
from dream.files import replace_text

FORMAT = 2
"""Version of the layout; files of another one are refused."""


@dataclass(frozen=True)
class TaskResult:
    """One task's measures, and all that they depend on."""

    task: str
    data: str
    """The source as it was given."""
    settings: dict[str, Any]
    """Every field of the task's settings."""
    changed: dict[str, Any]
    """Those that were not at their defaults."""
    seed: int
    weights: str
    """`ema` or `raw`."""
    model_id: str
    """Short name of the weights."""
    fingerprint: dict[str, Any]
    """What the data was (`fingerprint.fingerprint`)."""
    objective: str = ""
    """What the model was trained for: dream, clip, fluid, mar, repa."""
    step: int = 0
    """Optimiser steps that the weights have had."""
    skipped: str = ""
    """Why there are no measures, if there are none."""
    measures: tuple[Measure, ...] = ()
    seconds: float = 0.0
    """Time that it took."""
    time: float = 0.0
    """When it was measured, in seconds since 1970."""
    about: dict[str, Any] = field(default_factory=dict)
    """Device, versions, commit, and the report of what was broken in the data."""

    def same_question(self, other: "TaskResult") -> bool:
        """Whether both are of the same task, data, settings, seed and weights."""
        names = ("task", "data", "settings", "seed", "weights", "model_id")
        same = all(getattr(self, name) == getattr(other, name) for name in names)
        return same and _same_data(self.fingerprint, other.fingerprint)

    @property
    def group(self) -> tuple[str, str, str]:
        """Task, data, and what is not at its default: what a table puts under one heading."""
        special = [f"{key}={_short(value)}" for key, value in self.changed.items()]
        special += [f"seed {self.seed}"] if self.seed else []
        special += ["raw weights"] if self.weights == "raw" else []
        return self.task, self.data, ", ".join(special)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "measures": [measure.to_dict() for measure in self.measures]}

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> "TaskResult":
        """The entry of `to_dict`'s result."""
        return cls(**{**tree, "measures": tuple(_measure(row) for row in tree["measures"])})


@dataclass(frozen=True)
class Results:
    """All entries of one model: what a table's column and a figure's colour stand for."""

    name: str
    model: str
    """Path of the model."""
    entries: tuple[TaskResult, ...] = ()

    def find(self, wanted: TaskResult) -> TaskResult | None:
        """The measured entry that answers the question of `wanted`, if there is one."""
        found = [e for e in self.entries if e.same_question(wanted) and not e.skipped]
        return found[-1] if found else None

    def current(self) -> "Results":
        """The entries of the newest weights, the newest of each group: what is worth showing."""
        newest = {e.weights: e.model_id for e in sorted(self.entries, key=lambda e: e.time)}
        kept: dict[tuple[str, str, str], TaskResult] = {}
        for entry in sorted(self.entries, key=lambda e: e.time):
            if entry.model_id == newest[entry.weights]:
                kept[entry.group] = entry
        order = {id(e): i for i, e in enumerate(self.entries)}
        return Results(self.name, self.model, tuple(sorted(kept.values(), key=lambda e: order[id(e)])))


def results_path(folder: Path, name: str) -> Path:
    """The file of a model's results."""
    return folder / f"{name}.json"


def read_results(path: Path) -> Results:
    """The results in a file; InputError, saying what to do, if it is damaged or none of ours."""
    try:
        tree = json.loads(path.read_text())
        if tree["format"] != FORMAT:
            raise InputError(f"{path} is of another version of the results: move it away and measure anew")
        return Results(tree["name"], tree["model"], tuple(TaskResult.from_dict(e) for e in tree["entries"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"{path} is damaged, or no results file ({reason}): move it away or delete it, and measure anew"
        ) from error


def read_or_new(folder: Path, name: str, model: str) -> Results:
    """The results of a model by that name, empty if there are none yet."""
    path = results_path(folder, name)
    return read_results(path) if path.exists() else Results(name, model)


def read_folder(folder: Path) -> list[Results]:
    """The results of all models in a folder, by name. InputError if there are none."""
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise InputError(f"there are no results in {folder}: 'dream evaluate --model PATH --out {folder}' makes some")
    return [read_results(path) for path in paths]


def add_entry(folder: Path, name: str, model: str, entry: TaskResult) -> None:
    """Writes an entry into the model's file, in place of one that answers the same question.

    The file is read again first, so that two evaluations of one model into one folder lose nothing.
    """
    before = read_or_new(folder, name, model).entries
    kept = [e for e in before if not e.same_question(entry)]
    write_results(folder, Results(name, model, (*kept, entry)))


def write_results(folder: Path, results: Results) -> None:
    """Replaces the model's file."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = [entry.to_dict() for entry in results.entries]
    tree = {"format": FORMAT, "name": results.name, "model": results.model, "entries": entries}
    replace_text(results_path(folder, results.name), json.dumps(tree, indent=1, allow_nan=False) + "\n")


def plain(settings: Any) -> dict[str, Any]:
    """The fields of a settings dataclass as JSON has them (lists for tuples)."""
    return json.loads(json.dumps(asdict(settings)))


def changed_fields(settings: Any, defaults: Any) -> dict[str, Any]:
    """The fields that are not as in `defaults`."""
    before = plain(defaults)
    return {key: value for key, value in plain(settings).items() if value != before[key]}


def measures_of(results: Sequence[Results], task: str | None = None) -> list[tuple[Results, Measure]]:
    """Every current measure (of one task) with the model that it is of."""
    rows = [(r, e) for r in results for e in r.current().entries if task in (None, e.task)]
    return [(r, measure) for r, entry in rows for measure in entry.measures]


def _same_data(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Equal fingerprints; a hub set's revision counts only where both are known."""

    def same(mine: Any, theirs: Any) -> bool:
        both = isinstance(mine, dict) and isinstance(theirs, dict)
        return _same_data(mine, theirs) if both else mine == theirs

    shared: Iterable[str] = one.keys() | other.keys()
    if None in (one.get("revision", ""), other.get("revision", "")):
        shared = set(shared) - {"revision"}
    return all(same(one.get(key), other.get(key)) for key in shared)


def _measure(row: dict[str, Any]) -> Measure:
    value, low, high = (math.nan if row[key] is None else row[key] for key in ("value", "low", "high"))
    return Measure(row["task"], row["name"], row["where"], Estimate(value, low, high, row["count"]))


def _short(value: Any) -> str:
    return ",".join(_short(v) for v in value) if isinstance(value, list) else str(value)
