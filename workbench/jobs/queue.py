"""A workspace's queue of long jobs (trainings, evaluations), run one at a time by a supervisor process.

Jobs are files under `.workbench/jobs`. The supervisor (`python -m workbench.jobs.queue WORKSPACE`) is independent of
the app: the queue survives a page reload and a restart of the app, and a running job survives even the supervisor.
Every change is made under one lock, so that tabs and the supervisor do not interfere. A workspace on a shared disk may
have its supervisor on another machine or in another container: its jobs are listed, and never signalled from here.
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
from dream.evaluation.event_log import read_events
from dream.evaluation.events import EvaluationEnded
from dream.exit_codes import exit_code
from dream.files import ABANDONED_SECONDS, remove_leftovers, replace_text
from dream.json_text import read_as
from dream.training import run_log
from dream.training.claim import RENEW_SECONDS, STALE_SECONDS
from dream.training.processes import ProcessTable, is_alive, own_table, process_start
from workbench.jobs.job import Job, Kind, State, job_file, jobs_folder, queue_lock, read_job, write_job
from workbench.workspace import Workspace, open_workspace

POLL_SECONDS = 0.5
"""Polling interval for a job started by an earlier supervisor, whose process this one cannot wait for."""
_AT_A_WORD = ("/bin/sh", "-c", 'read -r word && exec "$@" </dev/null', "sh")
"""Begins a command, as the same process, once it is sent a line; ends without one if the sender dies."""
STOPPED = (130, 128 + signal.SIGTERM, 128 + signal.SIGUSR1, 128 + signal.SIGUSR2)
"""Exit codes of `dream` after a Ctrl-C, and after another signal that came before there was anything to save."""


def enqueue(workspace: Workspace, kind: str, name: str, arguments: Sequence[str], out: Path) -> Job:
    """Adds a job to the end of the queue and returns it; starts a supervisor if none is running.

    Raises InputError if a training into `out` is already queued or running.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, got {kind}")
    now, out = time.time(), (workspace.root / out).absolute()
    with queue_lock(workspace):
        others = list_jobs(workspace)
        for other in others:
            if kind == other.kind == "train" and other.active and other.out == out:
                raise InputError(
                    f"{workspace.shown(out)} is already in the queue ({other.state}): choose another folder"
                )
        id = f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{secrets.token_hex(3)}"
        log = jobs_folder(workspace) / f"{id}.log"
        number = 1 + max((other.number for other in others), default=0)
        job = Job(id, cast(Kind, kind), name, tuple(arguments), out, log, "queued", now, number=number)
        write_job(workspace, job)
        _start_supervisor(workspace)
    return job


def list_jobs(workspace: Workspace, kind: str | None = None) -> list[Job]:
    """Jobs of the workspace, optionally of one kind, newest first; damaged files are left out."""
    stored = filter(None, map(read_job, jobs_folder(workspace).glob("*.json")))
    jobs = [_settled(job, None) if _ended_unseen(workspace, job) else job for job in stored]
    return sorted((job for job in jobs if kind in (None, job.kind)), key=_order, reverse=True)


def find_job(workspace: Workspace, job_id: str) -> Job:
    """Finds a job by its id; raises InputError if there is none."""
    for job in list_jobs(workspace):
        if job.id == job_id:
            return job
    raise InputError(f"there is no job '{job_id}': it may have been removed; reload the page")


def stop_job(workspace: Workspace, job_id: str) -> None:
    """Removes a queued job from the queue, or asks a running one to stop (a training saves a checkpoint first).

    A job that has ended is left as it is. Raises InputError if there is no such job, or if it runs elsewhere.
    """
    with queue_lock(workspace):
        job = find_job(workspace, job_id)
        _check_here(job)
        if job.state == "queued":
            write_job(workspace, dataclasses.replace(job, state="stopped", ended=time.time()))
        elif job.state == "running" and job.pid is not None and job.has_process:
            write_job(workspace, dataclasses.replace(job, stop_asked=time.time()))
            with suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGTERM)  # a training on several devices is a group


