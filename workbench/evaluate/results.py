"""The results that a workspace holds: which folders, what is damaged, and whether a model's weights are still
those that were measured. It opens no weights and measures nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from dream.errors import InputError
from dream.evaluation.results import Results, TaskResult, read_results
from dream.pretrained import weights_file
from dream.training import checkpoint
from workbench.evaluate.plan import folder_of
from workbench.workspace import Workspace

DEEP = 4
"""Levels of folders below the workspace's results that are looked into."""


@dataclass(frozen=True)
class Shelf:
    """What a folder of results holds."""

    folder: Path
    results: tuple[Results, ...]
    """Of each model all entries, those of older weights too."""
    damaged: tuple[tuple[Path, str], ...]
    """Files that could not be read, with what is wrong."""


@dataclass(frozen=True)
class Standing:
    """How a model's measured numbers stand to its weights of now."""

    state: Literal["same", "changed", "unknown"]
    sentence: str
    """What is so, and what to do about it."""
    older: int
    """Entries of earlier weights, data or questions that were measured again; kept in the file, not shown."""


def result_folders(workspace: Workspace) -> list[str]:
    """Folders below the workspace's results that hold any, as pages show them; `results` itself first."""
    root = workspace.results
    found = [root] if holds_results(root) else []
    for level in range(1, DEEP):
        folders = {path.parent for path in root.glob("/".join(["*"] * level + ["*.json"]))}
        found += sorted(folder for folder in folders if holds_results(folder))
    return [workspace.shown(folder) for folder in found]


def holds_results(folder: Path) -> bool:
    """Whether there is a results file, damaged or not, directly in the folder."""
    return any(_is_ours(path) for path in folder.glob("*.json"))


def read_shelf(folder: Path) -> Shelf:
    """What the folder holds; a damaged file is named and skipped. Files of others are passed over."""
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
    """Whether the model still has the weights that its newest entries were measured with."""
    older = len(result.entries) - len(result.current().entries)
    newest = max(result.entries, key=lambda entry: entry.time, default=None)
    if newest is None:
        return Standing("unknown", f"Nothing of {result.name} was measured", older)
    try:
        place = workspace.model(result.model)
        folder = folder_of(workspace, place)
        now = checkpoint.weights_id(folder, weights_file(folder, ema=newest.weights != "raw"))
        step = checkpoint.read_state(folder).step
    except (InputError, KeyError) as error:
        why = f"Whether {result.name} has changed since cannot be told: {error}"
        return Standing("unknown", why, older)
    if now == newest.model_id:
        return Standing("same", f"The numbers of {result.name} are of its weights of now, step {step:,}", older)
    measured = f"step {newest.step:,}" if newest.step != step else "other weights"
    return Standing(
        "changed",
        f"The model {result.name} has changed since it was measured: {measured} then, step {step:,} now. "
        "These numbers are of the weights then; measure again for those of now",
        older,
    )


def selected(
    results: Sequence[Results], models: Sequence[str] | None = None, source: str | None = None
) -> list[Results]:
    """The current entries of these models (all), measured on this source (on any)."""
    chosen = [result.current() for result in results if models is None or result.name in models]
    return [_only(result, source=source) for result in chosen]


def of_task(results: Sequence[Results], task: str) -> list[Results]:
    """What of the results is of one task."""
    return [_only(result, task=task) for result in results]


def tasks_in(results: Sequence[Results]) -> list[str]:
    """The tasks that anything was measured of."""
    return list(dict.fromkeys(entry.task for result in results for entry in result.entries))


def sources_in(results: Sequence[Results]) -> list[str]:
    """The data that anything was measured on."""
    return list(dict.fromkeys(entry.data for result in results for entry in result.current().entries))


def _only(result: Results, source: str | None = None, task: str | None = None) -> Results:
    def kept(entry: TaskResult) -> bool:
        return source in (None, entry.data) and task in (None, entry.task)

    return Results(result.name, result.model, tuple(filter(kept, result.entries)))


@lru_cache(maxsize=256)
def _read(path: Path, changed: int, size: int) -> Results:
    return read_results(path)


def _is_ours(path: Path) -> bool:
    """Whether a file looks like one of results, or is so damaged that nobody can tell."""
    try:
        stat = path.stat()
    except OSError:
        return False
    return _looks_ours(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1024)
def _looks_ours(path: Path, changed: int, size: int) -> bool:
    try:
        tree = json.loads(path.read_text())
    except ValueError:
        return True
    except OSError:
        return False
    return isinstance(tree, dict) and bool({"format", "entries"} & tree.keys())
