"""Drawings that train and test the judge: clean ones, worn ones that are still right, and malformed ones.

A malformed object is mixed with another shape, partly erased, bent, of two colours, or of a shape or colour that the
judge does not know. The distance of a damaged object from each well-formed one is measured in pixels: a nicked cross is
still a cross, a ragged one is not, and anything in between is not used. All drawings are of level 1, the grammar that
the judge knows.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dream.data.drawn.drawing import COLOUR_RGB, GROUND_RGB, draw
from dream.data.drawn.grammar import COLOURS, GROUNDS, LEVELS, RELATIONS_OF_COUNT, SHAPES, Place, Scene, Thing
from dream.data.drawn.shapes import place_scenes, sample_scenes

SIZE = 30
"""Side length of the pictures that the judge reads."""
LEVEL = 1
"""The level of `shapes` that the judge knows (level 0 is part of it)."""
KNOWN_SHAPES, KNOWN_COLOURS = LEVELS[LEVEL].shapes, LEVELS[LEVEL].colours
LAYOUTS = ("", *RELATIONS_OF_COUNT[2])
CLASSES = {"layout": len(LAYOUTS), "ground": len(GROUNDS), "shape": len(KNOWN_SHAPES), "colour": len(KNOWN_COLOURS)}
"""Numbers of classes. Layout, ground and shape have one more class, 'none of these'."""
IGNORE = -100
"""Label of an absent object, or one too ambiguous to learn from."""
DAMAGES = {
    "other shape": 0.2,
    "erased": 0.1,
    "two colours": 0.08,
    "bent": 0.06,
    "foreign": 0.06,
    "layout": 0.06,
    "ground": 0.04,
}
"""Share of the training drawings with each damage; the rest are only worn."""
WELL, MALFORMED = 0.06, 0.16
"""Wrong share of an object's area below which it is well formed, and above which it is malformed."""
BETWEEN = 0.3
"""Also malformed: differing less in its distances to two shapes than this share of their difference."""

Pictures = NDArray[np.floating]


@dataclass(frozen=True)
class Drawings:
    """B pictures and the labels that the judge should read in them."""

    images: Pictures
    """(B, 3, SIZE, SIZE) in [0, 1]."""
    labels: dict[str, NDArray[np.int64]]
    """layout (B,), ground (B,), shape and colour (B, 2) in reading order: class numbers, or IGNORE."""


def clean_drawings(count: int, generator: np.random.Generator) -> Drawings:
    """Drawings as the source `shapes` makes them, half of them unseen combinations."""
    scenes = _scenes(count, generator)
    return Drawings(_pictures(scenes), labels_of(scenes))


def training_drawings(count: int, generator: np.random.Generator) -> Drawings:
    """Worn drawings of objects that are displaced further than in the source, damaged as DAMAGES says."""
    kinds = [*DAMAGES, "none"]
    shares = [*DAMAGES.values(), 1 - sum(DAMAGES.values())]
    drawings = _drawings([kinds[i] for i in generator.choice(len(kinds), count, p=shares)], generator)
    return dataclasses.replace(drawings, images=worn(drawings.images, generator))


def damaged_drawings(kind: str, count: int, generator: np.random.Generator) -> Drawings:
    """Drawings with one kind of damage (or 'none'), not worn."""
    return _drawings([kind] * count, generator)


