"""Statistics of a source: those of `dream data`, with tokens, words and, for drawn pictures, attributes.

Only lengths and counts are kept in memory, no pictures.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from dream.data.drawn.grammar import parse_caption
from dream.data.survey import SampleFacts, Survey, survey
from dream.data.text import CaptionTokenizer
from workbench.csv_files import csv_of
from workbench.sources.browse import Browsed, ShapesSamples, StoredSamples

WORDS = 40
"""Number of most frequent words reported."""
REPEATED = 20
"""Number of most frequent captions reported."""
EVERY = 0.4
"""Seconds between two partial results."""
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")

Tell = Callable[["SourceStatistics", int | None], None]
"""Progress callback: statistics so far, and the expected number of samples or None."""


@dataclass(frozen=True)
class SourceStatistics:
    """Statistics of the samples read."""

    rows: int
    """Samples read."""
    good: int
    held_out: int
    """Good samples that a training would hold out for validation."""
    complete: bool
    """Whether all samples were read."""
    shards: int
    widths: NDArray[np.int64]
    """Width of each good picture before cropping, in pixels; likewise `heights`."""
    heights: NDArray[np.int64]
    words: NDArray[np.int64]
    """Number of words per caption."""
    tokens: NDArray[np.int64]
    """Number of tokens per caption before cutting, begin and end included."""
    context: int
    """Context length of the model, in tokens."""
    formats: dict[str, int]
    modes: dict[str, int]
    vocabulary: int
    """Number of different words."""
    frequent: list[tuple[str, int]]
    different: int
    """Number of different captions."""
    repeated: list[tuple[str, int]]
    """Captions that occur more than once with their counts, most frequent first."""
    attributes: dict[str, dict[str, int]]
    """For drawn pictures: count of each value of each attribute."""
    problems: list[tuple[str, str, str, str]]
    """Problems found: (kind, shard, key, detail)."""
    contrast_fault: str = ""
    """Sentence on why the contrastive objective learns nothing from these samples; empty if it does."""

    @property
    def cut(self) -> int:
        """Number of captions longer than the context length."""
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

    def add(self, look: SampleFacts) -> None:
        super().add(look)
        assert self.tokenizer is not None
        self.vocabulary.update(_WORD.findall(look.caption.casefold()))
        self.lengths += (length + 2 for length in self.tokenizer.lengths([look.caption]))


def source_statistics(
    browsed: Browsed, tokenizer: CaptionTokenizer, limit: int | None, tell: Tell = lambda now, of: None
) -> SourceStatistics:
    """Returns the statistics of the first `limit` samples, from the rows of all splits of a stored source.

    None reads a stored source completely; endless sources need a limit. `tell` may raise to stop.
    """
    counted = _Counted(len(browsed.shards), tokenizer=tokenizer)
    last = time.monotonic()
    for _ in _filled(browsed, counted, limit):
        if time.monotonic() - last > EVERY:
            tell(_statistics(counted), counted.expected)
            last = time.monotonic()
    return _statistics(counted)


def problems_csv(problems: list[tuple[str, str, str, str]]) -> bytes:
    """Returns one row per problem: kind, shard, name, detail."""
    return csv_of(("kind", "shard", "name", "detail"), problems)


def _filled(browsed: Browsed, counted: _Counted, limit: int | None) -> Iterator[object]:
    """Fills `counted`, yielding after each sample."""
    if isinstance(browsed, StoredSamples):
        yield from survey(browsed.fresh(), limit, counted)
        return
    assert isinstance(browsed, ShapesSamples) and limit is not None, "drawn pictures are endless"
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
        contrast_fault=counted.contrast_fault,
    )
