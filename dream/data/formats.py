"""The one table of picture formats, file endings and caption names, for folders, tars, metadata files and columns."""

import warnings

from PIL import features

ENDINGS_BY_FORMAT = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif", ".avifs"),
}
"""File endings (in any case) of each picture format that is decoded, by Pillow's name."""
_PILLOW_FEATURE = {"WEBP": "webp", "AVIF": "avif"}
"""Formats that Pillow can be built without."""


def _decoded(name: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an older Pillow warns of a feature that it has never heard of
        return name not in _PILLOW_FEATURE or bool(features.check(_PILLOW_FEATURE[name]))


FORMATS = tuple(name for name in ENDINGS_BY_FORMAT if _decoded(name))
"""Formats that this machine's Pillow decodes; no others are tried on bytes from outside."""
PICTURES = tuple(ending for name in FORMATS for ending in ENDINGS_BY_FORMAT[name])
"""Endings of pictures that are decoded."""
_NOT_DECODED = """.jp2 .j2k .jpx .ppm .pgm .pbm .pnm .heic .heif .jxl .svg .psd .tga .ico .icns .dds .exr .hdr .pcx .sgi
.xcf .eps .cr2 .cr3 .nef .arw .dng .orf .rw2 .raw .raf"""
OTHER_PICTURES = tuple(
    ending for name, endings in ENDINGS_BY_FORMAT.items() if name not in FORMATS for ending in endings
) + tuple(_NOT_DECODED.split())
"""Endings of pictures that are not decoded, so that reports can say so."""
CAPTION_ENDINGS = (".txt", ".caption", ".captions")
"""Endings of text files that hold a picture's caption, in order of preference."""
JSON_ENDING = ".json"
"""Ending of JSON objects that may hold the caption; tried after the text files."""
CAPTION_NAMES = ("caption", "text", "prompt", "captions", "sentences", "txt")
"""Fields of JSON objects, and columns, that may hold the caption (in any case), in order of preference."""
PICTURE_NAMES = ("image", "jpg", "png", "jpeg", "webp", "img", "picture")
"""Columns that may hold the picture (in any case), in order of preference."""
_FILE_NAMES = (
    "file_name filename file image image_path path picture file_path filepath image_name image_file img_path img"
)
FILE_NAMES = tuple(_FILE_NAMES.split())
"""Fields of metadata files that may name the picture's file (in any case), in order of preference."""

METADATA_FILES = ("metadata.jsonl", "metadata.csv", "metadata.tsv")
"""Files (in any case) that give the captions of the pictures around them, a picture per line."""
_NEVER_DATA = """__macosx @eadir @tmp @sharebin @recycle @recently-snapshot @__thumb #recycle #snapshot $recycle.bin
recycler lost+found thumbs.db ehthumbs.db ehthumbs_vista.db desktop.ini __pycache__"""
_HIDDEN = {*_NEVER_DATA.split(), "icon\r", "system volume information"}


def ending_of(name: str) -> str:
    """The ending of a file name in lower case, with its dot; empty if it has none."""
    stem, dot, ending = name.rpartition(".")
    return f".{ending.lower()}" if dot and stem.rpartition("/")[2] else ""


def is_hidden(name: str) -> bool:
    """Whether a name, or a part of a path below the source, is one that systems and file servers put next to data.

    These are names that begin with a dot (`._x.jpg`, `.git`), and folders and files like `__MACOSX`, `@eaDir`,
    `#recycle`, `lost+found`, `Thumbs.db`, in any case.
    """
    parts = name.split("/")
    return any(part.lower() in _HIDDEN or (part[:1] == "." and part not in (".", "..")) for part in parts)


def not_decoded(name: str) -> str:
    """The reason why a picture of OTHER_PICTURES is not used."""
    return f"{ending_of(name)} is not decoded here: convert it to PNG or JPEG"
