"""Tar shards of captioned pictures (CC12M's layout: KEY.jpg + KEY.txt [+ KEY.json]) as a Corpus.

Each tar is indexed on first use, then read by offset; the index stays on disk, the most recent ones in memory.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dream.data import report as kinds
from dream.data.captions import USUAL, Names, any_of, decode_caption, first_usable, json_caption, listed
from dream.data.content import MOST_CAPTION, MOST_PICTURE, check_inside
from dream.data.corpora.not_tars import why_no_members
from dream.data.corpora.tar_index import AHEAD, kept_contents
from dream.data.corpora.tar_walk import Member, TarContents, read_member
from dream.data.formats import ending_of, is_hidden, not_decoded
from dream.data.report import DataReport
from dream.data.samples import BadSample, Row
from dream.errors import InputError

WINDOW_ROWS = 65_536
"""Samples shuffled together; their offsets take about 20 MB."""
_INDEXED_ROWS = 4 * WINDOW_ROWS


@dataclass(frozen=True, slots=True)
class TarRow:
    """A sample of a shard, as the locations of its members."""

    shard: str
    key: str
    path: Path
    image: Member
    texts: tuple[Member, ...]
    """Text files that may hold the caption, in order of preference."""
    record: Member | None
    """JSON object that may hold it."""
    names: Names = USUAL

    def picture(self) -> bytes:
        """Reads the picture's file."""
        return _content(self.path, self.image, kinds.BROKEN_PICTURE)

    def caption(self) -> str:
        """The cleaned caption: the first usable one of the text members and the JSON member."""
        readers: list[Callable[[], str]] = [partial(self._read_text, member) for member in self.texts]
        return first_usable([*readers, self._read_record] if self.record is not None else readers)

    def _read_text(self, member: Member) -> str:
        return decode_caption(_content(self.path, member, kinds.BROKEN_CAPTION))

    def _read_record(self) -> str:
        assert self.record is not None
        content = _content(self.path, self.record, kinds.BROKEN_CAPTION)
        return json_caption(content, self.record.name, self.names)


class TarShards:
    """The Corpus of a list of tars."""

    def __init__(self, name: str, paths: Sequence[Path], window_rows: int = WINDOW_ROWS, names: Names = USUAL) -> None:
        self.name = name
        self.names = names
        self.window_rows = window_rows
        self.paths = list(paths)
        self.shards = _short_names(self.paths)
        self._indexes: dict[int, list[TarRow]] = {}  # of the most recent shards, latest at the end
        self._lock = threading.Lock()

    def rows(self, shard: int, start: int, report: DataReport) -> Iterator[Row]:
        """Rows of a shard from `start` on; damage and incomplete samples go to `report`."""
        yield from self._index(shard, report)[start:]

    def count(self, shard: int) -> int | None:
        """Number of samples in a shard, or `None` if it is not indexed."""
        with self._lock:
            return len(self._indexes[shard]) if shard in self._indexes else None

    def hint(self) -> str:
        """The layout that a shard should have, and the files that the first one has."""
        expected = f"each picture (.jpg, .png, ...) needs a {self.names.endings[0]} of its name"
        found = sorted({ending_of(member.name) for member in _members(self.paths[0])})
        files = f"; '{self.shards[0]}' has files that end in {listed(found)}" if found else ""
        return f"{expected}, or a .json with {any_of(self.names.fields)}{files}"

    def _index(self, shard: int, report: DataReport) -> list[TarRow]:
        with self._lock:
            rows = self._indexes.pop(shard, None)
            if rows is None:
                following = self.paths[shard + 1 : shard + AHEAD]
                rows = index_tar(self.paths[shard], self.shards[shard], report, self.names, following)
            self._indexes[shard] = rows
            while sum(map(len, self._indexes.values())) > _INDEXED_ROWS and len(self._indexes) > 1:
                del self._indexes[next(iter(self._indexes))]
            return rows


def index_tar(
    path: Path, shard: str, report: DataReport, names: Names = USUAL, following: Sequence[Path] = ()
) -> list[TarRow]:
    """Samples of a tar in its order; damage, truncation and samples that lack a member go to `report`.

    Its `following` tars may be looked through as well, if nothing is known of this one (`tar_index.py`).
    """
    try:
        check_inside(path)
        contents = kept_contents(path, [other for other in following if _is_allowed(other)])
        if not (contents.members or contents.cut_member or contents.lost_links):
            report.add(kinds.UNREADABLE_SHARD, shard, path.name, why_no_members(path))
            return []
    except (OSError, InputError) as error:
        report.add(kinds.UNREADABLE_SHARD, shard, path.name, getattr(error, "strerror", None) or str(error))
        return []
    _report_damage(contents, shard, report, names)
    return _grouped(contents, path, shard, report, names)


