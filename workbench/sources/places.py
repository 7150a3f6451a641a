"""Sources in a workspace, and a stamp that tells whether a source has changed."""

import hashlib
import itertools
import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from dream.console import print_out
from dream.data.emoji.corpus import SOURCE as EMOJI
from dream.data.emoji.corpus import is_emoji
from dream.data.emoji.table import table_path
from dream.data.formats import (
    CAPTION_ENDINGS,
    JSON_ENDING,
    METADATA_FILES,
    OTHER_PICTURES,
    PICTURES,
    ending_of,
    is_hidden,
)
from dream.data.paths import shard_paths
from dream.plain_text import fault_in
from workbench.workspace import Workspace

STAMPED = 10_000
"""Maximum number of files and folders checked for changes."""
SEARCHED = 400
"""Maximum number of workspace folders searched for sources."""


def source_stamp(source: str) -> str:
    """Returns a short text that changes when the size or modification time of the source's files changes.

    For a folder, only subfolders and metadata files are checked, not every picture. Raises InputError as `open_corpora`
    does if there is no source.
    """
    if source == "shapes" or source.startswith("hf:"):
        return source
    if is_emoji(source):
        table = table_path()
        return f"{source} {table.stat().st_mtime_ns}" if table.is_file() else source
    root = Path(source).expanduser()
    paths = _folders(root) if root.is_dir() else shard_paths(str(root))
    digest = hashlib.blake2b(digest_size=8)
    for path in itertools.islice(paths, STAMPED):
        facts = path.stat()
        digest.update(f"{path}\x1f{facts.st_size}\x1f{facts.st_mtime_ns}\n".encode("utf-8", "replace"))
    return digest.hexdigest()


def at_hand(source: str, instead: str = "shapes") -> str:
    """Returns `source`; if it means the emoji and they are not built here, says so and returns `instead`."""
    if not is_emoji(source) or table_path().is_file():
        return source
    print_out(
        f"The emoji are not built on this machine, so this shows '{instead}' instead; "
        "'dream data emoji --build' builds them once (about three minutes, needs npm)."
    )
    return instead


def list_sources(workspace: Workspace) -> list[str]:
    """Returns `shapes` and `emoji`, then folders of captioned pictures and patterns of tar shards in the workspace."""
    sources = []
    ours = {path.name for path in (workspace.runs, workspace.decodes, workspace.results)}
    for number, (directory, subfolders, names) in enumerate(os.walk(workspace.root)):
        if number == SEARCHED:
            break
        here = Path(directory)
        deep = len(here.relative_to(workspace.root).parts)
        subfolders[:] = sorted(
            name for name in subfolders if deep < 3 and not is_hidden(name) and name not in ours and not fault_in(name)
        )
        shown = workspace.shown(here)
        if any(name.endswith(".tar") and not is_hidden(name) for name in names):
            sources.append("*.tar" if shown == "." else f"{shown}/*.tar")
        if deep and _captioned(names):
            sources.append(shown)
            subfolders.clear()
    return ["shapes", EMOJI, *sources]


def _folders(root: Path) -> Iterator[Path]:
    for directory, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not is_hidden(name))
        yield Path(directory)
        yield from (Path(directory, name) for name in sorted(names) if name.lower() in METADATA_FILES)


def _captioned(names: Sequence[str]) -> bool:
    """Returns whether a folder with these files looks like one of captioned pictures."""
    visible = [name for name in names if not is_hidden(name)]
    pictures = {_stem(name) for name in visible if ending_of(name) in (*PICTURES, *OTHER_PICTURES)}
    texts = {_stem(name) for name in visible if ending_of(name) in (*CAPTION_ENDINGS, JSON_ENDING)}
    return bool(pictures) and (bool(pictures & texts) or any(name.lower() in METADATA_FILES for name in visible))


def _stem(name: str) -> str:
    return unicodedata.normalize("NFC", Path(name).stem)
