"""Runs several `dream` commands side by side, each in a process with its own log."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.5
"""Polling interval."""


@dataclass(frozen=True)
class Command:
    """A `dream` command to run."""

    name: str
    arguments: Sequence[str]
    log: Path
    """File that receives its console output."""


@dataclass(frozen=True)
class Running:
    """A command that is running."""

    command: Command
    process: "subprocess.Popen[bytes]"
    started: float
    """`time.monotonic()` at the start."""


def cores() -> int:
    """Number of processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_side_by_side(
    commands: Sequence[Command],
    jobs: int,
    threads: int,
    progress: Callable[[Sequence[Command], Sequence[Running]], None] = lambda waiting, running: None,
) -> list[Command]:
    """Runs all commands, at most `jobs` at a time with `threads` threads each; returns those that failed.

    `progress` is called repeatedly with the waiting and the running commands. On Ctrl-C (and any other exit) running
    commands receive SIGTERM, upon which a training saves a checkpoint, and are waited for.
    """
    waiting, failed = list(commands), []
    running: list[Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_started(waiting.pop(0), threads))
            progress(waiting, running)
            time.sleep(POLL_SECONDS)
            ended = [each for each in running if each.process.poll() is not None]
            failed += [each.command for each in ended if each.process.returncode != 0]
            running = [each for each in running if each not in ended]
    finally:
        _stop(running)
    return failed


def last_log_line(command: Command) -> str:
    """Last non-empty line of a command's log."""
    try:
        lines = command.log.read_text(errors="replace").replace("\r", "\n").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _started(command: Command, threads: int) -> Running:
    command.log.parent.mkdir(parents=True, exist_ok=True)
    count = str(threads)
    environment = {**os.environ, "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count}
    with command.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dream", *command.arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
        )
    return Running(command, process, time.monotonic())


def _stop(running: Sequence[Running]) -> None:
    for each in running:
        if each.process.poll() is None:
            each.process.send_signal(signal.SIGTERM)
    for each in running:
        each.process.wait()
