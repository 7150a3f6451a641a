"""Drawings that train and test the judge: clean ones, worn ones that are still right, and malformed ones.

A malformed object is mixed with another shape, partly erased, bent, of two colours, or of a shape or colour that the
judge does not know. The distance of a damaged object from each well-formed one is measured in pixels: a nicked cross is
still a cross, a ragged one is not, and anything in between is not used. Drawings are of the grammar that one of the
judge's networks knows (`reading.Reach`), and as large as it reads them.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dream.data.drawn.drawing import COLOUR_RGB, GROUND_RGB, draw
from dream.data.drawn.grammar import COLOURS, GROUNDS, SHAPES, Place, Scene, Thing
from dream.data.drawn.shapes import place_scenes, sample_scenes
from dream.evaluation.judging.reading import IGNORE, NARROW, PER_THING, Reach

SIZE = NARROW.side
"""Side length of the pictures that the judge of levels 0 and 1 reads."""
DAMAGES = {
    "other shape": 0.2,
    "erased": 0.1,
    "two colours": 0.08,
    "bent": 0.06,
    "foreign": 0.06,
    "layout": 0.06,
    "ground": 0.04,
}
"""Share of the training drawings of levels 0 and 1 with each damage; the rest are only worn."""
WELL, MALFORMED = 0.06, 0.16
"""Wrong share of an object's area below which it is well formed, and above which it is malformed."""
BETWEEN = 0.3
"""Also malformed: differing less in its distances to two shapes than this share of their difference."""

Pictures = NDArray[np.floating]


@dataclass(frozen=True)
class Drawings:
    """B pictures and the labels that the judge should read in them."""

    images: Pictures
    """(B, 3, side, side) in [0, 1]."""
    labels: dict[str, NDArray[np.int64]]
    """layout (B,), ground (B,), shape, colour ... (B, slots) in reading order: class numbers, or IGNORE."""
    places: Pictures
    """(B, slots, 3): x, y and radius of each object, as fractions of the side; NaN where there is none."""


def damages(reach: Reach) -> tuple[str, ...]:
    """Kinds of damage; where every shape and colour is known, none is foreign."""
    return tuple(kind for kind in DAMAGES if kind != "foreign" or reach.level == NARROW.level)


def clean_drawings(count: int, generator: np.random.Generator, reach: Reach = NARROW) -> Drawings:
    """Drawings as the source `shapes` makes them, half of them unseen combinations."""
    scenes = _scenes(count, generator, reach.level)
    return Drawings(_pictures(scenes, reach.side), reach.labels(scenes), _known_places(scenes, reach))


def training_drawings(count: int, generator: np.random.Generator) -> Drawings:
    """Worn drawings of levels 0 and 1, displaced further than in the source, damaged as DAMAGES says."""
    kinds = [*DAMAGES, "none"]
    shares = [*DAMAGES.values(), 1 - sum(DAMAGES.values())]
    drawings = _drawings([kinds[i] for i in generator.choice(len(kinds), count, p=shares)], generator, NARROW)
    return dataclasses.replace(drawings, images=worn(drawings.images, generator))


def damaged_drawings(kind: str, count: int, generator: np.random.Generator, reach: Reach = NARROW) -> Drawings:
    """Displaced drawings with one kind of damage (or 'none'), not worn."""
    return _drawings([kind] * count, generator, reach)


def straying_drawings(
    count: int, generator: np.random.Generator, reach: Reach, level: int, side: int | None = None
) -> Drawings:
    """Displaced drawings of one level without damage, not worn, `side` pixels wide (default: as the network reads)."""
    scenes = _straying(count, generator, level)
    return Drawings(_pictures(scenes, side or reach.side), reach.labels(scenes), _known_places(scenes, reach))


