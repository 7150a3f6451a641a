"""Faults at file operations: a process that is killed at the n-th one, and a disk that is full after so many bytes.

A hook of Python's auditing sees every opening, renaming, making and removing in a folder before it happens. From the
n-th on it raises `Killed`, so that nothing cleans up, as after SIGKILL. A full disk is a limit of the system on the
size of files, which also holds for what is written by libraries in other languages.
"""

import ctypes
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "shutil.rmtree")
HOUR, YEAR = 3600.0, 365 * 86400.0


class Killed(BaseException):
    """The end of a process that is killed."""


class _Watch:
    folder = ""
    left: int | None = None
    seen = 0
    really = False


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if not _Watch.folder or event not in EVENTS:
        return
    path = arguments[0]
    if isinstance(path, int) or not str(os.fsdecode(path)).startswith(_Watch.folder):  # type: ignore[arg-type]
        return
    if event == "open" and not _writes(arguments):
        return
    _Watch.seen += 1
    if _Watch.left is not None and _Watch.seen > _Watch.left:
        if _Watch.really:
            os.kill(os.getpid(), signal.SIGKILL)
        raise Killed


def _writes(arguments: tuple[object, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 else 0
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


sys.addaudithook(_hook)


@contextmanager
def killed_after(folder: Path, count: int | None) -> Iterator[Callable[[], int]]:
    """Kills what the block does in `folder` after `count` file operations; yields how many there were."""
    _Watch.folder, _Watch.left, _Watch.seen = f"{folder}/", count, 0
    try:
        yield lambda: _Watch.seen
    finally:
        _Watch.folder = ""


def kill_really_after(folder: Path, count: int) -> None:
    """Kills this process by SIGKILL after so many file operations in `folder`."""
    _Watch.folder, _Watch.left, _Watch.seen, _Watch.really = f"{folder}/", count, 0, True


def without_privileges() -> None:
    """Takes from this process what only root may do, so that permissions of files hold for it too."""
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    ctypes.CDLL(None).capset(header, nothing)


@contextmanager
def full_after(size: int) -> Iterator[None]:
    """Within the block no file grows beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def bounded(megabytes: int = 3072, seconds: int = 120) -> Iterator[None]:
    """Within the block no more memory than so much is given, and after so many seconds it is stopped.

    What is asked for is more than what is used: threads and libraries reserve addresses.
    """
    before = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + megabytes * 2**20, before[1]))
    signal.signal(signal.SIGALRM, _too_slow)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, before)


def _too_slow(*_: object) -> None:
    raise TimeoutError("it took too long and was stopped")


def jumping_clock(seed: int) -> None:
    """From now on this process's clock is put forward and back, at moments and by spans that follow from the seed."""
    draws, real, moved = random.Random(seed), time.time, [0.0]

    def told() -> float:
        if draws.random() < 0.3:
            moved[0] = draws.choice((-YEAR, -HOUR, -30.0, 0.0, 30.0, HOUR, YEAR))
        return real() + moved[0]

    time.time = told
