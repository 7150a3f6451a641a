"""The claim of a run's folder: one training writes there at a time, whichever process, container or machine it is in.

A claim is a file `.claim-N.json` in the folder. It names the process that holds it, and a thread renews it while the
training runs. Three rules make it exclusive:

- Who finds a live claim is refused. In its own process table a claim lives as long as its process; elsewhere it lives
  while it is renewed, measured by the clock of the disk, so that clocks of machines need not agree.
- Stale claims are superseded, never edited or renamed: the next number is created with O_EXCL, which one process
  can do. Only its creator may then delete the older ones. Renaming a stale claim away could hit the claim of another
  process that was faster.
- Whoever created a claim looks again, and withdraws if a claim has appeared that it has not judged.

No lock of the operating system (filelock, as for the job queue): such a lock names nobody, and between machines it
depends on the mount. NFS without a lock daemon refuses it, `nolock` and many FUSE mounts keep it to one machine
without saying so, and those are the disks that several machines train on. O_EXCL is decided by the server since NFSv3.
"""

import json
import os
import re
import secrets
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from dream.console import duration
from dream.errors import InputError, RunError
from dream.files import WRITING, check_writable, disk_time
from dream.json_text import parse_json
from dream.training.processes import ProcessTable, is_alive, own_table, process_start

RENEW_SECONDS = 10.0
"""Time between signs of life."""
STALE_SECONDS = 60.0
"""A claim of another machine or container that was not renewed for so long is stale: the next training takes over."""
ATTEMPTS = 50
"""Tries to create a claim while other processes do the same."""
_PREFIX = ".claim-"
_NAME = re.compile(r"\.claim-(\d+)\.json")
_BYTES = 512
"""Size of a claim: the same at every renewal, so that a reader never sees an old end after a new beginning."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a folder."""

    table: ProcessTable
    pid: int
    """Process id in that table; 0 if the claim cannot be read."""
    process_start: str | None
    age: float
    """Seconds since its last sign of life."""

    @property
    def is_here(self) -> bool:
        """Whether its process id is one of this process's own table, so that it can be signalled."""
        return self.pid > 0 and self.table.is_own

    @property
    def lives(self) -> bool:
        """Whether it may still write. A time far in the future is no sign of life either."""
        return is_alive(self.pid, self.process_start) if self.is_here else abs(self.age) < STALE_SECONDS

    @property
    def words(self) -> str:
        """Where it is, e.g. `on host 'node7' (process 1234, last sign of life 4 s ago)`."""
        seen = f"last sign of life {duration(self.age)} ago"
        if not self.pid:
            return f"by an unknown process ({seen})"
        container = " in another container" if self.table.shares_machine and not self.is_here else ""
        return f"on host '{self.table.host or own_table().host}'{container} (process {self.pid}, {seen})"


def find_holder(folder: Path, exact: bool = False) -> Holder | None:
    """The holder of the folder's live claim; None if there is none.

    `exact` measures by the clock of the disk, for which it creates a file for a moment; otherwise by this machine's.
    """
    if not claims_in(folder):
        return None
    now = disk_time(folder) if exact else time.time()
    return _live(claims_in(folder), now)


def claims_in(folder: Path) -> list[Path]:
    """The folder's claims, stale ones included, oldest first; empty if the folder cannot be read."""
    try:
        names = [name for name in os.listdir(folder) if _NAME.fullmatch(name)]
    except OSError:
        return []
    return [folder / name for name in sorted(names, key=_number)]


def holds_other_files(folder: Path) -> bool:
    """Whether `folder` is a folder with anything in it besides claims and what a killed writer left half written."""
    return folder.is_dir() and any(
        not path.name.startswith(_PREFIX) and not path.name.endswith(WRITING) for path in folder.iterdir()
    )


def check_not_held(folder: Path, holder: Holder | None, option: str = "--out") -> None:
    """Raises InputError, naming the holder, if there is one; `option` is what gave the folder."""
    if holder is None:
        return
    free = "" if holder.is_here else f" (after {STALE_SECONDS:.0f} s without a sign of life, a new training takes over)"
    raise InputError(f"{folder} is being trained {holder.words}: wait, stop it there, or choose another {option}{free}")


