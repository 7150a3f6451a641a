"""The queue of long jobs of a workspace (trainings, evaluations), run one by one by a process of its own.

Jobs are files under `.workbench/jobs`. The supervisor (`python -m workbench.jobs.queue WORKSPACE`) does not
end with the app: the queue outlives a page reload and a restart of the app, and a running job outlives even the
supervisor. Every change is made under one lock, so that two tabs and the supervisor keep out of each other's
way. It knows nothing of what a job does.
"""

import dataclasses
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast, get_args

from dream.errors import InputError
from dream.files import replace_text
from dream.training import run_log
from workbench.jobs.job import Job, Kind, State, is_alive, job_file, jobs_folder, locked, read_job, write_job
from workbench.workspace import Workspace, open_workspace

POLL_SECONDS = 0.5
"""Between two looks at a job that an earlier supervisor started and this one cannot wait for."""
INTERRUPTED = 130
"""Exit code of `dream` after Ctrl-C."""


def enqueue(workspace: Workspace, kind: str, name: str, arguments: Sequence[str], out: Path) -> Job:
    """The job that was added to the end of the queue; a supervisor is started if none runs.

    Raises InputError if a training into `out` waits or runs already.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, got {kind}")
    now, out = time.time(), (workspace.root / out).absolute()
    with locked(workspace):
        for other in list_jobs(workspace, "train"):
            if kind == "train" and other.active and other.out == out:
                raise InputError(f"{workspace.shown(out)} is in the queue already ({other.state})")
        id = f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{secrets.token_hex(3)}"
        log = jobs_folder(workspace) / f"{id}.log"
        job = Job(id, cast(Kind, kind), name, tuple(arguments), out, log, "queued", now)
        write_job(workspace, job)
        _start_supervisor(workspace)
    return job


def list_jobs(workspace: Workspace, kind: str | None = None) -> list[Job]:
    """The jobs of the workspace (of one kind), newest first; a file that is damaged is left out."""
    found = filter(None, map(read_job, jobs_folder(workspace).glob("*.json")))
    jobs = [_settled(job, None) if _is_gone(workspace, job) else job for job in found]
    return sorted((job for job in jobs if kind in (None, job.kind)), key=_order, reverse=True)


def find_job(workspace: Workspace, job_id: str) -> Job:
    """The job of this id; InputError if there is none."""
    for job in list_jobs(workspace):
        if job.id == job_id:
            return job
    raise InputError(f"there is no job '{job_id}' any more")


def stop_job(workspace: Workspace, job_id: str) -> None:
    """Takes a waiting job out of the queue; asks a running one to end (a training saves a checkpoint first).

    One that has ended is left as it is. Raises InputError if there is no such job.
    """
    with locked(workspace):
        job = find_job(workspace, job_id)
        if job.state == "queued":
            write_job(workspace, dataclasses.replace(job, state="stopped", ended=time.time()))
        elif job.state == "running" and job.pid is not None and is_alive(job.pid, job.process_start):
            write_job(workspace, dataclasses.replace(job, stop_asked=time.time()))
            with suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGTERM)  # a training on several devices is a group


def end_job(workspace: Workspace, job_id: str) -> None:
    """Ends a running job at once that does not answer `stop_job`; what it saved before stays.

    One that was not asked to stop, or has ended, is left as it is. Raises InputError if there is no such job.
    """
    with locked(workspace):
        job = find_job(workspace, job_id)
        if job.overdue and job.pid is not None and is_alive(job.pid, job.process_start):
            with suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)


def forget_job(workspace: Workspace, job_id: str) -> None:
    """Removes an ended job from the list, with its log; what it wrote stays.

    Raises InputError if it has not ended.
    """
    with locked(workspace):
        job = find_job(workspace, job_id)
        if job.active:
            raise InputError(f"{job.name} is {job.state}: stop it first")
        job_file(workspace, job_id).unlink(missing_ok=True)
        job.log.unlink(missing_ok=True)
        job.progress.unlink(missing_ok=True)


def wake(workspace: Workspace) -> None:
    """Starts a supervisor if jobs wait and nobody works them off, as after a restart of the machine."""
    if any(job.state == "queued" for job in list_jobs(workspace)) and not _supervised(workspace):
        with locked(workspace):
            _start_supervisor(workspace)


# the supervisor


def supervise(workspace: Workspace) -> None:
    """Runs the jobs of the queue one after another until none is left; returns at once if another does."""
    with locked(workspace):
        if _supervised(workspace):
            return
        mine = {"pid": os.getpid(), "process_start": run_log.process_start(os.getpid())}
        replace_text(_supervisor_file(workspace), json.dumps(mine))
    _await_orphans(workspace)
    while True:
        with locked(workspace):
            waiting = [job for job in list_jobs(workspace) if job.state == "queued"]
            if not waiting:  # under the lock, so that nothing is added between this look and the leaving
                _supervisor_file(workspace).unlink(missing_ok=True)
                return
            job, process = _launch(workspace, waiting[-1])
        if process is not None:
            code = process.wait()
            with locked(workspace):
                now = read_job(job_file(workspace, job.id)) or job  # it may have been asked to stop meanwhile
                write_job(workspace, _settled(now, code))


def _launch(workspace: Workspace, job: Job) -> "tuple[Job, subprocess.Popen[bytes] | None]":
    """The job once it runs, and its process; none if it could not even be started."""
    try:
        with job.log.open("ab") as log:
            process = subprocess.Popen(
                _command(job),
                cwd=workspace.root,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        with suppress(OSError):
            job.log.write_text(f"could not be started: {error}\n")
        now = time.time()
        write_job(workspace, job := dataclasses.replace(job, state="failed", started=now, ended=now))
        return job, None
    start = run_log.process_start(process.pid)
    job = dataclasses.replace(job, state="running", started=time.time(), pid=process.pid, process_start=start)
    write_job(workspace, job)
    return job, process


def _command(job: Job) -> list[str]:
    """`dream` of this very Python, whether its folder is on the PATH or not."""
    progress = ["--progress", str(job.progress)] if job.kind == "evaluate" else []
    return [sys.executable, "-P", "-m", "dream", *job.arguments, *progress]


def _await_orphans(workspace: Workspace) -> None:
    """Waits for what an earlier supervisor left running, and writes down how it ended."""
    for file in jobs_folder(workspace).glob("*.json"):
        job = read_job(file)
        while job is not None and job.state == "running" and is_alive(job.pid, job.process_start):
            time.sleep(POLL_SECONDS)
            job = read_job(file)
        if job is not None and job.state == "running":
            with locked(workspace):
                write_job(workspace, _settled(read_job(file) or job, None))


def _settled(job: Job, code: int | None) -> Job:
    """The job as it ended: by its exit code (none if nobody saw it) and what the training says of itself."""
    beat = run_log.read_heartbeat(job.out) if job.kind == "train" else None
    told = beat.status if beat is not None and beat.time >= (job.started or 0.0) else None
    state: State
    if told in ("finished", "stopped", "failed") and code in (None, 0, INTERRUPTED):
        state = cast(State, told)
    elif code == 0:
        state = "finished"
    elif job.stop_asked is not None or code == INTERRUPTED:
        state = "stopped"
    else:
        state = "killed" if code is None or code < 0 else "failed"
    ended = beat.time if beat is not None and code is None else time.time()
    return dataclasses.replace(job, state=state, ended=ended, returncode=code)


def _start_supervisor(workspace: Workspace) -> None:
    """Starts one if none is alive. Of two that start at once, the second leaves again."""
    if _supervised(workspace):
        return
    with (jobs_folder(workspace) / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "workbench.jobs.queue", str(workspace.root)],
            env=_environment(),
            cwd=workspace.root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    threading.Thread(target=process.wait, name="reaper", daemon=True).start()  # or it stays as a zombie


def _environment() -> dict[str, str]:
    """The environment with this package in reach: -P keeps the workspace's own files from hiding it."""
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}


def _supervisor_file(workspace: Workspace) -> Path:
    """Who supervises: a process id with the start of that process."""
    return jobs_folder(workspace) / "supervisor"


def _supervised(workspace: Workspace) -> bool:
    try:
        tree = json.loads(_supervisor_file(workspace).read_text())
        return is_alive(tree["pid"], tree["process_start"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _is_gone(workspace: Workspace, job: Job) -> bool:
    """Whether its process ended and no supervisor is there to say how."""
    return job.state == "running" and not is_alive(job.pid, job.process_start) and not _supervised(workspace)


def _order(job: Job) -> tuple[float, str]:
    return job.queued, job.id


if __name__ == "__main__":
    supervise(open_workspace(Path(sys.argv[1])))
