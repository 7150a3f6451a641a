"""A source in numbers: what `dream data` tells, with tokens, words and, for drawn pictures, attributes.

It reads as much of the source as it is told to, and holds lengths and counts, no pictures.
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
"""Most frequent words that are told."""
REPEATED = 20
"""Most frequent captions that are told."""
EVERY = 0.4
"""Seconds between two partial results."""
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")

Tell = Callable[["SourceStatistics", int | None], None]
"""Told what is known so far, and how many samples there will be, where that can be said."""


@dataclass(frozen=True)
class SourceStatistics:
    """What was found."""

    rows: int
    """Samples that were looked at."""
    good: int
    held_out: int
    """Good samples that a training would keep for validation."""
    complete: bool
    """Whether that is all there is."""
    shards: int
    widths: NDArray[np.int64]
    """Of each good picture before the crop, in pixels; so are the heights."""
    heights: NDArray[np.int64]
    words: NDArray[np.int64]
    """Of each caption."""
    tokens: NDArray[np.int64]
    """Of each caption, begin and end included, before any is cut."""
    context: int
    """Tokens that the model reads."""
    formats: dict[str, int]
    modes: dict[str, int]
    vocabulary: int
    """Different words."""
    frequent: list[tuple[str, int]]
    different: int
    """Different captions."""
    repeated: list[tuple[str, int]]
    """Captions that occur more than once, most frequent first."""
    attributes: dict[str, dict[str, int]]
    """Of drawn pictures: how often each value of each attribute occurs."""
    problems: list[tuple[str, str, str, str]]
    """What is broken: (kind, shard, key, detail)."""

    @property
    def cut(self) -> int:
        """Captions that are longer than what the model reads."""
        return int((self.tokens > self.context).sum())

    @property
    def by_kind(self) -> dict[str, int]:
        """Problems of each kind."""
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
    """What the first `limit` samples hold (of a stored source all, if none; all of its splits' rows).

    `tell` may raise to end it. Endless sources need a limit.
    """
    counted = _Counted(len(browsed.shards), tokenizer=tokenizer)
    last = time.monotonic()
    for _ in _filled(browsed, counted, limit):
        if time.monotonic() - last > EVERY:
            tell(_told(counted), counted.expected)
            last = time.monotonic()
    return _told(counted)


def problems_csv(problems: list[tuple[str, str, str, str]]) -> bytes:
    """A row a problem: kind, shard, name, detail."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("kind", "shard", "name", "detail"))
    writer.writerows(problems)
    return text.getvalue().encode("utf-8", "replace")


def _filled(browsed: Browsed, counted: _Counted, limit: int | None) -> Iterator[object]:
    """Ends when `counted` is full; yields meanwhile."""
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


def _told(counted: _Counted) -> SourceStatistics:
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
