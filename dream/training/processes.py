"""Names of processes that hold between machines and containers: a process id means something in its own table only.

Two containers on one machine have a process 1 each, and so have two machines on one shared disk.
"""

import os
import socket
import uuid
from pathlib import Path
from typing import NamedTuple


class ProcessTable(NamedTuple):
    """The table that a process id belongs to: a machine since its last boot, and a PID namespace on it."""

    host: str = ""
    """Name of the machine or container; for people, since two can have the same."""
    boot: str = ""
    """Id of the machine's boot; empty in files of versions that did not store it."""
    namespace: str = ""
    """The kernel's name of the PID namespace; empty where there are none."""

    @property
    def is_own(self) -> bool:
        """Whether its process ids are those that this process sees; assumed where the boot is not known."""
        return not self.boot or self[1:] == own_table()[1:]

    @property
    def shares_machine(self) -> bool:
        """Whether it is on this machine, perhaps in another container."""
        return not self.boot or self.boot == own_table().boot


def own_table() -> ProcessTable:
    """The table that this process is in."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = f"{uuid.getnode():x}"  # without /proc: the address of the network card tells machines apart
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return ProcessTable(socket.gethostname(), boot, namespace)


def process_start(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot; None for a dead process, a zombie, or without /proc."""
    state, start = _state_and_start(pid)
    return None if state in ("", "Z") else start


def is_alive(pid: int | None, start: str | None) -> bool:
    """Whether the process of this table with this id and start time still runs; without /proc by the id alone."""
    if not isinstance(pid, int) or pid < 1:  # 0 and below name groups of processes
        return False
    state, found = _state_and_start(pid)
    if state:
        return state != "Z" and start in (None, found)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it runs, hidden from other users
        return True
    return True


def _state_and_start(pid: int) -> tuple[str, str | None]:
    """State letter and start time from /proc; empty and None if /proc does not show the process.

    A /proc that was mounted outside of this PID namespace shows other processes under the same ids.
    """
    try:
        if os.readlink("/proc/self") != str(os.getpid()):
            return "", None
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", None
    return fields[0], fields[19]
