"""Batches from stored corpora (folder, tar shards, hub set): reads and decodes what `order.py` says is next.

What is broken is reported and replaced by the next sample; small sets stay decoded in memory.
"""

import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import torch

from dream.config import DreamConfig
from dream.data import report as kinds
from dream.data.batch import Batch
from dream.data.order import Order, OrderedRow, Position, windows
from dream.data.report import DataReport
from dream.data.samples import BadSample, Corpus, Row, id_hash, sample_id
from dream.data.transforms import BrokenPicture, Pixels, flip_some, load_pixels
from dream.errors import InputError, RunError

HELD_OUT = 0.05
"""Share of the samples that is validation where a source has no split of its own."""
HELD_OUT_AT_LEAST = 64
"""Samples that are held out of a small source, but never more than a quarter of it."""
CACHE_BYTES = 512 * 2**20
"""Decoded pictures are kept when all of a source's fit into this."""
SHARDS_A_RANK = 8
"""From this many shards a rank on, ranks take whole shards; below, rows of the same shards."""
THREADS = min(4, os.cpu_count() or 1)
"""Threads that read and decode (PIL lets others run meanwhile)."""


class _Sample(NamedTuple):
    name: str
    pixels: Pixels
    caption: str


class _Part(NamedTuple):
    """A corpus and which of its samples: `train` or `val` (by hash of the name), or `all`."""

    corpus: Corpus
    split: str


