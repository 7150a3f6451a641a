"""Lists the captioned pictures of a folder with its subfolders, and names everything in it that cannot be used.

A caption stands in a metadata file (next to the picture, or in any other folder), in a text file of the picture's name,
or in a JSON file of that name.
"""

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from dream.data import report as kinds
from dream.data.captions import Names, decode_caption, first_usable, json_caption
from dream.data.content import MOST_CAPTION, check_inside, read_sample
from dream.data.corpora.metadata import Metadata, metadata_in
from dream.data.formats import JSON_ENDING, OTHER_PICTURES, ending_of, is_hidden, not_decoded
from dream.data.samples import BadSample
from dream.errors import InputError
from dream.plain_text import fault_in

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FileRow:
    """A picture in a folder, and the sources of its caption."""

    shard: str
    key: str
    path: Path
    sources: tuple[str | BadSample | Path, ...]
    """In order of preference: a caption from metadata, the problem with it, a text or JSON file."""
    names: Names

    def picture(self) -> bytes:
        """Reads the picture's file."""
        return read_sample(self.path, kinds.BROKEN_PICTURE)

    def caption(self) -> str:
        """The cleaned caption: the first usable one."""
        return first_usable(partial(self._read, source) for source in self.sources)

    def _read(self, source: str | BadSample | Path) -> str:
        if isinstance(source, BadSample):
            raise source
        if isinstance(source, str):
            return source
        content = read_sample(source, kinds.BROKEN_CAPTION, MOST_CAPTION)
        is_json = ending_of(source.name) == JSON_ENDING
        return json_caption(content, source.name, self.names) if is_json else decode_caption(content)


@dataclass
class Listing:
    """Content of a folder."""

    rows: list[FileRow] = field(default_factory=list)
    problems: list[tuple[str, str, str, str]] = field(default_factory=list)
    """As (kind, shard, key, detail)."""
    pictures: int = 0
    """Number of pictures, captioned or not."""
    first_picture: str = ""
    """Its path below the folder."""
    endings: dict[str, str] = field(default_factory=dict)
    """The first file of each ending, by its path below the folder."""
    others: list[str] = field(default_factory=list)
    """The first files that are no pictures, by name."""
    fields: tuple[str, ...] = ()
    """Fields of the metadata."""


@dataclass
class _Directory:
    real: str
    shard: str
    files: list[str]
    metadata: Metadata
    entries: list[tuple[str, str, str | BadSample | None]] = field(default_factory=list)
    """Key, path and caption of the pictures that its metadata names."""


def list_folder(root: Path, names: Names, above: Sequence[Path] = ()) -> Listing:
    """Lists the pictures below `root`. Metadata of the folders `above` counts for those of its pictures below `root`.

    The folders `above` go from the outermost to the innermost, whose metadata comes first.
    """
    return _Lister(root, names).run(above)


