"""Tensors that the ranks of a training have written to a file each: which rows are in which file.

Headers only are read here. `dream.weights.distributed` writes such folders.
"""

import itertools
import math
from pathlib import Path
from typing import NamedTuple

from dream.errors import InputError
from dream.json_text import parse_json
from dream.pointer_files import refuse_pointer
from workbench.checkpoints import safetensors_files as safe

PLACES, OFFSETS = "DCP_SHARDING_INFO", "saved_offsets"
"""Names in the header under which torch keeps where a part begins in its tensor."""


class FileRows(NamedTuple):
    """Consecutive rows of a tensor, in one file."""

    start: int
    """Values of the tensor before it."""
    length: int
    file: Path
    stored: safe.StoredTensor


class SpreadTensor(NamedTuple):
    """A tensor whose rows are in several files."""

    about: safe.StoredTensor
    """Name, shape, type and bytes of the whole."""
    pieces: tuple[FileRows, ...]


def rank_files(folder: Path) -> list[Path]:
    """The files that ranks have written to `folder`."""
    return sorted(folder.glob("shard-*.safetensors"))


def spread_tensors(folder: Path) -> list[SpreadTensor]:
    """The tensors of a folder that ranks have written; raises InputError if a file is damaged or rows are missing."""
    found: dict[str, list[tuple[int, Path, safe.StoredTensor]]] = {}
    for file in rank_files(folder):
        refuse_pointer(file)
        tensors, notes = safe.read_header(file)
        first_rows = _first_rows(file, notes)
        for each in tensors:
            if each.name not in first_rows:
                raise _unplaced(file, each.name)
            found.setdefault(each.name, []).append((first_rows[each.name], file, each))
    return [_joined(name, found[name]) for name in sorted(found, key=safe.natural)]


def _first_rows(file: Path, notes: dict[str, str]) -> dict[str, int]:
    """The first row of each tensor's part in a file. Training shards rows only."""
    try:
        places = {name: about[OFFSETS] for name, about in parse_json(notes[PLACES]).items()}
        rows = {name: (place or [0])[0] for name, place in places.items() if not any(place[1:])}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{file.name} is damaged: its header does not say where its rows belong") from error
    if not all(type(row) is int and row >= 0 for row in rows.values()):
        raise InputError(f"{file.name} is damaged: its header does not say where its rows belong")
    return rows


def _joined(name: str, parts: list[tuple[int, Path, safe.StoredTensor]]) -> SpreadTensor:
    parts = sorted(parts, key=lambda part: (part[0], part[2].bytes))
    first, kinds = parts[0][2], {(part[2].dtype, part[2].shape[1:]) for part in parts}
    heights = [each.shape[0] if each.shape else 1 for _, _, each in parts]
    begins = [0, *itertools.accumulate(heights)]
    if len(kinds) != 1 or [row for row, _, _ in parts] != begins[:-1]:
        raise _unplaced(parts[-1][1], name)
    width = math.prod(first.shape[1:])
    shape = (begins[-1], *first.shape[1:]) if first.shape else ()
    pieces = [
        FileRows(row * width, height * width, file, each)
        for (row, file, each), height in zip(parts, heights, strict=True)
        if height * width
    ]
    size = sum(each.bytes for _, _, each in parts)
    return SpreadTensor(safe.StoredTensor(name, shape, first.dtype, size, 0), tuple(pieces))


def _unplaced(file: Path, name: str) -> InputError:
    return InputError(f"{file.name} is damaged: its rows of '{name}' do not fit those of the other files")
