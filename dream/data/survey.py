"""What a stored corpus holds, found by reading all of it: counts, sizes, captions, and everything broken.

It writes and prints nothing; `dream data` and pages show what `survey` yields.
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

CHUNK = 64
_NAMED_CAPTIONS = 100_000
_EXAMPLES = 5


@dataclass(frozen=True)
class Spread:
    """Least, middle and greatest of some numbers."""

    least: int
    median: float
    greatest: int

    @classmethod
    def of(cls, values: "array[int]") -> "Spread":
        numbers = np.frombuffer(values, dtype=np.int64)
        return cls(int(numbers.min()), float(np.median(numbers)), int(numbers.max()))


def _integers() -> "array[int]":
    return array("q")


@dataclass(frozen=True)
class SampleFacts:
    """What one good sample is."""

    name: str
    caption: str
    format: str
    mode: str
    width: int
    height: int


@dataclass
class Survey:
    """What was found so far. Sizes are of good samples, in pixels as in the file (turned upright)."""

    shards: int
    rows: int = 0
    """Samples that were looked at, good or broken."""
    good: int = 0
    expected: int | None = None
    """Samples there will have been at the end, as far as that can be told."""
    complete: bool = False
    """Whether all that there is was looked at."""
    held_out: int = 0
    """Good samples that a training would keep for validation."""
    report: DataReport = field(default_factory=DataReport)
    formats: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    widths: "array[int]" = field(default_factory=_integers)
    heights: "array[int]" = field(default_factory=_integers)
    words: "array[int]" = field(default_factory=_integers)
    characters: "array[int]" = field(default_factory=_integers)
    examples: list[tuple[str, str]] = field(default_factory=list)
    """Some sample ids with their captions."""
    _hashes: "array[int]" = field(default_factory=_integers)
    _named: dict[int, str] = field(default_factory=dict)

    def smaller_than(self, size: int) -> int:
        """Pictures whose short side has fewer pixels, so that a training would enlarge them."""
        return sum(min(sides) < size for sides in zip(self.widths, self.heights, strict=True))

    def repeated(self, most: int = 5) -> tuple[int, list[tuple[str, int]]]:
        """The number of different captions, and those that occur most often, with how often."""
        values, counts = np.unique(np.frombuffer(self._hashes, dtype=np.int64), return_counts=True)
        often = sorted(zip(counts.tolist(), values.tolist(), strict=True), reverse=True)[: 10 * most]
        named = [(self._named[value], count) for count, value in often if count > 1 and value in self._named]
        return len(values), named[:most]

    def add(self, look: SampleFacts) -> None:
        """Counts a good sample."""
        self.good += 1
        self.formats[look.format] += 1
        self.modes[look.mode] += 1
        self.widths.append(look.width)
        self.heights.append(look.height)
        self.words.append(len(look.caption.split()))
        self.characters.append(len(look.caption))
        if len(self.examples) < _EXAMPLES:
            self.examples.append((look.name, look.caption))
        self._hashes.append(key := hash(look.caption.casefold()))
        if len(self._named) < _NAMED_CAPTIONS:
            self._named.setdefault(key, look.caption)


def survey(corpus: Corpus, limit: int | None = None, into: Survey | None = None) -> Iterator[Survey]:
    """The same Survey (`into`, else a new one) again and again as it fills: of every sample, or of the first
    `limit`.
    """
    found = into or Survey(len(corpus.shards))
    below: int | None = None
    whole: int | None = None
    with ThreadPoolExecutor(THREADS) as pool:
        for number, window in enumerate(windows(corpus, range(len(corpus.shards)), found.report)):
            if number == 0:
                whole = len(window.rows) if len(window.rows) < corpus.window_rows else None
                below = held_out_below(window.rows, whole is not None)
            rows = iter(window.rows)
            while chunk := list(itertools.islice(rows, _room(found, limit))):
                found.rows += len(chunk)
                for look in pool.map(lambda row: _look(row, found.report), chunk):
                    if look is not None:
                        found.add(look)
                        found.held_out += below is not None and id_hash(look.name) < below
                found.expected = _expected(corpus, whole, limit)
                yield found
            if found.rows == limit:
                break
    found.complete = found.rows != limit or found.rows == whole
    yield found


def _room(found: Survey, limit: int | None) -> int:
    """Samples to look at next."""
    return CHUNK if limit is None else min(CHUNK, limit - found.rows)


def _expected(corpus: Corpus, whole: int | None, limit: int | None) -> int | None:
    """Rows in all: known, or as many in every shard as in the indexed ones; never more than `limit`."""
    if whole is None:
        counts = [count for shard in range(len(corpus.shards)) if (count := corpus.count(shard)) is not None]
        whole = round(sum(counts) / len(counts) * len(corpus.shards)) if counts else None
    return limit if whole is None else min(whole, limit or whole)


def _look(row: Row, report: DataReport) -> SampleFacts | None:
    """What the sample is, or none (and a line in the report) if it is broken."""
    try:
        caption, picture = row.caption(), open_picture(row.picture())
    except BadSample as bad:
        report.add(bad.kind, row.shard, row.key, bad.detail)
        return None
    except BrokenPicture as broken:
        report.add(kinds.BROKEN_PICTURE, row.shard, row.key, str(broken))
        return None
    return SampleFacts(sample_id(row), caption, picture.format, picture.mode, picture.rgb.width, picture.rgb.height)
