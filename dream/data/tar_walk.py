"""Finds the offset of each file in a tar by walking its headers, past damaged ones too.

`tarfile` stops at the first damaged header, and readers built on it do not notice a truncated tar. This walk continues
at the next valid header and reports the damage. With offsets, samples can be read in any order.
"""

import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

BLOCK = 512
_CHUNK = 2048 * BLOCK
_MAGIC = slice(257, 262)
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_EXTENSION_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file of a tar."""

    name: str
    offset: int
    """Position of the file's first byte in the tar."""
    size: int
    """Bytes."""


class Damage(NamedTuple):
    """A damaged header, and the bytes skipped up to the next valid one."""

    start: int
    end: int
    """Bytes [start, end) of the tar."""
    name: str
    """The file name in the damaged header."""


class _Header(NamedTuple):
    name: str
    size: int
    type: bytes


@dataclass
class TarContents:
    """Files and damage of a tar."""

    members: list[Member] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)
    cut: str | None = None
    """What is missing, if the tar ends too early."""
    cut_member: str | None = None
    """Name of the file that the end cuts off."""


def walk_tar(path: Path) -> TarContents:
    """Lists the files of a tar and its damage. Raises OSError if it cannot be opened or read."""
    contents = TarContents()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _walk(descriptor, os.fstat(descriptor).st_size, contents)
    finally:
        os.close(descriptor)
    return contents


def read_at(path: Path, offset: int, size: int) -> bytes:
    """Reads `size` bytes from `offset` on, or fewer at the end of the file. Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        file.seek(offset)
        return file.read(size)


def _walk(descriptor: int, end: int, contents: TarContents) -> None:
    position, at_end_mark = 0, False
    override: dict[str, str] = {}  # path and size of the next member, from an extension header
    while position < end:
        block = os.pread(descriptor, BLOCK, position)
        if not block.strip(b"\0"):  # the end mark; concatenated tars continue after it
            position, at_end_mark = position + BLOCK, True
            continue
        at_end_mark = False
        header = _header(block)
        if header is None:
            if len(block) < BLOCK:
                break
            after = _next_header(descriptor, position + BLOCK, end)
            contents.damages.append(Damage(position, after, override.get("path", _text(block[:100]))))
            position, override = after, {}
            at_end_mark = after == end and not os.pread(descriptor, BLOCK, end - BLOCK).strip(b"\0")
            continue
        size = _size(header, override)
        data = position + BLOCK
        name = override.get("path", header.name).removeprefix("./")
        if data + size > end:
            contents.cut = f"ends {data + size - end:,} bytes early, in the middle of {name}; the rest is missing"
            contents.cut_member = name
            return
        if header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            override |= _extension(header.type, os.pread(descriptor, min(size, _EXTENSION_LIMIT), data))
        elif header.type not in (tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE):
            if header.type in _REGULAR and not name.endswith("/"):
                contents.members.append(Member(name, data, size))
            override = {}
        position = data + -(-size // BLOCK) * BLOCK
    if not at_end_mark:
        contents.cut = "no end mark: it ends between two files or in a header; the rest is missing"


def _header(block: bytes) -> _Header | None:
    """The header in `block`; `None` if its checksum or a number is wrong. `tarfile` is four times slower."""
    if len(block) < BLOCK or _number(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        return None
    size = _number(block[124:136])
    if size is None:
        return None
    name, prefix = _text(block[:100]), _text(block[345:500])
    if prefix and block[_MAGIC] == b"ustar" and block[262:263] == b"\0":  # GNU's own format keeps times there
        name = f"{prefix}/{name}"
    return _Header(name, size, block[156:157])


def _number(field: bytes) -> int | None:
    """A header's number, octal or (from 8 GB on) binary; `None` if it is neither."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.split(b"\0")[0].strip() or b"0", 8)
    except ValueError:
        return None


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("utf-8", "replace")


def _next_header(descriptor: int, position: int, end: int) -> int:
    """Position of the first valid header from `position` on, or `end`."""
    while position < end:
        chunk = os.pread(descriptor, _CHUNK, position)
        for offset in range(0, len(chunk) - BLOCK + 1, BLOCK):
            block = chunk[offset : offset + BLOCK]
            if block[_MAGIC] == b"ustar" and _header(block) is not None:
                return position + offset
        position += _CHUNK
    return end


def _size(header: _Header, override: dict[str, str]) -> int:
    """Bytes of a member. A pax record has no checksum, so it counts only if the header gives no size."""
    text = override.get("size", "")
    return int(text) if text.isdecimal() and not header.size else max(header.size, 0)


def _extension(kind: bytes, data: bytes) -> dict[str, str]:
    """The next member's `path` and `size`, as far as an extension header (GNU long name, pax) gives them."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {"path": _text(data)}
    fields: dict[str, str] = {}
    while data:
        length, blank, _ = data.partition(b" ")  # a record is its length, a blank, key=value and a newline
        if not blank or not length.isdigit() or not 0 < int(length) <= len(data):
            break
        key, equals, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        if equals and key in (b"path", b"size"):
            fields[key.decode()] = value.decode("utf-8", "replace")
        data = data[int(length) :]
    return fields
