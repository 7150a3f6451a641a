"""Locates the data sources of a workspace, and detects whether one has changed."""

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from dream.data.paths import shard_paths
from dream.data.samples import PICTURES
from workbench.workspace import Workspace

STAMPED = 10_000
"""Maximal number of files and folders whose modification times tell whether a source has changed."""
SEARCHED = 400
"""Maximal number of folders in a workspace that are searched for sources."""


def source_stamp(source: str) -> str:
    """A short text that changes with the sizes and modification times of the source's files.

    For a folder it covers the subfolders and metadata.jsonl files, not every picture. Raises InputError like
    `open_corpora` if there is no such source.
    """
    if source == "shapes" or source.startswith("hf:"):
        return source
    root = Path(source).expanduser()
    paths = _folders(root) if root.is_dir() else shard_paths(str(root))
    digest = hashlib.blake2b(digest_size=8)
    for path in itertools.islice(paths, STAMPED):
        facts = path.stat()
        digest.update(f"{path}\x1f{facts.st_size}\x1f{facts.st_mtime_ns}\n".encode("utf-8", "replace"))
    return digest.hexdigest()


def list_sources(workspace: Workspace) -> list[str]:
    """`shapes`, then folders of captioned pictures and patterns of tar shards in the workspace, by name."""
    sources = []
    ours = {path.name for path in (workspace.runs, workspace.decodes, workspace.results)}
    for number, (directory, subfolders, names) in enumerate(os.walk(workspace.root)):
        if number == SEARCHED:
            break
        folder = Path(directory)
        depth = len(folder.relative_to(workspace.root).parts)
        subfolders[:] = sorted(
            name for name in subfolders if depth < 3 and not name.startswith(".") and name not in ours
        )
        shown = workspace.shown(folder)
        if any(name.endswith(".tar") for name in names):
            sources.append("*.tar" if shown == "." else f"{shown}/*.tar")
        if depth and _captioned(names):
            sources.append(shown)
            subfolders.clear()
    return ["shapes", *sources]


def _folders(root: Path) -> Iterator[Path]:
    for directory, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield Path(directory)
        if "metadata.jsonl" in names:
            yield Path(directory, "metadata.jsonl")


def _captioned(names: Sequence[str]) -> bool:
    """Whether files of these names look like captioned pictures."""
    pictures = {Path(name).stem for name in names if name.lower().endswith(PICTURES)}
    texts = {Path(name).stem for name in names if name.lower().endswith(".txt")}
    return bool(pictures) and ("metadata.jsonl" in names or bool(pictures & texts))
