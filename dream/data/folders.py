"""A folder of pictures with captions (NAME.txt, or metadata.jsonl) as a Corpus. Subfolders count."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.data import report as kinds
from dream.data.report import DataReport
from dream.data.samples import CONTROL, PICTURES, BadSample, Row, caption_in, decode_caption

METADATA = "metadata.jsonl"
SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
"""Subfolders (and splits of hub sets) that are taken as a source's own splits."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A picture of a folder, and where its caption is."""

    shard: str
    key: str
    path: Path
    written: str | BadSample | Path
    """The caption in metadata.jsonl, or what is wrong with it, or the text file that holds it."""

    def picture(self) -> bytes:
        return _content(self.path, kinds.BROKEN_PICTURE)

    def caption(self) -> str:
        if isinstance(self.written, BadSample):
            raise self.written
        if isinstance(self.written, str):
            return self.written
        return decode_caption(_content(self.written, kinds.BROKEN_CAPTION))


class FolderCorpus:
    """The Corpus of one folder: a single shard, listed when first wanted."""

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self.root = root
        self.shards = [root.resolve().name or str(root)]
        self.window_rows = 1 << 62  # the names of all pictures are in memory anyway
        self._rows: list[FileRow] | None = None
        self._others: list[str] = []  # the first names that are no pictures, for the hint
        self._pictures = 0

    def rows(self, shard: int, start: int, report: DataReport) -> Iterator[Row]:
        if self._rows is None:
            self._rows = list(self._listed(report))
        yield from self._rows[start:]

    def count(self, shard: int) -> int | None:
        return None if self._rows is None else len(self._rows)

    def hint(self) -> str:
        expected = f"each picture needs NAME.txt beside NAME.jpg (or .png, .webp), or a line in {METADATA}"
        if self._pictures:
            return f"not one of the {self._pictures:,} pictures in it has a caption; {expected}"
        tars = [name for name in self._others if name.endswith(".tar")]
        if tars:
            return f"it holds tar shards, no pictures; give them as '{self.name.rstrip('/')}/*.tar'"
        there = ", ".join(self._others[:5]) + (", ..." if len(self._others) > 5 else "")
        return f"it holds no pictures ({there or 'nothing at all'}); {expected}"

    def _listed(self, report: DataReport) -> Iterator[FileRow]:
        walked: set[str] = set()
        listed: set[Path] = set()  # by the metadata of a folder further up
        for directory, subfolders, names in os.walk(self.root, onerror=_reporter(report), followlinks=True):
            if (real := os.path.realpath(directory)) in walked:  # a link that leads back
                subfolders.clear()
                continue
            walked.add(real)
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            here = Path(directory)
            prefix = here.relative_to(self.root).as_posix()
            shard = self.shards[0] if prefix == "." else f"{self.shards[0]}/{prefix}"
            visible = sorted(name for name in names if not name.startswith("."))
            if len(self._others) < 100:
                self._others += [name for name in visible if not name.lower().endswith(PICTURES)]
            pictures = {name for name in visible if name.lower().endswith(PICTURES)}
            self._pictures += len(pictures)
            written = read_metadata(here / METADATA, shard, report) if METADATA in visible else {}
            unlisted = {name for name in pictures if here / name not in listed}
            listed |= {here / name for name in written}
            texts = {Path(name).stem: name for name in visible if name.lower().endswith(".txt")}
            yield from _captioned(here, shard, unlisted, written, texts, report)
            for stem in sorted(texts.keys() - {Path(name).stem for name in pictures}) if pictures else ():
                report.add(kinds.MISSING_MEMBER, shard, texts[stem], "no picture of this name")


def _captioned(
    here: Path,
    shard: str,
    pictures: set[str],
    written: dict[str, str | BadSample],
    texts: dict[str, str],
    report: DataReport,
) -> Iterator[FileRow]:
    """The rows of one directory: its `pictures` and those its metadata names; the rest goes to `report`."""
    for name in sorted(pictures | written.keys()):
        path, key = here / name, CONTROL.sub("?", name).encode("utf-8", "replace").decode()
        if name not in pictures and not path.is_file():
            reason = f"{METADATA} names it, but there is no such picture"
            report.add(kinds.MISSING_MEMBER, shard, key, reason)
        elif name in written:
            yield FileRow(shard, key, path, written[name])
        elif path.stem in texts:
            yield FileRow(shard, key, path, here / texts[path.stem])
        else:
            report.add(kinds.MISSING_MEMBER, shard, key, f"no caption: no {path.stem}.txt beside it")


def _reporter(report: DataReport) -> Callable[[OSError], None]:
    """For `os.walk`, which passes over folders that cannot be listed."""

    def tell(error: OSError) -> None:
        report.add(kinds.UNREADABLE_SHARD, str(error.filename), "folder", error.strerror or str(error))

    return tell


def read_metadata(path: Path, shard: str, report: DataReport) -> dict[str, str | BadSample]:
    """Captions by file_name of a metadata.jsonl; lines that are no such record go to `report`."""
    captions: dict[str, str | BadSample] = {}
    with open(path, encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                name, caption = _record(json.loads(line))
            except ValueError as error:
                report.add(kinds.BROKEN_METADATA, shard, f"{METADATA}:{number}", str(error))
                continue
            if name in captions:
                report.add(kinds.DUPLICATE_MEMBER, shard, f"{METADATA}:{number}", f"a second line for {name}")
            else:
                captions[name] = caption
    return captions


def _record(fields: Any) -> tuple[str, str | BadSample]:
    name = fields.get("file_name") if isinstance(fields, dict) else None
    if not isinstance(name, str) or not name or "\0" in name:
        raise ValueError("no 'file_name' in it")
    name = os.path.normpath(name)
    try:
        return name, caption_in(fields)
    except BadSample as bad:
        return name, bad


def split_folders(root: Path) -> dict[str, Path]:
    """Each split's folder: its own subfolders `train` and `val` (validation, test), else all is train."""
    found = {
        split: root / name for split, names in SPLITS.items() for name in reversed(names) if (root / name).is_dir()
    }
    loose = any(entry.suffix.lower() in PICTURES for entry in root.iterdir())
    return found if "train" in found and len(found) > 1 and not loose else {"train": root}


def _content(path: Path, kind: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadSample(kind, f"cannot be read: {error.strerror or error}") from error
