"""Quick search for checkpoints in a folder, by file names and a few levels deep.

Only files with an ambiguous extension are opened, to read four bytes.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dream.plain_text import fault_in
from dream.weights.torch_files import MAGIC
from workbench.checkpoints.rank_files import rank_files

DEPTH = 6
"""Levels of folders that are searched."""
MOST_ENTRIES = 20_000
"""Number of files and folders after which the search ends."""
SKIPPED = {"node_modules", "__pycache__", "samples", "tokenizer", "set-aside", "site-packages", "decodes"}
SURE = (".safetensors", ".pth", ".pt", ".ckpt")
PERHAPS = (".bin",)
"""Extensions that torch shares with other formats; the file's first bytes decide."""


@dataclass(frozen=True)
class FoundCheckpoint:
    """A checkpoint and its modification time."""

    path: Path
    changed: float
    """Modification time in seconds since 1970."""


def find_checkpoints(root: Path, most: int = 300) -> list[FoundCheckpoint]:
    """Checkpoint folders and files under `root`, most recently changed first."""
    found = [FoundCheckpoint(path, changed) for path, changed in _walk(root)]
    return sorted(found, key=lambda one: one.changed, reverse=True)[:most]


def _walk(root: Path) -> Iterator[tuple[Path, float]]:
    level, seen = [root], 0
    for _ in range(DEPTH):
        below: list[Path] = []
        for folder in level:
            names = {entry.name: entry for entry in _entries(folder)}
            seen += len(names)
            if seen > MOST_ENTRIES:
                return
            if "state.json" in names and (
                any(name.endswith(".safetensors") for name in names) or any(rank_files(folder / "model"))
            ):
                yield folder, _changed(names["state.json"])
                continue
            for name, entry in names.items():
                if name.startswith(".") or name in SKIPPED or fault_in(name):  # a page cannot show bytes
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
