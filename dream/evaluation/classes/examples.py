"""Labelled pictures for the classification tasks: drawn ones and emoji with several labels, stored sets with one.

Drawn pictures keep the natural frequencies of the classes, so that one set of features serves all labels. The one
label of a stored set is called 'class'.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dream.config import DreamConfig
from dream.data.drawn.drawing import draw
from dream.data.emoji.corpus import is_emoji
from dream.data.emoji.pixels import pixels_of
from dream.errors import InputError
from dream.evaluation.classes.drawn_labels import labelled_scenes, scene_labels, shape_classes
from dream.evaluation.classes.emoji_labels import asked_labels, emoji_classes, labelled_emoji
from dream.evaluation.classes.features import check_pooling, encoded_beside
from dream.evaluation.classes.pictures import CHUNK, choose_evenly
from dream.evaluation.classes.settings import DRAWN_LABEL, DRAWN_LABELS, FeatureSettings
from dream.evaluation.classes.sources import labelled_chunks
from dream.model.pretrained import Pretrained

STORED = "class"
"""The one label of a stored set."""
COUNTS = {"train": 3000, "test": 2000}
"""Drawn pictures if no count is given."""


@dataclass(frozen=True)
class Examples:
    """B pictures, or their features, with the class numbers and class names of each label."""

    inputs: Tensor
    """(B, 3, H, W) uint8, or (B, D) features."""
    labels: dict[str, Tensor]
    """(B,) int64 by label."""
    classes: dict[str, tuple[str, ...]]

    def chance(self, label: str) -> float:
        """Share of the most frequent class, which is the accuracy of a constant answer."""
        numbers = self.labels[label]
        return round(float(numbers.bincount().max()) / len(numbers), 4) if len(numbers) else 0.0


def example_chunks(
    data: str, config: DreamConfig, split: str, *, labels: Sequence[str], count: int | None = None, seed: int = 0
) -> Iterator[Examples]:
    """Pictures of the split `train` or `test`, CHUNK at a time; `labels` apply to shapes and emoji, COUNTS to shapes.

    Raises InputError for an unknown source or label.
    """
    if data == "shapes":
        return _drawn(config, split, labels, count or COUNTS[split], seed)
    if is_emoji(data):
        return _emoji(data, config.image.size, split, labels, count, seed)
    return (
        Examples(chunk.images, {STORED: chunk.labels}, {STORED: chunk.classes})
        for chunk in labelled_chunks(data, config.image.size, split=split, limit=count, seed=seed)
    )


def featured(pretrained: Pretrained, chunks: Iterable[Examples], pooling: str) -> Examples:
    """Features (B, D) of the examples; pictures are dropped as soon as they are encoded."""
    check_pooling(pretrained, pooling)
    pairs = encoded_beside(pretrained, ((chunk.inputs, (chunk.labels, chunk.classes)) for chunk in chunks), pooling)
    return joined_examples(Examples(features, *answer) for features, answer in pairs)


def featured_splits(
    pretrained: Pretrained, data: str, settings: FeatureSettings, seed: int
) -> tuple[Examples, Examples]:
    """Features of the training and test pictures. Raises InputError as `example_chunks` and `featured` do."""
    train, test = (
        featured(
            pretrained,
            example_chunks(data, pretrained.config, split, labels=settings.labels, count=count, seed=seed),
            settings.pooling,
        )
        for split, count in (("train", settings.train_count), ("test", settings.test_count))
    )
    return train, test


def joined_examples(chunks: Iterable[Examples]) -> Examples:
    """Concatenates the chunks. Raises InputError if they contain no picture, or a stored set's of one class only."""
    parts = [chunk for chunk in chunks if len(chunk.inputs)]
    if not parts:
        raise InputError("none of the labelled pictures can be read; `dream data` says what is wrong with them")
    labels = {name: torch.cat([part.labels[name] for part in parts]) for name in parts[0].labels}
    check_readable(labels, parts[0].classes)
    return Examples(torch.cat([part.inputs for part in parts]), labels, parts[0].classes)


def check_readable(labels: Mapping[str, Tensor], classes: Mapping[str, tuple[str, ...]]) -> None:
    """Raises InputError if all pictures of a stored set that could be read are of one class."""
    if STORED in labels and len(left := labels[STORED].unique()) == 1:
        raise InputError(
            f"all labelled pictures that can be read are of the class '{classes[STORED][int(left)]}', which any answer "
            f"gets right: expected two classes at least; `dream data` says what is wrong with the others"
        )


def _drawn(config: DreamConfig, split: str, labels: Sequence[str], count: int, seed: int) -> Iterator[Examples]:
    if not labels:
        raise InputError("no label is given; drawn shapes have shape, colour, relation, ground and others")
    level = config.data.level
    classes = {name: shape_classes(name, level) for name in labels}
    scenes = labelled_scenes(level, split, count, seed)
    return (
        Examples(
            torch.from_numpy(draw(chunk, config.image.size)),
            {name: scene_labels(chunk, name, level) for name in labels},
            classes,
        )
        for chunk in (scenes[start : start + CHUNK] for start in range(0, count, CHUNK))
    )


def _emoji(data: str, size: int, split: str, labels: Sequence[str], count: int | None, seed: int) -> Iterator[Examples]:
    """Emoji of the split; at most `count` of them, drawn from `seed`."""
    asked = asked_labels(labels, (DRAWN_LABEL,) if len(labels) == 1 else DRAWN_LABELS)
    classes = {name: emoji_classes(name) for name in asked}
    drawings = labelled_emoji(data, split)
    chosen = [drawings[i] for i in choose_evenly(np.zeros(len(drawings), int), count, seed)]
    chunks = (chosen[start : start + CHUNK] for start in range(0, len(chosen), CHUNK))
    return (
        Examples(
            torch.from_numpy(pixels_of(chunk, size)),
            {name: torch.tensor([classes[name].index(getattr(each, name)) for each in chunk]) for name in asked},
            classes,
        )
        for chunk in chunks
    )
