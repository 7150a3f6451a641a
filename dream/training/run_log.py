"""A run's files on disk, except checkpoints: their writer and their readers.

`config.json` (resolved configuration, versions, history), `metrics.jsonl` (rows of kind `train` and
`validation`), `heartbeat.json` (the training process and its progress), `report.json` (problems in the data),
`samples/`. A hidden claim (`claim.py`) says who may write. Files are replaced atomically, so a reader never sees half
of one. Nothing here imports torch.
"""

import json
import math
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from dream.errors import InputError, RunError
from dream.files import DISK_FULL, WRITING, remove_leftovers, replace_bytes, replace_text
from dream.json_text import as_record, parse_json, read_as, read_json_object
from dream.training.claim import STALE_SECONDS, Claim, Holder, claims_in, find_holder
from dream.training.loggers import LOGS, Mirrors
from dream.training.processes import ProcessTable, is_alive, own_table, process_start

PACKAGES = ("torch", "lightning-fabric", "timm", "numpy", "safetensors", "tokenizers", "datasets", "transformers")
"""Packages whose versions are stored in the run's record."""
HEARTBEAT = "heartbeat.json"
_BEAT_BYTES = 4096
"""Size of a heartbeat: a later one fits into its place if the disk is full."""
METRICS, SET_ASIDE = "metrics.jsonl", "set-aside"
ROW_KINDS = ("train", "validation")
CONTENTS = ("config.json", METRICS, HEARTBEAT, "report.json", "tokenizer", "checkpoints", "samples", LOGS, SET_ASIDE)
"""Everything that a run owns in its folder, the record first, and that overwriting deletes."""


@dataclass(frozen=True)
class _Record:
    """Fields of a run's record that are relied on, if they are there."""

    config: dict[str, Any]
    source: str = ""
    start_from: str | None = None
    legs: tuple[int, ...] | None = None
    overhead: dict[str, float] = field(default_factory=dict)
    history: tuple[Any, ...] = ()


Status = Literal["starting", "running", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class Heartbeat:
    """The training process and its progress."""

    pid: int
    """Process id of rank 0."""
    process_start: str | None
    """Start of that process in clock ticks since boot; a later process with the same id has another one."""
    status: Status
    """Current state of the process, or how it ended."""
    step: int
    """Optimiser steps done."""
    end: int
    """Step at which it ends (0 = not known yet)."""
    seconds_left: float | None
    """Estimated time left."""
    time: float
    """Time of writing, in seconds since 1970."""
    message: str = ""
    """Reason for failing or stopping."""
    host: str = ""
    """Name of the machine or container; with the next two the table of the process id, empty in older files."""
    boot: str = ""
    namespace: str = ""

    @property
    def table(self) -> ProcessTable:
        """The process table that its process id belongs to."""
        return ProcessTable(self.host, self.boot, self.namespace)


class RunLog:
    """Writes a run's files. Rank 0 writes all of them; other ranks write only their own data report.

    With a `claim`, every method that writes raises RunError once the claim is lost, and writes nothing.
    """

    def __init__(self, folder: Path, rank: int = 0, claim: Claim | None = None) -> None:
        self.folder, self.rank, self.writes, self.claim = folder, rank, rank == 0, claim
        self.mirrors: Mirrors | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the claim is known to be lost. It costs nothing: the claim's thread looks."""
        return self.claim is not None and bool(self.claim.lost)

    def check_claim(self) -> None:
        """Raises RunError if another process may write to the folder by now."""
        if self.claim is not None:
            self.claim.check()

    def record(self, tree: Mapping[str, Any]) -> None:
        """Replaces `config.json`."""
        if self.writes:
            self.check_claim()
            _replace_json(self.folder / "config.json", tree)

    def event(self, name: str, **details: Any) -> None:
        """Adds an event to the history in `config.json`."""
        if self.writes:
            tree = read_record(self.folder)
            tree["history"].append({"time": time.time(), "event": name, **details})
            self.record(tree)

    def row(self, kind: Literal["train", "validation"], step: int, **values: Any) -> None:
        """Appends a row to `metrics.jsonl`; a number that is not finite becomes null."""
        if self.writes:
            self.check_claim()
            row = {"kind": kind, "step": step, "time": time.time(), **values}
            with (self.folder / METRICS).open("a") as file:
                file.write(json.dumps(_finite(row)) + "\n")
            if self.mirrors is not None:
                self.mirrors.row(kind, step, values)

    def heartbeat(
        self, status: Status, step: int, end: int, seconds_left: float | None = None, message: str = ""
    ) -> None:
        """Replaces `heartbeat.json`."""
        if self.writes:
            self.check_claim()
            pid = os.getpid()
            progress = (status, step, end, seconds_left, time.time(), message)
            beat = Heartbeat(pid, process_start(pid), *progress, *own_table())
            text = json.dumps(_finite(asdict(beat)), indent=1).ljust(_BEAT_BYTES - 1) + "\n"
            try:
                replace_text(self.folder / HEARTBEAT, text)
            except OSError as error:
                if error.errno not in DISK_FULL:
                    raise
                with (self.folder / HEARTBEAT).open("r+b") as file:  # in the place that the last one took
                    file.write(text.encode())
                    file.truncate()

    def ending(self, error: BaseException, step: int, end: int) -> None:
        """Writes that the training ended by `error`, if it can be written, so that it never hides what happened."""
        status: Status = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
        message = str(error) or type(error).__name__
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            message = f"the disk is full at step {step}: free some space and continue with --resume"
        with suppress(OSError, RunError):
            self.heartbeat(status, step, end, message=message)

    def report(self, tree: Mapping[str, Any]) -> None:
        """Replaces `report.json`, or `report-rank1.json` and so on: each rank reads its own share of the data."""
        self.check_claim()
        name = "report.json" if self.writes else f"report-rank{self.rank}.json"
        _replace_json(self.folder / name, tree)

    def set_aside_rows_after(self, step: int) -> int:
        """Moves the rows of steps that will be trained again, and an incomplete last line, to `set-aside/`.

        Returns the number of damaged lines, which stay where they are.
        """
        path = self.folder / METRICS
        if not self.writes or not path.exists():
            return 0
        self.check_claim()
        *lines, torn = path.read_bytes().split(b"\n")
        rows = [(line, read_row(line)) for line in lines]
        later = [line for line, row in rows if row is not None and row["step"] > step] + ([torn] if torn else [])
        if later:
            aside = self.folder / SET_ASIDE / METRICS
            aside.parent.mkdir(exist_ok=True)
            with aside.open("ab") as file:
                file.write(b"".join(line + b"\n" for line in later))
            kept = [line + b"\n" for line, row in rows if row is None or row["step"] <= step]
            replace_bytes(path, b"".join(kept))
        return sum(row is None and bool(line.strip()) for line, row in rows)


def holds_run(folder: Path) -> bool:
    """Whether `folder` holds a run."""
    return (folder / "config.json").is_file()


def read_record(folder: Path) -> dict[str, Any]:
    """Reads the run's `config.json`; raises InputError if it is missing or damaged."""
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder} holds no run: there is no {path}")
    tree = read_json_object(path)
    if "config" not in tree:
        raise InputError(f"{path} is not the record of a run: it lacks 'config'")
    as_record(tree, _Record, path)
    return tree


