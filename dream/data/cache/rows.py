"""Reads single rows of a cache by their offsets, and checks their checksums; several threads may read at once.

zarr itself reads a row of a shard many times as slowly (docs/method.md, Caches). The format is plain zarr 3: a shard of
uncompressed chunks of one row, each followed by its CRC-32C, and a table of offsets at the end.
"""

import math
import os
from array import array
from functools import lru_cache
from pathlib import Path

import numpy as np
from google_crc32c import value as crc32c

from dream.data.cache.layout import ATTRIBUTES, TEXT
from dream.data.content import check_inside
from dream.errors import InputError
from dream.json_text import read_json_object

_CRC = 4
_WHOLE = 0x48674BC7
"""CRC-32C of any bytes that are followed by their own CRC-32C."""
_TABLES = 256
"""Arrays that stay open, with tables of offsets of about 128 kB each."""


class _Table:
    """Where the rows of an array lie, with its shard open."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype, chunks: np.ndarray) -> None:
        self.shape, self.dtype, self.count = shape, dtype, math.prod(shape)
        self.offsets, self.lengths = (array("Q", column.astype(np.uint64).tobytes()) for column in chunks.T)
        self.length = self.count * dtype.itemsize + _CRC
        self.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "file"):
            os.close(self.file)


def read_cached_row(place: str, row: int) -> np.ndarray:
    """Row `row` of the array at `place`. Raises InputError if its bytes are not those that were written, or missing."""
    table = _table(place)
    length = table.length
    if table.lengths[row] != length:
        raise InputError(f"row {row} of {place} is missing")
    try:
        content = os.pread(table.file, length, table.offsets[row])
    except OSError as error:
        raise InputError(f"row {row} of {place} cannot be read: {error.strerror or error}") from error
    if len(content) < length or crc32c(content) != _WHOLE:
        raise InputError(f"row {row} of {place} is damaged: its bytes are not those that were written")
    return np.ndarray(table.shape, table.dtype, content)


def read_text(part: Path) -> bytes:
    """Keys and captions of a part, a line each, divided by a tab. Raises InputError if they are damaged."""
    import zarr

    try:
        return np.asarray(zarr.open_group(part, mode="r")[TEXT]).tobytes()
    except Exception as error:  # a missing array, a flipped bit (checksum), a cut file: each its own kind
        raise InputError(f"the captions in {part} are damaged: {error}") from error


@lru_cache(maxsize=_TABLES)
def _table(place: str) -> _Table:
    try:
        about = read_json_object(Path(place) / ATTRIBUTES)
        shape, dtype = tuple(about["shape"]), np.dtype(about["data_type"])
        path = Path(place).joinpath("c", *("0" for _ in shape))
        size = 16 * shape[0]
        check_inside(path)
        with path.open("rb") as file:
            file.seek(-size - _CRC, 2)
            content = file.read()
    except FileNotFoundError as error:
        raise InputError(f"{place} is missing") from error
    except (OSError, KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{place} is damaged: {error}") from error
    if len(content) != size + _CRC or crc32c(content[:size]) != int.from_bytes(content[size:], "little"):
        raise InputError(f"{place} is damaged: its table of rows is not the one that was written")
    return _Table(path, shape[1:], dtype, np.frombuffer(content, "<u8", count=2 * shape[0]).reshape(-1, 2))