def end_job(workspace: Workspace, job_id: str) -> None:
    """Kills a running job that has not responded to `stop_job`; whatever it has saved stays.

    A job without a stop request, or one that has ended, is left as it is. Raises InputError if there is no such job,
    or if it runs elsewhere.
    """
    with queue_lock(workspace):
        job = find_job(workspace, job_id)
        _check_here(job)
        if job.overdue and job.pid is not None and job.has_process:
            with suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)


def _check_here(job: Job) -> None:
    """Raises InputError for a job that runs on another machine or in another container: its process id is not ours."""
    if job.state == "running" and not job.is_here:
        raise InputError(f"{job.name} runs on host '{job.host}', not on this one: stop it there")


def forget_job(workspace: Workspace, job_id: str) -> None:
    """Removes an ended job and its log from the list; its output folder stays.

    Raises InputError if it has not ended.
    """
    with queue_lock(workspace):
        job = find_job(workspace, job_id)
        if job.active:
            raise InputError(f"{job.name} is {job.state}: stop it first")
        job_file(workspace, job_id).unlink(missing_ok=True)
        job.log.unlink(missing_ok=True)
        job.progress.unlink(missing_ok=True)


def wake(workspace: Workspace) -> None:
    """Starts a supervisor if jobs are queued and none is running, for example after a restart of the machine."""
    if any(job.state == "queued" for job in list_jobs(workspace)) and not _supervised(workspace):
        with queue_lock(workspace):
            _start_supervisor(workspace)


# the supervisor


@dataclasses.dataclass(frozen=True)
class _Supervisor:
    """The process that runs the queue, as its file names it."""

    pid: int
    process_start: str | None
    host: str = ""
    boot: str = ""
    namespace: str = ""


def supervise(workspace: Workspace) -> None:
    """Runs queued jobs one after another until none is left; returns at once if another supervisor is running."""
    with queue_lock(workspace):
        if _supervised(workspace):
            return
        mine = {"pid": os.getpid(), "process_start": process_start(os.getpid()), **own_table()._asdict()}
        replace_text(_supervisor_file(workspace), json.dumps(mine))
    remove_leftovers(jobs_folder(workspace), ABANDONED_SECONDS)
    _await_orphans(workspace)
    while True:
        with queue_lock(workspace):
            queued = [job for job in list_jobs(workspace) if job.state == "queued"]
            if not queued:  # under the lock, so that no job is added between this check and the return
                _supervisor_file(workspace).unlink(missing_ok=True)
                return
            job, process = _launch(workspace, queued[-1])
        if process is not None:
            code = _wait(workspace, process)
            with queue_lock(workspace):
                now = read_job(job_file(workspace, job.id)) or job  # a stop may have been requested meanwhile
                write_job(workspace, _settled(now, code))


