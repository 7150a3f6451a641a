"""Incremental reader for the rows of a run's `metrics.jsonl`.

Only new bytes are read. Damaged lines are counted and raise nothing.
"""

import math
import os
import threading
from pathlib import Path
from typing import Any

from dream.training.run_log import METRICS, read_row

HEAD_BYTES = 128
"""Bytes of a file's beginning that identify it, in case another file replaces it."""

Row = dict[str, Any]


class RowReader:
    """A run's rows so far. Safe to use from several threads; returned lists are never mutated."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / METRICS
        self.version = 0
        """Increases with every new row."""
        self.damaged = 0
        """Number of lines that are not valid rows."""
        self._rows: list[Row] = []
        self._lock = threading.Lock()
        self._offset = 0
        self._forget()

    def rows(self) -> list[Row]:
        """All rows, oldest first; empty if there is no file yet. Not to be mixed with `new_rows`."""
        with self._lock:
            anew, new = self._news()
            if anew or new:
                self._rows = [*([] if anew else self._rows), *new]
            return self._rows

    def new_rows(self) -> tuple[bool, list[Row]]:
        """Whether the log began anew, so that earlier rows no longer count, and the rows since the last call."""
        with self._lock:
            return self._news()

    def _news(self) -> tuple[bool, list[Row]]:
        self._anew, new = False, []
        try:
            new = self._read()
        except OSError:  # not written yet, or deleted
            self._forget()
        return self._anew, new

    def _forget(self) -> None:
        self._anew = self._offset > 0
        self.version += self._anew
        self._offset, self._inode, self._head, self.damaged = 0, -1, b"", 0

    def _read(self) -> list[Row]:
        with self.path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            head = file.read(HEAD_BYTES)
            size = file.seek(0, 2)
            if inode != self._inode or size < self._offset or not head.startswith(self._head):
                self._forget()
                self._inode = inode
            self._head = head
            if size == self._offset:
                return []
            file.seek(self._offset)
            text = file.read(size - self._offset)
        whole = text.rfind(b"\n") + 1  # the rest is an incomplete line
        new = [read_row(line) for line in text[:whole].splitlines() if line.strip()]
        self._offset += whole
        self.damaged += sum(row is None for row in new)
        self.version += bool(whole)
        return [row for row in new if row is not None]


def is_number(value: Any) -> bool:
    """Whether the value is a finite number."""
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False
