"""What stands in a picture's file next to its pixels: which format it is, texts and profiles, and decoders that print.

Pillow refuses a good PNG whose texts or colour profile are large, and libtiff prints its complaints on the terminal.
"""

import ctypes
import logging
import struct
from collections.abc import Iterator

from PIL import _imaging

_PNG = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"iCCP", b"zTXt", b"tEXt", b"iTXt")
_KEPT_TEXT = 1 << 20
_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    _PNG: "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"II+\0": "BigTIFF",
    b"MM\0+": "BigTIFF",
    b"8BPS": "PSD",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"\0\0\x01\0": "ICO",
    b"DDS ": "DDS",
    b"gimp xcf": "XCF",
    b"PK\x03\x04": "ZIP",
    b"\x1f\x8b": "gzip",
    **{b"P%d" % number + blank: "PNM" for number in range(1, 8) for blank in (b"\n", b" ", b"\r", b"\t")},
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"msf1": "HEIF"}


def format_of(content: bytes) -> str:
    """The format that the first bytes of a file claim, also of those that are not decoded; empty if it is unknown."""
    for start, name in _STARTS.items():
        if content.startswith(start):
            return name
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12], "MP4")
    text = content[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<svg", b"<?xml")):
        return "SVG"
    return "HTML" if text.startswith((b"<!doctype html", b"<html")) else ""


def without_texts(content: bytes) -> bytes | None:
    """A PNG without its texts and profile, but for short plain iTXt; `None` for other files and for damaged chunks."""
    if not content.startswith(_PNG):
        return None
    kept, budget = [_PNG], _KEPT_TEXT
    try:
        for kind, chunk in _chunks(content):
            if kind == b"iTXt" and len(chunk) <= budget and _is_plain(chunk):
                budget -= len(chunk)
            elif kind in _TEXTS:
                continue
            kept.append(chunk)
    except struct.error:
        return None
    stripped = b"".join(kept)
    return stripped if len(stripped) < len(content) else None


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of each chunk of a PNG. Raises struct.error where the rest is no chunk."""
    position = len(_PNG)
    while position < len(content):
        (length,) = struct.unpack_from(">I", content, position)
        kind = content[position + 4 : position + 8]
        yield kind, content[position : position + length + 12]
        if kind == b"IEND":
            return
        position += length + 12


def _is_plain(chunk: bytes) -> bool:
    """Whether an iTXt chunk is not compressed."""
    keyword_end = chunk.find(b"\0", 8)
    return keyword_end >= 0 and chunk[keyword_end + 1 : keyword_end + 2] == b"\0"


def silence_decoders() -> None:
    """Keeps libtiff and Pillow's logger from printing: what is wrong with a picture is in the exception."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    try:
        linked = ctypes.CDLL(_imaging.__file__)  # symbols are looked up in the libraries that it is linked with, too
        for setter in (linked.TIFFSetErrorHandler, linked.TIFFSetWarningHandler):
            setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
            setter(None)
    except (OSError, AttributeError):  # a Pillow without libtiff, or with its symbols hidden: it prints, no more
        return
