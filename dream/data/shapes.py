"""The source `shapes`: pictures drawn from a seed, with captions and the exact answer key.

`sample_scenes` draws scenes from a numpy generator, with combinations of attributes that training shows or,
on request, never shows; `sample_family` draws near misses. `ShapesSource` makes batches of them: batch t of
a rank is a function of (seed, split, rank, t), so any position can be resumed. Words are in `grammar`,
pixels in `drawing`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch

from dream.config import DreamConfig
from dream.data.batch import Batch
from dream.data.drawing import AnswerKey, answer_key, draw
from dream.data.grammar import (
    GROUNDS,
    LEVELS,
    RELATIONS_OF_COUNT,
    Place,
    Scene,
    Thing,
    caption,
    is_held_out,
    neighbours,
    phrasings,
    residue,
    swapped,
)
from dream.data.report import DataReport
from dream.errors import InputError

SPLITS = ("train", "val", "test")
FIXED_CHUNK = 64
"""Scenes of the fixed splits are drawn in blocks of this many, each a function of its number alone."""
FAMILY_SIZE = 8
"""Pictures in a near-miss family."""
NATURAL_FAMILIES = 0.2
"""Share of near-miss families that start from any scene; the others have two things or more to exchange."""

_CENTRES = {
    "": ((0.5, 0.5),),
    "left of": ((0.26, 0.5), (0.74, 0.5)),
    "above": ((0.5, 0.26), (0.5, 0.74)),
    "row": ((0.205, 0.5), (0.5, 0.5), (0.795, 0.5)),
    "column": ((0.5, 0.205), (0.5, 0.5), (0.5, 0.795)),
    "pair above": ((0.26, 0.28), (0.74, 0.28), (0.5, 0.75)),
    "pair below": ((0.26, 0.72), (0.74, 0.72), (0.5, 0.25)),
}
_JITTER = {
    "": (0.1, 0.1),
    "left of": (0.02, 0.08),
    "above": (0.08, 0.02),
    "row": (0.02, 0.07),
    "column": (0.07, 0.02),
    "pair above": (0.03, 0.03),
    "pair below": (0.03, 0.03),
}
_RADII = {1: (0.27, 0.04), 2: (0.205, 0.015), 3: (0.17, 0.01)}
"""Mean and greatest deviation of a large thing's radius, by the number of things."""
_SMALL = 0.58
"""Radius of a small thing over that of a large one."""


def sample_scenes(level: int, count: int, generator: np.random.Generator, *, unseen: bool = False) -> list[Scene]:
    """`count` placed scenes; `unseen`: only combinations that training never shows (`grammar.held_out`)."""
    scenes = [_scene(row, level, unseen) for row in generator.random((count, 12)).tolist()]
    return place_scenes(scenes, level, generator)


def distinct_scenes(level: int, count: int, generator: np.random.Generator, *, unseen: bool = False) -> list[Scene]:
    """`count` scenes of different captions; InputError if the level has fewer."""
    found: dict[Scene, Scene] = {}
    for _ in range(50):
        for scene in sample_scenes(level, max(count, FIXED_CHUNK), generator, unseen=unseen):
            found.setdefault(scene, scene)
        if len(found) >= count:
            return list(found.values())[:count]
    raise InputError(
        f"shapes of level {level} have only {len(found)} different {'unseen ' if unseen else ''}captions, "
        f"{count} were asked for"
    )


def place_scenes(scenes: Sequence[Scene], level: int, generator: np.random.Generator) -> list[Scene]:
    """The scenes with fresh places, as their relations and sizes have it, with some jitter."""
    rows = generator.uniform(-1, 1, (len(scenes), 9)).tolist()
    stray = LEVELS[level].jitter
    return [replace(s, places=_places(s, row, stray)) for s, row in zip(scenes, rows, strict=True)]


def _places(scene: Scene, row: list[float], stray: float) -> tuple[Place, ...]:
    mean, spread = _RADII[len(scene.things)]
    across, down = _JITTER[scene.relation]
    return tuple(
        Place(
            x + across * stray * row[3 * i],
            y + down * stray * row[3 * i + 1],
            (mean + spread * row[3 * i + 2]) * (_SMALL if thing.size == "small" else 1),
        )
        for i, (thing, (x, y)) in enumerate(zip(scene.things, _CENTRES[scene.relation], strict=True))
    )


