"""Pictures with a value at every pixel (a class, a depth), drawn or read from files on demand.

Picture and map are cropped alike, to the centre square at the model's image size (`crop.py`).
Unreadable pictures are reported and left out.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dream.config import DreamConfig
from dream.data import report as kinds
from dream.data.content import read_sample
from dream.data.drawn.drawing import AnswerKey, answer_key, draw
from dream.data.drawn.shapes import sample_scenes
from dream.data.report import DataReport
from dream.data.samples import BadSample
from dream.data.transforms import BrokenPicture, Pixels, open_picture, read_image
from dream.evaluation.dense.crop import Map, cut
from dream.randomness import seed_of

CACHE_BYTES = 512 * 2**20
"""Decoded pictures and maps are kept if those of the whole set fit into this."""
THREADS = 4
"""Threads that read and decode."""

Example = tuple[Pixels, Map]


class DensePictures:
    """N pictures with one map each."""

    def __init__(
        self, keys: Sequence[str], read: Callable[[int], Example], example_bytes: int, where: str = ""
    ) -> None:
        """`read(i)` returns the i-th picture (3, H, W) uint8 and map (H, W), or raises BadSample or OSError."""
        self.keys, self.report = tuple(keys), DataReport()
        self._read, self._where = read, where
        self._kept: dict[int, Example | None] | None = {} if len(self.keys) * example_bytes <= CACHE_BYTES else None

    def __len__(self) -> int:
        return len(self.keys)

    def load(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) uint8 and (B, H, W) of the readable ones among the rows, in their order."""
        with ThreadPoolExecutor(THREADS) as pool:
            examples = [example for example in pool.map(self._example, rows) if example is not None]
        self.report.saw(len(examples))
        if not examples:
            return torch.empty(0, 3, 0, 0, dtype=torch.uint8), torch.empty(0, 0, 0)
        images, maps = (np.stack(arrays) for arrays in zip(*examples, strict=True))
        return torch.from_numpy(images), torch.from_numpy(maps)

    def chunks(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All readable pictures and maps in order, at most `size` at a time."""
        for start in range(0, len(self), size):
            images, maps = self.load(range(start, min(start + size, len(self))))
            if len(images):
                yield images, maps

    def _example(self, row: int) -> Example | None:
        if self._kept is not None and row in self._kept:
            return self._kept[row]
        example = None
        try:
            example = self._read(row)
        except BadSample as bad:
            self.report.add(bad.kind, self._where, self.keys[row], bad.detail)
        except (BrokenPicture, OSError) as broken:
            self.report.add(kinds.BROKEN_PICTURE, self._where, self.keys[row], str(broken))
        if self._kept is not None:
            self._kept[row] = example
        return example


@dataclass(frozen=True)
class DenseSplits:
    """Pictures to learn from and to test on."""

    train: DensePictures
    test: DensePictures

    @classmethod
    def stored(cls, read: Callable[[str], DensePictures]) -> "DenseSplits":
        """The splits `train` and `test` of a set."""
        return cls(read("train"), read("test"))

    @classmethod
    def drawn(
        cls, config: DreamConfig, counts: tuple[int, int], seed: int, values: Callable[[AnswerKey], Map]
    ) -> "DenseSplits":
        """Drawn pictures, `counts` to train and to test on, with the part of their answer key that `values` picks."""
        level, size = config.data.level, config.image.size
        train, test = (
            drawn_pictures(level, size, count, split, seed, values)
            for split, count in zip(("train", "test"), counts, strict=True)
        )
        return cls(train, test)


@dataclass(frozen=True)
class Pair:
    """Files of a picture and its map."""

    key: str
    picture: Path
    map: Path


def stored_pictures(pairs: Sequence[Pair], size: int, values: Callable[[Map], Map], where: str) -> DensePictures:
    """Pairs of files at `size`; `values` converts the numbers in a map's file (or raises BadSample)."""

    def read(row: int) -> Example:
        pair = pairs[row]
        picture = open_picture(read_sample(pair.picture, kinds.BROKEN_PICTURE)).rgb
        whole = open_map(read_sample(pair.map, kinds.BROKEN_PICTURE))
        if whole.shape != (picture.height, picture.width):
            shape = f"{whole.shape[1]} x {whole.shape[0]}"
            detail = f"its map is {shape}, the picture {picture.width} x {picture.height}"
            raise BadSample(kinds.BROKEN_PICTURE, detail)
        return cut(picture, values(whole), size)

    return DensePictures([pair.key for pair in pairs], read, size * size * 7, where)


def drawn_pictures(
    level: int, size: int, count: int, split: str, seed: int, values: Callable[[AnswerKey], Map]
) -> DensePictures:
    """`count` drawn pictures, with the part of their answer key that `values` picks.

    In `test` every second one (odd index) is a combination that training never shows.
    """
    draws = np.random.default_rng(seed_of(seed, "dense shapes", split))
    scenes = sample_scenes(level, count, draws)
    if split == "test":
        unseen = sample_scenes(level, count, draws, unseen=True)
        scenes = [(scenes, unseen)[i % 2][i] for i in range(count)]
    images, maps = draw(scenes, size), values(answer_key(scenes, size))
    return DensePictures([f"shapes/{split}/{i}" for i in range(count)], lambda i: (images[i], maps[i]), 0)


def open_map(content: bytes) -> Map:
    """(H, W) numbers of a one-channel PNG, or palette indices. Raises BadSample for anything else."""
    try:
        values = np.asarray(read_image(content, ("PNG",)))
    except BrokenPicture as broken:
        raise BadSample(kinds.BROKEN_PICTURE, f"its map is not a readable PNG: {broken}") from broken
    if values.ndim != 2:
        raise BadSample(kinds.BROKEN_PICTURE, f"its map has {values.shape[-1]} channels, not one")
    return values


def matched(pictures: dict[str, Path], maps: dict[str, Path], where: str) -> list[Pair]:
    """Pairs of equal keys, sorted; files without a partner go to a report."""
    report = DataReport()
    for key in sorted(pictures.keys() - maps.keys()):
        report.add(kinds.MISSING_MEMBER, where, key, "the picture has no map")
    for key in sorted(maps.keys() - pictures.keys()):
        report.add(kinds.MISSING_MEMBER, where, key, "the map has no picture")
    return [Pair(key, pictures[key], maps[key]) for key in sorted(pictures.keys() & maps.keys())]


def sampled_pairs(pairs: Sequence[Pair], limit: int, seed: int) -> list[Pair]:
    """At most `limit` of the pairs (0: all), drawn from `seed`, in their order."""
    if not limit or limit >= len(pairs):
        return list(pairs)
    draws = np.random.default_rng(seed_of(seed, "dense choice"))
    return [pairs[i] for i in sorted(draws.permutation(len(pairs))[:limit].tolist())]