def read_metrics(folder: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The rows of `metrics.jsonl` (of one kind, or all), oldest first; empty if there is no file yet.

    Damaged lines are left out.
    """
    path = folder / METRICS
    rows = map(read_row, path.read_bytes().split(b"\n")) if path.is_file() else ()
    return [row for row in rows if row is not None and kind in (None, row["kind"])]


def read_heartbeat(folder: Path) -> Heartbeat | None:
    """The last heartbeat; None if there is none that can be read."""
    try:
        return read_as(folder / HEARTBEAT, Heartbeat)
    except (OSError, InputError):
        return None


def is_training(beat: Heartbeat | None) -> bool:
    """Whether the process of this heartbeat is still training; `find_training` knows more, if it has the folder.

    A process of another machine or container counts for as long as its heartbeat is recent by this machine's clock.
    """
    if beat is None or beat.status in ("finished", "stopped", "failed"):
        return False
    if beat.table.is_own:
        return is_alive(beat.pid, beat.process_start)
    return abs(time.time() - beat.time) < STALE_SECONDS


def find_training(folder: Path, exact: bool = False) -> Holder | None:
    """The process that trains in `folder`, on whichever machine; None if there is none.

    A claim decides. A folder without claims may be one of a version that made none, so its heartbeat does.
    `exact`: see `find_holder`.
    """
    return find_holder(folder, exact) if claims_in(folder) else training_by_heartbeat(folder)


def training_by_heartbeat(folder: Path) -> Holder | None:
    """The process that trains in `folder` by its heartbeat, whatever claims there are."""
    beat = read_heartbeat(folder)
    if beat is None or not is_training(beat):
        return None
    return Holder(beat.table, beat.pid, beat.process_start, time.time() - beat.time)


def delete_run(folder: Path) -> None:
    """Deletes the files that a run owns in its folder, and nothing else: a claim stays with its holder.

    They are renamed aside first, the record last: InputError leaves the run as it was, and who is killed in between
    leaves a folder that `--overwrite` takes again.
    """
    owned = [path for name in reversed(CONTENTS) if os.path.lexists(path := folder / name)]
    owned = [*folder.glob("report-rank*.json"), *owned]
    aside = folder / f".replaced-{secrets.token_hex(4)}{WRITING}"
    moved: list[Path] = []
    try:
        if owned:
            aside.mkdir()
        for path in owned:
            path.rename(aside / path.name)
            moved.append(path)
    except OSError as error:
        for path in moved:
            (aside / path.name).rename(path)
        with suppress(OSError):
            aside.rmdir()
        raise InputError(
            f"the run in {folder} cannot be replaced ({error.strerror}: {error.filename}), and is as it was: "
            "change the permissions, or choose another --out"
        ) from error
    remove_leftovers(folder)


def versions() -> dict[str, str]:
    """Versions of Python and of the installed PACKAGES."""
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Commit of this package's checkout (`-dirty` if it has changes); None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def read_row(line: bytes) -> dict[str, Any] | None:
    """The row in a line of `metrics.jsonl`; None if the line is damaged."""
    try:
        row = parse_json(line)
    except ValueError:
        return None
    fits = isinstance(row, dict) and row.get("kind") in ROW_KINDS and isinstance(row.get("step"), int)
    return row if fits else None


def _finite(value: Any) -> Any:
    """`value` with None for every NaN and infinity, which JSON lacks."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _replace_json(path: Path, tree: Mapping[str, Any]) -> None:
    replace_text(path, json.dumps(_finite(tree), indent=1))
