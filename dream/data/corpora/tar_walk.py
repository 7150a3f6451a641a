"""Finds the offset of each file in a tar by walking its headers, past damaged ones too.

`tarfile` stops at the first damaged header, and readers built on it do not notice a truncated tar. This walk continues
at the next valid header and reports the damage. With offsets, samples can be read in any order.
"""

import os
import posixpath
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from dream.data.corpora.tar_headers import (
    BLOCK,
    EXTENSIONS,
    SPARSE,
    Header,
    field_text,
    may_be_header,
    read_extension,
    tar_header,
)
from dream.plain_text import whole_number

_CHUNK = 2048 * BLOCK
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_LINKS = (tarfile.LNKTYPE, tarfile.SYMTYPE)
_WITHOUT_DATA = (*_LINKS, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)
_EXTENSION_LIMIT = 16 << 20
_SPARSE_LIMIT = 1 << 30
"""Bytes that a sparse file may have with its holes."""
_LINK_DEPTH = 40


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file of a tar."""

    name: str
    offset: int
    """Position of the file's first byte in the tar."""
    size: int
    """Bytes in the tar."""
    sparse_header: int | None = None
    """Position of the headers of a file whose holes are left out; `None` for all other files."""


class Damage(NamedTuple):
    """A damaged header, and the bytes skipped up to the next valid one."""

    start: int
    end: int
    """Bytes [start, end) of the tar."""
    name: str
    """The file name in the damaged header."""


class _Link(NamedTuple):
    name: str
    target: str
    """Name of another member, normalised."""


@dataclass
class TarContents:
    """Files and damage of a tar."""

    members: list[Member] = field(default_factory=list)
    """Files, and links as the files that they lead to."""
    damages: list[Damage] = field(default_factory=list)
    lost_links: dict[str, str] = field(default_factory=dict)
    """Names of links that lead to no file of the tar, with their targets."""
    cut: str | None = None
    """Description of the missing part, if the tar ends too early."""
    cut_member: str | None = None
    """Name of the file that the end cuts off."""


def walk_tar(path: Path) -> TarContents:
    """Lists the files of a tar and its damage. Raises OSError if it cannot be opened or read."""
    contents = TarContents()
    entries: list[Member | _Link] = []
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _walk(descriptor, os.fstat(descriptor).st_size, contents, entries)
    finally:
        os.close(descriptor)
    _follow_links(entries, contents)
    return contents


