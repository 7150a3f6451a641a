"""Safetensors files without loading them: the header first, then any piece of any tensor.

The header alone tells names, shapes, data types and places. It is checked against the file before anything is
believed. It knows nothing of what the tensors are.
"""

import itertools
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from dream.errors import InputError

LENGTH_BYTES = 8
"""The file starts with the header's length, a little-endian number of so many bytes."""
MAX_HEADER = 100_000_000
"""Longest header in bytes, as safetensors itself has it."""
TYPES: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E8M0": torch.float8_e8m0fnu,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""Data types whose values can be read; of others only shape and size are shown."""


class StoredTensor(NamedTuple):
    """What the header says of a tensor."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """As torch names it (`float32`); the file's own word where torch has none."""
    bytes: int
    offset: int
    """Where it begins in the file."""


def looks_like(path: Path) -> bool:
    """Whether the file begins as safetensors files do: a length, then a JSON object."""
    with path.open("rb") as file:
        start = file.read(LENGTH_BYTES + 1)
    return len(start) > LENGTH_BYTES and start[LENGTH_BYTES:] == b"{"


def read_header(path: Path) -> tuple[list[StoredTensor], dict[str, str]]:
    """What the file holds, by name (numbers as numbers), and its writer's notes.

    InputError where the header lies.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if length > min(MAX_HEADER, size - LENGTH_BYTES):
            raise _damaged(path, f"its header claims {length:,} bytes, the file has {size:,}")
        text = file.read(length)
    try:
        tree = json.loads(text)
        notes = tree.pop("__metadata__", None) or {}
        first = LENGTH_BYTES + length
        found = [_stored(name, about, first, size, path) for name, about in tree.items()]
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise _damaged(path, "its header is not readable") from error
    found.sort(key=lambda stored: natural(stored.name))
    return found, {str(key): str(value) for key, value in dict(notes).items()}


def read_piece(file: BinaryIO, stored: StoredTensor, start: int, stop: int) -> Tensor:
    """Values `start` to `stop` of a tensor, flat; InputError where the file ends before them."""
    dtype = TYPES_BY_NAME[stored.dtype]
    width = torch.empty((), dtype=dtype).element_size()
    if stop <= start:
        return torch.empty(0, dtype=dtype)
    buffer = bytearray((stop - start) * width)
    file.seek(stored.offset + start * width)
    if file.readinto(buffer) != len(buffer):  # type: ignore[attr-defined]
        raise InputError(f"{getattr(file, 'name', 'the file')} was cut off while it was read: open it again")
    return torch.frombuffer(buffer, dtype=dtype)


TYPES_BY_NAME = {str(dtype).removeprefix("torch."): dtype for dtype in TYPES.values()}


def _stored(name: str, about: dict[str, Any], first: int, size: int, path: Path) -> StoredTensor:
    begin, end = about["data_offsets"]
    shape = tuple(about["shape"])
    if not all(type(value) is int and value >= 0 for value in (begin, end, *shape)) or end < begin:
        raise _damaged(path, f"the place or shape of '{name}' makes no sense")
    if first + end > size:
        raise _damaged(path, f"'{name}' should end at byte {first + end:,}, the file has {size:,}")
    dtype = TYPES.get(about["dtype"])
    if dtype is not None:
        expected = math.prod(shape) * torch.empty((), dtype=dtype).element_size()
        if expected != end - begin:
            raise _damaged(path, f"'{name}' of shape {shape} needs {expected:,} bytes and has {end - begin:,}")
    word = str(dtype).removeprefix("torch.") if dtype is not None else str(about["dtype"])
    return StoredTensor(name, shape, word, end - begin, first + begin)


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"{path.name} is damaged: {why}; fetch or write it again")


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key in which block 10 comes after block 9."""
    words = re.split(r"(\d+)", name)
    return [(0, int(word), "") if word.isdecimal() else (1, 0, word) for word in words]


def overlapping(found: list[StoredTensor]) -> Iterator[tuple[str, str]]:
    """Pairs of tensors that share bytes, which safetensors forbids."""
    ordered = sorted((one for one in found if one.bytes), key=lambda one: one.offset)
    for before, after in itertools.pairwise(ordered):
        if before.offset + before.bytes > after.offset:
            yield before.name, after.name