def _launch(workspace: Workspace, job: Job) -> "tuple[Job, subprocess.Popen[bytes] | None]":
    """Starts a job; returns it with its process, or None if it could not be started.

    The command begins once the job's file names its process: a job whose supervisor dies in between has not begun, and
    is started by the next one, never twice.
    """
    try:
        with job.log.open("ab") as log:
            process = subprocess.Popen(
                [*_AT_A_WORD, *_command(job)],
                cwd=workspace.root,
                env=_environment(),
                stdin=subprocess.PIPE,
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
    about = {"pid": process.pid, "process_start": process_start(process.pid), **own_table()._asdict()}
    job = dataclasses.replace(job, state="running", started=time.time(), **about)
    write_job(workspace, job)
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin:  # it was killed meanwhile
        process.stdin.write(b"go\n")
    return job, process


def _wait(workspace: Workspace, process: "subprocess.Popen[bytes]") -> int:
    """Exit code of the process, once it ends; until then the supervisor shows other machines that it lives."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(RENEW_SECONDS)
        _show_life(workspace)


def _show_life(workspace: Workspace) -> None:
    with suppress(OSError):
        os.utime(_supervisor_file(workspace))


def _command(job: Job) -> list[str]:
    """Command that runs `dream` with this Python, whether or not it is on the PATH."""
    progress = ["--progress", str(job.progress)] if job.kind == "evaluate" else []
    return [sys.executable, "-P", "-m", "dream", *job.arguments, *progress]


def _await_orphans(workspace: Workspace) -> None:
    """Waits for jobs that an earlier supervisor left running, and records how they ended."""
    for file in jobs_folder(workspace).glob("*.json"):
        job = read_job(file)
        while job is not None and job.state == "running" and job.has_process:
            time.sleep(POLL_SECONDS)
            _show_life(workspace)
            job = read_job(file)
        if job is not None and job.state == "running":
            with queue_lock(workspace):
                write_job(workspace, _settled(read_job(file) or job, None))


def _settled(job: Job, code: int | None) -> Job:
    """The job in its final state, from its exit code (None if no supervisor saw it) and the training's heartbeat."""
    beat = run_log.read_heartbeat(job.out) if job.kind == "train" else None
    status = _reported(job, beat) if code in (None, 0, *STOPPED) else None
    state: State
    if status is not None:
        state = status
    elif code == 0:
        state = "finished"
    elif job.stop_asked is not None or code in STOPPED:
        state = "stopped"
    else:
        state = "killed" if code is None or code < 0 else "failed"
    ended = beat.time if beat is not None and code is None else time.time()
    return dataclasses.replace(job, state=state, ended=ended, returncode=code)


def _reported(job: Job, beat: run_log.Heartbeat | None) -> State | None:
    """How the job itself says that it ended: a training in its heartbeat, an evaluation in its last event."""
    if job.kind == "evaluate":
        last = next(reversed(read_events(job.progress)), None)
        return ("failed" if last.refused else "finished") if isinstance(last, EvaluationEnded) else None
    if beat is None or beat.status not in ("finished", "stopped", "failed"):
        return None
    own = (beat.pid, beat.process_start, *beat.table) == (job.pid, job.process_start, job.host, job.boot, job.namespace)
    return beat.status if own or beat.time >= (job.started or 0.0) else None


def _start_supervisor(workspace: Workspace) -> None:
    """Starts a supervisor if none is alive. If two start at once, the second one exits."""
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
    threading.Thread(target=process.wait, name="reaper", daemon=True).start()  # otherwise it remains as a zombie


def _environment() -> dict[str, str]:
    """Environment with this package on the path: with -P the workspace's own files cannot shadow it."""
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}


def _supervisor_file(workspace: Workspace) -> Path:
    """File with the supervisor's process; its time is the supervisor's last sign of life."""
    return jobs_folder(workspace) / "supervisor"


def _supervised(workspace: Workspace) -> bool:
    """Whether a supervisor runs, here or elsewhere."""
    file = _supervisor_file(workspace)
    try:
        found = read_as(file, _Supervisor)
        if not ProcessTable(found.host, found.boot, found.namespace).is_own:
            return abs(time.time() - file.stat().st_mtime) < STALE_SECONDS
        return is_alive(found.pid, found.process_start)
    except (OSError, InputError):
        return False


def _ended_unseen(workspace: Workspace, job: Job) -> bool:
    """Whether its process has ended and no supervisor is there to record how."""
    return job.state == "running" and not job.has_process and not _supervised(workspace)


def _order(job: Job) -> tuple[int, float, str]:
    return job.number, job.queued, job.id


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of `python -m workbench.jobs.queue WORKSPACE`."""
    return exit_code("queue", lambda: _supervise_at(list(sys.argv[1:] if argv is None else argv)))


def _supervise_at(arguments: list[str]) -> None:
    if len(arguments) != 1:
        raise InputError("give the folder of the workspace, and nothing else")
    supervise(open_workspace(Path(arguments[0])))


if __name__ == "__main__":
    sys.exit(main())
