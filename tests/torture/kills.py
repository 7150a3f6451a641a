"""Processes that are killed: how many, when and how."""

import fcntl
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkProcess
from pathlib import Path

from dream.__main__ import main
from dream.files import ABANDONED_SECONDS, WRITING

KILLS = int(os.environ.get("DREAM_KILLS", "24"))
"""Kills in all; each harness has its share."""
HOURS = 6 * 3600.0


def share(part: float) -> int:
    """This share of all kills, one at least."""
    return max(1, round(KILLS * part))


class Begun(ForkProcess):
    """`target` in a fork of this process, which starts faster than a new one, and the pipe that it writes to.

    A pipe is never a full disk.
    """

    def __init__(self, target: Callable[[], int]) -> None:
        self.output, writes = os.pipe()
        fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, 2**20)
        super().__init__(target=_in_fork, args=(target, writes))
        self.start()
        os.close(writes)
        self.said = ""

    def words(self) -> str:
        """What it has said so far."""
        while select.select([self.output], [], [], 0)[0] and (text := os.read(self.output, 2**16)):
            self.said += text.decode(errors="replace")
        return self.said

    def __del__(self) -> None:
        os.close(self.output)


def _in_fork(target: Callable[[], int], output: int) -> None:
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")  # not those that pytest has put there
    code = target()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def begin_command(line: Sequence[str], first: Callable[[], object] = lambda: None) -> Begun:
    """`dream LINE`, after `first`, in a process."""
    return Begun(lambda: (first(), main(list(line)))[1])


def ended_within(processes: Sequence[ForkProcess], seconds: float) -> bool:
    """Whether all end in so many seconds."""
    deadline = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
    return all(process.exitcode is not None for process in processes)


def kill_some(processes: Sequence[ForkProcess], draws: random.Random) -> None:
    """Ends one or all of the processes, by SIGKILL or SIGTERM, some of them stopped for a moment; waits for all."""
    chosen = list(processes) if draws.random() < 0.5 else [draws.choice(processes)]
    victims = [process for process in chosen if process.is_alive()]
    if draws.random() < 0.3:
        for process in victims:
            os.kill(process.pid, signal.SIGSTOP)  # type: ignore[arg-type]
        time.sleep(draws.uniform(0.05, 0.3))
        for process in victims:
            os.kill(process.pid, signal.SIGCONT)  # type: ignore[arg-type]
    how = draws.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
    for process in victims:
        os.kill(process.pid, how)  # type: ignore[arg-type]
    assert ended_within(processes, 300), "a process hangs after another one was killed"


def move_clock(folder: Path, seconds: float) -> None:
    """Every file of the folder was changed so many seconds later: as if the clock had been put back since."""
    for path in [*folder.rglob("*"), folder]:
        when = path.lstat().st_mtime + seconds
        os.utime(path, (when, when), follow_symlinks=False)


def leftovers(folder: Path) -> list[Path]:
    """What is half written in the folder."""
    return [path for path in folder.rglob(f".*{WRITING}") if not path.parent.name.endswith(WRITING)]


def abandon(folder: Path) -> None:
    """What is half written there has been so for days."""
    for path in leftovers(folder):
        when = time.time() - 2 * ABANDONED_SECONDS
        os.utime(path, (when, when))
