"""Draws scenes: anti-aliased pictures, with their exact segmentation and depth.

A thing's outline is a signed distance in pixels; its coverage of a pixel is that distance clipped to one pixel's
width. A whole batch is drawn at once, grouped by shape. Sampling of scenes is in `shapes`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dream.data.drawn.grammar import COLOURS, GROUNDS, RELATIONS, SHAPES, SIZES, TEXTURES, Scene
from dream.errors import InputError

Array = NDArray[np.floating]

GROUND_RGB = {"white": (255, 255, 255), "black": (0, 0, 0), "grey": (128, 128, 128)}
COLOUR_RGB = {
    "red": (220, 30, 40),
    "green": (30, 160, 60),
    "blue": (40, 70, 225),
    "yellow": (245, 220, 40),
    "purple": (160, 50, 190),
    "orange": (250, 140, 20),
    "cyan": (60, 210, 215),
    "pink": (250, 150, 195),
    "brown": (125, 75, 35),
}
SHADE = 0.45
"""Brightness of stripes and dots relative to the thing's colour."""
CHUNK = 256
"""Pictures drawn at once, few enough to stay in the CPU's cache."""
CLASSES = {
    "count": ("one", "two", "three"),
    "ground": GROUNDS,
    "relation": RELATIONS,
    "shape": SHAPES,
    "colour": COLOURS,
    "size": SIZES,
    "texture": ("plain", *TEXTURES[1:]),
}
"""Class names of each label in an answer key."""


@dataclass(frozen=True)
class AnswerKey:
    """Ground truth of a batch of drawn pictures."""

    scenes: tuple[Scene, ...]
    """Attributes, relation and places, per picture."""
    segmentation: NDArray[np.uint8]
    """(B, H, W): 0 for the ground, else 1 + the number of the frontmost thing's shape in SHAPES."""
    instances: NDArray[np.uint8]
    """(B, H, W): 0 for the ground, else 1 + the number of the thing in its scene."""
    depth: Array
    """(B, H, W) in (0, 1]: 1 for the ground, 1 - 2 * radius for a thing, so that larger things are in front."""
    labels: dict[str, NDArray[np.int64]]
    """(B,) class numbers into CLASSES; shape, colour, size and texture are those of the first thing."""


def draw(scenes: Sequence[Scene], size: int) -> NDArray[np.uint8]:
    """Draws placed scenes as pictures (B, 3, size, size) uint8. Raises InputError below 16 pixels."""
    if size < 16:
        raise InputError(f"image.size must be at least 16 to draw shapes, got {size}")
    pictures = np.empty((len(scenes), 3, size, size), np.uint8)
    for start in range(0, len(scenes), CHUNK):
        chunk = scenes[start : start + CHUNK]
        canvas = np.array([GROUND_RGB[s.ground] for s in chunk], np.float32)[:, :, None, None]
        canvas = np.broadcast_to(canvas, (len(chunk), 3, size, size)).copy()  # (b, 3, H, W)
        for layer in _layers(chunk, size):
            canvas[layer.rows] += layer.coverage[:, None] * (layer.paint - canvas[layer.rows])  # (n, 3, H, W)
        pictures[start : start + CHUNK] = canvas + 0.5
    return pictures


def answer_key(scenes: Sequence[Scene], size: int) -> AnswerKey:
    """Answer key of placed scenes; a thing owns the pixels that it covers at least by half."""
    shape = (len(scenes), size, size)
    segmentation, instances = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    depth = np.ones(shape, np.float32)
    for layer in _layers(scenes, size):
        owned = layer.coverage >= 0.5
        for target, value in (
            (segmentation, np.full(len(layer.rows), 1 + layer.shape)),
            (instances, 1 + layer.thing),
            (depth, 1 - 2 * layer.radius),
        ):
            target[layer.rows] = np.where(owned, value[:, None, None], target[layer.rows])
    return AnswerKey(tuple(scenes), segmentation, instances, depth, _labels(scenes))


def _labels(scenes: Sequence[Scene]) -> dict[str, NDArray[np.int64]]:
    values = {
        "count": [len(s.things) - 1 for s in scenes],
        "ground": [GROUNDS.index(s.ground) for s in scenes],
        "relation": [RELATIONS.index(s.relation) for s in scenes],
        "shape": [SHAPES.index(s.things[0].shape) for s in scenes],
        "colour": [COLOURS.index(s.things[0].colour) for s in scenes],
        "size": [SIZES.index(s.things[0].size or "large") for s in scenes],
        "texture": [TEXTURES.index(s.things[0].texture) for s in scenes],
    }
    return {name: np.array(numbers, np.int64) for name, numbers in values.items()}


