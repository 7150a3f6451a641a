"""Classes of drawn pictures for few-shot episodes, of combinations that training shows or never shows.

Every class is drawn on every ground, because the ground is most of what an untrained encoder distinguishes.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np

from dream.data.drawn.grammar import GROUNDS, LEVELS, Scene, Thing, is_held_out, neighbours, swapped
from dream.data.drawn.shapes import sample_scenes
from dream.randomness import seed_of

NEAR_MISSES = 24
"""Number of near-miss classes, which differ in an object or two (fewer if the level has fewer)."""

Classes = list[list[Scene]]
"""One list per class: the equally likely scenes, without places, that belong to it."""


def drawn_classes(level: int, unseen: bool, seed: int) -> Iterator[tuple[str, Classes]]:
    """Two kinds of classes by name: an object's shape and colour, and near misses, which are whole scenes."""
    words = LEVELS[level]
    if 1 in words.counts:
        pairs = product(words.shapes, words.colours)
        alone = [pair for pair in pairs if is_held_out(Scene(GROUNDS[0], (Thing(*pair),))) == unseen]
        looks = list(product(words.sizes, words.textures))
        yield (
            "shape and colour",
            [[Scene(ground, (Thing(*pair, *look),)) for ground in GROUNDS for look in looks] for pair in alone],
        )
    near = _near_misses(level, unseen, seed)
    yield "near misses", [[replace(scene, ground=ground) for ground in GROUNDS] for scene in near]


def _near_misses(level: int, unseen: bool, seed: int) -> list[Scene]:
    """Scenes around a first one, with objects changed step by step or swapped, in one layout and on one ground."""
    draws = np.random.default_rng(seed_of(seed, "few-shot near misses", str(unseen)))
    start = max(sample_scenes(level, 50, draws, unseen=unseen), key=lambda scene: len(scene.things))
    members = {start: None}
    for center in (queue := [start]):  # grows during the loop
        new = [scene for scene in dict.fromkeys(_one_step(center, level)) if scene not in members]
        members |= dict.fromkeys(new)
        queue += new
        if sum(is_held_out(scene) == unseen for scene in members) >= NEAR_MISSES:
            break
    return [scene for scene in members if is_held_out(scene) == unseen][:NEAR_MISSES]


def _one_step(scene: Scene, level: int) -> list[Scene]:
    """The scene with its first two objects swapped, and with another shape or colour of one object."""
    words = LEVELS[level]
    scenes = [swapped(scene)] if len(scene.things) > 1 else []
    for which in range(len(scene.things)):
        scenes += neighbours(scene, "shape", words.shapes, which)
        scenes += neighbours(scene, "colour", words.colours, which)
    return scenes
