"""Checks that a place can be written to, atomic replacement of files, locks, and where the user's cache is."""

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dream.errors import InputError, RunError

WRITING = ".writing"
"""Ending of a file or folder that is not whole yet."""
MOST_NAME = 200
"""Characters of a file's name that its temporary name keeps: a file system takes 255 bytes."""

ABANDONED_SECONDS = 86_400.0
"""Age at which what is half written counts as left over from a killed process, where others may be writing."""
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
LOCK_SECONDS = 30.0
"""Longest wait for a lock, which is normally held for milliseconds."""


def user_cache() -> Path:
    """Folder of what is kept on this machine for all projects: in DREAM_CACHE, otherwise in the user's cache."""
    cache = os.environ.get("DREAM_CACHE") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "dream-workbench"


def check_writable(folder: Path, option: str = "--out") -> None:
    """Raises InputError if `folder`, given by `option`, can neither be written into nor created."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise InputError(f"{existing} is a file, so nothing can be written to {folder}: choose another {option}")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"no permission to write to {existing}: choose another {option}, or change its permissions")


def replace_text(path: Path, text: str) -> None:
    """As `replace_bytes`, of a text in UTF-8."""
    replace_bytes(path, text.encode("utf-8"))


def replace_bytes(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Makes `content` that of a file; a reader, or whoever looks after a crash, sees the old one or the new.

    Two writers do not meet: each writes under a name of its own. A failure leaves the old content, and nothing else.
    `mode` has the permissions of a new file, of which the user's umask takes some away.
    """
    temporary = path.with_name(f".{path.name[:MOST_NAME]}.{secrets.token_hex(4)}{WRITING}")
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Flushes a file or folder to the disk, so that a rename that follows cannot precede the bytes."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_folder(folder: Path, temporary: Path) -> None:
    """Makes the folder `temporary`, next to it, that of the name `folder`; an older one is deleted then."""
    old = temporary.with_name(f"{temporary.name.removesuffix(WRITING)}-old{WRITING}")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)  # of a writer that was killed
        folder.rename(old)
    try:
        temporary.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def locked(path: Path, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Holds the lock of what is at `path` against all other processes and threads: for reading, changing, writing.

    The system releases it if the process dies. A disk that has no locks is written to without. Raises RunError if the
    lock stays taken for so many seconds.
    """
    from filelock import FileLock, Timeout  # takes time to import, which only writers need

    place = path.with_name(f".{path.name[:MOST_NAME]}.lock")
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place, timeout=seconds)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunError(
            f"another process has held {place} for more than {seconds:.0f} s: try again, or end that process"
        ) from error
    except NotImplementedError:
        pass
    try:
        yield
    finally:
        lock.release()


def disk_time(folder: Path) -> float:
    """The time by the clock of the folder's disk, which all machines share; this machine's if it cannot be written."""
    probe = folder / f".clock-{secrets.token_hex(8)}{WRITING}"
    try:
        descriptor = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except OSError:
        return time.time()
    try:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        with suppress(OSError):
            probe.unlink()


def is_abandoned(path: Path, seconds: float = ABANDONED_SECONDS) -> bool:
    """Whether a file or folder was last changed so many seconds ago, or will be, before a clock was put back.

    By this machine's clock and by that of the disk: either may be wrong, and somebody at work on it. Raises OSError
    if it is gone.
    """
    changed = path.lstat().st_mtime
    return abs(time.time() - changed) >= seconds and abs(disk_time(path.parent) - changed) >= seconds


def remove_folder(folder: Path, patience: float = 5.0) -> None:
    """Deletes a folder into which threads may still be writing, as those of zarr are after an error of one of them.

    What cannot be deleted within `patience` seconds stays, until it is swept.
    """
    deadline = time.monotonic() + patience
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.01)
        if not folder.exists() or time.monotonic() > deadline:
            return


def remove_leftovers(folder: Path, older_than: float = 0.0) -> None:
    """Deletes what writers that were killed left half written in `folder`, if it is older than so many seconds.

    Without an age nobody else may be writing there. What cannot be deleted stays.
    """
    for path in folder.glob(f".*{WRITING}"):
        try:
            if older_than and not is_abandoned(path, older_than):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        except OSError:
            continue
