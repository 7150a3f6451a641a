"""The rows of a run's `metrics.jsonl` as they grow: only new bytes are read. What is damaged is counted, not
raised. It knows nothing of what the numbers mean.
"""

import json
import math
import os
import threading
from pathlib import Path
from typing import Any

KINDS = ("train", "validation")
HEAD_BYTES = 128
"""So much of a file's beginning tells it from one that was put in its place."""

Row = dict[str, Any]


class RowReader:
    """A run's rows so far. Several threads may read; lists that were handed out are never changed."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "metrics.jsonl"
        self.version = 0
        """Grows whenever there is something new."""
        self.damaged = 0
        """Lines that are no row."""
        self._rows: list[Row] = []
        self._lock = threading.Lock()
        self._forget()

    def rows(self) -> list[Row]:
        """All rows, oldest first; none if there is no file yet."""
        with self._lock:
            try:
                self._read()
            except OSError:  # not there yet, or gone
                self._forget()
            return self._rows

    def _forget(self) -> None:
        self.version += bool(self._rows)
        self._rows, self._offset, self._inode, self._head, self.damaged = [], 0, -1, b"", 0

    def _read(self) -> None:
        with self.path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            head = file.read(HEAD_BYTES)
            size = file.seek(0, 2)
            if inode != self._inode or size < self._offset or not head.startswith(self._head):
                self._forget()
                self._inode = inode
            self._head = head
            if size == self._offset:
                return
            file.seek(self._offset)
            text = file.read(size - self._offset)
        whole = text.rfind(b"\n") + 1  # the rest is a line that is being written
        new = [_row(line) for line in text[:whole].splitlines() if line.strip()]
        self._offset += whole
        self.damaged += sum(row is None for row in new)
        self._rows = [*self._rows, *(row for row in new if row is not None)]
        self.version += bool(whole)


def _row(line: bytes) -> Row | None:
    """The row in a line; none if it is damaged."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    fits = isinstance(row, dict) and row.get("kind") in KINDS and is_number(row.get("step"))
    return row if fits else None


def is_number(value: Any) -> bool:
    """Whether this is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
