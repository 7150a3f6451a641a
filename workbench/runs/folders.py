"""Which runs a folder holds, as plain data. It opens no weights and knows nothing of how a run came about."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from dream.errors import InputError
from dream.training import run_log

DEPTH = 3
"""Runs are looked for so many folders deep: comparisons keep theirs in folders of their own."""


@dataclass(frozen=True)
class RunSummary:
    """What can be said of a run at a glance."""

    path: Path
    """The run's folder."""
    status: str
    """`starting`, `running`, `finished`, `stopped`, `failed`; `killed` if its process went without a word."""
    step: int
    """Optimiser steps done."""
    end: int
    """Optimiser steps at which it ends (0 = not known yet)."""
    changed: float
    """When it last gave a sign, in seconds since 1970."""
    sheet: Path | None
    """The newest sample sheet."""
    seconds_left: float | None = None
    """Estimate of what is left."""
    message: str = ""
    """Why it failed or stopped."""
    problem: str = ""
    """What is damaged in its folder, as a sentence."""


def list_runs(folder: Path) -> list[RunSummary]:
    """The runs under `folder`, the last changed first; empty if there is no such folder."""
    runs = [run_summary(path) for path in _run_folders(folder, DEPTH)]
    return sorted(runs, key=lambda run: run.changed, reverse=True)


def run_summary(path: Path) -> RunSummary:
    """What can be said of the run in `path`; a damaged one has a `problem`."""
    sheets = list_sheets(path)
    sheet = sheets[-1] if sheets else None
    _, problem = record_or_problem(path)
    beat = run_log.read_heartbeat(path)
    if beat is None:
        if (path / "heartbeat.json").exists():
            problem = problem or f"{path / 'heartbeat.json'} is damaged: it does not say how the training stands"
        changed = _changed(path)
        return RunSummary(path, "starting", step=0, end=0, changed=changed, sheet=sheet, problem=problem)
    gone = beat.status in ("starting", "running") and not run_log.is_training(beat)
    status = "killed" if gone else beat.status
    return RunSummary(path, status, beat.step, beat.end, beat.time, sheet, beat.seconds_left, beat.message, problem)


def list_sheets(path: Path) -> list[Path]:
    """The run's sample sheets, oldest first."""
    return sorted(sheet for sheet in path.glob("samples/step-*.png") if sheet.stem[5:].isdigit())


def sheet_step(sheet: Path) -> int:
    """The step that a sample sheet was painted at."""
    return int(sheet.stem[5:])


def is_picture(path: Path) -> bool:
    """Whether the file begins as a picture does."""
    try:
        with Image.open(path):
            return True
    except OSError:
        return False


def record_or_problem(path: Path) -> tuple[dict[str, Any], str]:
    """The run's record, and what is wrong with it as a sentence (then the record is empty)."""
    try:
        return run_log.read_record(path), ""
    except InputError as error:
        return {}, str(error)
    except (OSError, UnicodeDecodeError) as error:
        return {}, f"{path / 'config.json'} cannot be read ({error})"


def _run_folders(folder: Path, depth: int) -> Iterator[Path]:
    """Folders that hold a run; what lies inside of one is not looked at."""
    try:
        inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return
    for path in inner:
        if run_log.holds_run(path):
            yield path
        elif depth > 1:
            yield from _run_folders(path, depth - 1)


def _changed(path: Path) -> float:
    try:
        return (path / "config.json").stat().st_mtime
    except OSError:
        return 0.0
