"""A cache as a Corpus: the shards of its source, with rows that read latents and text ids in place of a picture."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from dream.data.cache.layout import (
    CAPTION_IDS,
    MOMENTS,
    T5_IDS,
    T5_STATES,
    CacheAbout,
    CacheParts,
    find_parts,
    part_folder,
    read_part,
    require_whole,
)
from dream.data.cache.rows import read_cached_row, read_text
from dream.data.report import DataReport
from dream.data.samples import BadSample, Row
from dream.errors import InputError

DAMAGED_CACHE = "damaged cache"
WINDOW_SHARDS = 64
"""Shards of the source that are shuffled together, at least."""
WINDOW_ROWS = (65_536, 2**20)
"""Fewest and most rows that are shuffled together; a row takes about 60 bytes."""


class PartText:
    """Keys and captions of a part, read when they are first needed."""

    def __init__(self, folder: Path, shard: str) -> None:
        self.folder, self.shard = folder, shard

    @cached_property
    def _lines(self) -> tuple[bytes, np.ndarray]:
        content = read_text(self.folder)
        ends = np.flatnonzero(np.frombuffer(content, np.uint8) == ord("\n"))
        return content, np.concatenate([[0], ends + 1])

    def fields(self, row: int) -> list[str]:
        """Key and caption of a row."""
        content, starts = self._lines
        line = content[starts[row] : starts[row + 1] - 1]
        return line.decode("utf-8", "surrogateescape").split("\t", 1)


@dataclass(frozen=True, slots=True)
class CachedRow:
    """A sample of a cache."""

    part: PartText
    number: int

    @property
    def shard(self) -> str:
        """Name of the source's shard."""
        return self.part.shard

    @property
    def key(self) -> str:
        """Name within the shard."""
        return self.part.fields(self.number)[0]

    def caption(self) -> str:
        """The caption, as it was cleaned when the cache was made."""
        return self.part.fields(self.number)[1]

    def picture(self) -> bytes:
        """Raises BadSample: a cache has no pictures."""
        raise BadSample(DAMAGED_CACHE, "a cache has no pictures")

    def content(self, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Arrays of the sample by name. Raises BadSample if its bytes are not those that were written."""
        try:
            return {name: read_cached_row(f"{self.part.folder}/{name}", self.number) for name in names}
        except InputError as error:
            raise BadSample(DAMAGED_CACHE, str(error)) from error


class CachedShards:
    """The Corpus of a split of a cache."""

    def __init__(self, cache: Path, split: str, shelf: CacheParts) -> None:
        self.name, self.cache, self.split = str(cache), cache, split
        self.shards = list(shelf.about.splits[split])
        self._counts = [
            [part.rows for _, part in sorted(shelf.of(split, shard).items())] for shard in range(len(self.shards))
        ]
        largest = max(map(sum, self._counts), default=0)
        least, most = WINDOW_ROWS
        self.window_rows = min(most, max(least, WINDOW_SHARDS * largest))

    def rows(self, shard: int, start: int, report: DataReport) -> Iterator[Row]:
        """Rows of a shard from row `start` on; what was broken in the source goes to `report`."""
        return itertools.islice(self.cached_rows(shard, report), start, None)

    def cached_rows(self, shard: int, report: DataReport) -> Iterator[CachedRow]:
        """As `rows`, from the first one on."""
        parts = range(len(self._counts[shard]))
        return itertools.chain.from_iterable(self._part(shard, part, report) for part in parts)

    def count(self, shard: int) -> int | None:
        """Number of rows in a shard."""
        return sum(self._counts[shard])

    def hint(self) -> str:
        """For a cache without a row."""
        return "the cache has no sample: look at its source with `dream data`"

    def _part(self, shard: int, number: int, report: DataReport) -> Iterator[CachedRow]:
        folder, name = part_folder(self.cache, self.split, shard, number), self.shards[shard]
        part = read_part(folder)
        if part is None:
            report.add(DAMAGED_CACHE, name, folder.name, "this part of the cache is missing")
            return
        for kind, key, detail in part.skipped:
            report.add(kind, name, key, detail)
        text = PartText(folder, name)
        try:
            if part.rows:
                text.fields(0)
        except InputError as error:
            report.add(DAMAGED_CACHE, name, folder.name, str(error))
            return
        yield from (CachedRow(text, row) for row in range(part.rows))


def open_cache(cache: Path) -> tuple[dict[str, CachedShards], CacheAbout]:
    """The splits of a whole cache, and its description. Raises InputError if parts are missing or damaged."""
    shelf = find_parts(cache)
    require_whole(cache, shelf)
    return {split: CachedShards(cache, split, shelf) for split in shelf.about.splits}, shelf.about


def array_names(about: CacheAbout) -> tuple[str, ...]:
    """Names of the arrays that each sample of a cache has."""
    names = [MOMENTS]
    if about.t5 is not None:
        names.append(T5_STATES if about.states else T5_IDS)
    if about.caption_tokenizer is not None:
        names.append(CAPTION_IDS)
    return tuple(names)