@dataclass(frozen=True)
class _Layer:
    """Things of one shape at one depth rank, at most one per picture."""

    rows: NDArray[np.int64]  # (n,) number of the picture
    shape: int
    thing: NDArray[np.int64]  # (n,) number of the thing in its scene
    radius: Array  # (n,)
    coverage: Array  # (n, H, W)
    paint: Array  # (n, 3, 1, 1), or (n, 3, H, W) if any thing has a texture


def _layers(scenes: Sequence[Scene], size: int) -> list[_Layer]:
    """All things grouped by depth rank and shape, far (small) before near (large)."""
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for row, scene in enumerate(scenes):
        assert len(scene.places) == len(scene.things), "a scene needs its places to be drawn"
        radii = [place.radius for place in scene.places]
        for rank, which in enumerate(sorted(range(len(radii)), key=radii.__getitem__)):
            groups.setdefault((rank, SHAPES.index(scene.things[which].shape)), []).append((row, which))
    return [_layer(scenes, shape, groups[rank, shape], size) for rank, shape in sorted(groups)]


def _layer(scenes: Sequence[Scene], shape: int, members: list[tuple[int, int]], size: int) -> _Layer:
    places = [scenes[row].places[which] for row, which in members]
    things = [scenes[row].things[which] for row, which in members]
    geometry = np.array([(p.x, p.y, p.radius) for p in places], np.float32)
    radius = geometry[:, 2] * size  # pixels
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    x = ((centres - geometry[:, :1]) / geometry[:, 2:])[:, None, :]  # (n, 1, W) in units of the radius
    y = ((centres - geometry[:, 1:2]) / geometry[:, 2:])[:, :, None]  # (n, H, 1)
    distance = _OUTLINES[SHAPES[shape]](x, y) * radius[:, None, None]
    paint: Array = np.array([COLOUR_RGB[t.colour] for t in things], np.float32)[:, :, None, None]
    textures = np.array([TEXTURES.index(t.texture) for t in things])
    if textures.any():
        paint = paint * _shade(x, y, radius, textures)[:, None]
    rows, which = np.array(members, np.int64).T
    return _Layer(rows, shape, which, geometry[:, 2], np.clip(0.5 - distance, 0, 1), paint)


def _shade(x: Array, y: Array, radius: Array, textures: NDArray[np.int64]) -> Array:
    """Factor (n, H, W) on the colour: SHADE on diagonal stripes or dots, 1 elsewhere, anti-aliased."""
    stripes = 0.14 - np.abs((x + y) / np.sqrt(2) % 0.56 - 0.28)
    dots = np.hypot(x % 0.6 - 0.3, y % 0.6 - 0.3) - 0.17
    distance = np.where(textures[:, None, None] == TEXTURES.index("striped"), -stripes, dots)
    covered = np.clip(0.5 - distance * radius[:, None, None], 0, 1)
    return np.where(textures[:, None, None] > 0, 1 - (1 - SHADE) * covered, 1).astype(np.float32)


def _circle(x: Array, y: Array) -> Array:
    return np.sqrt(x * x + y * y) - 1


def _square(x: Array, y: Array) -> Array:
    return np.maximum(np.abs(x), np.abs(y)) - 0.92


def _triangle(x: Array, y: Array) -> Array:
    """Point up: base at y = 0.85, tip at y = -0.95, half as wide at half height."""
    slope = 1.8  # height over half the base
    sides = (slope * np.abs(x) - (y + 0.95)) / np.hypot(1, slope)
    return np.maximum(sides, y - 0.85)


def _cross(x: Array, y: Array) -> Array:
    x, y = np.abs(x), np.abs(y)
    return np.maximum(np.maximum(x, y) - 1, np.minimum(x, y) - 0.36)


def _diamond(x: Array, y: Array) -> Array:
    return (np.abs(x) + np.abs(y) - 1.05) / np.float32(np.sqrt(2))


def _ring(x: Array, y: Array) -> Array:
    return np.abs(np.sqrt(x * x + y * y) - 0.72) - 0.27


def _star(x: Array, y: Array) -> Array:
    """Five points, one of them up: radius 1.05 at the tips and 0.42 between them."""
    wedge = np.float32(np.pi / 5)
    angle = np.abs((np.arctan2(x, -y) + wedge) % (2 * wedge) - wedge)  # 0 towards a tip, wedge between two tips
    length = np.sqrt(x * x + y * y)
    along, across = length * np.cos(angle), length * np.sin(angle)
    inner = np.array([0.42 * np.cos(wedge), 0.42 * np.sin(wedge)])
    edge = inner - np.array([1.05, 0.0])
    return ((along - 1.05) * edge[1] - across * edge[0]) / np.float32(np.hypot(*edge))


_OUTLINES: dict[str, Callable[[Array, Array], Array]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
    "diamond": _diamond,
    "ring": _ring,
    "star": _star,
}