class Claim:
    """The claim of a run's folder by this process, renewed while the `with` block runs and released after it."""

    def __init__(self, path: Path, token: str, replaced: Sequence[Holder] = (), created: Sequence[Path] = ()) -> None:
        self.folder, self.path, self.token = path.parent, path, token
        self.replaced = tuple(replaced)
        """Holders of the stale claims that it took over."""
        self.lost = ""
        """Why it is no longer held, as a sentence; empty while it is."""
        self._created = tuple(created)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, name="claim", daemon=True)

    def check(self) -> None:
        """Raises RunError if another process has taken over, or the claim was deleted. Called before every write."""
        if not self.lost and not self._is_held():
            other = find_holder(self.folder)
            self.lost = f"{self.path} was deleted, so another process may write there: this training stops"
            if other is not None:
                self.lost = (
                    f"{self.folder} was taken over by a training {other.words}, because this one showed no sign of "
                    "life: this one stops and writes nothing more there"
                )
        if self.lost:
            raise RunError(self.lost)

    def renew(self) -> None:
        """Writes a new sign of life; raises RunError if the claim is lost."""
        self.check()
        with self.path.open("r+b") as file:
            os.utime(file.fileno())  # first, because a full disk does not prevent it
            file.write(_content(self.token))

    def __enter__(self) -> "Claim":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(RENEW_SECONDS)
        with suppress(OSError):
            if self._is_held():
                self.path.unlink()
        _remove_empty(self._created)  # a training that was refused leaves nothing

    def _keep_alive(self) -> None:
        while not self.lost and not self._ended.wait(RENEW_SECONDS):
            with suppress(OSError, RunError):  # a disk that does not answer now may do so later; `lost` is noticed
                self.renew()

    def _is_held(self) -> bool:
        """Whether it is still the newest claim. The file is opened: NFS may answer anything less from its cache."""
        try:
            with self.path.open("rb") as file:
                mine = self.token.encode() in file.read()
        except FileNotFoundError:
            return False
        except OSError:
            return True  # a disk that does not answer: unknown, and nothing can be written either
        return mine and all(_number(path.name) <= _number(self.path.name) for path in claims_in(self.folder))


def take_claim(folder: Path) -> Claim:
    """Claims the folder, and creates it if it is missing; stale claims are taken over.

    Raises InputError if another process holds it, with its name, or if it cannot be written to.
    """
    check_writable(folder)
    created: list[Path] = []
    try:
        for attempt in range(ATTEMPTS):
            try:
                created += _make_folders(folder)
                if claim := _try_to_claim(folder, created):
                    return claim
            except FileNotFoundError:  # deleted meanwhile, by a training that was refused
                continue
            time.sleep(0.001 * secrets.randbelow(10 + 2 * attempt))
        raise InputError(f"{folder} is being claimed by several processes at this moment: try again")
    except OSError as error:
        _remove_empty(created)
        raise InputError(f"no training can write to {folder} ({error.strerror}): choose another --out") from error
    except BaseException:
        _remove_empty(created)
        raise


def _try_to_claim(folder: Path, created: Sequence[Path]) -> Claim | None:
    """One attempt; None if another process was faster. Raises InputError if the folder is held."""
    now = disk_time(folder)  # first: having written there, an NFS client no longer trusts its cached listing
    before = claims_in(folder)
    check_not_held(folder, _live(before, now))
    path, token = folder / f"{_PREFIX}{_number(before[-1].name) + 1 if before else 1}.json", secrets.token_hex(8)
    replaced = [holder for holder in (_read(each, now) for each in before) if holder is not None]
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_content(token))
        unjudged = set(claims_in(folder)) - {path, *before}
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    if unjudged:  # a claim came and went between the look and the creation, so that numbers began again
        path.unlink(missing_ok=True)
        return None
    for stale in before:
        with suppress(OSError):
            stale.unlink(missing_ok=True)
    return Claim(path, token, replaced, created)


def _live(claims: Sequence[Path], now: float) -> Holder | None:
    """The holder of the newest claim that is not stale at disk time `now`."""
    holders = (_read(path, now) for path in reversed(claims))
    return next((holder for holder in holders if holder is not None and holder.lives), None)


def _read(path: Path, now: float) -> Holder | None:
    """The process that a claim names, unknown if it cannot be read; None if the file is gone."""
    changed = now
    for _ in range(20):
        try:
            with path.open("rb") as file:
                text, changed = file.read(), os.fstat(file.fileno()).st_mtime
            tree = parse_json(text)
            table = ProcessTable(str(tree["host"]), str(tree["boot"]), str(tree["namespace"]))
            return Holder(table, int(tree["pid"]), tree["process_start"], now - changed)
        except FileNotFoundError:
            return None
        except OSError:  # of another user, or a disk that does not answer
            with suppress(OSError):
                changed = path.stat().st_mtime
            break
        except (ValueError, KeyError, TypeError):
            if abs(now - changed) > RENEW_SECONDS:
                break
            time.sleep(0.01)  # created, and not written yet
    return Holder(ProcessTable(), 0, None, now - changed)


def _content(token: str) -> bytes:
    """A claim by this process at this time, padded to a fixed size."""
    pid = os.getpid()
    about = {**own_table()._asdict(), "pid": pid, "process_start": process_start(pid), "token": token}
    return json.dumps({**about, "time": time.time()}, indent=1).encode().ljust(_BYTES - 1) + b"\n"


def _number(name: str) -> int:
    match = _NAME.fullmatch(name)
    return int(match.group(1)) if match else 0


def _make_folders(folder: Path) -> list[Path]:
    """Creates the folder and its missing parents; returns those that this process created, outermost first."""
    created = []
    for path in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        with suppress(FileExistsError):
            path.mkdir()
            created.append(path)
    return created


def _remove_empty(folders: Sequence[Path]) -> None:
    for path in reversed(folders):
        with suppress(OSError):
            path.rmdir()
