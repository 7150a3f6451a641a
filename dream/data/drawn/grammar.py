"""The content of drawn pictures in symbols: scenes, their captions and edits, and the combinations held out.

A `Scene` is a ground and one to three things in reading order (left to right, top to bottom), so every scene has one
canonical caption; `phrasings` lists the others, and `parse_caption` reads any of them back. Levels of difficulty are
rows of `LEVELS`. Pixels are in `drawing`, batches in `shapes`.
"""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from dream.errors import InputError

SHAPES = ("circle", "square", "triangle", "cross", "diamond", "ring", "star")
COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "cyan", "pink", "brown")
GROUNDS = ("white", "black", "grey")
SIZES = ("large", "small")
TEXTURES = ("", "striped", "dotted")
RELATIONS = ("", "left of", "above", "row", "column", "pair above", "pair below")
"""Layouts: '' is a single thing; 'pair above' is two things side by side above a third."""
RELATIONS_OF_COUNT = {1: RELATIONS[:1], 2: RELATIONS[1:3], 3: RELATIONS[3:]}
EDIT_KINDS = ("colour", "shape", "swapped", "relation", "ground", "size", "texture")

_MIRRORED = {"left of": "right of", "above": "below"}
_LINES = {"row": ("left to right", "right to left"), "column": ("top to bottom", "bottom to top")}


@dataclass(frozen=True)
class Level:
    """The vocabulary of a level of difficulty."""

    counts: tuple[int, ...]
    """Numbers of things, repeated in proportion to their probability."""
    shapes: tuple[str, ...] = SHAPES[:4]
    colours: tuple[str, ...] = COLOURS[:6]
    sizes: tuple[str, ...] = ("",)
    """'' is large, and omitted from the caption."""
    textures: tuple[str, ...] = ("",)
    jitter: float = 1.0
    """Factor on the random shift of places; above 1 things may overlap."""


LEVELS = (
    Level(counts=(1,)),
    Level(counts=(1, 1, 2, 2, 2)),
    Level(counts=(1, 1, 2, 2, 2), shapes=SHAPES, colours=COLOURS, sizes=SIZES, jitter=1.5),
    Level(counts=(1, 2, 2, 3, 3), shapes=SHAPES, colours=COLOURS, sizes=SIZES, textures=TEXTURES, jitter=1.5),
)


@dataclass(frozen=True)
class Thing:
    """One drawn object."""

    shape: str
    colour: str
    size: str = ""
    texture: str = ""

    @property
    def words(self) -> str:
        """Noun phrase, e.g. 'a large striped red circle'."""
        words = " ".join(w for w in (self.size, self.texture, self.colour, self.shape) if w)
        return f"{'an' if words[0] == 'o' else 'a'} {words}"


@dataclass(frozen=True)
class Place:
    """Centre and half-extent of a thing, as fractions of the picture's side (y grows downwards)."""

    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Scene:
    """The content of a picture. Scenes are equal if the same caption describes both; `places` are not compared."""

    ground: str
    things: tuple[Thing, ...]
    relation: str = ""
    places: tuple[Place, ...] = field(default=(), compare=False)
    """One per thing; empty if only the words are known."""


def caption(scene: Scene, phrasing: int = 0) -> str:
    """The caption in one of its phrasings, e.g. 'a red circle above a blue square on a white background'."""
    return phrasings(scene)[phrasing]


def phrasings(scene: Scene) -> tuple[str, ...]:
    """All captions of the scene, canonical first: in reading order or mirrored, ground named last or first."""
    bodies = _bodies(scene)
    last = tuple(f"{body} on a {scene.ground} background" for body in bodies)
    return last + tuple(f"a {scene.ground} background with {body}" for body in bodies)


def _bodies(scene: Scene) -> tuple[str, ...]:
    words = [thing.words for thing in scene.things]
    if len(words) == 1:
        return (words[0],)
    if len(words) == 2:
        first, second = words
        return f"{first} {scene.relation} {second}", f"{second} {_MIRRORED[scene.relation]} {first}"
    first, second, third = words
    if scene.relation in _LINES:
        forth, back = _LINES[scene.relation]
        return f"{first}, {second} and {third} from {forth}", f"{third}, {second} and {first} from {back}"
    side = f"both {scene.relation.removeprefix('pair ')} {third}"
    return f"{first} left of {second}, {side}", f"{second} right of {first}, {side}"


@cache
def _patterns() -> tuple[list[re.Pattern[str]], re.Pattern[str], list[re.Pattern[str]]]:
    grounds = "|".join(GROUNDS)
    sizes, textures = "|".join(SIZES), "|".join(TEXTURES[1:])
    colours, shapes = "|".join(COLOURS), "|".join(SHAPES)
    thing = rf"(?:an?|the) (?:({sizes}) )?(?:({textures}) )?({colours}) ({shapes})"
    bare = re.sub(r"\((?!\?)", "(?:", thing)
    outer = [
        re.compile(rf"(?P<body>.+) on an? (?P<ground>{grounds}) background"),
        re.compile(rf"an? (?P<ground>{grounds}) background with (?P<body>.+)"),
    ]
    inner = [
        re.compile(f"({bare})"),
        re.compile(f"({bare}) (left of|right of|above|below) ({bare})"),
        re.compile(f"({bare}), ({bare}) and ({bare}) from ({'|'.join(sum(_LINES.values(), ()))})"),
        re.compile(f"({bare}) (left of|right of) ({bare}), both (above|below) ({bare})"),
    ]
    return outer, re.compile(thing), inner


