"""What the judge of emoji knows by name: things, styles, and which captions the data have in which split.

Kept in the JSON next to the weights, so that prompts can be chosen and judged without the pictures. A thing is an emoji
without its skin tone: `waving hand: dark skin tone` is the thing `waving hand`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from dream.data.emoji.table import COUNTS, Drawing
from dream.errors import InputError, did_you_mean
from dream.json_text import read_json_object

STYLES = tuple(COUNTS["style"])
"""The styles, in the order of their class numbers."""
_TONE = re.compile(r"(medium-light|medium-dark|light|medium|dark) skin tone(, )?")
_LETTERS = {"train": "t", "val": "v", "unseen": "u"}
_NOT_DRAWN = "-"


class Named(NamedTuple):
    """Class numbers of what a caption names."""

    thing: int
    style: int


def thing_of(label: str) -> str:
    """A label without its skin tone."""
    return re.sub("[:,] ?$", "", _TONE.sub("", label))


@dataclass(frozen=True)
class EmojiNames:
    """Labels of the data, and the split of each in each style."""

    drawn: Mapping[str, str]
    """By label one letter per style, as in `ttv-t-`: train, val, unseen, or - for not drawn."""

    @classmethod
    def of(cls, drawings: Iterable[Drawing]) -> "EmojiNames":
        """The names of these drawings."""
        drawn: dict[str, list[str]] = {}
        for drawing in drawings:
            letters = drawn.setdefault(drawing.label, [_NOT_DRAWN] * len(STYLES))
            letters[STYLES.index(drawing.style)] = _LETTERS[drawing.split]
        return cls({label: "".join(letters) for label, letters in drawn.items()})

    @classmethod
    def read(cls, path: Path) -> "EmojiNames":
        """The names in a judge's JSON."""
        return cls(read_json_object(path)["drawn"])

    @cached_property
    def things(self) -> tuple[str, ...]:
        """The classes, in alphabetical order."""
        return tuple(sorted({thing_of(label) for label in self.drawn}))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Class numbers of things, by their plain spelling."""
        return {_plain(thing): number for number, thing in enumerate(self.things)}

    def captions(self, split: str) -> list[str]:
        """All canonical captions of a split: train, val or unseen."""
        letter = _LETTERS[split]
        return [
            f"{label}, {style}"
            for label, letters in self.drawn.items()
            for style, each in zip(STYLES, letters, strict=True)
            if each == letter
        ]

    def named(self, caption: str) -> Named:
        """What a caption `label, style` or `style label` names. Raises InputError for what the judge does not know."""
        label, _, style = _plain(caption).rpartition(", ")
        if style not in STYLES:
            style, _, label = _plain(caption).partition(" ")
        thing = self.numbers.get(thing_of(label))
        if thing is None or style not in STYLES:
            hint = did_you_mean(thing_of(label), self.numbers) if style in STYLES else ""
            raise InputError(
                f"the judge of emoji knows captions like 'red apple, ink', of {len(self.things):,} things in the "
                f"styles {', '.join(STYLES)}, not '{caption}'{hint}"
            )
        return Named(thing, STYLES.index(style))


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("’", "'").split()).removesuffix(".")
