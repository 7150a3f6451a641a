"""What was found out about files, kept on disk: read again as long as no file has changed.

A finding is a JSON tree under a key that contains the stamps of the files (place, change time, size).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.files import replace_text

VERSION = 1
"""Changes when findings change their shape; older ones are then found anew."""


@dataclass(frozen=True)
class Findings:
    """A folder of findings."""

    folder: Path
    most: int = 200
    """Findings that are kept; the oldest go first."""

    def get(self, *key: str) -> Any:
        """The finding under this key; None where there is none, or it is damaged."""
        try:
            tree = json.loads(self._path(key).read_text())
            return tree["found"] if tree["key"] == list(key) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: Sequence[str], found: Any) -> None:
        """Keeps a finding; a disk that cannot take it costs only the time to find it again."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_text(self._path(key), json.dumps({"key": list(key), "found": found}))
            kept = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
            for path in kept[: -self.most]:
                path.unlink(missing_ok=True)
        except OSError:
            pass

    def _path(self, key: Sequence[str]) -> Path:
        digest = hashlib.sha256(json.dumps([VERSION, *key]).encode()).hexdigest()
        return self.folder / f"{digest[:32]}.json"
