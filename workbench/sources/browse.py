"""Browsing a data source: its splits, its shards, and its samples page by page.

Only row locations are kept in memory; pictures are read and decoded when their page is shown.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dream.config import DreamConfig
from dream.data import report as kinds
from dream.data.drawn.shapes import SPLITS, ShapesSource
from dream.data.order import windows
from dream.data.report import DataReport, problems_clause
from dream.data.samples import BadSample, Corpus, Row, id_hash, sample_id
from dream.data.sources import open_corpora
from dream.data.stored import held_out_below
from dream.data.transforms import BrokenPicture, center_crop, open_picture
from dream.errors import InputError

THUMBNAIL = 192
"""Longest side of the uncropped picture kept for display, in pixels."""
EVERYTHING = "all"
"""Split of a stored source with all samples, none held out."""


@dataclass(frozen=True)
class Sample:
    """A captioned picture that has been read."""

    name: str
    caption: str
    pixels: NDArray[np.uint8]
    """(3, S, S) centre square at the size of the model."""
    shown: NDArray[np.uint8]
    """(h, w, 3) whole picture, its longer side at most THUMBNAIL."""
    width: int
    """Width of the picture file in pixels; likewise `height`."""
    height: int
    format: str


@dataclass(frozen=True)
class Broken:
    """A sample that cannot be read, and why."""

    name: str
    kind: str
    detail: str


class SampleEntry(Protocol):
    """A sample not read yet. `caption` and `sample` raise BadSample, `sample` also BrokenPicture."""

    @property
    def name(self) -> str:
        """Id of the sample."""

    def caption(self) -> str:
        """Reads the caption."""

    def sample(self, size: int) -> Sample:
        """Reads the sample, with the picture cropped to `size`."""


class Browsed(Protocol):
    """A split of a source, open for browsing."""

    name: str

    @property
    def shards(self) -> Sequence[str]:
        """Names of the shards."""

    def entries(self, shard: int, start: int = 0) -> Iterator[SampleEntry]:
        """Yields the samples of a shard from index `start` on."""

    def total(self, shard: int) -> int | None:
        """Returns the number of samples in a shard; None if endless, or unknown before all are read."""


@dataclass(frozen=True)
class Page:
    """Consecutive samples of a source."""

    found: tuple[Sample | Broken, ...]
    more: bool
    """Whether more samples follow."""
    total: int | None
    """Total number of samples, if known."""


def splits_of(source: str, config: DreamConfig) -> tuple[str, ...]:
    """Returns the splits of a source; for a stored source without splits, those that training makes."""
    if source == "shapes":
        return SPLITS
    corpora = open_corpora(source, config)
    return tuple(corpora) if len(corpora) > 1 else (EVERYTHING, "train", "val")


def browse(source: str, config: DreamConfig, split: str, seed: int = 0) -> Browsed:
    """Opens a split of a source. Raises InputError if there is none, or it has no captioned picture."""
    if source == "shapes":
        return ShapesSamples(config, split, seed)
    return StoredSamples(source, config, split)


def read_page(
    browsed: Browsed,
    shard: int,
    start: int,
    count: int,
    size: int,
    *,
    wanted: str = "",
    within: int | None = None,
    check: Callable[[], None] = lambda: None,
) -> Page:
    """Reads `count` samples of a shard from index `start` on, with pictures cropped to `size`.

    With `wanted`, only samples whose caption contains it (ignoring case) count, among the first `within` samples of the
    shard. `check` is called between samples and may raise.
    """
    entries = browsed.entries(shard, 0 if wanted else start)
    if wanted:
        matching = _matching(itertools.islice(entries, within), wanted.casefold(), check)
        entries = itertools.islice(matching, start, None)
    found = []
    for entry in itertools.islice(entries, count):
        check()
        found.append(read(entry, size))
    more = next(entries, None) is not None
    return Page(tuple(found), more, None if wanted else browsed.total(shard))


def read(entry: SampleEntry, size: int) -> Sample | Broken:
    """Reads a sample, or returns why it cannot be read."""
    try:
        return entry.sample(size)
    except BadSample as bad:
        return Broken(entry.name, bad.kind, bad.detail)
    except BrokenPicture as broken:
        return Broken(entry.name, kinds.BROKEN_PICTURE, str(broken))


def first_captions(browsed: Browsed, count: int) -> list[str]:
    """Returns the first `count` different captions that can be read."""
    captions: dict[str, None] = {}
    for entry in itertools.islice(all_entries(browsed), 10 * count):
        with suppress(BadSample):
            captions.setdefault(entry.caption())
        if len(captions) == count:
            break
    return list(captions)


def all_entries(browsed: Browsed) -> Iterator[SampleEntry]:
    """Yields the samples of all shards, one shard after the other."""
    for shard in range(len(browsed.shards)):
        yield from browsed.entries(shard)


class StoredSamples:
    """A split of stored corpora. Raises InputError as `browse` does."""

    def __init__(self, source: str, config: DreamConfig, split: str) -> None:
        self._opened = source, config, split
        corpora = open_corpora(source, config)
        if split not in corpora and split not in (EVERYTHING, "train", "val"):
            raise InputError(f"there is no split '{split}'; expected one of {', '.join((*corpora, EVERYTHING))}")
        self.corpus = corpora.get(split, corpora["train"])
        self.name = self.corpus.name
        self.report = DataReport()
        self._split = EVERYTHING if len(corpora) > 1 else split
        self._below: int | None = None
        if self._split == EVERYTHING:
            known = any(True for shard in range(len(self.shards)) for _ in self._first(shard))
        else:
            window = next(windows(self.corpus, range(len(self.shards)), self.report), None)
            known = window is not None
            if window is not None:
                self._below = held_out_below(window.rows, len(window.rows) < self.corpus.window_rows)
        if not known:
            raise InputError(
                f"no captioned picture in '{self.name}': {self.corpus.hint()}{problems_clause(self.report)}"
            )

    @property
    def shards(self) -> Sequence[str]:
        """Names of the shards."""
        return self.corpus.shards

    def entries(self, shard: int, start: int = 0) -> Iterator[SampleEntry]:
        """Yields the samples of a shard from index `start` on."""
        if self._below is None:
            yield from map(StoredEntry, self.corpus.rows(shard, start, self.report))
            return
        own = (row for row in self.corpus.rows(shard, 0, self.report) if self._in_split(row))
        yield from map(StoredEntry, itertools.islice(own, start, None))

    def total(self, shard: int) -> int | None:
        """Returns the number of samples in a shard; None if unknown."""
        count = self.corpus.count(shard)
        if self._below is None or count is None:
            return count
        return sum(map(self._in_split, self.corpus.rows(shard, 0, self.report)))

    def fresh(self) -> Corpus:
        """Opens the corpus again; one that has been read does not report problems with its shards again."""
        source, config, split = self._opened
        corpora = open_corpora(source, config)
        return corpora.get(split, corpora["train"])

    def _first(self, shard: int) -> Iterator[Row]:
        return itertools.islice(self.corpus.rows(shard, 0, self.report), 1)

    def _in_split(self, row: Row) -> bool:
        assert self._below is not None
        return (id_hash(sample_id(row)) < self._below) == (self._split == "val")


@dataclass(frozen=True)
class StoredEntry:
    """A sample stored as a row of a corpus."""

    row: Row

    @property
    def name(self) -> str:
        """Id of the sample."""
        return sample_id(self.row)

    def caption(self) -> str:
        """Reads the caption."""
        return self.row.caption()

    def sample(self, size: int) -> Sample:
        """Reads the sample, with the picture cropped to `size`."""
        caption, picture = self.row.caption(), open_picture(self.row.picture())
        square = np.asarray(center_crop(picture.rgb, size), dtype=np.uint8)
        return Sample(
            self.name,
            caption,
            np.ascontiguousarray(square.transpose(2, 0, 1)),
            _thumbnail(picture.rgb),
            picture.rgb.width,
            picture.rgb.height,
            picture.format,
        )


class ShapesSamples:
    """A split of the drawn pictures, in the order of a training with `seed`."""

    name = "shapes"
    shards: Sequence[str] = ("shapes",)

    def __init__(self, config: DreamConfig, split: str, seed: int = 0) -> None:
        self._batch = config.train.batch_size
        self._source = ShapesSource(config, split=split, seed=seed)

    def entries(self, shard: int, start: int = 0) -> Iterator[SampleEntry]:
        """Yields the samples of a shard from index `start` on."""
        drawn = self._source.batches(self._batch, {"batch": start // self._batch})
        skipped = start % self._batch
        for batch, _ in drawn:
            for row in range(skipped, len(batch)):
                yield DrawnEntry(batch.keys[row], batch.captions[row], batch.images[row].numpy())
            skipped = 0

    def total(self, shard: int) -> int | None:
        """Returns the number of samples in a shard; None if unknown."""
        return None


@dataclass(frozen=True)
class DrawnEntry:
    """A drawn picture."""

    name: str
    words: str
    pixels: NDArray[np.uint8]

    def caption(self) -> str:
        """Reads the caption."""
        return self.words

    def sample(self, size: int) -> Sample:
        """Reads the sample, with the picture cropped to `size`."""
        height, width = self.pixels.shape[1:]
        return Sample(self.name, self.words, self.pixels, self.pixels.transpose(1, 2, 0), width, height, "drawn")


def _thumbnail(image: Image.Image) -> NDArray[np.uint8]:
    small = image.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(small, dtype=np.uint8)


def _matching(entries: Iterator[SampleEntry], wanted: str, check: Callable[[], None]) -> Iterator[SampleEntry]:
    for entry in entries:
        check()
        try:
            if wanted in entry.caption().casefold():
                yield entry
        except BadSample:
            continue  # a sample without a caption cannot match
