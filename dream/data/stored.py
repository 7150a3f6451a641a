"""Batches from stored corpora (folder, tar shards, hub set), read and decoded in the order of `order.py`.

Broken samples are reported and replaced by others; small sets stay decoded in memory.
"""

import contextlib
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dream.config import DreamConfig
from dream.data import report as kinds
from dream.data.batch import Batch, Share
from dream.data.captions import every_caption
from dream.data.changes import corpus_facts
from dream.data.families import Kin
from dream.data.order import Order, OrderedRow, Position, Window, windows
from dream.data.phrasings import Phrased, other_phrasing_share, with_new_words
from dream.data.report import DataReport, problems_clause
from dream.data.samples import BadSample, Corpus, Row, id_hash, sample_id
from dream.data.transforms import BrokenPicture, flip_some, load_pixels
from dream.data.variety import Variety
from dream.errors import InputError, RunError

HELD_OUT = 0.05
"""Share of the samples used for validation if a source has no such split."""
HELD_OUT_AT_LEAST = 64
"""Samples held out of a small source, but never more than a quarter of it."""
CACHE_BYTES = 512 * 2**20
"""Decoded pictures are cached if all pictures of a source fit into this."""
LOOKED_AT = 256
"""Samples read at the start to see whether their captions and pictures differ."""
THREADS = min(4, os.cpu_count() or 1)
"""Threads that read and decode (PIL releases the GIL)."""


class StoredSample(NamedTuple):
    """A sample that was read."""

    name: str
    content: Any
    """Pixels (3, H, W) uint8, or what a cache holds of the picture (`data/cache/source.py`)."""
    caption: str


