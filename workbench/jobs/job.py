"""What a job of the queue is, and its file: read, written whole, one writer at a time.

It starts and ends nothing; that is `launch.py`.
"""

import dataclasses
import fcntl
import json
import os
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from dream.files import replace_text
from dream.training import run_log
from workbench.workspace import Workspace

Kind = Literal["train", "evaluate"]
State = Literal["queued", "running", "finished", "stopped", "failed", "killed"]

PATIENCE = 20.0
"""Seconds after which a job that was asked to stop is taken for one that does not answer."""
TAIL_BYTES = 8192
"""So much of a log's end is read for its last words."""


@dataclass(frozen=True)
class Job:
    """A command of `dream` that waits, runs or has ended."""

    id: str
    kind: Kind
    name: str
    """What pages call it."""
    arguments: tuple[str, ...]
    """Of `dream`, as ("train", "--out", ...)."""
    out: Path
    """The folder that it writes."""
    log: Path
    """What it says."""
    state: State
    """How it stands; `killed` if its process went without a word."""
    queued: float
    """When it was asked for, in seconds since 1970; so are the next two."""
    started: float | None = None
    ended: float | None = None
    pid: int | None = None
    process_start: str | None = None
    """Start of that process, which tells it from a later one of the same id."""
    returncode: int | None = None
    """Exit code; none while it runs, and where nobody was there to see it."""
    stop_asked: float | None = None
    """When it was asked to stop."""

    @property
    def progress(self) -> Path:
        """File of an evaluation's events (`dream evaluate --progress`)."""
        return self.log.with_suffix(".progress.jsonl")

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("queued", "running")

    @property
    def overdue(self) -> bool:
        """Whether it was asked to stop some time ago and still runs."""
        asked = self.stop_asked
        return self.state == "running" and asked is not None and time.time() - asked > PATIENCE

    @property
    def command(self) -> str:
        """The command line that it is, to be run in the workspace's folder."""
        return command_line(self.arguments)


def command_line(arguments: Sequence[str]) -> str:
    """Arguments of `dream` as a line for a shell."""
    return shlex.join(["dream", *arguments])


def last_message(job: Job) -> str:
    """The last line that the job said, without the command's name; empty if it said nothing yet."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", log_tail(job)) if line.strip()]
    return lines[-1].removeprefix("dream: ") if lines else ""


def log_tail(job: Job, most: int = TAIL_BYTES) -> str:
    """The last `most` bytes of what the job said; empty if it said nothing yet."""
    try:
        with job.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def jobs_folder(workspace: Workspace) -> Path:
    """Where jobs and their logs are."""
    return workspace.own / "jobs"


def job_file(workspace: Workspace, job_id: str) -> Path:
    """Where a job is."""
    return jobs_folder(workspace) / f"{job_id}.json"


@contextmanager
def locked(workspace: Workspace) -> Iterator[None]:
    """One writer at a time, of all processes and threads; the lock goes with the process that holds it."""
    jobs_folder(workspace).mkdir(parents=True, exist_ok=True)
    with (jobs_folder(workspace) / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_job(workspace: Workspace, job: Job) -> None:
    """Replaces the job's file."""
    tree = {**dataclasses.asdict(job), "out": str(job.out), "log": str(job.log)}
    replace_text(job_file(workspace, job.id), json.dumps(tree, indent=1))


def read_job(file: Path) -> Job | None:
    """The job in a file; none if it is damaged or gone."""
    try:
        tree: Mapping[str, Any] = json.loads(file.read_text())
        paths = {"out": Path(tree["out"]), "log": Path(tree["log"])}
        job = Job(**{**tree, **paths, "arguments": tuple(tree["arguments"])})
        fits = job.state in get_args(State) and job.kind in get_args(Kind) and isinstance(job.queued, float)
        return job if fits else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_alive(pid: int | None, start: str | None) -> bool:
    """Whether the process of this id that started then still runs."""
    if pid is None:
        return False
    if start is not None:
        return run_log.process_start(pid) == start
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, 0)
        return True
    return False
