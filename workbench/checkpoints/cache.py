"""Cache on disk for results computed from files, valid as long as no file changes.

A result is a JSON tree under a key that contains the stamps of its files (path, modification time, size).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.errors import InputError
from dream.files import replace_text
from dream.json_text import read_json_object

VERSION = 1
"""Changes with the format of the results; older results are then computed again."""


@dataclass(frozen=True)
class DiskCache:
    """A folder of cached results."""

    folder: Path
    most: int = 200
    """Largest number of results; the oldest are removed first."""

    def get(self, *key: str) -> Any:
        """The result under this key; None if there is none or it is damaged."""
        try:
            tree = read_json_object(self._path(key))
            return tree.get("found") if tree.get("key") == list(key) else None
        except (OSError, InputError):
            return None

    def put(self, key: Sequence[str], result: Any) -> None:
        """Stores a result; if the disk cannot take it, the result is only computed again next time."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_text(self._path(key), json.dumps({"key": list(key), "found": result}))
            kept = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
            for path in kept[: -self.most]:
                path.unlink(missing_ok=True)
        except OSError:
            pass

    def _path(self, key: Sequence[str]) -> Path:
        digest = hashlib.sha256(json.dumps([VERSION, *key]).encode()).hexdigest()
        return self.folder / f"{digest[:32]}.json"
