"""Labelled pictures as the recognition tasks take them: drawn ones with several labels at once, or one set.

Drawn pictures come as they are drawn (natural shares of the classes), so that one set of features serves all
labels; a stored set has the one label 'class'.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dream.config import DreamConfig
from dream.data.drawing import draw
from dream.errors import InputError
from dream.evaluation.classes.features import check_pooling, encoder_features
from dream.evaluation.classes.pictures import CHUNK, labelled_chunks, labelled_scenes, scene_labels, shape_classes

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

STORED = "class"
"""The one label of a stored set."""
COUNTS = {"train": 3000, "test": 2000}
"""Drawn pictures where no count is given."""


@dataclass(frozen=True)
class Examples:
    """B pictures, or their features, with the class numbers and the class names of each label."""

    inputs: Tensor
    """(B, 3, H, W) uint8, or (B, D) features."""
    labels: dict[str, Tensor]
    """(B,) int64 of each label."""
    classes: dict[str, tuple[str, ...]]

    def chance(self, label: str) -> float:
        """Share of the most frequent class: what a constant answer gets right."""
        numbers = self.labels[label]
        return round(float(numbers.bincount().max()) / len(numbers), 4) if len(numbers) else 0.0


def example_chunks(
    data: str, config: DreamConfig, split: str, *, labels: Sequence[str], count: int | None = None, seed: int = 0
) -> Iterator[Examples]:
    """Pictures of the split `train` or `test`, CHUNK at a time; `labels` and COUNTS are of shapes only.

    Raises InputError for a source or label that there is not, or a set without one readable picture.
    """
    if data == "shapes":
        return _drawn(config, split, labels, count or COUNTS[split], seed)
    return (
        Examples(part.images, {STORED: part.labels}, {STORED: part.classes})
        for part in labelled_chunks(data, config, split=split, limit=count, seed=seed)
    )


def featured(pretrained: "Pretrained", chunks: Iterable[Examples], pooling: str) -> Examples:
    """Features (B, D) of the examples, whose pictures are dropped as they are read."""
    check_pooling(pretrained, pooling)
    return joined_examples(
        Examples(encoder_features(pretrained, part.inputs, pooling), part.labels, part.classes) for part in chunks
    )


def featured_splits(
    pretrained: "Pretrained",
    data: str,
    *,
    labels: Sequence[str],
    pooling: str,
    train_count: int | None = None,
    test_count: int | None = None,
    seed: int = 0,
) -> tuple[Examples, Examples]:
    """Features of what is learned from and of what is tested on; see `example_chunks` for what raises."""
    train, test = (
        featured(
            pretrained, example_chunks(data, pretrained.config, split, labels=labels, count=count, seed=seed), pooling
        )
        for split, count in (("train", train_count), ("test", test_count))
    )
    return train, test


def joined_examples(chunks: Iterable[Examples]) -> Examples:
    """The chunks in one. Raises InputError if there is no picture in them."""
    parts = [part for part in chunks if len(part.inputs)]
    if not parts:
        raise InputError("not one of the labelled pictures can be read: see what is wrong by `dream data`")
    labels = {name: torch.cat([part.labels[name] for part in parts]) for name in parts[0].labels}
    return Examples(torch.cat([part.inputs for part in parts]), labels, parts[0].classes)


def _drawn(config: DreamConfig, split: str, labels: Sequence[str], count: int, seed: int) -> Iterator[Examples]:
    if not labels:
        raise InputError("no label is named; drawn shapes have shape, colour, relation, ground and others")
    level = config.data.level
    classes = {name: shape_classes(name, level) for name in labels}
    scenes = labelled_scenes(level, split, count, seed)
    return (
        Examples(
            torch.from_numpy(draw(part, config.image.size)),
            {name: scene_labels(part, name, level) for name in labels},
            classes,
        )
        for part in (scenes[start : start + CHUNK] for start in range(0, count, CHUNK))
    )
