"""A run followed while it trains: its record and curves, read again only when its files change."""

import dataclasses
import threading
from pathlib import Path
from typing import Any

from dream.config import DreamConfig
from dream.errors import InputError
from dream.json_text import read_json_object
from workbench.runs.curves import CurveBuilder, Curves
from workbench.runs.folders import record_or_problem
from workbench.runs.rows import RowReader


class RunFeed:
    """One run's record and curves so far. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reader = RowReader(folder)
        self._builder = CurveBuilder()
        self._lock = threading.Lock()
        self._curves: tuple[tuple[int, int], Curves] | None = None
        self._record: tuple[int, dict[str, Any], DreamConfig | None] = (-1, {}, None)

    @property
    def record(self) -> dict[str, Any]:
        """The run's `config.json`; empty if it is missing or damaged."""
        return self._read()[1]

    @property
    def config(self) -> DreamConfig | None:
        """The run's configuration; None if its record has none."""
        return self._read()[2]

    def curves(self) -> tuple[int, Curves]:
        """A version number that grows with new rows, and the run's curves."""
        with self._lock:
            anew, new = self.reader.new_rows()
            if anew:
                self._builder = CurveBuilder()
            self._builder.add(new)
            config = self.config
            batch, micro = (config.train.batch_size, config.train.accumulate) if config else (1, 1)
            key = (self.reader.version, batch)
            if self._curves is None or self._curves[0] != key:
                self._curves = key, self._builder.curves(self.folder.name, batch, micro)
            return self.reader.version, self._curves[1]

    def named_curves(self, name: str) -> Curves:
        """The run's curves under another name than its folder name."""
        return dataclasses.replace(self.curves()[1], name=name)

    def _read(self) -> tuple[int, dict[str, Any], DreamConfig | None]:
        try:
            stamp = (self.folder / "config.json").stat().st_mtime_ns
        except OSError:
            return -1, {}, None
        if stamp != self._record[0]:
            record, _ = record_or_problem(self.folder)
            self._record = stamp, record, _config(record)
        return self._record


def broken_data(folder: Path) -> dict[str, Any]:
    """Problems that the run found in its data (`report.json`), in words; empty if there is no report."""
    try:
        return read_json_object(folder / "report.json")
    except (OSError, InputError):
        return {}


def _config(record: dict[str, Any]) -> DreamConfig | None:
    try:
        return DreamConfig.from_dict(record["config"])
    except (InputError, KeyError, TypeError, AttributeError):
        return None