def worn(images: Pictures, generator: np.random.Generator) -> Pictures:
    """Pictures with slight blur, noise, colour cast and steps between patches, which do not change their labels."""
    count, cells = len(images), 6

    def amount(maximum: float) -> Pictures:
        return generator.uniform(0, maximum, (count, 1, 1, 1)).astype(np.float32)

    def normal(*shape: int) -> Pictures:
        return generator.standard_normal((count, *shape), dtype=np.float32)

    images = images + amount(1.0) * (_blurred(images, 0.8) - images)
    images = images * (1 + amount(0.06) * normal(3, 1, 1)) + amount(0.03) * normal(3, 1, 1)
    steps = normal(3, cells, cells).repeat(SIZE // cells, 2).repeat(SIZE // cells, 3)
    return np.clip(images + amount(0.03) * steps + amount(0.05) * normal(3, SIZE, SIZE), 0, 1)


def _scenes(count: int, generator: np.random.Generator) -> list[Scene]:
    seen = sample_scenes(LEVEL, count - count // 2, generator)
    return seen + sample_scenes(LEVEL, count // 2, generator, unseen=True)


def _straying(count: int, generator: np.random.Generator) -> list[Scene]:
    """Scenes whose objects are displaced 1.5 times as far and vary more in size, as a model may paint them."""
    scenes = place_scenes(_scenes(count, generator), LEVEL + 1, generator)
    factors = generator.uniform(0.85, 1.06, (count, 2)).tolist()
    return [
        dataclasses.replace(scene, places=tuple(_resized(p, f) for p, f in zip(scene.places, row, strict=False)))
        for scene, row in zip(scenes, factors, strict=True)
    ]


def _resized(where: Place, factor: float) -> Place:
    return dataclasses.replace(where, radius=where.radius * factor)


def _pictures(scenes: Sequence[Scene]) -> Pictures:
    return draw(scenes, SIZE).astype(np.float32) / 255


def labels_of(scenes: Sequence[Scene]) -> dict[str, NDArray[np.int64]]:
    """Labels of well-formed pictures of the scenes, as in `Drawings.labels`."""
    shapes = [[KNOWN_SHAPES.index(t.shape) for t in s.things] for s in scenes]
    colours = [[KNOWN_COLOURS.index(t.colour) for t in s.things] for s in scenes]
    return {
        "layout": np.array([LAYOUTS.index(s.relation) for s in scenes]),
        "ground": np.array([GROUNDS.index(s.ground) for s in scenes]),
        "shape": np.array([([*n, IGNORE])[:2] for n in shapes]),
        "colour": np.array([([*n, IGNORE])[:2] for n in colours]),
    }


def _drawings(kinds: Sequence[str], generator: np.random.Generator) -> Drawings:
    scenes = _straying(len(kinds), generator)
    slots = [int(generator.integers(len(scene.things))) for scene in scenes]
    triples = list(zip(scenes, slots, kinds, strict=True))
    images = _pictures(scenes)
    others = _pictures([_other(*triple, generator) for triple in triples])
    versions = [_changed(s, slot, shape=shape) for s, slot, _ in triples for shape in KNOWN_SHAPES]
    well_formed = _pictures(versions).reshape(len(kinds), -1, 3, SIZE, SIZE)
    labels = labels_of(scenes)
    for row, (scene, slot, kind) in enumerate(triples):
        images[row] = _damaged(kind, images[row], others[row], scene.places[slot], generator)
        if kind == "ground":
            labels["ground"][row] = CLASSES["ground"]
        elif kind == "layout":
            labels["layout"][row] = CLASSES["layout"]
            labels["shape"][row] = labels["colour"][row] = IGNORE
        elif kind == "foreign":
            labels["shape"][row, slot], labels["colour"][row, slot] = CLASSES["shape"], IGNORE
        elif kind != "none":
            right = [*well_formed[row], others[row]] if kind == "two colours" else [*well_formed[row]]
            labels["shape"][row, slot] = _shape_label(_wrong_shares(images[row], right, scene, slot))
            if kind == "two colours":
                labels["colour"][row, slot] = IGNORE
    return Drawings(images, labels)


def _other(scene: Scene, slot: int, kind: str, generator: np.random.Generator) -> Scene:
    """The scene that the damaged picture is mixed with."""

    def one_of(words: Sequence[str], old: str) -> str:
        words = [w for w in words if w != old]
        return words[int(generator.integers(len(words)))]

    thing = scene.things[slot]
    if kind == "other shape":
        return _changed(scene, slot, shape=one_of(KNOWN_SHAPES, thing.shape))
    if kind == "two colours":
        return _changed(scene, slot, colour=one_of(KNOWN_COLOURS, thing.colour))
    if kind == "foreign" and generator.random() < 0.5:
        return _changed(scene, slot, colour=one_of(COLOURS[len(KNOWN_COLOURS) :], ""))
    if kind == "foreign":
        return _changed(scene, slot, shape=one_of(SHAPES[len(KNOWN_SHAPES) :], ""))
    if kind == "ground":
        return dataclasses.replace(scene, ground=one_of(GROUNDS, scene.ground))
    if kind == "layout":
        return _odd_layout(scene, generator)
    rest = [i for i in range(len(scene.things)) if i != slot]
    things, places = tuple(scene.things[i] for i in rest), tuple(scene.places[i] for i in rest)
    return dataclasses.replace(scene, things=things, places=places)


def _changed(scene: Scene, slot: int, **attributes: str) -> Scene:
    new = dataclasses.replace(scene.things[slot], **attributes)
    return dataclasses.replace(scene, things=(*scene.things[:slot], new, *scene.things[slot + 1 :]))


def _odd_layout(scene: Scene, generator: np.random.Generator) -> Scene:
    """The scene with no object, two objects overlapping or on a diagonal, or three objects."""
    count = int(generator.choice([0, 2, 2, 3]))
    things = (*scene.things, Thing("circle", "red"), Thing("square", "blue"), Thing("cross", "green"))[:count]
    if count == 3:
        angle = generator.uniform(0, 2 * np.pi) + np.array([0, 2.1, 4.2])
        centres = 0.5 + 0.27 * np.stack([np.cos(angle), np.sin(angle)], 1)
    else:
        side = 0.19 if generator.random() < 0.7 else 0.04
        centres = 0.5 + side * np.array([[-1, -1], [1, 1]]) * [1, generator.choice([-1, 1])]
        centres += generator.uniform(-0.02, 0.02, (2, 2))
    places = tuple(Place(float(x), float(y), generator.uniform(0.16, 0.21)) for x, y in centres[:count])
    return dataclasses.replace(scene, things=things, places=places)


def _damaged(kind: str, picture: Pictures, other: Pictures, where: Place, generator: np.random.Generator) -> Pictures:
    if kind == "none":
        return picture
    if kind in ("foreign", "layout"):
        return other
    if kind == "bent":
        inside = _distance(where) < 1.3 * where.radius
        return np.where(inside, _bent(picture, generator), picture)
    around = where if kind != "ground" else Place(0.5, 0.5, 0.5)
    share = _mixture(around, generator)
    return picture + share * (other - picture)


def _mixture(where: Place, generator: np.random.Generator) -> Pictures:
    """Share of the other picture at each pixel: beyond a line, in patches, in blobs, or uniform."""
    y, x = _grid()
    form = int(generator.integers(4))
    if form == 0:
        angle, offset = generator.uniform(0, 2 * np.pi), generator.uniform(-0.6, 0.6) * where.radius
        return ((x - where.x) * np.cos(angle) + (y - where.y) * np.sin(angle) > offset).astype(np.float32)
    if form == 1:
        cell, shift = (int(generator.choice([3, 5, 5, 7])), generator.integers(0, 2) * generator.integers(0, 5, 2))
        cells = generator.random((SIZE, SIZE)) < generator.uniform(0.15, 0.6)
        rows, columns = (np.arange(SIZE) + shift[0]) // cell, (np.arange(SIZE) + shift[1]) // cell
        return cells[np.ix_(rows, columns)].astype(np.float32)
    if form == 2:
        noise = _blurred(generator.standard_normal((SIZE, SIZE)), generator.uniform(1, 2.5))
        return (noise > noise.std() * generator.uniform(-0.5, 1)).astype(np.float32)
    return np.full((SIZE, SIZE), generator.uniform(0.2, 0.8), np.float32)


def _bent(picture: Pictures, generator: np.random.Generator) -> Pictures:
    """The picture warped by a smooth random field of up to a few pixels."""
    field = _blurred(generator.standard_normal((2, SIZE, SIZE)), 2.0)
    points = np.mgrid[:SIZE, :SIZE] + field * generator.uniform(0.5, 2.2) / field.std()
    points = points.clip(0, SIZE - 1.001)
    (row, column), (down, right) = points.astype(int), points % 1
    upper = picture[:, row, column] * (1 - right) + picture[:, row, column + 1] * right
    lower = picture[:, row + 1, column] * (1 - right) + picture[:, row + 1, column + 1] * right
    return upper * (1 - down) + lower * down


def _blurred(images: Pictures, sigma: float) -> Pictures:
    """(..., SIZE, SIZE) blurred by a Gaussian of `sigma` pixels, renormalised at the edge."""
    line = np.arange(SIZE)
    weights = np.exp(-0.5 * ((line[:, None] - line) / sigma) ** 2).astype(images.dtype)
    weights /= weights.sum(1, keepdims=True)
    return weights @ images @ weights.T


def _grid() -> NDArray[np.float64]:
    """(2, SIZE, SIZE): y and x of the pixel centres, as fractions of the side."""
    return (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE


def _distance(where: Place) -> NDArray[np.float64]:
    y, x = _grid()
    return np.hypot(x - where.x, y - where.y)


def _wrong_shares(picture: Pictures, right: Sequence[Pictures], scene: Scene, slot: int) -> NDArray[np.float64]:
    """(K + 1, K): wrong share of the object's area, of each of K right pictures and last of this one, against each.

    A pixel's error is its difference relative to the contrast between the object's colour and the ground.
    """
    thing, radius = scene.things[slot], scene.places[slot].radius
    contrast = np.abs(np.subtract(COLOUR_RGB[thing.colour], GROUND_RGB[scene.ground])).max() / 255
    area = _unit_area(thing.shape) * (radius * SIZE) ** 2
    against, pictures = np.stack(right), np.stack([*right, picture])
    gaps = np.abs(pictures[:, None] - against[None]).max(2)
    return gaps.sum((2, 3)) / (contrast * area)


@cache
def _unit_area(shape: str) -> float:
    """Area of a shape of radius 1."""
    side, radius = 64, 0.4
    black = draw([Scene("black", (Thing(shape, "red"),), places=(Place(0.5, 0.5, radius),))], side)
    return float(black[0, 0].sum() / COLOUR_RGB["red"][0] / (radius * side) ** 2)


def _shape_label(wrong: NDArray[np.float64]) -> int:
    """The shape that a damaged object still has, or 'none of these', or IGNORE in between."""
    shares = wrong[-1]
    nearest, second = np.argsort(shares)[:2]
    between = shares[second] - shares[nearest] < BETWEEN * wrong[nearest, second]
    if shares[nearest] > MALFORMED or (between and shares[nearest] > WELL / 2):
        return CLASSES["shape"]
    return int(nearest) if shares[nearest] < WELL and nearest < CLASSES["shape"] else IGNORE