class _Subset(NamedTuple):
    """Samples of a corpus: `train` or `val` (by the hash of their names), or `all`."""

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
        """Raises InputError if there is no such split, or no sample in it that can be used."""
        self.report = DataReport()
        self._config = config
        self.notes: tuple[str, ...] = ()
        self._subset, self._fixed_subset = _subsets(corpora, split)
        self._own_validation = self._fixed_subset.corpus is not self._subset.corpus
        corpus = self._subset.corpus
        self.name = corpus.name
        found = windows(corpus, range(len(corpus.shards)), self.report)
        first = next(found, None)
        if first is None:
            raise InputError(nothing_usable(corpus, self.report))
        whole = len(first.rows) < corpus.window_rows  # one window holds the whole corpus
        self._held_out_below = held_out_below(first.rows, whole)
        related = split == "train" and isinstance(next(iter(first.rows), None), Kin)
        near_misses = config.data.near_misses if related else 0.0
        self._order = Order(corpus, self._own, seed % 2**63, near_misses)
        self._share = Share(rank, world_size)
        self._phrased = split == "train" and config.data.other_phrasings > 0
        fits = whole and len(first.rows) * self.bytes_per_sample() <= CACHE_BYTES
        self._cache: dict[str, StoredSample] | None = {} if fits else None
        self._bad: set[str] = set()
        self.contrast_fault = self._look(itertools.chain([first], found))
        self._facts = {"train": corpus_facts(corpus, first.rows)}
        if self._own_validation:
            self._facts["val"] = corpus_facts(self._fixed_subset.corpus)

    def samples(self) -> int:
        """Number of samples in this split, broken ones included; reads the list of every shard."""
        corpus = self._subset.corpus
        found = windows(corpus, range(len(corpus.shards)), self.report)
        return sum(len(self._in_split(window.rows, self._subset.split)) for window in found)

    def bytes_per_sample(self) -> int:
        """Bytes of a sample in memory."""
        return 3 * self._config.image.size**2

    def content(self, row: Row) -> Any:
        """Reads what a sample has besides its caption. Raises BadSample or BrokenPicture."""
        return load_pixels(row.picture(), self._config.image.size)

    def variety_of(self, sample: StoredSample) -> int:
        """A hash by which pictures are told apart."""
        return hash(sample.content.tobytes())

    def batch(self, samples: Sequence[StoredSample], flips: np.ndarray) -> Batch:
        """A batch of samples, mirrored where `flips` (B,) is True."""
        images = flip_some(np.stack([sample.content for sample in samples]), flips)
        return batch_of(samples, torch.from_numpy(images))

    def facts(self) -> dict[str, Any]:
        """Number of shards, rows and bytes by split, to notice that the data changed; JSON-able."""
        return self._facts

    def batches(
        self, batch_size: int, position: dict[str, Any] | None = None, total_steps: int | None = None
    ) -> Iterator[tuple[Batch, dict[str, Any]]]:
        """This rank's shares of endless shuffled batches, each with the position right after it; they may span epochs.

        `batch_size` counts all ranks. The batches and their positions are the same for every number of ranks. Other
        phrasings of captions are mixed in by the progress over `total_steps` batches; `None` means the end of the
        training. Raises InputError for an invalid position, and while iterating RunError if a whole epoch holds no good
        sample.
        """
        self._share.of(batch_size)  # raises
        return self._batches(batch_size, Position.read(position), total_steps)

    def fixed(self, count: int, *, distinct: bool = True) -> Batch:
        """The first `count` validation samples (fewer if there are fewer), never flipped.

        If `distinct`, of several samples with the same caption only the first is taken.
        They are the same for every rank and seed, and for the splits train and val. Raises RunError if there is none.
        """
        chosen: dict[str, StoredSample] = {}
        rows = self._rows_by_hash(self._fixed_subset)
        with ThreadPoolExecutor(THREADS) as pool:
            while len(chosen) < count and (some := list(itertools.islice(rows, count))):
                for sample in pool.map(self._load, some):
                    if sample is not None:
                        chosen.setdefault(sample.caption.casefold() if distinct else sample.name, sample)
        if not chosen:
            raise RunError(f"no validation sample of '{self.name}' can be read any more{problems_clause(self.report)}")
        samples = list(chosen.values())[:count]
        return self.batch(samples, np.zeros(len(samples), dtype=bool))

    def captions(self, limit: int = 20000) -> list[str]:
        """Up to `limit` captions of this split, one per sample (repeats included), alike for every rank and seed.

        In training they are `Phrased`, and followed by those of their other phrasings that have new words.
        """
        usable = self._usable_captions()
        captions = with_new_words(usable) if self._phrased else usable
        return list(itertools.islice(captions, limit))

    def _usable_captions(self) -> Iterator[str]:
        for row in self._rows_by_hash(self._subset):
            try:
                caption = row.caption()
            except BadSample as bad:
                self._note(row, bad.kind, bad.detail)
                continue
            yield caption if self._phrased and isinstance(caption, Phrased) else str(caption)

    def fixed_captions(self, batch: Batch) -> list[tuple[str, ...]]:
        """All captions of each of the samples that `fixed` returned; the sample's own comes first."""
        wanted, found = set(batch.keys), dict[str, tuple[str, ...]]()
        for row in self._rows_by_hash(self._fixed_subset):
            if len(found) == len(wanted):
                break
            if (name := sample_id(row)) in wanted:
                with contextlib.suppress(BadSample):  # a file that has vanished since then
                    found[name] = every_caption(row.caption())
        return [found.get(key, (caption,)) for key, caption in zip(batch.keys, batch.captions, strict=True)]

    def _look(self, spans: Iterable[Window]) -> str:
        """Reads until a sample for training and one for validation are good, and captions and pictures differ.

        Returns what the contrastive objective lacks. Without a good sample held out, validation uses those of
        training, with a note. Raises InputError without any good sample, or without one in a validation split.
        """
        variety, looked, done = Variety(), 0, False
        validated = self._own_validation or self._fixed_subset == self._subset
        for span in spans:
            for sample in () if done else self._load_each(self._own(span.rows)):
                looked += 1
                if sample is not None:
                    variety.add(sample.caption, self.variety_of(sample))
                if done := variety.enough or (variety.count > 0 and looked >= LOOKED_AT):
                    break
            validated = validated or any(self._load_each(self._in_split(span.rows, self._fixed_subset.split)))
            if done and validated:
                break
        if not variety.count:
            part = " that is held out for validation" if self._held_out_below and self._subset.split == "val" else ""
            raise InputError(nothing_usable(self._subset.corpus, self.report, part))
        if not validated:
            self._fixed_subset = self._subset
            self.notes = ("none of the samples held out for validation can be read: it uses those of the training",)
        if self._own_validation:
            corpus = self._fixed_subset.corpus
            rows = (row for shard in range(len(corpus.shards)) for row in corpus.rows(shard, 0, self.report))
            if not any(self._load_each(rows)):
                raise InputError(nothing_usable(corpus, self.report))
        return variety.fault(complete=not done)

    def _load_each(self, rows: Iterable[Row]) -> Iterator[StoredSample | None]:
        rest = iter(rows)
        with ThreadPoolExecutor(THREADS) as pool:
            while some := list(itertools.islice(rest, 2 * THREADS)):
                yield from pool.map(self._load, some)

    def _own(self, rows: Sequence[Row]) -> list[Row]:
        return self._in_split(rows, self._subset.split)

    def _in_split(self, rows: Sequence[Row], split: str) -> list[Row]:
        if split == "all" or self._held_out_below is None:
            return list(rows)
        return [row for row in rows if (id_hash(sample_id(row)) < self._held_out_below) == (split == "val")]

    def _rows_by_hash(self, subset: _Subset) -> Iterator[Row]:
        """Rows of a subset ordered by the hash of their names, so that the first ones are a fair sample."""
        for window in windows(subset.corpus, range(len(subset.corpus.shards)), self.report):
            yield from sorted(self._in_split(window.rows, subset.split), key=lambda row: id_hash(sample_id(row)))

    def _batches(
        self, batch_size: int, start: Position, total_steps: int | None
    ) -> Iterator[tuple[Batch, dict[str, Any]]]:
        draws = self._order.draws(start, self.report)
        share = self._share.of(batch_size)
        with ThreadPoolExecutor(THREADS) as pool:
            for number in itertools.count(start.batches):
                drawn = list(itertools.islice(draws, batch_size))
                if len(drawn) < batch_size:
                    raise self._nothing_left()
                after = replace(drawn[-1].after, batches=number + 1)
                if self._order.near_misses:  # families spread over the ratio groups
                    places = np.random.default_rng([self._order.seed, 0, number]).permutation(batch_size)
                    drawn = [drawn[i] for i in places]
                drawn, others = drawn[share], self._other_share(number, total_steps)
                loaded = zip(drawn, self._load_all(drawn, pool), strict=True)
                samples = [_phrased(sample or self._stand_in(draw), draw.chance, others) for draw, sample in loaded]
                flips = np.array([draw.flip for draw in drawn]) & self._config.data.flip
                self.report.saw(len(samples))
                yield self.batch(samples, flips), asdict(after)

    def _stand_in(self, draw: OrderedRow) -> StoredSample:
        """A good sample instead of a broken one: of its window, or else of the next windows, up to a whole epoch.

        Raises RunError if there is none.
        """
        last = draw.after.epoch + 1
        later = itertools.takewhile(lambda next_: next_.after.epoch <= last, self._order.draws(draw.after, self.report))
        for row in itertools.chain(draw.stand_ins(), (next_.row for next_ in later)):
            if (sample := self._load(row)) is not None:
                return sample
        raise self._nothing_left()

    def _nothing_left(self) -> RunError:
        return RunError(f"nothing is left to read in '{self.name}'{problems_clause(self.report)}")

    def _other_share(self, number: int, total_steps: int | None) -> float:
        """Share of captions in other phrasings in the batch of this number."""
        progress = 1.0 if total_steps is None else min(1.0, number / total_steps)
        return other_phrasing_share(progress, self._config.data) if self._phrased else 0.0

    def _load_all(self, drawn: Sequence[OrderedRow], pool: ThreadPoolExecutor) -> list[StoredSample | None]:
        cached = self._cache or {}
        names = [sample_id(draw.row) for draw in drawn]
        if all(name in cached or name in self._bad for name in names):  # threads would only cost time
            return [cached.get(name) for name in names]
        return self.load_rows([draw.row for draw in drawn], pool)

    def load_rows(self, rows: Sequence[Row], pool: ThreadPoolExecutor) -> list[StoredSample | None]:
        """Reads samples by the pool's threads; `None` for broken ones."""
        return list(pool.map(self._load, rows))

    def _load(self, row: Row) -> StoredSample | None:
        """Reads and decodes a sample; `None`, with an entry in the report, if it is broken."""
        name = sample_id(row)
        if name in self._bad:
            return None
        if self._cache is not None and name in self._cache:
            return self._cache[name]
        try:
            caption = row.caption()
            if not isinstance(caption, Phrased):
                caption = str(caption)  # without the others of its list
            sample = StoredSample(name, self.content(row), caption)
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


