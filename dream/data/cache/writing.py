"""Writes the parts of a cache: each by one process, whole or not at all, so that a killed writer loses what it was at.

Which models make the arrays is not known here: `Encode` makes them of pictures and captions.
"""

import itertools
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dream.data import report as kinds
from dream.data.cache.layout import TEXT, CacheAbout, CachePart, attributes_of, part_folder, read_part
from dream.data.report import DataReport
from dream.data.samples import BadSample, Corpus, Row
from dream.data.transforms import BrokenPicture, Pixels, load_pixels
from dream.files import WRITING, remove_leftovers, sync

THREADS = min(4, os.cpu_count() or 1)
"""Threads that read and decode."""

Encode = Callable[[np.ndarray, Sequence[str]], dict[str, np.ndarray]]
"""Arrays by name, a row per sample, of pictures (B, 3, H, W) uint8 and captions."""


class Worker(NamedTuple):
    """One of the processes that write a cache together."""

    number: int = 0
    workers: int = 1

    def parts(self, shard: int) -> Iterator[int]:
        """Numbers of this worker's parts of a shard, without end: each part has one writer."""
        return itertools.count((self.number - shard) % self.workers, self.workers)


class _Good(NamedTuple):
    key: str
    caption: str
    pixels: Pixels


class _Bad(NamedTuple):
    kind: str
    key: str
    detail: str


@dataclass(frozen=True)
class CacheWriter:
    """What the parts of a cache are written with."""

    cache: Path
    about: CacheAbout
    encode: Encode
    batch_size: int = 32
    """Pictures that are encoded together."""

    def write(self, split: str, corpus: Corpus, worker: Worker, report: DataReport) -> Iterator[CachePart]:
        """Writes this worker's parts of a split; yields each part, also those that are there already."""
        for shard in range(len(corpus.shards)):
            for number in worker.parts(shard):
                part = self._part(split, corpus, (shard, number), report)
                if part is None:
                    break
                yield part
                if part.last:
                    break

    def _part(self, split: str, corpus: Corpus, place: tuple[int, int], report: DataReport) -> CachePart | None:
        """The part of a shard, written unless it is there; None beyond the end of the shard."""
        shard, number = place
        folder = part_folder(self.cache, split, shard, number)
        if (there := read_part(folder)) is not None:
            return there
        size = self.about.part_rows
        rows = list(itertools.islice(corpus.rows(shard, number * size, report), size + 1))
        if not rows and number:
            return None
        return self._written(folder, rows[:size], last=len(rows) <= size)

    def _written(self, folder: Path, rows: Sequence[Row], *, last: bool) -> CachePart:
        good: list[tuple[str, str]] = []
        bad: list[tuple[str, str, str]] = []
        arrays: dict[str, list[np.ndarray]] = {}
        with ThreadPoolExecutor(THREADS) as pool:
            for start in range(0, len(rows), self.batch_size):
                read = list(pool.map(self._read, rows[start : start + self.batch_size]))
                samples = [each for each in read if isinstance(each, _Good)]
                bad += [(each.kind, each.key, each.detail) for each in read if isinstance(each, _Bad)]
                good += [(each.key, each.caption) for each in samples]
                if samples:
                    pixels = np.stack([each.pixels for each in samples])
                    for name, values in self.encode(pixels, [each.caption for each in samples]).items():
                        arrays.setdefault(name, []).append(values)
        part = CachePart(len(good), last, tuple(bad))
        save_part(folder, part, {name: np.concatenate(values) for name, values in arrays.items()}, good)
        return part

    def _read(self, row: Row) -> _Good | _Bad:
        try:
            return _Good(row.key, str(row.caption()), load_pixels(row.picture(), self.about.size))
        except BadSample as error:
            return _Bad(error.kind, row.key, error.detail)
        except BrokenPicture as error:
            return _Bad(kinds.BROKEN_PICTURE, row.key, str(error))


def save_part(folder: Path, part: CachePart, arrays: dict[str, np.ndarray], texts: Sequence[tuple[str, str]]) -> None:
    """Writes a part: `arrays` in chunks of one row with checksums, keys and captions as lines.

    If another process has written the same part meanwhile, that one stays.
    """
    import zarr
    from zarr.codecs import Crc32cCodec, ZstdCodec

    temporary = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}{WRITING}")
    try:
        group = zarr.create_group(temporary, attributes=attributes_of(part))
        for name, values in arrays.items():
            create_rows(group, name, values)
        lines = "".join(f"{_one_field(key)}\t{_one_field(text)}\n" for key, text in texts)
        content = np.frombuffer(lines.encode("utf-8", "surrogateescape"), np.uint8)
        text = group.create_array(
            TEXT,
            shape=content.shape,
            chunks=(max(1, len(content)),),
            dtype=np.uint8,
            compressors=[ZstdCodec(), Crc32cCodec()],
        )
        text[...] = content
        for path in [*temporary.rglob("*"), temporary]:
            sync(path)
        try:
            temporary.rename(folder)
        except OSError:
            if read_part(folder) is None:
                raise
        sync(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def create_rows(group: Any, name: str, values: np.ndarray) -> None:
    """Writes an array as one shard of chunks of a row, uncompressed, each with its checksum."""
    from zarr.codecs import Crc32cCodec

    stored = group.create_array(
        name,
        shape=values.shape,
        chunks=(1, *values.shape[1:]),
        shards=values.shape,
        dtype=values.dtype,
        fill_value=np.nan if values.dtype.kind == "f" else -1,
        compressors=[Crc32cCodec()],
        config={"write_empty_chunks": True},
    )
    stored[...] = values


def remove_unfinished_parts(cache: Path, splits: Sequence[str]) -> int:
    """Deletes what killed writers left behind; returns how many parts that were. No other writer may be at work."""
    left = [path for split in splits for path in (cache / split).glob(f".*{WRITING}")]
    for split in splits:
        remove_leftovers(cache / split)
    return len(left)


def _one_field(text: str) -> str:
    """`text` without the characters that end a field or a line."""
    return text.replace("\t", " ").replace("\n", " ")
