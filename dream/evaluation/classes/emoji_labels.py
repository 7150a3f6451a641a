"""Classes of emoji: by style, group or subgroup, and the captions that name a class for zero-shot classification."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from dream.data.emoji.corpus import SOURCE, split_named
from dream.data.emoji.table import COUNTS, Drawing, built_emoji
from dream.errors import InputError, did_you_mean
from dream.randomness import seed_of

LABELS = ("style", "group", "subgroup")
"""Labels that emoji can be classified by."""
PromptForm = Literal["names", "members", "captions"]
"""Captions of a class: made of its own name (`names`), of the labels of some of its training emoji, whose mean counts
(`members`), or of all of them, each for itself (`captions`)."""
EMOJI_EDITS = ("other style", "neighbouring thing")
"""Kinds of wrong captions."""
_KINDS = ("animal", "plant", "food", "place", "transport", "sky", "person", "other")
"""First words of subgroups that are no part of the thing's own name."""


def asked_labels(labels: Sequence[str], defaults: Sequence[str]) -> tuple[str, ...]:
    """The labels to classify by; where shapes' `defaults` stand, all of LABELS (of a single one, the last).

    Raises InputError for a label that emoji do not have.
    """
    if tuple(labels) == tuple(defaults):
        return LABELS if len(labels) > 1 else LABELS[-1:]
    if not labels:
        raise InputError(f"no label is given; emoji have {', '.join(LABELS)}")
    for label in labels:
        if label not in LABELS:
            raise InputError(
                f"emoji have no label '{label}'{did_you_mean(label, LABELS)} (labels: {', '.join(LABELS)})"
            )
    return tuple(labels)


def labelled_emoji(data: str, split: str) -> list[Drawing]:
    """Drawings to learn from (`train`), or to test on (`test`): the split that `data` names, without one `val`.

    Raises InputError if the emoji are not built, and for `emoji:train`, which holds what is learned from.
    """
    if split_named(data) == "train":
        raise InputError(
            f"classes are learned from '{data}' and cannot be tested on it: use --data {SOURCE}:val (known things in a "
            f"style never seen) or {SOURCE}:unseen (things never seen)"
        )
    return drawings_of(f"{SOURCE}:train" if split == "train" else data)


def drawings_of(data: str) -> list[Drawing]:
    """Drawings of the split that `data` names; those of `val` if it names none."""
    wanted = split_named(data) or "val"
    return [drawing for drawing in built_emoji() if drawing.split == wanted]


def emoji_classes(label: str) -> tuple[str, ...]:
    """Classes of a label that training pictures show."""
    if label == "style":
        return tuple(COUNTS["style"])
    return tuple(dict.fromkeys(getattr(drawing, label) for drawing in built_emoji() if drawing.split == "train"))


def emoji_prompts(label: str, form: PromptForm, contexts: int, seed: int = 0) -> list[list[str]]:
    """Captions per class of a label, as `emoji_classes` orders them.

    `names` use nothing but the class's name, in every style. `members` are up to `contexts` captions of training
    emoji: for a style the same things in each style, for a group its own things in all styles. `captions` are
    those of all training emoji of the class.
    """
    known = [drawing for drawing in built_emoji() if drawing.split == "train"]
    classes, styles = emoji_classes(label), tuple(COUNTS["style"])
    if form == "captions":
        own: dict[str, list[str]] = {name: [] for name in classes}
        for drawing in known:
            own[getattr(drawing, label)].append(drawing.caption)
        return list(own.values())
    draws = np.random.default_rng(seed_of(seed, "zero shot captions", label))
    if label == "style":
        if form == "names":
            return [[style] for style in styles]
        things = _some(list({drawing.label: drawing for drawing in known}.values()), contexts, draws)
        return [[replace(thing, style=style).caption for thing in things] for style in styles]
    if form == "names":
        return [
            [replace(known[0], label=words, style=style).caption for words in class_words(name) for style in styles]
            for name in classes
        ]
    members: dict[str, dict[str, Drawing]] = {name: {} for name in classes}
    for drawing in known:
        members[getattr(drawing, label)].setdefault(drawing.label, drawing)
    return [
        [
            each.caption
            for each in _some([replace(t, style=s) for t in things.values() for s in styles], contexts, draws)
        ]
        for things in members.values()
    ]


def edited_emoji(data: str, count: int, seed: int = 0) -> list[tuple[Drawing, dict[str, str]]]:
    """At most `count` drawings of the split that `data` names (`val` if none), with wrong captions by kind.

    A neighbouring thing is one of the same subgroup in the same style; drawings without one lack that kind.
    """
    draws = np.random.default_rng(seed_of(seed, "emoji edits", data))
    things: dict[str, list[str]] = {}
    for drawing in built_emoji():
        things.setdefault(drawing.subgroup, []).append(drawing.label)
    chosen = _some(drawings_of(data), count, draws)
    found = []
    for drawing in chosen:
        styles = [style for style in COUNTS["style"] if style != drawing.style]
        near = [label for label in dict.fromkeys(things[drawing.subgroup]) if label != drawing.label]
        kinds = {EMOJI_EDITS[0]: replace(drawing, style=styles[draws.integers(len(styles))]).caption}
        if near:
            kinds[EMOJI_EDITS[1]] = replace(drawing, label=near[draws.integers(len(near))]).caption
        found.append((drawing, kinds))
    return found


def class_words(name: str) -> tuple[str, ...]:
    """A group's or subgroup's name in words: 'food-fruit' is 'fruit' and 'fruit food', 'cat-face' is 'cat face'."""
    first, *rest = name.split("-")
    if not rest:
        return (first,)
    if first in _KINDS:
        return (" ".join(rest), " ".join([*rest, first]))
    return (" ".join([first, *rest]), " ".join([*rest, first]))


def _some(items: Sequence[Drawing], count: int, draws: np.random.Generator) -> list[Drawing]:
    """At most `count` of the items, in their order."""
    return [items[i] for i in np.sort(draws.permutation(len(items))[:count])]
