"""Files and names that are given as tar shards but are something else: what they are, and what to do."""

from pathlib import Path

from dream.data.corpora.tar_headers import BLOCK, tar_header
from dream.data.formats import CAPTION_ENDINGS, JSON_ENDING, OTHER_PICTURES, PICTURES
from dream.pointer_files import pointer_fault

_UNPACK = "samples are read by offset, so unpack it to a plain .tar"
_FOLDER = "unpack it, and give the folder"
_BY_START = {
    b"\x1f\x8b": f"compressed with gzip; {_UNPACK}",
    b"BZh": f"compressed with bzip2; {_UNPACK}",
    b"\xfd7zXZ": f"compressed with xz; {_UNPACK}",
    b"\x28\xb5\x2f\xfd": f"compressed with zstd; {_UNPACK}",
    b"\x04\x22\x4d\x18": f"compressed with lz4; {_UNPACK}",
    b"LZIP": f"compressed with lzip; {_UNPACK}",
    b"PK": f"a zip file, not a tar; {_FOLDER}",
    b"7z\xbc\xaf": f"a 7z file, not a tar; {_FOLDER}",
    b"Rar!": f"a RAR file, not a tar; {_FOLDER}",
    b"PAR1": "a parquet file, not a tar; give its folder as 'hf:FOLDER'",
    b"ARROW1": "an Arrow file, not a tar; give its folder as 'hf:FOLDER'",
    b"<!doctype": "a page of HTML, not a tar; download the file again",
    b"<html": "a page of HTML, not a tar; download the file again",
    b"<?xml": "an XML message, not a tar; download the file again",
}
_COMPRESSED = {
    ".gz": "gunzip -k '{}'",
    ".tgz": "gunzip -k -S .tgz '{}', and name the result .tar",
    ".bz2": "bunzip2 -k '{}'",
    ".tbz": "bunzip2 -k '{}'",
    ".tbz2": "bunzip2 -k '{}'",
    ".xz": "unxz -k '{}'",
    ".txz": "unxz -k '{}'",
    ".zst": "unzstd '{}'",
    ".tzst": "unzstd '{}'",
    ".lz4": "unlz4 '{}'",
}
_PACKED = (".zip", ".7z", ".rar")
_TABLES = (".parquet", ".arrow")
_METADATA = (JSON_ENDING, ".jsonl", ".csv", ".tsv")


def why_no_members(path: Path) -> str:
    """Reason why a file holds no members, by its first bytes. Raises OSError."""
    with open(path, "rb") as file:
        start = file.read(BLOCK)
    if not start:
        return "an empty file"
    if fault := pointer_fault(start):
        return fault
    known = (why for beginning, why in _BY_START.items() if start.lower().startswith(beginning.lower()))
    if why := next(known, ""):
        return why
    if tar_header(start) is not None:
        return "it holds no file"
    return "an empty tar" if not start.strip(b"\0") else "no tar header found in it"


def why_no_shard(path: Path, known: str) -> str:
    """End of a sentence that begins with a path that does not end in .tar; `known` lists what is read."""
    ending = path.suffix.lower()
    if ending in _COMPRESSED:
        return (
            f"is compressed: samples are read by offset, so unpack it first, as with {_COMPRESSED[ending].format(path)}"
        )
    if ending in _PACKED:
        return f"is no .tar shard: {_FOLDER}"
    if ending in _TABLES:
        return f"is no .tar shard: give the folder of such files, as 'hf:{path.parent.resolve()}'"
    if ending in (*PICTURES, *OTHER_PICTURES, *CAPTION_ENDINGS, *_METADATA):
        return (
            f"is a single file, not a .tar shard: give the folder that holds pictures and captions, as '{path.parent}'"
        )
    return f"is not a .tar shard; expected {known}"