def worn(images: Pictures, generator: np.random.Generator) -> Pictures:
    """Pictures with slight blur, noise, colour cast and steps between patches, which do not change their labels."""
    count, side, cells = len(images), images.shape[-1], 6

    def amount(maximum: float) -> Pictures:
        return generator.uniform(0, maximum, (count, 1, 1, 1)).astype(np.float32)

    def normal(*shape: int) -> Pictures:
        return generator.standard_normal((count, *shape), dtype=np.float32)

    images = images + amount(1.0) * (_blurred(images, 0.8) - images)
    images = images * (1 + amount(0.06) * normal(3, 1, 1)) + amount(0.03) * normal(3, 1, 1)
    steps = normal(3, cells, cells).repeat(-(-side // cells), 2).repeat(-(-side // cells), 3)[..., :side, :side]
    return np.clip(images + amount(0.03) * steps + amount(0.05) * normal(3, side, side), 0, 1)


def _scenes(count: int, generator: np.random.Generator, level: int) -> list[Scene]:
    seen = sample_scenes(level, count - count // 2, generator)
    return seen + sample_scenes(level, count // 2, generator, unseen=True)


def _straying(count: int, generator: np.random.Generator, level: int) -> list[Scene]:
    """Scenes whose objects are displaced 1.5 times as far and vary more in size, as a model may paint them."""
    scenes = _scenes(count, generator, level)
    if level <= NARROW.level:
        scenes = place_scenes(scenes, NARROW.level + 1, generator)  # of which the displacement is 1.5 times as far
    else:  # up to half as far again, by half the difference of two more displacements
        more, less = place_scenes(scenes, level, generator), place_scenes(scenes, level, generator)
        scenes = [_further(*three) for three in zip(scenes, more, less, strict=True)]
    slots = max([2, *(len(scene.things) for scene in scenes)])
    factors = generator.uniform(0.85, 1.06, (count, slots)).tolist()
    return [
        dataclasses.replace(scene, places=tuple(_resized(p, f) for p, f in zip(scene.places, row, strict=False)))
        for scene, row in zip(scenes, factors, strict=True)
    ]


def _further(scene: Scene, more: Scene, less: Scene) -> Scene:
    places = tuple(
        dataclasses.replace(at, x=at.x + 0.25 * (a.x - b.x), y=at.y + 0.25 * (a.y - b.y))
        for at, a, b in zip(scene.places, more.places, less.places, strict=True)
    )
    return dataclasses.replace(scene, places=places)


def _resized(where: Place, factor: float) -> Place:
    return dataclasses.replace(where, radius=where.radius * factor)


def _pictures(scenes: Sequence[Scene], side: int) -> Pictures:
    return draw(scenes, side).astype(np.float32) / 255


def _known_places(scenes: Sequence[Scene], reach: Reach) -> Pictures:
    places = np.full((len(scenes), reach.slots, 3), np.nan, np.float32)
    for row, scene in enumerate(scenes):
        places[row, : len(scene.places)] = [(place.x, place.y, place.radius) for place in scene.places]
    return places


def _drawings(kinds: Sequence[str], generator: np.random.Generator, reach: Reach) -> Drawings:
    scenes, side = _straying(len(kinds), generator, reach.level), reach.side
    slots = [int(generator.integers(len(scene.things))) for scene in scenes]
    triples = list(zip(scenes, slots, kinds, strict=True))
    images = _pictures(scenes, side)
    others = _pictures([_other(*triple, generator, reach) for triple in triples], side)
    versions = [_changed(s, slot, shape=shape) for s, slot, _ in triples for shape in reach.shapes]
    well_formed = _pictures(versions, side).reshape(len(kinds), -1, 3, side, side)
    labels, places = reach.labels(scenes), _known_places(scenes, reach)
    for row, (scene, slot, kind) in enumerate(triples):
        images[row] = _damaged(kind, images[row], others[row], scene.places[slot], generator)
        if kind == "ground":
            labels["ground"][row] = reach.classes["ground"]
        elif kind == "layout":
            labels["layout"][row], places[row] = reach.classes["layout"], np.nan
            for name in PER_THING[: len(labels) - 2]:
                labels[name][row] = IGNORE
        elif kind == "foreign":
            labels["shape"][row, slot], labels["colour"][row, slot] = reach.classes["shape"], IGNORE
        elif kind != "none":
            right = [*well_formed[row], others[row]] if kind == "two colours" else [*well_formed[row]]
            wrong = _wrong_shares(images[row], right, scene, slot)
            labels["shape"][row, slot] = _shape_label(wrong, reach.classes["shape"])
            if kind == "two colours":
                labels["colour"][row, slot] = IGNORE
            if reach.sized and labels["shape"][row, slot] in (IGNORE, reach.classes["shape"]):
                labels["size"][row, slot] = labels["texture"][row, slot] = IGNORE
    return Drawings(images, labels, places)


def _other(scene: Scene, slot: int, kind: str, generator: np.random.Generator, reach: Reach) -> Scene:
    """The scene that the damaged picture is mixed with."""

    def one_of(words: Sequence[str], old: str) -> str:
        words = [w for w in words if w != old]
        return words[int(generator.integers(len(words)))]

    thing = scene.things[slot]
    if kind == "other shape":
        return _changed(scene, slot, shape=one_of(reach.shapes, thing.shape))
    if kind == "two colours":
        return _changed(scene, slot, colour=one_of(reach.colours, thing.colour))
    if kind == "foreign" and generator.random() < 0.5:
        return _changed(scene, slot, colour=one_of(COLOURS[len(reach.colours) :], ""))
    if kind == "foreign":
        return _changed(scene, slot, shape=one_of(SHAPES[len(reach.shapes) :], ""))
    if kind == "ground":
        return dataclasses.replace(scene, ground=one_of(GROUNDS, scene.ground))
    if kind == "layout":
        return _odd_layout(scene, generator, reach)
    rest = [i for i in range(len(scene.things)) if i != slot]
    things, places = tuple(scene.things[i] for i in rest), tuple(scene.places[i] for i in rest)
    return dataclasses.replace(scene, things=things, places=places)


def _changed(scene: Scene, slot: int, **attributes: str) -> Scene:
    new = dataclasses.replace(scene.things[slot], **attributes)
    return dataclasses.replace(scene, things=(*scene.things[:slot], new, *scene.things[slot + 1 :]))


def _odd_layout(scene: Scene, generator: np.random.Generator, reach: Reach) -> Scene:
    """The scene with no object, two objects overlapping or on a diagonal, or one object too many."""
    count = int(generator.choice([0, 2, 2, reach.slots + 1]))
    more = (Thing("circle", "red"), Thing("square", "blue"), Thing("cross", "green"))
    things = (*scene.things, *more)[:count]
    if count > 2:
        angle = generator.uniform(0, 2 * np.pi) + round(2 * np.pi / count, 1) * np.arange(count)
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
        inside = _distance(where, picture.shape[-1]) < 1.3 * where.radius
        return np.where(inside, _bent(picture, generator), picture)
    around = where if kind != "ground" else Place(0.5, 0.5, 0.5)
    share = _mixture(around, picture.shape[-1], generator)
    return picture + share * (other - picture)


def _mixture(where: Place, side: int, generator: np.random.Generator) -> Pictures:
    """Share of the other picture at each pixel: beyond a line, in patches, in blobs, or uniform."""
    y, x = _grid(side)
    form, scale = int(generator.integers(4)), side / SIZE
    if form == 0:
        angle, offset = generator.uniform(0, 2 * np.pi), generator.uniform(-0.6, 0.6) * where.radius
        return ((x - where.x) * np.cos(angle) + (y - where.y) * np.sin(angle) > offset).astype(np.float32)
    if form == 1:
        cell, shift = (int(generator.choice([3, 5, 5, 7])), generator.integers(0, 2) * generator.integers(0, 5, 2))
        cells = generator.random((side, side)) < generator.uniform(0.15, 0.6)
        rows, columns = (((np.arange(side) / scale).astype(int) + step) // cell for step in shift)
        return cells[np.ix_(rows, columns)].astype(np.float32)
    if form == 2:
        noise = _blurred(generator.standard_normal((side, side)), generator.uniform(1, 2.5) * scale)
        return (noise > noise.std() * generator.uniform(-0.5, 1)).astype(np.float32)
    return np.full((side, side), generator.uniform(0.2, 0.8), np.float32)


def _bent(picture: Pictures, generator: np.random.Generator) -> Pictures:
    """The picture warped by a smooth random field of up to a few pixels."""
    side = picture.shape[-1]
    scale = side / SIZE
    field = _blurred(generator.standard_normal((2, side, side)), 2.0 * scale)
    points = np.mgrid[:side, :side] + field * generator.uniform(0.5, 2.2) * scale / field.std()
    points = points.clip(0, side - 1.001)
    (row, column), (down, right) = points.astype(int), points % 1
    upper = picture[:, row, column] * (1 - right) + picture[:, row, column + 1] * right
    lower = picture[:, row + 1, column] * (1 - right) + picture[:, row + 1, column + 1] * right
    return upper * (1 - down) + lower * down


def _blurred(images: Pictures, sigma: float) -> Pictures:
    """(..., side, side) blurred by a Gaussian of `sigma` pixels, renormalised at the edge."""
    line = np.arange(images.shape[-1])
    weights = np.exp(-0.5 * ((line[:, None] - line) / sigma) ** 2).astype(images.dtype)
    weights /= weights.sum(1, keepdims=True)
    return weights @ images @ weights.T


def _grid(side: int) -> NDArray[np.float64]:
    """(2, side, side): y and x of the pixel centres, as fractions of the side."""
    return (np.mgrid[:side, :side] + 0.5) / side


def _distance(where: Place, side: int) -> NDArray[np.float64]:
    y, x = _grid(side)
    return np.hypot(x - where.x, y - where.y)


def _wrong_shares(picture: Pictures, right: Sequence[Pictures], scene: Scene, slot: int) -> NDArray[np.float64]:
    """(K + 1, K): wrong share of the object's area, of each of K right pictures and last of this one, against each.

    A pixel's error is its difference relative to the contrast between the object's colour and the ground.
    """
    thing, radius = scene.things[slot], scene.places[slot].radius
    contrast = np.abs(np.subtract(COLOUR_RGB[thing.colour], GROUND_RGB[scene.ground])).max() / 255
    area = _unit_area(thing.shape) * (radius * picture.shape[-1]) ** 2
    against, pictures = np.stack(right), np.stack([*right, picture])
    gaps = np.abs(pictures[:, None] - against[None]).max(2)
    return gaps.sum((2, 3)) / (contrast * area)


@cache
def _unit_area(shape: str) -> float:
    """Area of a shape of radius 1."""
    side, radius = 64, 0.4
    black = draw([Scene("black", (Thing(shape, "red"),), places=(Place(0.5, 0.5, radius),))], side)
    return float(black[0, 0].sum() / COLOUR_RGB["red"][0] / (radius * side) ** 2)


def _shape_label(wrong: NDArray[np.float64], shapes: int) -> int:
    """The shape that a damaged object still has, or `shapes` ('none of these'), or IGNORE in between."""
    shares = wrong[-1]
    nearest, second = np.argsort(shares)[:2]
    between = shares[second] - shares[nearest] < BETWEEN * wrong[nearest, second]
    if shares[nearest] > MALFORMED or (between and shares[nearest] > WELL / 2):
        return shapes
    return int(nearest) if shares[nearest] < WELL and nearest < shapes else IGNORE
