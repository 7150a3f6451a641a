"""The source `shapes`: pictures drawn from a seed, with captions and an exact answer key.

`sample_scenes` samples scenes from a numpy generator, of combinations that training shows or, on request, never shows;
`sample_family` samples near misses. `ShapesSource` makes batches of them: global batch t is a function of (seed, split,
t), of which each rank draws its share, so training can resume at any position on any number of ranks. Words are in
`grammar`, pixels in `drawing`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch

from dream.config import DreamConfig
from dream.data.batch import Batch, Share
from dream.data.drawn.drawing import AnswerKey, answer_key, draw
from dream.data.drawn.grammar import (
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
from dream.data.families import FAMILY_SIZE
from dream.data.phrasings import other_phrasing_share
from dream.data.report import DataReport
from dream.errors import InputError

SPLITS = ("train", "val", "test")
FIXED_CHUNK = 64
"""Scenes per block of the fixed splits; a block is a function of its number alone."""
NATURAL_FAMILIES = 0.2
"""Share of near-miss families that start from any scene; the others start from two things or more, to exchange."""

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
"""Mean and maximal deviation of a large thing's radius, by the number of things."""
_SMALL = 0.58
"""Radius of a small thing relative to a large one."""


def sample_scenes(level: int, count: int, generator: np.random.Generator, *, unseen: bool = False) -> list[Scene]:
    """`count` placed scenes; with `unseen` only of combinations that training never shows (`grammar.is_held_out`)."""
    scenes = [_scene(row, level, unseen) for row in generator.random((count, 12)).tolist()]
    return place_scenes(scenes, level, generator)


def distinct_scenes(level: int, count: int, generator: np.random.Generator, *, unseen: bool = False) -> list[Scene]:
    """`count` scenes with different captions. Raises InputError if the level has fewer."""
    distinct: dict[Scene, Scene] = {}
    for _ in range(50):
        for scene in sample_scenes(level, max(count, FIXED_CHUNK), generator, unseen=unseen):
            distinct.setdefault(scene, scene)
        if len(distinct) >= count:
            return list(distinct.values())[:count]
    raise InputError(
        f"shapes of level {level} have only {len(distinct)} different {'unseen ' if unseen else ''}captions, "
        f"{count} were requested"
    )


def place_scenes(scenes: Sequence[Scene], level: int, generator: np.random.Generator) -> list[Scene]:
    """The scenes with new places that fit their relations and sizes, with random jitter."""
    rows = generator.uniform(-1, 1, (len(scenes), 9)).tolist()
    jitter = LEVELS[level].jitter
    return [replace(s, places=_places(s, row, jitter)) for s, row in zip(scenes, rows, strict=True)]


def _places(scene: Scene, row: list[float], jitter: float) -> tuple[Place, ...]:
    """Places of the scene's things, given 9 uniform numbers in [-1, 1]."""
    mean, spread = _RADII[len(scene.things)]
    across, down = _JITTER[scene.relation]
    return tuple(
        Place(
            x + across * jitter * row[3 * i],
            y + down * jitter * row[3 * i + 1],
            (mean + spread * row[3 * i + 2]) * (_SMALL if thing.size == "small" else 1),
        )
        for i, (thing, (x, y)) in enumerate(zip(scene.things, _CENTRES[scene.relation], strict=True))
    )


def _scene(row: list[float], level: int, unseen: bool) -> Scene:
    """The scene of 12 uniform numbers in [0, 1); the last thing decides whether the combination is unseen."""
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
    """Pairs of shape and colour not `taken`; with `side` (residue so far, unseen) only those that end on that side."""
    words = LEVELS[level]
    free = [(s, c) for s in words.shapes for c in words.colours if (s, c) not in taken]
    if side is None:
        return free
    before, unseen = side
    return [(s, c) for s, c in free if ((before + residue([Thing(s, c)])) % 5 == 3) == unseen]


def sample_family(level: int, size: int, generator: np.random.Generator) -> list[Scene]:
    """`size` placed near misses: one ground and layout, one shape or colour changed, each with its twin.

    A twin has the first two things exchanged. None is held out, and no two have the same caption. Shapes change twice
    as often as colours because they are harder to learn. Fewer are returned only if the level has no more neighbours.
    """
    members = [_family_base(level, generator)]
    for center in members:  # the list grows during the loop: neighbours of neighbours fill a large family
        for scene in (center, *_one_step(center, level, generator)):
            twins = (swapped(scene),) if len(scene.things) > 1 else ()
            members += [new for new in (scene, *twins) if new not in members]
        if len(members) >= size:
            break
    return place_scenes(members[:size], level, generator)


def _family_base(level: int, generator: np.random.Generator) -> Scene:
    """A training scene, mostly of two things or more (if the level has them)."""
    wants_many = max(LEVELS[level].counts) > 1 and generator.random() >= NATURAL_FAMILIES
    while True:
        scene = _scene(generator.random(12).tolist(), level, False)
        if len(scene.things) > 1 or not wants_many:
            return scene


def _one_step(scene: Scene, level: int, generator: np.random.Generator) -> list[Scene]:
    """Training scenes that differ in one shape or colour, in random order."""
    words = LEVELS[level]
    scenes, weights = [], []
    for which in range(len(scene.things)):
        for attribute, values, weight in (("shape", words.shapes, 2.0), ("colour", words.colours, 1.0)):
            changed = [s for s in neighbours(scene, attribute, values, which) if not is_held_out(s)]
            scenes += changed
            weights += [weight / len(changed)] * len(changed) if changed else []
    keys = generator.random(len(scenes)) ** (1 / np.array(weights))  # weighted order without replacement
    return [scenes[i] for i in np.argsort(-keys)]