class StoredSource:
    """A Source (see `sources.py`) of stored corpora."""

    def __init__(
        self,
        corpora: Mapping[str, Corpus],
        config: DreamConfig,
        *,
        split: str = "train",
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Raises InputError for a split that there is not, and when there is not one captioned picture."""
        self.report = DataReport()
        self._config = config
        self._part, self._fixed_part = _parts(corpora, split)
        corpus = self._part.corpus
        self.name = corpus.name
        first = next(windows(corpus, range(len(corpus.shards)), self.report), None)
        if first is None:
            raise InputError(f"no captioned picture in '{self.name}': {corpus.hint()}{_found(self.report)}")
        whole = len(first.rows) < corpus.window_rows  # one window holds all there is
        self._held_out_below = held_out_below(first.rows, whole)
        by_shard = not whole and len(corpus.shards) >= SHARDS_A_RANK * world_size
        self._order = Order(corpus, self._own, seed % 2**63, rank, world_size, by_shard)
        fits = whole and len(first.rows) * 3 * config.image.size**2 <= CACHE_BYTES
        self._cache: dict[str, _Sample] | None = {} if fits else None
        self._bad: set[str] = set()

    def batches(
        self, batch_size: int, position: dict[str, Any] | None = None, total_steps: int | None = None
    ) -> Iterator[tuple[Batch, dict[str, Any]]]:
        """Endless shuffled batches, each with the position right after it; short epochs run on into the next.

        `total_steps` changes nothing here. Raises InputError for a position that is none, and, when iterated,
        RunError when a whole epoch holds not one good sample.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        return self._batches(batch_size, Position.read(position))

    def fixed(self, count: int) -> Batch:
        """The first `count` validation samples of different captions (fewer if there are), never flipped.

        The same for every rank and seed, and for the splits train and val. Raises RunError for not even one.
        """
        chosen: dict[str, _Sample] = {}
        rows = self._listed(self._fixed_part)
        with ThreadPoolExecutor(THREADS) as pool:
            while len(chosen) < count and (some := list(itertools.islice(rows, count))):
                for sample in pool.map(self._load, some):
                    if sample is not None:
                        chosen.setdefault(sample.caption.casefold(), sample)
        if not chosen:
            raise RunError(f"'{self.name}' has no validation sample that can be read{_found(self.report)}")
        samples = list(chosen.values())[:count]
        return _batch(samples, np.zeros(len(samples), dtype=bool))

    def captions(self, limit: int = 20000) -> list[str]:
        """Up to `limit` captions of this split, one a sample (equal ones too), whatever the rank and seed."""
        found: list[str] = []
        for row in self._listed(self._part):
            if len(found) == limit:
                break
            try:
                found.append(row.caption())
            except BadSample as bad:
                self._note(row, bad.kind, bad.detail)
        return found

    def _own(self, rows: Sequence[Row]) -> list[Row]:
        return self._in_split(rows, self._part.split)

    def _in_split(self, rows: Sequence[Row], split: str) -> list[Row]:
        if split == "all" or self._held_out_below is None:
            return list(rows)
        return [row for row in rows if (id_hash(sample_id(row)) < self._held_out_below) == (split == "val")]

    def _listed(self, part: _Part) -> Iterator[Row]:
        """The rows of a part in an order that only their names decide: the first ones are a fair choice."""
        for window in windows(part.corpus, range(len(part.corpus.shards)), self.report):
            yield from sorted(self._in_split(window.rows, part.split), key=lambda row: id_hash(sample_id(row)))

    def _batches(self, batch_size: int, start: Position) -> Iterator[tuple[Batch, dict[str, Any]]]:
        draws = self._order.draws(start, self.report)
        good_epoch = start.epoch
        with ThreadPoolExecutor(THREADS) as pool:
            while True:
                samples: list[_Sample] = []
                flips: list[bool] = []
                while len(samples) < batch_size:
                    drawn = list(itertools.islice(draws, batch_size - len(samples)))
                    if not drawn or drawn[0].after.epoch > good_epoch + self._order.world_size:
                        raise RunError(f"nothing is left to read in '{self.name}'{_found(self.report)}")
                    for draw, sample in zip(drawn, self._load_all(drawn, pool), strict=True):
                        if sample is not None:
                            samples.append(sample)
                            flips.append(draw.flip)
                            good_epoch = draw.after.epoch
                self.report.saw(batch_size)
                yield _batch(samples, np.array(flips) & self._config.data.flip), asdict(drawn[-1].after)

    def _load_all(self, drawn: Sequence[OrderedRow], pool: ThreadPoolExecutor) -> list[_Sample | None]:
        known = self._cache or {}
        names = [sample_id(draw.row) for draw in drawn]
        if all(name in known or name in self._bad for name in names):  # threads would only cost time
            return [known.get(name) for name in names]
        return list(pool.map(self._load, [draw.row for draw in drawn]))

    def _load(self, row: Row) -> _Sample | None:
        """The sample, or none (and a line in the report) if it is broken."""
        name = sample_id(row)
        if name in self._bad:
            return None
        if self._cache is not None and name in self._cache:
            return self._cache[name]
        try:
            caption = row.caption()
            sample = _Sample(name, load_pixels(row.picture(), self._config.image.size), caption)
        except BadSample as bad:
            self._note(row, bad.kind, bad.detail)
            return None
        except BrokenPicture as broken:
            self._note(row, kinds.BROKEN_PICTURE, str(broken))
            return None
        if self._cache is not None:
            self._cache[name] = sample
        return sample

    def _note(self, row: Row, kind: str, detail: str) -> None:
        self.report.add(kind, row.shard, row.key, detail)
        self._bad.add(sample_id(row))


def _parts(corpora: Mapping[str, Corpus], split: str) -> tuple[_Part, _Part]:
    """What a split reads, and what `fixed` chooses from. Raises InputError for a split that there is not."""
    train, val = corpora["train"], corpora.get("val")
    held_out = _Part(val, "all") if val is not None else _Part(train, "val")
    if split == "train":
        return _Part(train, "all" if val is not None else "train"), held_out
    if split == "val":
        return held_out, held_out
    if split == "all" or split in corpora:
        part = _Part(corpora.get(split, train), "all")
        return part, part
    raise InputError(f"'{train.name}' has no split '{split}'; known are train, val, all (nothing held out)")


def held_out_below(rows: Sequence[Row], whole: bool) -> int | None:
    """The name hash below which a sample is validation; none for a single sample, which is both then."""
    if not whole:
        return round(HELD_OUT * 2**32)
    if len(rows) < 2:
        return None
    count = max(math.ceil(HELD_OUT * len(rows)), min(HELD_OUT_AT_LEAST, len(rows) // 4))
    return sorted(id_hash(sample_id(row)) for row in rows)[count]


def _batch(samples: Sequence[_Sample], flips: np.ndarray) -> Batch:
    images = flip_some(np.stack([sample.pixels for sample in samples]), flips)
    return Batch(
        torch.from_numpy(images), tuple(sample.caption for sample in samples), tuple(sample.name for sample in samples)
    )


def _found(report: DataReport) -> str:
    """The report's counts as the end of a sentence."""
    counts = ", ".join(f"{count:,} {kind}" for kind, count in report.by_kind().items())
    first = next(iter(report.problems()), None)
    return f" ({counts}; e.g. {first[1]}/{first[2]}: {first[3] or first[0]})" if first else ""
