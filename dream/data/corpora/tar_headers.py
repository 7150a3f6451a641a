"""Reads the headers of a tar in any dialect: v7, ustar, GNU (old and new), pax, star, and Solaris."""

import tarfile
from typing import NamedTuple

BLOCK = 512
_MAGIC = slice(257, 262)
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
EXTENSIONS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, *_PAX)
"""Types of headers whose data describe the next member."""
SPARSE = "GNU.sparse."
"""Beginning of pax keys that say that the next member is sparse: its holes are not in the tar."""
_PAX_KEYS = (b"path", b"size", b"linkpath")


class Header(NamedTuple):
    """What the walk needs of a member's header."""

    name: str
    size: int
    type: bytes
    link: str
    """Name of the file that a link stands for."""


def tar_header(block: bytes) -> Header | None:
    """The header in `block`; `None` if its checksum or a number is wrong. `tarfile` is four times slower."""
    if len(block) < BLOCK or not _checksum_fits(block):
        return None
    size = _number(block[124:136])
    if size is None:
        return None
    name, prefix = field_text(block[:100]), field_text(block[345:500])
    if prefix and block[_MAGIC] == b"ustar" and block[262:263] == b"\0":  # GNU's own format keeps times there
        name = f"{prefix}/{name}"
    return Header(name, size, block[156:157], field_text(block[157:257]))


def may_be_header(block: bytes) -> bool:
    """Whether `block` is a header at first sight: by its magic, or as in v7 with nothing after the name of a link."""
    return block[_MAGIC] == b"ustar" or (block[:1] != b"\0" and not block[257:].strip(b"\0"))


def field_text(field: bytes) -> str:
    """The text of a field. Bytes that are not UTF-8 become escapes, so that different names stay different."""
    return field.split(b"\0")[0].decode("utf-8", "backslashreplace")


def read_extension(kind: bytes, data: bytes) -> dict[str, str]:
    """What a header of EXTENSIONS says of the next member: `path`, `linkpath`, `size`, and keys of sparse files."""
    if kind not in _PAX:
        return {"path" if kind == tarfile.GNUTYPE_LONGNAME else "linkpath": field_text(data)}
    fields: dict[str, str] = {}
    start = 0
    while start < len(data):  # a record is its length, a blank, key=value and a newline
        blank = data.find(b" ", start, start + 20)
        length = data[start:blank] if blank >= 0 else b""
        if not length.isdigit() or not 0 < int(length) <= len(data) - start:  # at most 19 digits
            break
        key, equals, value = data[blank + 1 : start + int(length) - 1].partition(b"=")
        if equals and (key in _PAX_KEYS or key.startswith(SPARSE.encode())):
            fields[key.decode("ascii", "replace")] = field_text(value)
        start += int(length)
    return fields


def _checksum_fits(block: bytes) -> bool:
    """Whether the checksum is right, as unsigned or (by old programs) signed bytes."""
    rest = block[:148] + block[156:]
    found, expected = _number(block[148:156]), sum(rest) + 8 * ord(" ")
    return found == expected or (found is not None and found == expected - 256 * sum(byte > 127 for byte in rest))


def _number(field: bytes) -> int | None:
    """A header's number, octal or (from 8 GB on) binary; `None` if it is neither."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.split(b"\0")[0].strip() or b"0", 8)
    except ValueError:
        return None
