"""What a network of the judge reads in drawn pictures, its labels, and how it reads them.

There are two networks: NARROW for levels 0 and 1 of `shapes`, WIDE for levels 2 and 3. Both have the same interface.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dream.data.drawn.grammar import GROUNDS, LEVELS, RELATIONS, RELATIONS_OF_COUNT, SIZES, TEXTURES, Scene
from dream.evaluation.judging.networks import to_read
from dream.weights.finite import require_finite

IGNORE = -100
"""Label of an absent object, of one too ambiguous to learn from, or of what a caption does not name."""
REFUSABLE = ("layout", "ground", "shape")
"""Attributes with one more class, 'none of these'."""
PER_THING = ("shape", "colour", "size", "texture")
"""Attributes that every object has, in reading order; the others belong to the picture."""


@dataclass(frozen=True)
class Reach:
    """The drawings that a network knows."""

    level: int
    """The highest level of `shapes`."""
    side: int
    """Side length of the pictures that the network reads; others are rescaled."""
    sized: bool
    """Whether it reads size and texture, which a caption of levels 0 and 1 does not name."""

    @property
    def shapes(self) -> tuple[str, ...]:
        """Known shapes, in the order of their class numbers."""
        return LEVELS[self.level].shapes

    @property
    def colours(self) -> tuple[str, ...]:
        """Known colours, in the order of their class numbers."""
        return LEVELS[self.level].colours

    @property
    def slots(self) -> int:
        """Largest number of objects."""
        return max(LEVELS[self.level].counts)

    @property
    def layouts(self) -> tuple[str, ...]:
        """Known layouts, in the order of their class numbers. A layout tells the number of objects."""
        return RELATIONS[: sum(len(RELATIONS_OF_COUNT[n + 1]) for n in range(self.slots))]

    @cached_property
    def classes(self) -> dict[str, int]:
        """Number of classes of each attribute; those of REFUSABLE have one more, 'none of these'."""
        classes = {"layout": len(self.layouts), "ground": len(GROUNDS)}
        classes |= {"shape": len(self.shapes), "colour": len(self.colours)}
        return classes | ({"size": len(SIZES), "texture": len(TEXTURES)} if self.sized else {})

    @property
    def outputs(self) -> dict[str, int]:
        """Number of logits of each attribute, 'none of these' included."""
        return {name: number + (name in REFUSABLE) for name, number in self.classes.items()}

    def knows(self, scene: Scene) -> bool:
        """Whether pictures of this scene can be judged."""
        return scene.relation in self.layouts and all(
            thing.shape in self.shapes
            and thing.colour in self.colours
            and (self.sized or not (thing.size or thing.texture))
            for thing in scene.things
        )

    def labels(self, scenes: Sequence[Scene]) -> dict[str, NDArray[np.int64]]:
        """Labels of well-formed pictures: layout and ground (B,), the others (B, slots) in reading order.

        An absent object and an unnamed size are IGNORE; an unnamed texture is plain.
        """
        words = {"shape": self.shapes, "colour": self.colours, "size": SIZES, "texture": TEXTURES}
        labels = {
            "layout": np.array([self.layouts.index(s.relation) for s in scenes], np.int64),
            "ground": np.array([GROUNDS.index(s.ground) for s in scenes], np.int64),
        }
        for name in PER_THING[: len(self.classes) - 2]:
            labels[name] = np.full((len(scenes), self.slots), IGNORE, np.int64)
            for row, scene in enumerate(scenes):
                for slot, thing in enumerate(scene.things):
                    value = getattr(thing, name)
                    labels[name][row, slot] = words[name].index(value) if value in words[name] else IGNORE
        return labels


NARROW = Reach(level=1, side=30, sized=False)
WIDE = Reach(level=3, side=64, sized=True)


@dataclass(frozen=True)
class Reading:
    """Attributes read in B pictures, as class numbers of the network's reach; one past the last is 'none of these'."""

    layout: Tensor
    """(B,) numbers into the layouts: alone, left of, above, ..."""
    ground: Tensor
    """(B,) numbers into GROUNDS."""
    shape: Tensor
    """(B, slots) numbers into the known shapes, in reading order; those of absent objects are undefined."""
    colour: Tensor
    """(B, slots) numbers into the known colours."""
    size: Tensor | None = None
    """(B, slots) numbers into SIZES, if read."""
    texture: Tensor | None = None
    """(B, slots) numbers into TEXTURES, if read."""

    def agrees(self, labels: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """(B,) bool per attribute: read as labelled; IGNORE agrees with everything."""

        def same(read: Tensor, truth: Tensor) -> Tensor:
            return ((read == truth) | (truth == IGNORE)).reshape(len(read), -1).all(1)

        return {name: same(getattr(self, name), truth) for name, truth in labels.items()}


class DrawingReader(nn.Module):
    """A network that gives the logits of every attribute of pictures (B, 3, side, side) in [0, 1].

    `forward` returns them by attribute: layout and ground (B, classes), the others (B, slots, classes).
    """

    reach: Reach

    @torch.no_grad()
    def read(self, images: Tensor, refusing: bool = True) -> Reading:
        """Attributes of pictures (B, 3, H, W) of any size, uint8 or float in [0, 1].

        Malformed objects are read as 'none of these', or without `refusing` as what they resemble most.
        """
        return self.reading(self.logits(images), refusing)

    def reading(self, logits: Mapping[str, Tensor], refusing: bool) -> Reading:
        """The most probable classes. Without refusing, 'none of these' is cut."""
        cuts = {name: None if refusing else self.reach.classes[name] for name in logits}
        return Reading(**{name: values[..., : cuts[name]].argmax(-1) for name, values in logits.items()})

    @torch.no_grad()
    def logits(self, images: Tensor) -> dict[str, Tensor]:
        """Logits of pictures of any size. Raises InputError for pictures or weights that are not numbers."""
        pictures = require_finite(to_read(images, self.reach.side), "the pictures to judge")
        chunks = [self(chunk) for chunk in pictures.split(256)]
        logits = {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}
        return {name: require_finite(values, f"the judge's logits of '{name}'") for name, values in logits.items()}