def parse_caption(text: str) -> Scene:
    """Scene, without places, that a caption in any phrasing describes.

    `parse_caption(caption(scene, i)) == scene` for every i. Raises InputError for text outside the grammar.
    """
    plain = " ".join(text.lower().split()).rstrip(".")
    outer, thing_pattern, inner = _patterns()
    for pattern in outer:
        if not (whole := pattern.fullmatch(plain)):
            continue
        for form in inner:
            if match := form.fullmatch(whole["body"]):
                phrases = [_read_thing(thing_pattern, phrase) or phrase for phrase in match.groups()]
                return _arranged(whole["ground"], phrases)
    raise InputError(
        f"'{text}' does not describe drawn shapes; expected, for example, "
        f"'a red circle above a blue square on a white background' with shapes {', '.join(SHAPES)}, "
        f"colours {', '.join(COLOURS)} and grounds {', '.join(GROUNDS)}"
    )


def _read_thing(pattern: re.Pattern[str], words: str) -> Thing | None:
    match = pattern.fullmatch(words)
    if not match:
        return None
    size, texture, colour, shape = match.groups()
    return Thing(shape, colour, size or "", texture or "")


def _arranged(ground: str, phrases: Sequence[Thing | str]) -> Scene:
    """Scene of a caption's things and the words between them, with mirrored things put into reading order."""
    things = [phrase for phrase in phrases if isinstance(phrase, Thing)]
    links = [phrase for phrase in phrases if isinstance(phrase, str)]
    if not links:
        return Scene(ground, tuple(things))
    for relation, (forth, back) in _LINES.items():
        if links[0] in (forth, back):
            return Scene(ground, tuple(things if links[0] == forth else reversed(things)), relation)
    if links[0] in _MIRRORED.values():
        things[:2] = reversed(things[:2])
    if len(things) == 3:
        return Scene(ground, tuple(things), f"pair {links[1]}")
    back_to_canonical = {mirrored: relation for relation, mirrored in _MIRRORED.items()}
    return Scene(ground, tuple(things), back_to_canonical.get(links[0], links[0]))


def residue(things: Sequence[Thing]) -> int:
    """Sum of shape numbers plus twice the sum of colour numbers, modulo 5."""
    return sum(_number(thing.shape, thing.colour) for thing in things) % 5


@cache
def _number(shape: str, colour: str) -> int:
    return SHAPES.index(shape) + 2 * COLOURS.index(colour)


def is_held_out(scene: Scene) -> bool:
    """Whether training never shows this combination of shapes and colours (a fifth of them, at every level).

    The rule ignores order, so it treats a scene like its twin with two things exchanged, and like the one with their
    colours exchanged: a model that gets them right has never seen these things together. Every shape and every colour
    is still shown.
    """
    return residue(scene.things) == 3


def edits(scene: Scene, level: int, generator: np.random.Generator) -> dict[str, Scene]:
    """Scenes that differ from this one in a single respect, by kind (see EDIT_KINDS), each with another caption.

    `swapped` exchanges the first two things; `relation` changes the layout. Kinds that do not apply to the scene or
    its level are left out. Places are kept, except for `relation` and `size`, where they no longer fit.
    """
    words = LEVELS[level]
    which = int(generator.integers(len(scene.things)))
    options: dict[str, list[Scene]] = {
        "colour": neighbours(scene, "colour", words.colours, which),
        "shape": neighbours(scene, "shape", words.shapes, which),
        "swapped": [swapped(scene)] if len(scene.things) > 1 else [],
        "relation": [
            dataclasses.replace(scene, relation=other, places=())
            for other in RELATIONS_OF_COUNT[len(scene.things)]
            if other != scene.relation
        ],
        "ground": [dataclasses.replace(scene, ground=g) for g in GROUNDS if g != scene.ground],
        "size": neighbours(scene, "size", words.sizes, which),
        "texture": neighbours(scene, "texture", words.textures, which),
    }
    return {kind: scenes[int(generator.integers(len(scenes)))] for kind, scenes in options.items() if scenes}


def neighbours(scene: Scene, attribute: str, values: Sequence[str], which: int) -> list[Scene]:
    """Scenes whose thing number `which` has another value of `attribute`; none has two equal things."""
    old = scene.things[which]
    others = scene.things[:which] + scene.things[which + 1 :]
    taken = {(thing.shape, thing.colour) for thing in others}
    changed = [dataclasses.replace(old, **{attribute: v}) for v in values if v != getattr(old, attribute)]
    places = () if attribute == "size" else scene.places
    return [
        dataclasses.replace(scene, things=(*scene.things[:which], new, *scene.things[which + 1 :]), places=places)
        for new in changed
        if (new.shape, new.colour) not in taken
    ]


def swapped(scene: Scene) -> Scene:
    """The scene with its first two things exchanged; each keeps its own size in the picture."""
    things = (scene.things[1], scene.things[0], *scene.things[2:])
    if not scene.places:
        return dataclasses.replace(scene, things=things)
    first, second, *rest = scene.places
    exchanged = (
        dataclasses.replace(first, radius=second.radius),
        dataclasses.replace(second, radius=first.radius),
        *rest,
    )
    return dataclasses.replace(scene, things=things, places=exchanged)
