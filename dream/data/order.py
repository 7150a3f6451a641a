"""Which sample comes when: an order that follows from (seed, epoch), so that a place in it is four numbers.

Shards are put in a random order; their rows fill windows of a bounded number of rows; each window is
permuted. Ranks share rows by the hash of their names, or whole shards when there are many. It reads no
pictures.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from dream.data.report import DataReport
from dream.data.samples import Corpus, Row, id_hash, sample_id
from dream.errors import InputError


@dataclass(frozen=True)
class Position:
    """A place in the epochs of one rank; `dataclasses.asdict` makes it JSON-able."""

    epoch: int = 0
    shard: int = 0
    """Place of the window's first shard in the epoch's order."""
    row: int = 0
    """The window's first row in that shard."""
    index: int = 0
    """Samples of the window, in its shuffled order, that are used up."""

    @classmethod
    def read(cls, position: dict[str, Any] | None) -> "Position":
        """The place that `asdict` wrote. Raises InputError when the record is none."""
        fields = dict(position or {})
        if set(fields) - set(cls.__dataclass_fields__) or any(type(v) is not int or v < 0 for v in fields.values()):
            raise InputError(f"{position!r} is no position in a data source")
        return cls(**fields)


class Window(NamedTuple):
    """Rows that are shuffled together, and where they start (as in Position)."""

    shard: int
    row: int
    rows: list[Row]


class OrderedRow(NamedTuple):
    """A row whose turn it is."""

    row: Row
    flip: bool
    after: Position


def windows(corpus: Corpus, order: Iterable[int], report: DataReport, shard: int = 0, row: int = 0) -> Iterator[Window]:
    """The rows of `order`'s shards from a window's start on. Windows are the same wherever one starts."""
    first: tuple[int, int] = (shard, row)
    rows: list[Row] = []
    for place, number in itertools.islice(enumerate(order), shard, None):
        start = row if place == shard else 0
        for index, one in enumerate(corpus.rows(number, start, report), start=start):
            rows.append(one)
            if len(rows) == corpus.window_rows:
                yield Window(*first, rows)
                first, rows = (place, index + 1), []
    if rows:
        yield Window(*first, rows)


@dataclass(frozen=True)
class Order:
    """The endless order of one rank."""

    corpus: Corpus
    keep: Callable[[Sequence[Row]], list[Row]]
    """The rows of a window that belong to the split."""
    seed: int
    rank: int
    world_size: int
    by_shard: bool
    """Ranks take whole shards; else rows of the same shards."""

    def draws(self, start: Position, report: DataReport) -> Iterator[OrderedRow]:
        """This rank's rows, epoch after epoch. Ends when more than world_size epochs in a row had none."""
        empty = 0
        for epoch in itertools.count(start.epoch):
            here = start if epoch == start.epoch else Position(epoch)
            drew = False
            for window in windows(self.corpus, self._shards(epoch), report, here.shard, here.row):
                resumed = (window.shard, window.row) == (here.shard, here.row)
                for draw in self._shuffled(window, epoch, here.index if resumed else 0):
                    drew = True
                    yield draw
            empty = 0 if drew else empty + 1
            if empty > self.world_size:
                return

    def _shards(self, epoch: int) -> list[int]:
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.corpus.shards)).tolist()
        return [shard for shard in order if not self.by_shard or shard % self.world_size == self._turn(epoch)]

    def _shuffled(self, window: Window, epoch: int, used: int) -> Iterator[OrderedRow]:
        turn = self._turn(epoch)
        rows = self.keep(window.rows)
        if not self.by_shard and self.world_size > 1:
            rows = [row for row in rows if id_hash(sample_id(row)) % self.world_size == turn]
        rng = np.random.default_rng([self.seed, epoch, window.shard, window.row, turn])
        order, flips = rng.permutation(len(rows)).tolist(), rng.random(len(rows)) < 0.5
        place = Position(epoch, window.shard, window.row)
        for index, chosen in enumerate(order[used:], start=used):
            yield OrderedRow(rows[chosen], bool(flips[chosen]), replace(place, index=index + 1))

    def _turn(self, epoch: int) -> int:
        """Which share is this rank's. Shares are fixed and go round: in world_size epochs a rank sees all."""
        return (self.rank + epoch) % self.world_size
