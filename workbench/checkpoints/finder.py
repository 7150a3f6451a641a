"""Which checkpoints lie in a folder, found quickly: names only, a few levels deep.

No file is opened but those whose ending says too little, for four bytes.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench.checkpoints.pickles import MAGIC

DEPTH = 6
"""Levels of folders that are looked into."""
MOST_LOOKED_AT = 20_000
"""Files and folders that are looked at before the search ends."""
PASSED_OVER = {"node_modules", "__pycache__", "samples", "tokenizer", "set-aside", "site-packages", "decodes"}
SURE = (".safetensors", ".pth", ".pt")
PERHAPS = (".bin",)
"""Endings that torch shares with others; the file's first bytes decide."""


@dataclass(frozen=True)
class Found:
    """A checkpoint that can be chosen."""

    path: Path
    changed: float
    """In seconds since 1970."""


def find_checkpoints(root: Path, most: int = 300) -> list[Found]:
    """Checkpoint folders and files under `root`, the last changed first."""
    found = [Found(path, changed) for path, changed in _walk(root)]
    return sorted(found, key=lambda one: one.changed, reverse=True)[:most]


def _walk(root: Path) -> Iterator[tuple[Path, float]]:
    level, looked_at = [root], 0
    for _ in range(DEPTH):
        below: list[Path] = []
        for folder in level:
            names = {entry.name: entry for entry in _entries(folder)}
            looked_at += len(names)
            if looked_at > MOST_LOOKED_AT:
                return
            if "state.json" in names and any(name.endswith(".safetensors") for name in names):
                yield folder, _changed(names["state.json"])
                continue
            for name, entry in names.items():
                if name.startswith(".") or name in PASSED_OVER:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below.append(Path(entry.path))
                elif name.endswith(SURE) or (name.endswith(PERHAPS) and _is_torch(entry)):
                    yield Path(entry.path), _changed(entry)
        level = below


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _is_torch(entry: "os.DirEntry[str]") -> bool:
    try:
        with open(entry.path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _changed(entry: "os.DirEntry[str]") -> float:
    try:
        return entry.stat().st_mtime
    except OSError:
        return 0.0