def _scene(row: list[float], level: int, unseen: bool) -> Scene:
    """The scene of 12 uniform numbers; the last thing is such that the combination is on the wanted side."""
    words = LEVELS[level]
    count = words.counts[int(row[0] * len(words.counts))]
    relations = RELATIONS_OF_COUNT[count]
    things: tuple[Thing, ...] = ()
    for i in range(count):
        others = frozenset((thing.shape, thing.colour) for thing in things)
        side = (residue(things), unseen) if i == count - 1 else None
        options = _pairs(level, others, side)
        shape, colour = options[int(row[3 + 3 * i] * len(options))]
        size = words.sizes[int(row[4 + 3 * i] * len(words.sizes))]
        texture = words.textures[int(row[5 + 3 * i] * len(words.textures))]
        things += (Thing(shape, colour, size, texture),)
    return Scene(GROUNDS[int(row[1] * len(GROUNDS))], things, relations[int(row[2] * len(relations))])


@cache
def _pairs(level: int, taken: frozenset[tuple[str, str]], side: tuple[int, bool] | None) -> list[tuple[str, str]]:
    """Free pairs of shape and colour; with `side` (residue so far, unseen) those that end up on that side."""
    words = LEVELS[level]
    free = [(s, c) for s in words.shapes for c in words.colours if (s, c) not in taken]
    if side is None:
        return free
    before, unseen = side
    return [(s, c) for s, c in free if ((before + residue([Thing(s, c)])) % 5 == 3) == unseen]


def sample_family(level: int, size: int, generator: np.random.Generator) -> list[Scene]:
    """`size` placed near misses: one ground and layout, one shape or colour changed, each with its twin.

    A twin has the first two things exchanged. None is held out, no two have the same caption. Shapes are
    changed twice as often as colours, being harder to learn. Fewer come back only where the level has no
    more neighbours.
    """
    members = [_family_base(level, generator)]
    for center in members:  # grows meanwhile: neighbours of neighbours fill a large family
        for scene in (center, *_one_step(center, level, generator)):
            twins = (swapped(scene),) if len(scene.things) > 1 else ()
            members += [new for new in (scene, *twins) if new not in members]
        if len(members) >= size:
            break
    return place_scenes(members[:size], level, generator)


def _family_base(level: int, generator: np.random.Generator) -> Scene:
    """A training scene, mostly with two things or more (where the level has them)."""
    wants_many = max(LEVELS[level].counts) > 1 and generator.random() >= NATURAL_FAMILIES
    while True:
        scene = _scene(generator.random(12).tolist(), level, False)
        if len(scene.things) > 1 or not wants_many:
            return scene


def _one_step(scene: Scene, level: int, generator: np.random.Generator) -> list[Scene]:
    """The training scenes that differ in one shape or colour, in random order."""
    words = LEVELS[level]
    found, weights = [], []
    for which in range(len(scene.things)):
        for attribute, values, weight in (("shape", words.shapes, 2.0), ("colour", words.colours, 1.0)):
            changed = [s for s in neighbours(scene, attribute, values, which) if not is_held_out(s)]
            found += changed
            weights += [weight / len(changed)] * len(changed) if changed else []
    keys = generator.random(len(found)) ** (1 / np.array(weights))  # weighted order without replacement
    return [found[i] for i in np.argsort(-keys)]


def other_phrasing_share(progress: float, canonical_until: float) -> float:
    """Share of captions that are not in the canonical phrasing at `progress` (0 to 1) of the training.

    None up to `canonical_until`, then rising evenly to a half at the middle of what is left; a half
    throughout if it is 0.
    """
    if canonical_until == 0:
        return 0.5
    if progress <= canonical_until:
        return 0.0
    return 0.5 * min(1.0, 2 * (progress - canonical_until) / (1 - canonical_until))


