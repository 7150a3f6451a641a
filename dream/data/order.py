"""The order of samples: a function of (seed, epoch), one for all ranks, so that four numbers give a position in it.

Shards are put into a random order; their rows fill windows of bounded size; each window is permuted. Every rank walks
the whole order, which takes names and offsets only, and reads the pictures of its own share. No picture is read here.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from dream.data.families import in_families
from dream.data.report import DataReport
from dream.data.samples import Corpus, Row
from dream.errors import InputError


@dataclass(frozen=True)
class Position:
    """A position in the epochs, the same for all ranks; `dataclasses.asdict` makes it JSON-able."""

    epoch: int = 0
    shard: int = 0
    """Place of the window's first shard in the epoch's order."""
    row: int = 0
    """The window's first row in that shard."""
    index: int = 0
    """Number of samples already used in the window's shuffled order."""
    batches: int = 0
    """Number of batches already read."""

    @classmethod
    def read(cls, position: dict[str, Any] | None) -> "Position":
        """Reads the result of `asdict`; `None` is the start. Raises InputError for any other record."""
        fields = dict(position or {})
        if set(fields) - set(cls.__dataclass_fields__) or any(type(v) is not int or v < 0 for v in fields.values()):
            names = ", ".join(cls.__dataclass_fields__)
            raise InputError(f"{position!r} is not a position in a data source: expected {names}, each 0 or more")
        return cls(**fields)


class Window(NamedTuple):
    """Rows that are shuffled together, and their start (as in Position)."""

    shard: int
    row: int
    rows: list[Row]


class Shuffled(NamedTuple):
    """A window's rows that belong to the split, and the order in which they are used."""

    rows: list[Row]
    order: list[int]
    """Numbers of the rows."""


class OrderedRow(NamedTuple):
    """The next row of an order."""

    row: Row
    flip: bool
    """Whether to mirror the picture."""
    chance: float
    """Drawn from [0, 1), to pick the caption's phrasing with."""
    after: Position
    """The position right after this row."""
    window: Shuffled
    """The window that it comes from."""

    def stand_ins(self) -> Iterator[Row]:
        """The other rows of the window, in the order in which they may replace this one if it is broken.

        They begin half a window away, so that a stand-in is rarely in one batch with itself. They depend on the order
        alone: no rank needs to know what is broken in the shares of the others.
        """
        rows, order = self.window
        place = self.after.index - 1 + len(order) // 2
        yield from (rows[order[(place + i) % len(order)]] for i in range(len(order)))


def windows(corpus: Corpus, order: Iterable[int], report: DataReport, shard: int = 0, row: int = 0) -> Iterator[Window]:
    """Windows over the rows of the shards in `order`, from the window that starts at (`shard`, `row`) on.

    The windows are the same for every start.
    """
    first: tuple[int, int] = (shard, row)
    rows: list[Row] = []
    for place, number in itertools.islice(enumerate(order), shard, None):
        start = row if place == shard else 0
        for index, next_row in enumerate(corpus.rows(number, start, report), start=start):
            rows.append(next_row)
            if len(rows) == corpus.window_rows:
                yield Window(*first, rows)
                first, rows = (place, index + 1), []
    if rows:
        yield Window(*first, rows)


@dataclass(frozen=True)
class Order:
    """The endless order of a split."""

    corpus: Corpus
    keep: Callable[[Sequence[Row]], list[Row]]
    """Selects the rows of a window that belong to the split."""
    seed: int
    near_misses: float = 0.0
    """Share of the rows that come next to their families, if they know them."""

    def draws(self, start: Position, report: DataReport) -> Iterator[OrderedRow]:
        """Yields the rows, epoch after epoch; ends after two empty epochs in a row (the first may be a rest)."""
        empty_epochs = 0
        for epoch in itertools.count(start.epoch):
            position = start if epoch == start.epoch else Position(epoch)
            empty = True
            for window in windows(self.corpus, self._shards(epoch), report, position.shard, position.row):
                resumed = (window.shard, window.row) == (position.shard, position.row)
                for draw in self._shuffled(window, epoch, position.index if resumed else 0):
                    empty = False
                    yield draw
            empty_epochs = empty_epochs + 1 if empty else 0
            if empty_epochs > 1:
                return

    def _shards(self, epoch: int) -> list[int]:
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.corpus.shards)).tolist()

    def _shuffled(self, window: Window, epoch: int, used: int) -> Iterator[OrderedRow]:
        rows = self.keep(window.rows)
        rng = np.random.default_rng([self.seed, epoch, window.shard, window.row, 0])
        order = in_families(rows, self.near_misses, rng) if self.near_misses else rng.permutation(len(rows)).tolist()
        flips, chances = rng.random(len(rows)) < 0.5, rng.random(len(rows))
        start, shuffled = Position(epoch, window.shard, window.row), Shuffled(rows, order)
        for index, chosen in enumerate(order[used:], start=used):
            after = replace(start, index=index + 1)
            yield OrderedRow(rows[chosen], bool(flips[chosen]), float(chances[chosen]), after, shuffled)