class _Lister:
    def __init__(self, root: Path, names: Names) -> None:
        self.root, self.names, self.found = root, names, Listing()
        self.shard = shown(root.resolve().name or str(root))
        self._files: dict[str, set[str]] = {}  # visible names by real directory
        self._alike: dict[str, str] | None = None
        self._by_base: dict[str, list[str]] | None = None
        self._claimed: set[str] = set()  # paths that metadata of some folder names
        self._given: dict[str, str | BadSample] = {}  # captions by path, from the folder above
        self._texts = cache(self._texts_of)
        self._real = cache(os.path.realpath)

    def run(self, above: Sequence[Path]) -> Listing:
        directories = self._walk()
        for folder in reversed(above):
            self._read_above(os.path.realpath(folder))
        for directory in directories:
            self._claim(directory)
        for directory in directories:
            self._add_rows(directory)
        return self.found

    def _add(self, kind: str, shard: str, key: str, detail: str) -> None:
        self.found.problems.append((kind, shard, key, detail))

    def _walk(self) -> list[_Directory]:
        directories = []
        for directory, subfolders, files in os.walk(self.root, onerror=self._unreadable, followlinks=True):
            if (real := os.path.realpath(directory)) in self._files:  # a link that leads back
                subfolders.clear()
                continue
            subfolders[:] = sorted(name for name in subfolders if self._may_enter(directory, name))
            visible = sorted(name for name in files if not is_hidden(name))
            self._files[real] = set(visible)
            prefix = Path(directory).relative_to(self.root).as_posix()
            shard = self.shard if prefix == "." else f"{self.shard}/{shown(prefix)}"
            metadata = metadata_in(Path(directory), visible, shard, self._add, self.names)
            self.found.fields = self.found.fields or metadata.fields
            self._note_kinds(prefix, visible)
            directories.append(_Directory(real, shard, visible, metadata))
        return directories

    def _may_enter(self, directory: str, name: str) -> bool:
        """Whether a subfolder is walked: a link to the root of the disk would never end."""
        if is_hidden(name):
            return False
        path = Path(directory, name)
        try:
            check_inside(path)
        except InputError as error:
            self._add(kinds.UNREADABLE_SHARD, self.shard, shown(os.path.relpath(path, self.root)), str(error))
            return False
        return True

    def _unreadable(self, error: OSError) -> None:
        self._add(kinds.UNREADABLE_SHARD, str(error.filename), "folder", error.strerror or str(error))

    def _note_kinds(self, prefix: str, visible: list[str]) -> None:
        for name in visible:
            self.found.endings.setdefault(ending_of(name), name if prefix == "." else f"{prefix}/{name}")
            if self.names.role(name) == "image":
                self.found.first_picture = self.found.first_picture or shown(
                    name if prefix == "." else f"{prefix}/{name}"
                )
                self.found.pictures += 1
            elif len(self.found.others) < 100:
                self.found.others.append(name)

    def _read_above(self, above: str) -> None:
        files = [name for name in os.listdir(above) if not is_hidden(name)]
        metadata = metadata_in(Path(above), files, shown(os.path.basename(above)), self._add, self.names)
        self.found.fields = self.found.fields or metadata.fields
        inside = os.path.realpath(self.root) + os.sep
        for name, caption in metadata.captions.items():
            path = self._path_of(above, name)
            if path is not None and path.startswith(inside):
                self._given.setdefault(path, caption)
            elif path is None and not self._lies_in_another_split(above, inside, name):
                self._add(kinds.MISSING_MEMBER, shown(os.path.basename(above)), shown(name), _why_not_there(name))

    def _lies_in_another_split(self, above: str, inside: str, name: str) -> bool:
        if not _is_file_name(name):
            return False
        path = os.path.normpath(os.path.join(above, name.replace("\\", "/")))
        first = os.path.relpath(path, above).split(os.sep)[0]
        return not path.startswith(inside) and path.startswith(above) and os.path.isdir(os.path.join(above, first))

    def _claim(self, directory: _Directory) -> None:
        """Assigns the pictures that a folder's metadata names to that folder."""
        for name, caption in directory.metadata.captions.items():
            path = self._path_of(directory.real, name)
            if path is None:
                self._add(kinds.MISSING_MEMBER, directory.shard, shown(name), _why_not_there(name))
            elif path in self._claimed:
                self._add(kinds.DUPLICATE_MEMBER, directory.shard, shown(name), "named by another line or file too")
            else:
                self._claimed.add(path)
                key = os.path.relpath(path, directory.real) if os.path.isabs(name) else os.path.normpath(name)
                directory.entries.append((shown(key), path, caption))

    def _path_of(self, folder: str, name: str) -> str | None:
        """The file that metadata in `folder` names: also with Windows' separators, in another case or Unicode form."""
        if not _is_file_name(name):
            return None
        wanted = []
        for spelling in dict.fromkeys((name, name.replace("\\", "/"))):
            directory, base = os.path.split(os.path.normpath(os.path.join(folder, spelling)))
            path = os.path.join(real := self._real(directory), base)
            if base in self._files[real] if real in self._files else os.path.isfile(path):
                return path
            wanted.append(_spelt_alike(path))
        if self._alike is None:
            self._alike = {}
            for path in (os.path.join(real, base) for real, files in self._files.items() for base in files):
                key = _spelt_alike(path)
                self._alike[key] = "" if key in self._alike else path  # of two that differ in case, neither
        return next((found for key in wanted if (found := self._alike.get(key))), None) or self._only_one(folder, name)

    def _only_one(self, folder: str, name: str) -> str | None:
        """The one file below `folder` that a name without folders can mean; None if there are several."""
        if self._by_base is None:
            self._by_base = {}
            for real, files in self._files.items():
                for base in files:
                    self._by_base.setdefault(_spelt_alike(base), []).append(os.path.join(real, base))
        below = os.path.realpath(folder) + os.sep
        found = [path for path in self._by_base.get(_spelt_alike(name), ()) if path.startswith(below)]
        return found[0] if len(found) == 1 and not {"/", "\\"} & set(name) else None

    def _add_rows(self, directory: _Directory) -> None:
        pictures = {name for name in directory.files if self.names.role(name) in ("image", "other")}
        paths = {name: os.path.join(directory.real, name) for name in pictures}
        own = [(shown(name), path, None) for name, path in paths.items() if path not in self._claimed]
        for key, path, caption in sorted((*own, *directory.entries), key=lambda entry: entry[0]):
            self._add_row(directory.shard, key, path, caption)
        stems = {_composed(form) for name in pictures for form in (name, os.path.splitext(name)[0])}
        for name in directory.files if pictures else ():
            is_text = ending_of(name) in self.names.endings
            if is_text and _composed(os.path.splitext(name)[0]) not in stems:
                self._add(kinds.MISSING_MEMBER, directory.shard, shown(name), "no picture of this name")

    def _add_row(self, shard: str, key: str, path: str, caption: str | BadSample | None) -> None:
        folder, base = os.path.split(path)
        if ending_of(base) in OTHER_PICTURES:
            self._add(kinds.BROKEN_PICTURE, shard, key, not_decoded(base))
            return
        stem = os.path.splitext(base)[0]
        texts = self._texts(folder)
        written = [source for source in (caption, self._given.get(path)) if source is not None]
        files = [Path(folder, name) for form in (stem, base) for name in texts.get(_composed(form), ())]
        sources = [s for s in written if not (isinstance(s, BadSample) and s.kind == kinds.MISSING_MEMBER)] + files
        if sources:
            self.found.rows.append(FileRow(shard, key, Path(path), tuple(sources), self.names))
            return
        lacking = next((source.detail for source in written if isinstance(source, BadSample)), "")
        text = shown(stem) + self.names.endings[0]
        self._add(kinds.MISSING_MEMBER, shard, key, lacking or f"no caption: no {text} next to it")

    def _texts_of(self, folder: str) -> dict[str, list[str]]:
        """Text files, then JSON files, of a folder by the names of the pictures that they belong to."""
        order = [*self.names.endings, JSON_ENDING]
        texts: dict[str, list[str]] = {}
        names = [name for name in self._files.get(folder, ()) if ending_of(name) in order]
        for name in sorted(names, key=lambda name: (order.index(ending_of(name)), name)):
            texts.setdefault(_composed(os.path.splitext(name)[0]), []).append(name)
        return texts


def shown(name: str) -> str:
    """`name` with what no terminal can show escaped; different names stay different."""
    return _UNPRINTABLE.sub(lambda match: ascii(match.group())[1:-1], name)


def _composed(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _spelt_alike(path: str) -> str:
    """The same text for paths that differ only in case or Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _is_file_name(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # half of a character
        return False
    return "\0" not in name


def _why_not_there(name: str) -> str:
    if not _is_file_name(name):
        return f"metadata names it, but that is no file name: {fault_in(name)}"
    if _ADDRESS.match(name):
        return "metadata names an address: download the picture, then give its file name"
    return "metadata names it, but there is no such picture"