class ShapesSource:
    """Batches of drawn pictures: endless for training, the same for everyone in `val` and `test`.

    `train` and `val` hold combinations that training shows; in `test` every second picture (odd index) has
    one that training never shows. Validation and test do not depend on the seed.
    """

    name = "shapes"

    def __init__(
        self, config: DreamConfig, *, split: str = "train", seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        if split not in SPLITS:
            raise InputError(f"shapes have the splits {', '.join(SPLITS)}, not '{split}'")
        self.config, self.split, self.rank, self.world_size = config, split, rank, world_size
        self.level, self.size = config.data.level, config.image.size
        self.seed = seed if split == "train" else 0
        self.report = DataReport()  # stays without problems: nothing is ever broken here
        draw([], self.size)  # says at once if the size is too small

    def batches(
        self, batch_size: int, position: dict[str, Any] | None = None, total_steps: int | None = None
    ) -> Iterator[tuple[Batch, dict[str, Any]]]:
        """Endless (batch, position after it); `total_steps` batches make a whole training.

        The phrasings mix over it as `other_phrasing_share` says; none means that it is at its end.

        Rows are shuffled, so that near-miss families spread over the ratio groups.
        """
        number = int((position or {}).get("batch", 0))
        while True:
            progress = 1.0 if total_steps is None else min(1.0, number / total_steps)
            batch = self._batch(number, batch_size, progress)
            self.report.saw(batch_size)
            number += 1
            yield batch, {"batch": number}

    def _batch(self, number: int, batch_size: int, progress: float) -> Batch:
        first = (number * self.world_size + self.rank) * batch_size
        if self.split != "train":
            return self._fixed_batch(range(first, first + batch_size))
        generator = self._generator(number * self.world_size + self.rank)
        scenes = self._training_scenes(batch_size, generator)
        share = other_phrasing_share(progress, self.config.data.canonical_until)
        captions = [_phrased(scene, share, generator) for scene in scenes]
        return self._pictures(scenes, captions, range(first, first + batch_size))

    def _training_scenes(self, count: int, generator: np.random.Generator) -> list[Scene]:
        data = self.config.data
        scenes: list[Scene] = []
        for _ in range(int(data.near_misses * count / FAMILY_SIZE + 0.5)):
            scenes += sample_family(self.level, FAMILY_SIZE, generator)
        scenes = scenes[:count]
        scenes += sample_scenes(self.level, count - len(scenes), generator)
        return [scenes[i] for i in generator.permutation(count)]

    def fixed(self, count: int) -> Batch:
        """The first `count` pictures of this split (for `train`: of `val`) with different captions.

        Fewer where the level has no more (level 0 has 57).
        """
        scenes, indices = self._fixed_scenes(count)
        return self._pictures(scenes, [caption(s) for s in scenes], indices, self._fixed_split)

    def answers(self, count: int) -> AnswerKey:
        """The answer key of the pictures in `fixed(count)`."""
        return answer_key(self._fixed_scenes(count)[0], self.size)

    def captions(self, limit: int = 20000) -> list[str]:
        """Different captions of the training split in every phrasing, at most `limit`, for a tokenizer."""
        generator = np.random.default_rng([SPLITS.index("train"), len(SPLITS)])
        scenes = sample_scenes(self.level, min(limit, 4096), generator)
        return list(dict.fromkeys(words for scene in scenes for words in phrasings(scene)))[:limit]

    @property
    def _fixed_split(self) -> str:
        return "val" if self.split == "train" else self.split

    def _generator(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, SPLITS.index(self.split), number])

    def _fixed_scenes(self, count: int) -> tuple[list[Scene], list[int]]:
        found: dict[Scene, int] = {}
        kept: list[Scene] = []
        for block in range(50 + count // 8):
            for offset, scene in enumerate(_fixed_block(self.level, self._fixed_split, block)):
                if scene not in found:
                    found[scene] = block * FIXED_CHUNK + offset
                    kept.append(scene)
            if len(kept) >= count:
                break
        return kept[:count], list(found.values())[:count]

    def _fixed_batch(self, indices: range) -> Batch:
        scenes = [_fixed_block(self.level, self.split, i // FIXED_CHUNK)[i % FIXED_CHUNK] for i in indices]
        return self._pictures(scenes, [caption(s) for s in scenes], indices)

    def _pictures(
        self, scenes: list[Scene], captions: list[str], indices: Sequence[int], split: str | None = None
    ) -> Batch:
        keys = tuple(f"shapes/{split or self.split}/{i}" for i in indices)
        return Batch(torch.from_numpy(draw(scenes, self.size)), tuple(captions), keys)


@cache
def _fixed_block(level: int, split: str, block: int) -> list[Scene]:
    """FIXED_CHUNK scenes of a fixed split; in `test` the odd ones are held out from training."""
    generator = np.random.default_rng([SPLITS.index(split), level, block, 2026])
    seen = sample_scenes(level, FIXED_CHUNK, generator)
    if split != "test":
        return seen
    unseen = sample_scenes(level, FIXED_CHUNK, generator, unseen=True)
    return [pair[i % 2] for i, pair in enumerate(zip(seen, unseen, strict=True))]


def _phrased(scene: Scene, share: float, generator: np.random.Generator) -> str:
    """The canonical caption, or with probability `share` one of the others."""
    if share == 0 or generator.random() >= share:
        return caption(scene)
    words = phrasings(scene)
    return words[int(generator.integers(1, len(words)))]
