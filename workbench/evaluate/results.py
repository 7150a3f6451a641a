"""Results in a workspace: their folders, damaged files, and whether a model still has the measured weights.

Reads no weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from dream.errors import InputError
from dream.evaluation.results import Results, TaskResult, read_results
from dream.json_text import read_json
from dream.plain_text import printable
from dream.pretrained import weights_file
from dream.training import checkpoint
from workbench.evaluate.plan import folder_of
from workbench.workspace import Workspace

DEEP = 4
"""Levels of folders below the workspace's results that are searched."""


@dataclass(frozen=True)
class Shelf:
    """Contents of a results folder."""

    folder: Path
    results: tuple[Results, ...]
    """All entries of each model, including those of older weights."""
    damaged: tuple[tuple[Path, str], ...]
    """Files that could not be read, each with the reason."""


@dataclass(frozen=True)
class Standing:
    """Whether a model's numbers belong to its current weights."""

    state: Literal["same", "changed", "unknown"]
    sentence: str
    """The state in words, and what to do about it."""
    older: int
    """Entries of earlier weights or data, and entries that were measured again; kept in the file, not shown."""


def result_folders(workspace: Workspace) -> list[str]:
    """Returns the workspace's folders that hold results, as pages show them; `results` itself comes first."""
    root = workspace.results
    folders = [root] if holds_results(root) else []
    for level in range(1, DEEP):
        below = {path.parent for path in root.glob("/".join(["*"] * level + ["*.json"]))}
        folders += sorted(folder for folder in below if holds_results(folder))
    return [workspace.shown(folder) for folder in folders]


def holds_results(folder: Path) -> bool:
    """Returns whether a results file, damaged or not, lies directly in the folder."""
    return any(_is_ours(path) for path in folder.glob("*.json"))


def read_shelf(folder: Path) -> Shelf:
    """Reads a results folder; lists damaged files, and ignores JSON files that are not results."""
    results, damaged = [], []
    for path in sorted(folder.glob("*.json")):
        if not _is_ours(path):
            continue
        try:
            stat = path.stat()
            results.append(_read(path, stat.st_mtime_ns, stat.st_size))
        except (InputError, OSError) as error:
            damaged.append((path, str(error)))
    return Shelf(folder, tuple(results), tuple(damaged))


def standing(workspace: Workspace, result: Results) -> Standing:
    """Returns whether the model still has the weights of its newest entries."""
    older = len(result.entries) - len(result.current().entries)
    newest = max(result.entries, key=lambda entry: entry.time, default=None)
    if newest is None:
        return Standing("unknown", f"{result.name} has no measured numbers", older)
    try:
        place = workspace.model(result.model)
        folder = folder_of(workspace, place)
        now = checkpoint.weights_id(folder, weights_file(folder, ema=newest.weights != "raw"))
        step = checkpoint.read_state(folder).step
    except (InputError, KeyError) as error:
        why = f"The current weights of {result.name} cannot be read: {error}"
        return Standing("unknown", why, older)
    if now == newest.model_id:
        return Standing("same", f"The numbers of {result.name} belong to its current weights, step {step:,}", older)
    measured = f"step {newest.step:,}" if newest.step != step else "other weights"
    return Standing(
        "changed",
        f"The model {result.name} has changed since it was measured: {measured} then, step {step:,} now. "
        "These numbers belong to the earlier weights; measure again to update them",
        older,
    )


def selected(
    results: Sequence[Results], models: Sequence[str] | None = None, source: str | None = None
) -> list[Results]:
    """Returns the current entries of these models (None: all), measured on this source (None: any)."""
    chosen = [result.current() for result in results if models is None or result.name in models]
    return [_only(result, source=source) for result in chosen]


def of_task(results: Sequence[Results], task: str) -> list[Results]:
    """Returns the results with the entries of one task only."""
    return [_only(result, task=task) for result in results]


def tasks_in(results: Sequence[Results]) -> list[str]:
    """Returns the tasks that have entries."""
    return list(dict.fromkeys(entry.task for result in results for entry in result.entries))


def sources_in(results: Sequence[Results]) -> list[str]:
    """Returns the sources of the current entries."""
    return list(dict.fromkeys(entry.data for result in results for entry in result.current().entries))


def _only(result: Results, source: str | None = None, task: str | None = None) -> Results:
    def kept(entry: TaskResult) -> bool:
        return source in (None, entry.data) and task in (None, entry.task)

    return Results(result.name, result.model, tuple(filter(kept, result.entries)))


@lru_cache(maxsize=256)
def _read(path: Path, changed: int, size: int) -> Results:
    results = read_results(path)
    return replace(results, name=printable(results.name), model=printable(results.model))


def _is_ours(path: Path) -> bool:
    """Returns whether a file looks like a results file, or is too damaged to tell."""
    try:
        stat = path.stat()
    except OSError:
        return False
    return _looks_ours(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1024)
def _looks_ours(path: Path, changed: int, size: int) -> bool:
    try:
        tree = read_json(path)
    except InputError:
        return True
    except OSError:
        return False
    return isinstance(tree, dict) and bool({"format", "entries"} & tree.keys())
