"""Accuracy of the judge of emoji on renderings of the drawings with draws that its training never made.

Renderings as they are and worn ones must be read right, a caption that is wrong in one thing must be found wrong, and
malformed renderings must be refused.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from dream.evaluation.judging.emoji_names import STYLES
from dream.evaluation.judging.emoji_network import EmojiLogits, EmojiNetwork
from dream.evaluation.judging.emoji_pictures import EmojiPictures
from dream.evaluation.judging.emoji_renderings import DAMAGES, WEAR, damaged, worn_renderings
from dream.evaluation.judging.networks import rescaled
from dream.evaluation.progress import Progress
from dream.evaluation.statistics import Measure, share
from dream.randomness import generator

Flags = NDArray[np.bool_]
EVERY = "every attribute right"
AS_THEY_ARE, WORN = "renderings as they are", "worn renderings"
ROWS = 256
"""Renderings made at once."""


def emoji_agreement(
    network: EmojiNetwork, pictures: EmojiPictures, size: int, count: int, seed: int, progress: Progress
) -> list[Measure]:
    """Shares of renderings read right, by attribute and kind of wear, found wrong, and refused, by damage.

    There are `count` as they are, in `size` pixels, and `count` worn ones (fewer if there are not so many drawings),
    and a fifth of these of each kind of wear and of damage.
    """
    draws = generator(seed, "judge of emoji: agreement")
    rows = _some(pictures, count, draws)
    progress(0.0, "reading renderings as they are")
    logits = network.read(rescaled(pictures.images(rows), size))
    measures = _measures(AS_THEY_ARE, _read(logits, pictures.things[rows], pictures.styles[rows]))
    for changed, flags in _edited(logits, pictures, rows, draws).items():
        measures.append(_measure("found wrong", f"{AS_THEY_ARE}, {changed} of the caption changed", flags))
    progress(0.2, "reading worn renderings")
    measures += _measures(WORN, _worn(network, pictures, count, draws))
    for number, kind in enumerate(WEAR):
        progress(0.4 + 0.05 * number, "reading worn renderings")
        measures += _measures(f"{WORN}: {kind}", _worn(network, pictures, count // 5, draws, (kind,)))
    progress(0.85, "reading malformed renderings")
    for kind in DAMAGES:
        measures.append(_measure("refused", f"damage: {kind}", _refused(network, pictures, kind, count // 5, draws)))
    return measures


def emoji_accuracy(network: EmojiNetwork, pictures: EmojiPictures, seed: int, count: int = 4000) -> dict[str, Any]:
    """Shares for the judge's JSON: of `count` drawings, as they are and worn, a tenth of it of each wear and damage.

    The seed must differ from the training's.
    """
    draws = generator(seed, "judge of emoji: held-out renderings")
    rows = _some(pictures, count, draws)
    logits = network.read(pictures.images(rows))
    as_they_are = _read(logits, pictures.things[rows], pictures.styles[rows])
    read = {AS_THEY_ARE: as_they_are, WORN: _worn(network, pictures, count, draws)}
    read |= {f"{WORN}: {kind}": _worn(network, pictures, count // 10, draws, (kind,)) for kind in WEAR}
    refused = {kind: _refused(network, pictures, kind, count // 10, draws) for kind in DAMAGES}
    return {
        "renderings": len(rows),
        **{of: {name: _rounded(flags) for name, flags in found.items()} for of, found in read.items()},
        "malformed refused": {kind: _rounded(flags) for kind, flags in refused.items()},
    }


def _rounded(flags: Flags) -> float:
    return round(float(flags.mean()), 4)


def _measure(name: str, of: str, flags: Flags) -> Measure:
    return Measure("judge", name, {"data": "emoji", "of": of}, share(flags, "renderings"))


def _measures(of: str, read: dict[str, Flags]) -> list[Measure]:
    return [_measure(name, of, flags) for name, flags in read.items()]


def _some(pictures: EmojiPictures, count: int, draws: Generator) -> Tensor:
    return torch.randperm(len(pictures.things), generator=draws)[:count]


def _read(logits: EmojiLogits, things: Tensor, styles: Tensor) -> dict[str, Flags]:
    """Flags (B,) by measure: thing and style read right, and refused though they are right."""
    rank, style = logits.rank(things), logits.style.argmax(1) == styles
    found = {
        EVERY: (rank < 1) & style,
        "thing right": rank < 1,
        "thing among five right": rank < 5,
        "thing among ten right": rank < 10,
        "style right": style,
        "refused": logits.refused,
    }
    return {name: flags.numpy() for name, flags in found.items()}


def _worn(
    network: EmojiNetwork, pictures: EmojiPictures, count: int, draws: Generator, kinds: Collection[str] = WEAR
) -> dict[str, Flags]:
    """`_read` of renderings with all kinds of wear by chance, or with one kind for certain."""
    rows, certain = _some(pictures, count, draws), 1.0 if len(kinds) == 1 else 0.5
    parts = []
    for some in rows.split(ROWS):
        logits = network.read(worn_renderings(pictures.images(some), draws, kinds, certain))
        parts.append(_read(logits, pictures.things[some], pictures.styles[some]))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _edited(logits: EmojiLogits, pictures: EmojiPictures, rows: Tensor, draws: Generator) -> dict[str, Flags]:
    """Flags (B,) by what is changed in the caption: the caption is found wrong."""
    things, styles = pictures.things[rows], pictures.styles[rows]
    other = pictures.things[pictures.others(rows, draws)]
    restyled = (styles + torch.randint(1, len(STYLES), styles.shape, generator=draws)) % len(STYLES)
    return {"thing": ~_read(logits, other, styles)[EVERY], "style": ~_read(logits, things, restyled)[EVERY]}


def _refused(network: EmojiNetwork, pictures: EmojiPictures, kind: str, count: int, draws: Generator) -> Flags:
    """Flags of malformed renderings: refused."""
    flags = []
    for rows in _some(pictures, count, draws).split(ROWS):
        others = pictures.images(pictures.others(rows, draws))
        made = damaged(kind, pictures.images(rows), others, draws)
        flags.append(network.read(made.images).refused[made.certain].numpy())
    return np.concatenate(flags)
