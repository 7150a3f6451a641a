"""Statistics of a source: those of `dream data`, with tokens, words and, for drawn pictures, attributes.

Only lengths and counts are kept in memory, not pictures.
"""

import csv
import io
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from dream.data.grammar import parse_caption
from dream.data.survey import SampleFacts, Survey, survey
from dream.data.text import CaptionTokenizer
from workbench.sources.browse import Browsed, ShapesSamples, StoredSamples

WORDS = 40
"""Number of most frequent words that are listed."""
REPEATED = 20
"""Number of most frequent captions that are listed."""
EVERY = 0.4
"""Seconds between two partial results."""
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")

PartialStatistics = Callable[["SourceStatistics", int | None], None]
"""Callback that takes the statistics so far and the expected number of samples, if it is known."""


@dataclass(frozen=True)
class SourceStatistics:
    """Statistics of the samples read."""

    rows: int
    """Samples read, good or broken."""
    good: int
    held_out: int
    """Good samples that training would hold out for validation."""
    complete: bool
    """Whether every sample has been read."""
    shards: int
    widths: NDArray[np.int64]
    """(good,): width of each picture before the crop, in pixels."""
    heights: NDArray[np.int64]
    """(good,): height of each picture before the crop, in pixels."""
    words: NDArray[np.int64]
    """(good,): words per caption."""
    tokens: NDArray[np.int64]
    """(good,): tokens per caption with begin and end, not truncated."""
    context: int
    """Maximal number of tokens that the model reads."""
    formats: dict[str, int]
    modes: dict[str, int]
    vocabulary: int
    """Number of different words."""
    frequent: list[tuple[str, int]]
    """The most frequent words with their counts."""
    different: int
    """Number of different captions."""
    repeated: list[tuple[str, int]]
    """Captions that occur more than once, most frequent first."""
    attributes: dict[str, dict[str, int]]
    """For drawn pictures: counts of each value, per attribute."""
    problems: list[tuple[str, str, str, str]]
    """Problems as (kind, shard, key, detail)."""

    @property
    def cut(self) -> int:
        """Number of captions that exceed the model's context."""
        return int((self.tokens > self.context).sum())

    @property
    def by_kind(self) -> dict[str, int]:
        """Number of problems per kind."""
        return dict(Counter(kind for kind, *_ in self.problems))


@dataclass
class _Counted(Survey):
    """A survey that also counts words, tokens and attributes."""

    tokenizer: CaptionTokenizer | None = None
    vocabulary: Counter[str] = field(default_factory=Counter)
    lengths: list[int] = field(default_factory=list)
    attributes: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, facts: SampleFacts) -> None:
        """Adds a good sample, with its words and tokens."""
        super().add(facts)
        assert self.tokenizer is not None
        self.vocabulary.update(_WORD.findall(facts.caption.casefold()))
        self.lengths += (length + 2 for length in self.tokenizer.lengths([facts.caption]))


def source_statistics(
    browsed: Browsed,
    tokenizer: CaptionTokenizer,
    limit: int | None,
    show: PartialStatistics = lambda statistics, expected: None,
) -> SourceStatistics:
    """Statistics of the first `limit` samples; `None` reads all samples of a stored source, whatever its split.

    `show` takes partial results and may raise to stop. Endless sources need a limit.
    """
    counted = _Counted(len(browsed.shards), tokenizer=tokenizer)
    last = time.monotonic()
    for _ in _fill(browsed, counted, limit):
        if time.monotonic() - last > EVERY:
            show(_statistics(counted), counted.expected)
            last = time.monotonic()
    return _statistics(counted)


def problems_csv(problems: list[tuple[str, str, str, str]]) -> bytes:
    """CSV with one row per problem: kind, shard, name, detail."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("kind", "shard", "name", "detail"))
    writer.writerows(problems)
    return text.getvalue().encode("utf-8", "replace")


def _fill(browsed: Browsed, counted: _Counted, limit: int | None) -> Iterator[object]:
    """Adds samples to `counted` up to `limit`; yields in between."""
    if isinstance(browsed, StoredSamples):
        yield from survey(browsed.fresh(), limit, counted)
        return
    assert isinstance(browsed, ShapesSamples) and limit is not None, "drawn pictures have no end"
    counted.expected = limit
    for entry in islice(browsed.entries(0), limit):
        caption = entry.caption()
        sample = entry.sample(0)
        counted.rows += 1
        counted.add(SampleFacts(entry.name, caption, sample.format, "RGB", sample.width, sample.height))
        _count_attributes(counted.attributes, caption)
        yield counted


def _count_attributes(counts: dict[str, Counter[str]], caption: str) -> None:
    scene = parse_caption(caption)
    values: list[tuple[str, str]] = [
        ("objects", str(len(scene.things))),
        ("background", scene.ground),
        ("layout", scene.relation or "alone"),
    ]
    for thing in scene.things:
        values += [("shape", thing.shape), ("colour", thing.colour)]
        values += [("size", thing.size or "large, unsaid"), ("texture", thing.texture or "plain")]
    for name, value in values:
        counts.setdefault(name, Counter())[value] += 1


def _statistics(counted: _Counted) -> SourceStatistics:
    different, repeated = counted.repeated(REPEATED) if counted.good else (0, [])
    return SourceStatistics(
        rows=counted.rows,
        good=counted.good,
        held_out=counted.held_out,
        complete=counted.complete,
        shards=counted.shards,
        widths=np.array(counted.widths, np.int64),
        heights=np.array(counted.heights, np.int64),
        words=np.array(counted.words, np.int64),
        tokens=np.array(counted.lengths, np.int64),
        context=counted.tokenizer.context_length if counted.tokenizer else 0,
        formats=dict(counted.formats.most_common()),
        modes=dict(counted.modes.most_common()),
        vocabulary=len(counted.vocabulary),
        frequent=counted.vocabulary.most_common(WORDS),
        different=different,
        repeated=repeated,
        attributes={name: dict(counts.most_common()) for name, counts in counted.attributes.items()},
        problems=counted.report.problems(),
    )