class ShapesSource:
    """Batches of drawn pictures: an endless stream for training, fixed pictures in `val` and `test`.

    `train` and `val` hold combinations that training shows; in `test` every second picture (odd index) has one that
    training never shows. `val` and `test` do not depend on the seed.
    """

    name = "shapes"
    notes: tuple[str, ...] = ()
    contrast_fault = ""

    def __init__(
        self, config: DreamConfig, *, split: str = "train", seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        if split not in SPLITS:
            raise InputError(f"shapes have the splits {', '.join(SPLITS)}, not '{split}'")
        self.config, self.split, self.share = config, split, Share(rank, world_size)
        self.level, self.size = config.data.level, config.image.size
        self.seed = seed if split == "train" else 0
        self.report = DataReport()  # stays without problems: a drawn picture is never broken
        draw([], self.size)  # raises if the size is too small

    def facts(self) -> dict[str, Any]:
        """Nothing: drawn pictures change with the configuration only."""
        return {}

    def batches(
        self, batch_size: int, position: dict[str, Any] | None = None, total_steps: int | None = None
    ) -> Iterator[tuple[Batch, dict[str, Any]]]:
        """This rank's shares of endless batches of `batch_size` over all ranks, each with the position after it.

        Phrasings are mixed by `other_phrasing_share` of the progress over `total_steps` batches; `None` means the end
        of the training. Rows are shuffled, so that near-miss families spread over the ratio groups.
        """
        number, share = int((position or {}).get("batch", 0)), self.share.of(batch_size)
        while True:
            progress = 1.0 if total_steps is None else min(1.0, number / total_steps)
            batch = self._batch(number, batch_size, progress, share)
            self.report.saw(len(batch))
            number += 1
            yield batch, {"batch": number}

    def _batch(self, number: int, batch_size: int, progress: float, share: slice) -> Batch:
        indices = range(number * batch_size, (number + 1) * batch_size)[share]
        if self.split != "train":
            return self._fixed_batch(indices)
        generator = self._generator(number)
        scenes = self._training_scenes(batch_size, generator)
        others = other_phrasing_share(progress, self.config.data)
        captions = [_phrased(scene, others, generator) for scene in scenes]
        return self._pictures(scenes[share], captions[share], indices)

    def _training_scenes(self, count: int, generator: np.random.Generator) -> list[Scene]:
        data = self.config.data
        scenes: list[Scene] = []
        for _ in range(int(data.near_misses * count / FAMILY_SIZE + 0.5)):
            scenes += sample_family(self.level, FAMILY_SIZE, generator)
        scenes = scenes[:count]
        scenes += sample_scenes(self.level, count - len(scenes), generator)
        return [scenes[i] for i in generator.permutation(count)]

    def samples(self) -> int:
        """Raises InputError: pictures are drawn without end."""
        raise InputError("'shapes' has no end, so that epochs say nothing: give --steps N or --minutes M")

    def fixed(self, count: int) -> Batch:
        """The first `count` pictures of this split (for `train`: of `val`) with different captions.

        Fewer if the level has fewer (level 0 has 57).
        """
        scenes, indices = self._fixed_scenes(count)
        return self._pictures(scenes, [caption(s) for s in scenes], indices, self._fixed_split)

    def answers(self, count: int) -> AnswerKey:
        """Answer key of the pictures in `fixed(count)`."""
        return answer_key(self._fixed_scenes(count)[0], self.size)

    def captions(self, limit: int = 20000) -> list[str]:
        """Up to `limit` different captions of the training split in all phrasings, to train a tokenizer on."""
        generator = np.random.default_rng([SPLITS.index("train"), len(SPLITS)])
        scenes = sample_scenes(self.level, min(limit, 4096), generator)
        return list(dict.fromkeys(words for scene in scenes for words in phrasings(scene)))[:limit]

    @property
    def _fixed_split(self) -> str:
        return "val" if self.split == "train" else self.split

    def _generator(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, SPLITS.index(self.split), number])

    def _fixed_scenes(self, count: int) -> tuple[list[Scene], list[int]]:
        """The first `count` different scenes of the fixed split, and their indices in it."""
        index_of: dict[Scene, int] = {}
        scenes: list[Scene] = []
        for block in range(50 + count // 8):
            for offset, scene in enumerate(_fixed_block(self.level, self._fixed_split, block)):
                if scene not in index_of:
                    index_of[scene] = block * FIXED_CHUNK + offset
                    scenes.append(scene)
            if len(scenes) >= count:
                break
        return scenes[:count], list(index_of.values())[:count]

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
    """Block of FIXED_CHUNK scenes in a fixed split; in `test` the odd ones are held out from training."""
    generator = np.random.default_rng([SPLITS.index(split), level, block, 2026])
    seen = sample_scenes(level, FIXED_CHUNK, generator)
    if split != "test":
        return seen
    unseen = sample_scenes(level, FIXED_CHUNK, generator, unseen=True)
    return [pair[i % 2] for i, pair in enumerate(zip(seen, unseen, strict=True))]


def _phrased(scene: Scene, share: float, generator: np.random.Generator) -> str:
    """The canonical caption, or with probability `share` one in another phrasing."""
    if share == 0 or generator.random() >= share:
        return caption(scene)
    words = phrasings(scene)
    return words[int(generator.integers(1, len(words)))]
