"""Identity of a source of pictures: a few values that change when the pictures do. Reads no picture."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dream.config import DreamConfig
from dream.data.content import leads_out
from dream.data.emoji.corpus import is_emoji
from dream.data.emoji.table import VERSION
from dream.data.matlab import is_matlab
from dream.data.paths import shard_paths
from dream.evaluation.classes.few_shot_sets import resolve
from dream.evaluation.dense.nyu_splits import find_splits

SHAPES_VERSION = 1
"""Increased when the same seed draws other pictures, captions or answer keys."""


def fingerprint(source: str, config: DreamConfig) -> dict[str, Any]:
    """Returns JSON values: level and size for shapes; number of files and a hash of names, sizes and times for files.

    The emoji have the version of their table, and a hub set has its revision, or None where that is not available; a
    name that stands for several few-shot sets has the fingerprint of each. Raises InputError for a path that does not
    exist.
    """
    if (sets := resolve(source)) != [(source, source)]:
        return {name: fingerprint(of_set, config) for name, of_set in sets}
    if source == "shapes":
        return {"level": config.data.level, "size": config.image.size, "version": SHAPES_VERSION}
    if is_emoji(source):  # the same table on every machine; not all tasks need it
        return {"table": VERSION}
    path = Path(source.removeprefix("hf:")).expanduser()
    if path.is_dir():
        return _of_files(_files_in(path), path)
    if source.startswith("hf:"):
        return {"name": str(path), "revision": _revision(source.removeprefix("hf:"))}
    if is_matlab(path):  # with the splits file next to it
        return _of_files(filter(None, (path, find_splits(path.parent))), path.parent)
    shards = shard_paths(os.path.expanduser(source))
    return _of_files(shards, shards[0].parent)


def paths_in(settings: Mapping[str, Any]) -> dict[str, str]:
    """Returns a hash for each of a task's settings that names something on disk (weights, shifted sets)."""
    hashes = {}
    for name, value in settings.items():
        named = [Path(v).expanduser() for v in (value if isinstance(value, list) else [value]) if isinstance(v, str)]
        if there := [path for path in named if path.is_absolute() or os.sep in str(path) if path.exists()]:
            files = [f for path in there for f in (_files_in(path) if path.is_dir() else [path])]
            hashes[name] = _of_files(files, Path.cwd())["hash"]
    return hashes


def _files_in(root: Path) -> Iterator[Path]:
    walked: set[str] = set()
    for directory, subfolders, names in os.walk(root, followlinks=True):
        if (real := os.path.realpath(directory)) in walked:  # a link back to a folder above
            subfolders.clear()
            continue
        walked.add(real)
        entered = (name for name in subfolders if not (name.startswith(".") or leads_out(Path(directory, name))))
        subfolders[:] = sorted(entered)
        yield from (Path(directory, name) for name in sorted(names) if not name.startswith("."))


def _of_files(paths: Iterable[Path], root: Path) -> dict[str, Any]:
    digest, count, size = hashlib.sha256(), 0, 0
    for path in paths:
        stat = path.stat() if path.exists() else path.lstat()  # a broken link
        line = f"{os.path.relpath(path, root)}\0{stat.st_size}\0{stat.st_mtime_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
        count, size = count + 1, size + stat.st_size
    return {"files": count, "bytes": size, "hash": digest.hexdigest()[:16]}


def _revision(name: str) -> str | None:
    """Returns a hash of a hub set's file hashes, as the hub lists them; None without a network."""
    try:
        import fsspec  # type: ignore[import-untyped]

        files, root = fsspec.url_to_fs(f"hf://datasets/{name.partition(':')[0]}")
        listed = files.find(root, detail=True)
        contents = sorted((key, str(about.get("blob_id"))) for key, about in listed.items())
    except Exception:  # no network, no such set, no permission: several packages raise their own types
        return None
    return hashlib.sha256(repr(contents).encode()).hexdigest()[:16]
