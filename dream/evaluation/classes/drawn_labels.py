"""Classes of drawn scenes: by count, ground, relation, or an attribute of the first object."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dream.data.drawn.drawing import CLASSES
from dream.data.drawn.grammar import LEVELS, RELATIONS_OF_COUNT, Scene
from dream.data.drawn.shapes import sample_scenes
from dream.errors import InputError
from dream.randomness import seed_of

LABELS = tuple(CLASSES)
"""Labels that drawn pictures can be classified by."""
ALONE = "alone"
"""Name of the relation of a single object."""


def shape_classes(label: str, level: int) -> tuple[str, ...]:
    """Classes of a label that pictures of the level show.

    Raises InputError for an unknown label, and for a label with fewer than two classes at the level.
    """
    if label not in LABELS:
        raise InputError(f"drawn shapes have no label '{label}'; known are {', '.join(LABELS)}")
    words = LEVELS[level]
    shown = {
        "count": {CLASSES["count"][count - 1] for count in words.counts},
        "relation": {relation for count in words.counts for relation in RELATIONS_OF_COUNT[count]},
        "shape": set(words.shapes),
        "colour": set(words.colours),
        "size": {size or "large" for size in words.sizes},
        "texture": {texture or "plain" for texture in words.textures},
    }.get(label, set(CLASSES[label]))
    classes = tuple(name or ALONE for name in CLASSES[label] if name in shown)
    if len(classes) < 2:
        raise InputError(f"at level {level} every drawn picture has the same {label}, '{classes[0]}'")
    return classes


def scene_class(scene: Scene, label: str) -> str:
    """Class name of a scene; shape, colour, size and texture are those of the first object."""
    first = scene.things[0]
    return {
        "count": CLASSES["count"][len(scene.things) - 1],
        "ground": scene.ground,
        "relation": scene.relation or ALONE,
        "shape": first.shape,
        "colour": first.colour,
        "size": first.size or "large",
        "texture": first.texture or "plain",
    }[label]


def scene_labels(scenes: Sequence[Scene], label: str, level: int) -> Tensor:
    """(B,) int64 numbers into `shape_classes`."""
    classes = shape_classes(label, level)
    return torch.tensor([classes.index(scene_class(scene, label)) for scene in scenes], dtype=torch.int64)


def labelled_scenes(level: int, split: str, count: int, seed: int) -> list[Scene]:
    """`count` placed scenes; in `test` every second one (odd index) is a combination that training never shows."""
    generator = np.random.default_rng(seed_of(seed, "labelled shapes", split))
    seen = sample_scenes(level, count, generator)
    if split == "train":
        return seen
    unseen = sample_scenes(level, count, generator, unseen=True)
    return [(seen, unseen)[i % 2][i] for i in range(count)]
