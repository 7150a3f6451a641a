"""Reads metadata files (`metadata.jsonl`, `.csv`, `.tsv`): the pictures that each line names, with their captions."""

import ast
import csv
import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from dream.data import report as kinds
from dream.data.captions import Names, any_of, caption_in, encoding_of, listed, present_names
from dream.data.content import MOST_LINE, check_inside
from dream.data.formats import METADATA_FILES, ending_of
from dream.data.samples import BadSample
from dream.errors import InputError
from dream.json_text import parse_json, read_bounded
from dream.pointer_files import pointer_fault

Add = Callable[[str, str, str, str], object]
"""Takes a problem: kind, shard, key, detail."""
_DELIMITERS = ",;\t|"


@dataclass
class Metadata:
    """Content of the metadata files of a folder."""

    captions: dict[str, str | BadSample] = field(default_factory=dict)
    """Caption, or the problem with it, by the picture's file name as written."""
    fields: tuple[str, ...] = ()
    """Names of the fields in the first line, for hints."""


def metadata_in(folder: Path, files: list[str], shard: str, add: Add, names: Names) -> Metadata:
    """Content of those of the folder's `files` that are metadata; malformed lines go to `add`.

    Of several lines for one picture the first is used, and the others are reported.
    """
    found = Metadata()
    for file in sorted(
        (f for f in files if f.lower() in METADATA_FILES), key=lambda f: METADATA_FILES.index(f.lower())
    ):
        here: set[str] = set()
        for line, record in _records(folder / file):
            place = f"{file}:{line}"
            found.fields = found.fields or (tuple(record) if isinstance(record, dict) else ())
            try:
                name, caption = _named_caption(record, names)
            except ValueError as error:
                add(kinds.BROKEN_METADATA, shard, place, str(error))
                continue
            if name in here or str(found.captions.get(name, caption)) != str(caption):
                add(kinds.DUPLICATE_MEMBER, shard, place, f"a second line for {name}")
            found.captions.setdefault(name, caption)
            here.add(name)
    return found


def _named_caption(record: Any, names: Names) -> tuple[str, str | BadSample]:
    """File name and caption of a line. Raises ValueError if it names no picture."""
    if isinstance(record, ValueError):
        raise record
    fields = record if isinstance(record, dict) else {}
    cells = (fields[key] for key in present_names(fields, names.files))
    name = next((cell.strip() for cell in cells if isinstance(cell, str) and cell.strip()), "")
    if not name or "\0" in name:
        raise ValueError(f"no {any_of(names.files)} in it that names a picture; it has {listed(fields)}")
    try:
        return name, caption_in(fields, names)
    except BadSample as bad:
        return name, bad


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    """Line numbers of a metadata file with the object of each line, or with the ValueError that says what is wrong."""
    try:
        check_inside(path)
        start = read_bounded(path, None, 200)
        if fault := pointer_fault(start):
            yield 1, ValueError(fault)
            return
        # bytes that are not UTF-8 are kept, so that only their own line is broken, and file names match
        encoding = encoding_of(start)
        errors = "surrogateescape" if encoding == "utf-8-sig" else "strict"
        with path.open(encoding=encoding, errors=errors, newline="") as lines:
            yield from _json_lines(lines) if ending_of(path.name) == ".jsonl" else _table_rows(lines)
    except InputError as error:
        yield 1, ValueError(str(error))
    except OSError as error:
        yield 1, ValueError(f"cannot be read: {error.strerror or error}")
    except UnicodeDecodeError as error:
        yield 1, ValueError(f"not {error.encoding.upper()} at byte {error.start}")


def _json_lines(lines: TextIO) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(_bounded(lines), start=1):
        if not line.strip():
            continue
        try:
            value = parse_json(line)
        except ValueError as error:
            value = error
        several = isinstance(value, list) and value and all(isinstance(each, dict) for each in value)
        for record in value if several else [value]:
            yield number, record


def _bounded(lines: TextIO) -> Iterator[str]:
    """The lines. Raises InputError for one of more than MOST_LINE characters."""
    while line := lines.readline(MOST_LINE):
        if len(line) >= MOST_LINE:
            raise InputError(f"it has a line of more than {MOST_LINE:,} characters, and is read up to there")
        yield line


def _table_rows(lines: TextIO) -> Iterator[tuple[int, Any]]:
    """Rows by the names in the header. `sep=;`, which Excel writes, may precede it."""
    first, before = lines.readline(MOST_LINE), 0
    delimiter = max(_DELIMITERS, key=first.count)
    if first.lower().startswith("sep=") and len(first) > 4:
        delimiter, first, before = first[4], lines.readline(), 1
    table = csv.reader(itertools.chain([first], _bounded(lines)), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        number = before + table.line_num + 1
        try:
            cells = next(table, None)
        except csv.Error as error:
            yield number, ValueError(f"{error}; is a quote not closed?")
            continue
        if cells is None:
            return
        if not any(cells):
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
        elif len(cells) > len(header):
            reason = f"{len(cells)} cells under {len(header)} columns; put quotes around text that holds '{delimiter}'"
            yield number, ValueError(reason)
        else:
            yield number, {name: _cell(cell) for name, cell in zip(header, cells, strict=False)}


def _cell(text: str) -> Any:
    """The cell, as a list if it is one, in JSON (captions of Flickr30k) or as Python writes it (tables of pandas)."""
    if not (text.startswith("[") and text.endswith("]")):
        return text
    for read in (parse_json, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            if isinstance(value := read(text), list):
                return value
    return text
