"""Lazy reader of safetensors files: the header first, then any piece of any tensor.

The header gives names, shapes, data types and offsets. It is checked against the file size before it is used.
"""

import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from dream.errors import InputError
from dream.json_text import parse_json
from dream.plain_text import whole_number

LENGTH_BYTES = 8
"""Size of the little-endian number at the start of the file, which is the header's length."""
MAX_HEADER = 100_000_000
"""Longest header in bytes, the same limit as in safetensors."""
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
"""Data types whose values can be read; for others only shape and size are known."""


class StoredTensor(NamedTuple):
    """A tensor's entry in the header."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """Torch's name (`float32`), or the file's own name if torch has none."""
    bytes: int
    offset: int
    """Offset of its first byte in the file."""


def looks_like(path: Path) -> bool:
    """Whether the file begins like a safetensors file, with a length and a JSON object."""
    with path.open("rb") as file:
        start = file.read(LENGTH_BYTES + 1)
    return len(start) > LENGTH_BYTES and start[LENGTH_BYTES:] == b"{"


def read_header(path: Path) -> tuple[list[StoredTensor], dict[str, str]]:
    """The file's tensors in natural order of their names, and its metadata.

    Raises InputError if the header is damaged or does not fit the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if length > min(MAX_HEADER, size - LENGTH_BYTES):
            raise _damaged(path, f"its header claims {length:,} bytes, but the file has {size:,}")
        text = file.read(length)
    try:
        tree = parse_json(text)
        notes = tree.pop("__metadata__", None) or {}
        first = LENGTH_BYTES + length
        tensors = [_stored(name, about, first, size, path) for name, about in tree.items()]
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise _damaged(path, "its header is not readable") from error
    tensors.sort(key=lambda stored: natural(stored.name))
    return tensors, {str(key): str(value) for key, value in dict(notes).items()}


def read_piece(file: BinaryIO, stored: StoredTensor, start: int, stop: int) -> Tensor:
    """Values `start` to `stop` of a tensor, flat; raises InputError if the file ends before them."""
    dtype = TYPES_BY_NAME[stored.dtype]
    width = torch.empty((), dtype=dtype).element_size()
    if stop <= start:
        return torch.empty(0, dtype=dtype)
    values = torch.empty((stop - start) * width, dtype=torch.uint8)  # a bytearray would be filled with zeros first
    file.seek(stored.offset + start * width)
    if file.readinto(values.numpy()) != len(values):  # type: ignore[attr-defined]
        raise InputError(f"{getattr(file, 'name', 'the file')} was truncated while it was read: open it again")
    return values.view(dtype)


TYPES_BY_NAME = {str(dtype).removeprefix("torch."): dtype for dtype in TYPES.values()}


def _stored(name: str, about: dict[str, Any], first: int, size: int, path: Path) -> StoredTensor:
    begin, end = about["data_offsets"]
    shape = tuple(about["shape"])
    if not all(type(value) is int and value >= 0 for value in (begin, end, *shape)) or end < begin:
        raise _damaged(path, f"the offsets or shape of '{name}' are invalid")
    if first + end > size:
        raise _damaged(path, f"'{name}' should end at byte {first + end:,}, but the file has {size:,}")
    dtype = TYPES.get(about["dtype"])
    if dtype is not None:
        expected = math.prod(shape) * torch.empty((), dtype=dtype).element_size()
        if expected != end - begin:
            raise _damaged(path, f"'{name}' with shape {shape} needs {expected:,} bytes but has {end - begin:,}")
    word = str(dtype).removeprefix("torch.") if dtype is not None else str(about["dtype"])
    return StoredTensor(name, shape, word, end - begin, first + begin)


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"{path.name} is damaged: {why}; download or save it again")


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key in which block 10 comes after block 9."""
    words = re.split(r"(\d+)", name)
    numbers = map(whole_number, words)
    return [(1, 0, word) if number is None else (0, number, "") for word, number in zip(words, numbers, strict=True)]


def overlapping(tensors: list[StoredTensor]) -> Iterator[tuple[str, str]]:
    """Pairs of tensors that share bytes, which safetensors forbids."""
    ordered = sorted((one for one in tensors if one.bytes), key=lambda one: one.offset)
    for before, after in itertools.pairwise(ordered):
        if before.offset + before.bytes > after.offset:
            yield before.name, after.name