def _is_allowed(path: Path) -> bool:
    with suppress(InputError):
        check_inside(path)
        return True
    return False


def _report_damage(contents: TarContents, shard: str, report: DataReport, names: Names) -> None:
    for start, end, name in contents.damages:
        skipped = f"{end - start:,} bytes skipped to the next header, of a file named {name or 'nothing'}"
        report.add(kinds.DAMAGED_HEADER, shard, f"byte {start:,}", skipped)
    for name, target in contents.lost_links.items():
        key, role = _key_and_role(name, names)
        if role is not None:
            report.add(kinds.MISSING_MEMBER, shard, key, f"{name} is a link to '{target}', which is not in the tar")
    if contents.cut is not None:
        report.add(kinds.TRUNCATED_TAR, shard, contents.cut_member or "end", contents.cut)


def _grouped(contents: TarContents, path: Path, shard: str, report: DataReport, names: Names) -> list[TarRow]:
    """Groups members whose names differ only in the extension into samples; incomplete ones go to `report`."""
    groups: dict[str, dict[str, Member]] = {}
    for member in contents.members:
        key, role = _key_and_role(member.name, names)
        if role is None:
            continue
        if role in groups.setdefault(key, {}):
            report.add(kinds.DUPLICATE_MEMBER, shard, member.name, "a second one of this name; the first is used")
            continue
        groups[key][role] = member
    cut_key = _key_and_role(contents.cut_member, names)[0] if contents.cut_member else None
    complete = {key for key, group in groups.items() if "image" in group and len(group.keys() - {"image", "other"})}
    for key in groups:
        # the sample where a tar is cut is reported as truncation; `000.seg.png` next to sample 000 is an extra
        if key not in complete and key != cut_key and key.partition(".")[0] not in complete:
            report.add(*_lacking(groups[key], shard, key))
    return [
        TarRow(shard, key, path, group["image"], _texts(group, names), group.get("record"), names)
        for key, group in groups.items()
        if key in complete
    ]


def _texts(group: dict[str, Member], names: Names) -> tuple[Member, ...]:
    return tuple(group[ending] for ending in names.endings if ending in group)


def _lacking(group: dict[str, Member], shard: str, key: str) -> tuple[str, str, str, str]:
    """The problem of an incomplete sample: kind, shard, key, detail."""
    if "image" in group:
        return kinds.MISSING_MEMBER, shard, key, f"no caption next to {group['image'].name}"
    if "other" in group:
        return kinds.BROKEN_PICTURE, shard, key, not_decoded(group["other"].name)
    return kinds.MISSING_MEMBER, shard, key, "no picture of this name"


def _key_and_role(name: str, names: Names) -> tuple[str, str | None]:
    """Sample key and role of a member's name; `None` for files of other kinds, and for those that are never data."""
    key = name[: len(name) - len(ending_of(name))]
    return key, None if is_hidden(name) else names.role(name)


def _members(path: Path) -> list[Member]:
    try:
        return kept_contents(path).members
    except OSError:
        return []


def _content(path: Path, member: Member, kind: str) -> bytes:
    most = MOST_PICTURE if kind == kinds.BROKEN_PICTURE else MOST_CAPTION
    if member.size > most:
        raise BadSample(kind, f"{member.name} has {member.size:,} bytes, more than {most:,}")
    try:
        content = read_member(path, member)
    except OSError as error:
        raise BadSample(kind, f"cannot be read: {error.strerror or error}") from error
    if len(content) < member.size:
        raise BadSample(kind, "the tar was cut short after it was opened")
    return content


def _short_names(paths: Sequence[Path]) -> list[str]:
    """Names of the files, with the folders in which they differ if two files have the same name."""
    names = [_as_text(path.name) for path in paths]
    if len(set(names)) == len(names):
        return names
    resolved = [path.resolve() for path in paths]
    shared = next(parent for parent in resolved[0].parents if all(p.is_relative_to(parent) for p in resolved))
    return [_as_text(p.relative_to(shared).as_posix()) for p in resolved]


def _as_text(name: str) -> str:
    """A file's name with bytes that are not UTF-8 as escapes: sample names are written to files and terminals."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
