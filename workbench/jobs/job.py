"""A job of the queue and its file, replaced whole by one writer at a time.

`queue.py` starts and ends jobs.
"""

import dataclasses
import json
import os
import re
import shlex
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dream.errors import InputError
from dream.files import locked, replace_text
from dream.json_text import read_as
from dream.training.processes import ProcessTable, is_alive
from dream.training.run_log import find_training
from workbench.workspace import Workspace

Kind = Literal["train", "evaluate"]
State = Literal["queued", "running", "finished", "stopped", "failed", "killed"]

PATIENCE = 20.0
"""Seconds after a stop request at which a job counts as not responding."""
TAIL_BYTES = 8192
"""Bytes read from the end of a log to find its last line."""


@dataclass(frozen=True)
class Job:
    """A `dream` command that is queued, running or has ended."""

    id: str
    kind: Kind
    name: str
    """Name shown on pages."""
    arguments: tuple[str, ...]
    """Arguments of `dream`, e.g. ("train", "--out", ...)."""
    out: Path
    """Folder the job writes to."""
    log: Path
    """File with its console output."""
    state: State
    """Current state; `killed` if its process ended without reporting why."""
    queued: float
    """Time of the request in seconds since 1970, as are the next two."""
    started: float | None = None
    ended: float | None = None
    pid: int | None = None
    process_start: str | None = None
    """Start time of that process, which distinguishes it from a later process with the same id."""
    returncode: int | None = None
    """Exit code; None while it runs, and if no supervisor saw it end."""
    stop_asked: float | None = None
    """Time of the stop request."""
    host: str = ""
    """Name of the machine or container that runs it; with the next two the table of `pid`, empty in older files."""
    boot: str = ""
    namespace: str = ""
    number: int = 0
    """Place in the order of requests, whatever the clock said; 0 in older files."""

    @property
    def progress(self) -> Path:
        """File of an evaluation's events (`dream evaluate --progress`)."""
        return self.log.with_suffix(".progress.jsonl")

    @property
    def active(self) -> bool:
        """Whether it is queued or running."""
        return self.state in ("queued", "running")

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine and in this container, if it runs: only then can it be signalled."""
        return ProcessTable(self.host, self.boot, self.namespace).is_own

    @property
    def has_process(self) -> bool:
        """Whether its process still runs; elsewhere a training is known by its claim, anything else is not known."""
        if self.is_here:
            return is_alive(self.pid, self.process_start)
        return self.kind == "train" and find_training(self.out) is not None

    @property
    def overdue(self) -> bool:
        """Whether it still runs PATIENCE seconds after a stop request."""
        asked = self.stop_asked  # a time in the future was told by a clock that has been put back
        return self.state == "running" and asked is not None and abs(time.time() - asked) > PATIENCE

    @property
    def command(self) -> str:
        """Its command line, to be run in the workspace folder."""
        return command_line(self.arguments)


def command_line(arguments: Sequence[str]) -> str:
    """Shell command line for arguments of `dream`."""
    return shlex.join(["dream", *arguments])


def last_message(job: Job) -> str:
    """Last line of the job's log without the command's name; empty if there is no output yet."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", log_tail(job)) if line.strip()]
    return lines[-1].removeprefix("dream: ") if lines else ""


def log_tail(job: Job, most: int = TAIL_BYTES) -> str:
    """Last `most` bytes of the job's log; empty if there is no output yet."""
    try:
        with job.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def jobs_folder(workspace: Workspace) -> Path:
    """Folder of the job files and their logs."""
    return workspace.own / "jobs"


def job_file(workspace: Workspace, job_id: str) -> Path:
    """Path of a job's file."""
    return jobs_folder(workspace) / f"{job_id}.json"


def queue_lock(workspace: Workspace) -> AbstractContextManager[None]:
    """Holds the queue's lock while a block runs; raises RunError as `dream.files.locked`."""
    return locked(jobs_folder(workspace) / "queue")


def write_job(workspace: Workspace, job: Job) -> None:
    """Replaces the job's file."""
    tree = {**dataclasses.asdict(job), "out": str(job.out), "log": str(job.log)}
    replace_text(job_file(workspace, job.id), json.dumps(tree, indent=1))


def read_job(file: Path) -> Job | None:
    """Reads a job from its file; None if it is damaged or missing."""
    try:
        return read_as(file, Job)
    except (OSError, InputError):
        return None
