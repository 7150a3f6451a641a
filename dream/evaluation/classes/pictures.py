"""Stored pictures with one class each: even choice among the classes, and reading by chunks.

Unreadable pictures are reported and skipped. `sources` opens the sets that they come from.
"""

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from dream.data import report as kinds
from dream.data.report import DataReport
from dream.data.samples import BadSample, id_hash
from dream.data.transforms import BrokenPicture, Pixels, load_pixels
from dream.randomness import seed_of

CHUNK = 256
"""Pictures read at once."""
TEST_SHARE = 5
"""One picture in this many is a test picture, where a set has no test split."""


@dataclass(frozen=True)
class LabelledPictures:
    """B pictures and their classes."""

    images: Tensor
    """(B, 3, H, W) uint8, at the model's image size."""
    labels: Tensor
    """(B,) int64 numbers into `classes`."""
    classes: tuple[str, ...]
    """All class names of the set, whether or not these pictures show them."""
    keys: tuple[str, ...]
    """Name of each picture."""
    report: DataReport = field(default_factory=DataReport, compare=False, repr=False)
    """Pictures that could not be read."""

    def __len__(self) -> int:
        return len(self.keys)


class LabelledRow(NamedTuple):
    """A stored picture that has not been read yet."""

    shard: str
    """Where it is, as reports show it."""
    key: str
    label: int
    read: Callable[[], bytes]
    """Returns its file's bytes; raises BadSample or OSError."""


def choose_evenly(labels: ArrayLike, limit: int | None, seed: int) -> NDArray[np.int64]:
    """Sorted indices of at most `limit` labels, spread as evenly over the classes as possible, drawn from `seed`."""
    numbers = np.asarray(labels, np.int64)
    if limit is None or limit >= len(numbers):
        return np.arange(len(numbers))
    order = np.random.default_rng(seed_of(seed, "labelled choice")).permutation(len(numbers))
    rank = np.empty(len(numbers), np.int64)  # pictures of the same class that precede it in the random order
    for label in np.unique(numbers):
        members = order[numbers[order] == label]
        rank[members] = np.arange(len(members))
    return np.sort(order[np.argsort(rank[order], kind="stable")[:limit]])


def choose_rows(rows: Sequence[LabelledRow], limit: int | None, seed: int) -> list[LabelledRow]:
    """`choose_evenly` of rows."""
    return [rows[i] for i in choose_evenly([row.label for row in rows], limit, seed)]


def in_test_share(key: str) -> bool:
    """Whether the picture of this name is among the fifth that serves as test pictures."""
    return id_hash(key) % TEST_SHARE == 0


def test_keys(pairs: Iterable[tuple[Hashable, str]]) -> frozenset[str]:
    """Keys of the test pictures among pairs of class and key: a fifth by a hash of the keys.

    A class of two pictures or more has both, so that it is not the hash of a small set that decides what is measured.
    """
    by_class: dict[Hashable, list[str]] = {}
    for label, key in pairs:
        by_class.setdefault(label, []).append(key)
    testing: set[str] = set()
    for keys in by_class.values():
        chosen = [key for key in keys if in_test_share(key)]
        testing |= set(chosen if 0 < len(chosen) < len(keys) else sorted(keys, key=id_hash)[: len(keys) > 1])
    return frozenset(testing)


def read_rows(
    rows: Iterable[LabelledRow],
    classes: tuple[str, ...],
    size: int,
    load: Callable[[bytes, int], Pixels] = load_pixels,
    report: DataReport | None = None,
) -> Iterator[LabelledPictures]:
    """Pictures of the rows, CHUNK at a time; broken ones are reported and left out."""
    report = report or DataReport()

    def pixels(row: LabelledRow) -> Pixels | None:
        try:
            return load(row.read(), size)
        except BadSample as bad:
            report.add(bad.kind, row.shard, row.key, bad.detail)
        except (BrokenPicture, OSError) as broken:
            report.add(kinds.BROKEN_PICTURE, row.shard, row.key, str(broken))
        return None

    remaining = iter(rows)
    with ThreadPoolExecutor(4) as pool:  # PIL releases the interpreter lock
        while chunk := list(itertools.islice(remaining, CHUNK)):
            good = [(row, p) for row, p in zip(chunk, pool.map(pixels, chunk), strict=True) if p is not None]
            report.saw(len(good))
            yield LabelledPictures(
                torch.from_numpy(np.stack([p for _, p in good]) if good else np.empty((0, 3, size, size), "u1")),
                torch.tensor([row.label for row, _ in good], dtype=torch.int64),
                classes,
                tuple(row.key for row, _ in good),
                report,
            )
