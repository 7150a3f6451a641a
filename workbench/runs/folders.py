"""Finds the runs in a folder and summarises each as plain data. It opens no weights."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.data.transforms import BrokenPicture, read_image
from dream.errors import InputError
from dream.json_text import printable_tree
from dream.plain_text import fault_in, printable
from dream.training import run_log

_SHEET = re.compile(r"step-[0-9]+\.png")
DEPTH = 3
"""Levels of folders searched for runs: a comparison keeps its runs in a folder of its own."""


@dataclass(frozen=True)
class RunSummary:
    """Summary of a run."""

    path: Path
    """The run's folder."""
    status: str
    """`starting`, `running`, `finished`, `stopped`, `failed`; `killed` if its process ended without reporting why."""
    step: int
    """Optimiser steps done."""
    end: int
    """Planned optimiser steps (0 = not known yet)."""
    changed: float
    """Time of its last heartbeat, in seconds since 1970."""
    sheet: Path | None
    """The newest sample sheet."""
    seconds_left: float | None = None
    """Estimated seconds left."""
    message: str = ""
    """Why it failed or stopped."""
    problem: str = ""
    """Damage in its folder, as a sentence; empty if there is none."""
    elsewhere: str = ""
    """Where it is being trained, in words, if on another machine or in another container; empty otherwise."""


def list_runs(folder: Path) -> list[RunSummary]:
    """Runs under `folder`, most recently changed first; empty if the folder does not exist."""
    runs = [run_summary(path) for path in _run_folders(folder, DEPTH)]
    return sorted(runs, key=lambda run: run.changed, reverse=True)


def run_summary(path: Path) -> RunSummary:
    """Summarizes the run in `path`; a damaged run has a `problem`."""
    sheets = list_sheets(path)
    sheet = sheets[-1] if sheets else None
    _, problem = record_or_problem(path)
    beat = run_log.read_heartbeat(path)
    if beat is None:
        if (path / "heartbeat.json").exists():
            problem = problem or f"{path / 'heartbeat.json'} is damaged: it holds no valid heartbeat"
        changed = _changed(path)
        return RunSummary(path, "starting", step=0, end=0, changed=changed, sheet=sheet, problem=problem)
    status, elsewhere = str(beat.status), ""
    if status in ("starting", "running"):
        holder = run_log.find_training(path)
        status = "killed" if holder is None else status
        elsewhere = "" if holder is None or holder.is_here else holder.words
    told = (beat.step, beat.end, beat.time, sheet, beat.seconds_left, printable(beat.message))
    return RunSummary(path, status, *told, problem, elsewhere)


def list_sheets(path: Path) -> list[Path]:
    """The run's sample sheets, oldest first."""
    try:
        names = sorted(os.listdir(path / "samples"))
    except OSError:
        return []
    return [path / "samples" / name for name in names if _SHEET.fullmatch(name)]


def sheet_step(sheet: Path) -> int:
    """Step at which a sample sheet was painted."""
    return int(sheet.stem[5:])


def is_picture(path: Path) -> bool:
    """Whether the file is a picture that can be decoded."""
    return picture_file(path) is not None


def picture_file(path: Path) -> bytes | None:
    """Content of a picture's file; None if it is no picture, or was deleted."""
    try:
        content = path.read_bytes()
        read_image(content)
    except (OSError, BrokenPicture):
        return None
    return content


def record_or_problem(path: Path) -> tuple[dict[str, Any], str]:
    """The run's record and an empty string; if it is unreadable, an empty record and the problem as a sentence."""
    try:
        return printable_tree(run_log.read_record(path)), ""
    except InputError as error:
        return {}, str(error)
    except (OSError, UnicodeDecodeError) as error:
        return {}, f"{path / 'config.json'} cannot be read ({error})"


def _run_folders(folder: Path, depth: int) -> Iterator[Path]:
    """Folders that hold a run; the search does not continue inside a run."""
    try:
        # a name of bytes that are not UTF-8 cannot be shown or chosen; the command line takes it
        shown = (path for path in folder.iterdir() if not path.name.startswith(".") and not fault_in(path.name))
        inner = sorted(path for path in shown if path.is_dir())
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
