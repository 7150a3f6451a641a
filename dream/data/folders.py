"""A folder of pictures with captions (NAME.txt, or metadata.jsonl) as a Corpus, including its subfolders."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.data import report as kinds
from dream.data.formats import PICTURES
from dream.data.report import DataReport
from dream.data.samples import CONTROL, BadSample, Row, caption_in, decode_caption
from dream.json_text import parse_json

METADATA = "metadata.jsonl"
SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
"""Names of subfolders (and of hub splits) that are a source's own splits."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A picture in a folder, and the source of its caption."""

    shard: str
    key: str
    path: Path
    source: str | BadSample | Path
    """The caption in metadata.jsonl, or the problem with it, or the text file that holds it."""

    def picture(self) -> bytes:
        """Reads the picture's file."""
        return _content(self.path, kinds.BROKEN_PICTURE)

    def caption(self) -> str:
        """The cleaned caption, from metadata.jsonl or the text file."""
        if isinstance(self.source, BadSample):
            raise self.source
        if isinstance(self.source, str):
            return self.source
        return decode_caption(_content(self.source, kinds.BROKEN_CAPTION))


class FolderCorpus:
    """The Corpus of one folder: a single shard, listed on first use."""

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self.root = root
        self.shards = [root.resolve().name or str(root)]
        self.window_rows = 1 << 62  # the names of all pictures are in memory anyway
        self._rows: list[FileRow] | None = None
        self._others: list[str] = []  # the first files that are not pictures, for the hint
        self._pictures = 0

    def rows(self, shard: int, start: int, report: DataReport) -> Iterator[Row]:
        """Rows from `start` on; pictures without a caption go to `report`."""
        if self._rows is None:
            self._rows = list(self._list_rows(report))
        yield from self._rows[start:]

    def count(self, shard: int) -> int | None:
        """Number of rows, or `None` before the folder has been listed."""
        return None if self._rows is None else len(self._rows)

    def hint(self) -> str:
        """Explains what the folder holds instead of captioned pictures."""
        expected = f"each picture needs NAME.txt next to NAME.jpg (or .png, .webp), or a line in {METADATA}"
        if self._pictures:
            return f"none of its {self._pictures:,} pictures has a caption; {expected}"
        tars = [name for name in self._others if name.endswith(".tar")]
        if tars:
            return f"it holds tar shards, not pictures; give them as '{self.name.rstrip('/')}/*.tar'"
        present = ", ".join(self._others[:5]) + (", ..." if len(self._others) > 5 else "")
        return f"it holds no pictures ({present or 'nothing at all'}); {expected}"

    def _list_rows(self, report: DataReport) -> Iterator[FileRow]:
        walked: set[str] = set()
        listed: set[Path] = set()  # by the metadata of a folder further up
        for directory, subfolders, names in os.walk(self.root, onerror=_reporter(report), followlinks=True):
            if (real := os.path.realpath(directory)) in walked:  # a link that leads back
                subfolders.clear()
                continue
            walked.add(real)
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            folder = Path(directory)
            prefix = folder.relative_to(self.root).as_posix()
            shard = self.shards[0] if prefix == "." else f"{self.shards[0]}/{prefix}"
            visible = sorted(name for name in names if not name.startswith("."))
            if len(self._others) < 100:
                self._others += [name for name in visible if not name.lower().endswith(PICTURES)]
            pictures = {name for name in visible if name.lower().endswith(PICTURES)}
            self._pictures += len(pictures)
            metadata = read_metadata(folder / METADATA, shard, report) if METADATA in visible else {}
            unlisted = {name for name in pictures if folder / name not in listed}
            listed |= {folder / name for name in metadata}
            texts = {Path(name).stem: name for name in visible if name.lower().endswith(".txt")}
            yield from _captioned(folder, shard, unlisted, metadata, texts, report)
            for stem in sorted(texts.keys() - {Path(name).stem for name in pictures}) if pictures else ():
                report.add(kinds.MISSING_MEMBER, shard, texts[stem], "no picture of this name")


def _captioned(
    folder: Path,
    shard: str,
    pictures: set[str],
    metadata: dict[str, str | BadSample],
    texts: dict[str, str],
    report: DataReport,
) -> Iterator[FileRow]:
    """Rows of one directory: its `pictures` and those that its metadata names; problems go to `report`."""
    for name in sorted(pictures | metadata.keys()):
        path, key = folder / name, CONTROL.sub("?", name).encode("utf-8", "replace").decode()
        if name not in pictures and not path.is_file():
            reason = f"{METADATA} names it, but there is no such picture"
            report.add(kinds.MISSING_MEMBER, shard, key, reason)
        elif name in metadata:
            yield FileRow(shard, key, path, metadata[name])
        elif path.stem in texts:
            yield FileRow(shard, key, path, folder / texts[path.stem])
        else:
            report.add(kinds.MISSING_MEMBER, shard, key, f"no caption: no {path.stem}.txt next to it")


def _reporter(report: DataReport) -> Callable[[OSError], None]:
    """Error callback for `os.walk`, which otherwise skips folders that cannot be listed."""

    def add(error: OSError) -> None:
        report.add(kinds.UNREADABLE_SHARD, str(error.filename), "folder", error.strerror or str(error))

    return add


def read_metadata(path: Path, shard: str, report: DataReport) -> dict[str, str | BadSample]:
    """Captions by `file_name` from a metadata.jsonl; malformed lines go to `report`."""
    captions: dict[str, str | BadSample] = {}
    with open(path, encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                name, caption = _record(parse_json(line))
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
    """Folder of each split: the subfolders `train` and `val` (or `validation`, `test`), else `root` is all `train`."""
    splits = {
        split: root / name for split, names in SPLITS.items() for name in reversed(names) if (root / name).is_dir()
    }
    loose = any(entry.suffix.lower() in PICTURES for entry in root.iterdir())
    return splits if "train" in splits and len(splits) > 1 and not loose else {"train": root}


def _content(path: Path, kind: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadSample(kind, f"cannot be read: {error.strerror or error}") from error
