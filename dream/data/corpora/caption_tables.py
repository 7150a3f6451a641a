"""Finds the one file that has the captions of all pictures, in the forms of COCO, Flickr and others, to name it."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from dream.data.content import leads_out
from dream.data.formats import METADATA_FILES, ending_of, is_hidden
from dream.plain_text import printable

_ENDINGS = (".json", ".jsonl", ".csv", ".tsv", ".txt", ".token", ".parquet", ".xlsx")
_NAME = re.compile(r"caption|token|result|dataset|metadata|meta_cap|meta_lat|annotation|prompt|text|description|data")
_MOST_FILES = 20  # in a folder with more, each file is about one picture
_DEEPEST = 2


def caption_table(folders: Sequence[Path]) -> str:
    """Path of a file that may have the captions, by its name, below the first of `folders` that has one; else empty.

    A name that speaks of captions is preferred, then one of the training pictures.
    """
    for folder in folders:
        found = sorted(_tables(folder, _DEEPEST), key=_preference)
        if found:
            return printable(str(found[0]))
    return ""


def _preference(path: Path) -> tuple[bool, bool, str]:
    name = path.name.lower()
    return "caption" not in name and "token" not in name, "train" not in name, str(path)


def _tables(folder: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            inner = sorted((e for e in entries if not is_hidden(e.name)), key=lambda e: e.name)
    except OSError:
        return
    files = [e.name for e in inner if ending_of(e.name) in _ENDINGS and e.name.lower() not in METADATA_FILES]
    if len(files) <= _MOST_FILES:
        yield from (folder / name for name in files if _NAME.search(name.lower()) or ending_of(name) == ".csv")
    if depth:
        for entry in inner:
            if entry.is_dir() and not leads_out(entry.path):
                yield from _tables(Path(entry.path), depth - 1)
