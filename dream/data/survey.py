"""Surveys a stored corpus by reading all of it: counts, sizes, captions, and everything that is broken.

`survey` yields records; `dream data` prints them and pages show them.
"""

import itertools
from array import array
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from dream.data import report as kinds
from dream.data.order import windows
from dream.data.report import DataReport
from dream.data.samples import BadSample, Corpus, Row, id_hash, sample_id
from dream.data.stored import THREADS, held_out_below
from dream.data.transforms import BrokenPicture, open_picture
from dream.data.variety import Variety

CHUNK = 64
_NAMED_CAPTIONS = 100_000
_EXAMPLES = 5


@dataclass(frozen=True)
class Spread:
    """Minimum, median and maximum of a set of numbers."""

    least: int
    median: float
    greatest: int

    @classmethod
    def of(cls, values: "array[int]") -> "Spread":
        """The spread of `values`, at least one."""
        numbers = np.frombuffer(values, dtype=np.int64)
        return cls(int(numbers.min()), float(np.median(numbers)), int(numbers.max()))


def _integers() -> "array[int]":
    return array("q")


@dataclass(frozen=True)
class SampleFacts:
    """Facts about one good sample."""

    name: str
    caption: str
    format: str
    mode: str
    width: int
    height: int
    picture: int | None = None
    """Hash of the picture's file, if it is known."""


@dataclass
class Survey:
    """Results so far. Sizes are those of good samples, in pixels of the file after its EXIF rotation."""

    shards: int
    rows: int = 0
    """Samples read, good or broken."""
    good: int = 0
    expected: int | None = None
    """Expected number of samples at the end, if it can be estimated."""
    complete: bool = False
    """Whether every sample has been read."""
    held_out: int = 0
    """Good samples that training would hold out for validation."""
    report: DataReport = field(default_factory=DataReport)
    formats: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    widths: "array[int]" = field(default_factory=_integers)
    heights: "array[int]" = field(default_factory=_integers)
    words: "array[int]" = field(default_factory=_integers)
    characters: "array[int]" = field(default_factory=_integers)
    examples: list[tuple[str, str]] = field(default_factory=list)
    """Some sample ids with their captions."""
    _variety: Variety = field(default_factory=Variety)
    _hashes: "array[int]" = field(default_factory=_integers)
    _named: dict[int, str] = field(default_factory=dict)

    def smaller_than(self, size: int) -> int:
        """Number of pictures whose short side is below `size`, so that training would enlarge them."""
        return sum(min(sides) < size for sides in zip(self.widths, self.heights, strict=True))

    @property
    def contrast_fault(self) -> str:
        """Sentence on why the contrastive objective learns nothing from the good samples; empty if it does."""
        return self._variety.fault(self.complete)

    def repeated(self, most: int = 5) -> tuple[int, list[tuple[str, int]]]:
        """The number of different captions, and up to `most` of the most frequent repeated ones with their counts."""
        values, counts = np.unique(np.frombuffer(self._hashes, dtype=np.int64), return_counts=True)
        often = sorted(zip(counts.tolist(), values.tolist(), strict=True), reverse=True)[: 10 * most]
        named = [(self._named[value], count) for count, value in often if count > 1 and value in self._named]
        return len(values), named[:most]

    def add(self, facts: SampleFacts) -> None:
        """Adds a good sample."""
        self.good += 1
        self._variety.add(facts.caption, facts.picture)
        self.formats[facts.format] += 1
        self.modes[facts.mode] += 1
        self.widths.append(facts.width)
        self.heights.append(facts.height)
        self.words.append(len(facts.caption.split()))
        self.characters.append(len(facts.caption))
        if len(self.examples) < _EXAMPLES:
            self.examples.append((facts.name, facts.caption))
        self._hashes.append(key := hash(facts.caption.casefold()))
        if len(self._named) < _NAMED_CAPTIONS:
            self._named.setdefault(key, facts.caption)


def survey(corpus: Corpus, limit: int | None = None, into: Survey | None = None) -> Iterator[Survey]:
    """Reads every sample, or the first `limit`; yields the same Survey (`into`, or a new one) after each chunk."""
    results = into or Survey(len(corpus.shards))
    below: int | None = None
    whole: int | None = None
    with ThreadPoolExecutor(THREADS) as pool:
        for number, window in enumerate(windows(corpus, range(len(corpus.shards)), results.report)):
            if number == 0:
                whole = len(window.rows) if len(window.rows) < corpus.window_rows else None
                below = held_out_below(window.rows, whole is not None)
            rows = iter(window.rows)
            while chunk := list(itertools.islice(rows, _chunk_size(results, limit))):
                results.rows += len(chunk)
                for facts in pool.map(lambda row: _read_facts(row, results.report), chunk):
                    if facts is not None:
                        results.add(facts)
                        results.held_out += below is not None and id_hash(facts.name) < below
                results.expected = _expected(corpus, whole, limit)
                yield results
            if results.rows == limit:
                break
    results.complete = results.rows != limit or results.rows == whole
    yield results


def _chunk_size(results: Survey, limit: int | None) -> int:
    """Number of samples to read next."""
    return CHUNK if limit is None else min(CHUNK, limit - results.rows)


def _expected(corpus: Corpus, whole: int | None, limit: int | None) -> int | None:
    """Total number of rows, at most `limit`: known, or extrapolated from the indexed shards."""
    if whole is None:
        counts = [count for shard in range(len(corpus.shards)) if (count := corpus.count(shard)) is not None]
        whole = round(sum(counts) / len(counts) * len(corpus.shards)) if counts else None
    return limit if whole is None else min(whole, limit or whole)


def _read_facts(row: Row, report: DataReport) -> SampleFacts | None:
    """Facts about the sample; `None`, with an entry in the report, if it is broken."""
    try:
        caption, content = row.caption(), row.picture()
        picture = open_picture(content)
    except BadSample as bad:
        report.add(bad.kind, row.shard, row.key, bad.detail)
        return None
    except BrokenPicture as broken:
        report.add(kinds.BROKEN_PICTURE, row.shard, row.key, str(broken))
        return None
    width, height = picture.rgb.size
    return SampleFacts(sample_id(row), caption, picture.format, picture.mode, width, height, hash(content))