def read_member(path: Path, member: Member) -> bytes:
    """The content of a file, cut short if the tar is. Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        if member.sparse_header is None:
            file.seek(member.offset)
            return file.read(member.size)
    with open(path, "rb") as file:
        file.seek(member.sparse_header)
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                info = tar.next()
                assert info is not None
                if info.size > _SPARSE_LIMIT:
                    raise OSError(f"a sparse file of {info.size:,} bytes, more than {_SPARSE_LIMIT:,}")
                content = tar.extractfile(info)
                return content.read() if content else b""
        except (tarfile.TarError, ValueError, IndexError) as error:
            raise OSError(f"a sparse file whose map is damaged ({error})") from None


def _walk(descriptor: int, end: int, contents: TarContents, entries: list[Member | _Link]) -> None:
    position, at_end_mark = 0, False
    override: dict[str, str] = {}  # what extension headers say of the next member
    first: int | None = None  # position of the first of them
    while position < end:
        block = os.pread(descriptor, BLOCK, position)
        if not block.strip(b"\0"):  # the end mark; concatenated tars continue after it
            position, at_end_mark = position + BLOCK, True
            continue
        at_end_mark = False
        header = tar_header(block)
        if header is None:
            if len(block) < BLOCK:
                break
            after = _next_header(descriptor, position + BLOCK, end)
            contents.damages.append(Damage(position, after, override.get("path", field_text(block[:100]))))
            position, override, first = after, {}, None
            at_end_mark = after == end and not os.pread(descriptor, BLOCK, end - BLOCK).strip(b"\0")
            continue
        data = _data_start(descriptor, position, block)
        size = _size(descriptor, header, override, data)
        name = _name(header, override)
        if data + size > end:
            contents.cut = f"ends {data + size - end:,} bytes early, in the middle of {name}; the rest is missing"
            contents.cut_member = name
            return
        if header.type in EXTENSIONS:
            override |= read_extension(header.type, os.pread(descriptor, min(size, _EXTENSION_LIMIT), data))
            first = position if first is None else first
        elif header.type != tarfile.XGLTYPE:
            _add_entry(entries, header, override, Member(name, data, size, position if first is None else first))
            override, first = {}, None
        position = data + -(-size // BLOCK) * BLOCK
    if not at_end_mark:
        contents.cut = "no end mark: it ends between two files or in a header; the rest is missing"


def _add_entry(entries: list[Member | _Link], header: Header, override: dict[str, str], member: Member) -> None:
    """Adds the member to `entries` if it is a file or a link; `member` begins at its first header."""
    name = member.name
    if header.type in _LINKS and not member.size:
        target = override.get("linkpath", header.link)
        folder = posixpath.dirname(name) if header.type == tarfile.SYMTYPE else ""
        entries.append(_Link(name, posixpath.normpath(posixpath.join(folder, target))))
    elif header.type == tarfile.GNUTYPE_SPARSE or any(key.startswith(SPARSE) for key in override):
        entries.append(member)
    elif (header.type in _REGULAR or header.type == tarfile.LNKTYPE) and not name.endswith("/"):
        entries.append(Member(name, member.offset, member.size))


def _follow_links(entries: list[Member | _Link], contents: TarContents) -> None:
    """Puts the files of `entries` into `contents`, and for each link the file that it leads to."""
    files: dict[str, Member] = {}
    links: dict[str, str] = {}
    for entry in entries:
        if isinstance(entry, _Link):
            links.setdefault(posixpath.normpath(entry.name), entry.target)
        else:
            files.setdefault(posixpath.normpath(entry.name), entry)
    for entry in entries:
        if isinstance(entry, Member):
            contents.members.append(entry)
        elif (file := _led_to(entry.target, files, links)) is not None:
            contents.members.append(Member(entry.name, file.offset, file.size, file.sparse_header))
        else:
            contents.lost_links[entry.name] = entry.target


def _led_to(name: str, files: dict[str, Member], links: dict[str, str]) -> Member | None:
    """The file that `name` leads to, through links to files and to folders; `None` if there is none."""
    for _ in range(_LINK_DEPTH):
        if name in files:
            return files[name]
        if name in links:
            name = links[name]
            continue
        folder = posixpath.dirname(name)
        while folder not in ("", "/") and folder not in links:
            folder = posixpath.dirname(folder)
        if folder not in links:
            return None
        name = posixpath.normpath(posixpath.join(links[folder], posixpath.relpath(name, folder)))
    return None


def _name(header: Header, override: dict[str, str]) -> str:
    name = override.get(f"{SPARSE}name") or override.get("path") or header.name
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    return name


def _data_start(descriptor: int, position: int, block: bytes) -> int:
    """Position of a member's data: after its header, and after the further maps of GNU's old sparse files."""
    data = position + BLOCK
    more = block[156:157] == tarfile.GNUTYPE_SPARSE and bool(block[482])
    while more:
        further = os.pread(descriptor, BLOCK, data)
        data, more = data + BLOCK, len(further) == BLOCK and bool(further[504])
    return data


def _size(descriptor: int, header: Header, override: dict[str, str], data: int) -> int:
    """Bytes of a member's data in the tar. A pax record has no checksum: it counts only if the header gives no size.

    Some programs give links and folders the size of the original without its data; then a header follows at once.
    """
    size = max(header.size, 0) or whole_number(override.get("size", "")) or 0
    if not size or header.type not in _WITHOUT_DATA:
        return size
    follows = os.pread(descriptor, BLOCK, data)
    ends = not follows.strip(b"\0")
    return 0 if ends or header.type != tarfile.LNKTYPE or tar_header(follows) is not None else size


def _next_header(descriptor: int, position: int, end: int) -> int:
    """Position of the first valid header from `position` on, or `end`."""
    while position < end:
        chunk = os.pread(descriptor, _CHUNK, position)
        for offset in range(0, len(chunk) - BLOCK + 1, BLOCK):
            block = chunk[offset : offset + BLOCK]
            if may_be_header(block) and tar_header(block) is not None:
                return position + offset
        position += _CHUNK
    return end