def _phrased(sample: StoredSample, chance: float, share: float) -> StoredSample:
    if share and isinstance(sample.caption, Phrased):
        return sample._replace(caption=sample.caption.pick(chance, share))
    return sample


def _subsets(corpora: Mapping[str, Corpus], split: str) -> tuple[_Subset, _Subset]:
    """The samples of a split, and those that `fixed` chooses from. Raises InputError for an unknown split."""
    train, val = corpora["train"], corpora.get("val")
    held_out = _Subset(val, "all") if val is not None else _Subset(train, "val")
    if split == "train":
        return _Subset(train, "all" if val is not None else "train"), held_out
    if split == "val":
        return held_out, held_out
    if split == "all" or split in corpora:
        subset = _Subset(corpora.get(split, train), "all")
        return subset, subset
    raise InputError(f"'{train.name}' has no split '{split}'; expected train, val or all (nothing held out)")


def held_out_below(rows: Sequence[Row], whole: bool) -> int | None:
    """The name hash below which a sample is for validation; `None` if a single sample must serve for both."""
    if not whole:
        return round(HELD_OUT * 2**32)
    if len(rows) < 2:
        return None
    count = max(math.ceil(HELD_OUT * len(rows)), min(HELD_OUT_AT_LEAST, len(rows) // 4))
    return sorted(id_hash(sample_id(row)) for row in rows)[count]


def batch_of(samples: Sequence[StoredSample], images: Tensor, cached: Mapping[str, Tensor] | None = None) -> Batch:
    """The batch of samples whose contents are tensors already."""
    names, captions = tuple(each.name for each in samples), tuple(str(each.caption) for each in samples)
    return Batch(images, captions, names, cached or {})


def nothing_usable(corpus: Corpus, report: DataReport, part: str = "") -> str:
    """Sentence on a source, or the `part` of it, without one good sample; with the expected layout if that may help."""
    if kinds.BROKEN_PICTURE in report.by_kind():
        return f"every sample of '{corpus.name}'{part} is broken{problems_clause(report)}"
    return f"no captioned picture in '{corpus.name}': {corpus.hint()}{problems_clause(report)}"
