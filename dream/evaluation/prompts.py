"""Prompts: what share of painted pictures shows everything that the prompt asks for, by the judge?

The prompts are drawn as training's captions are, but of combinations that training never shows; half as many
of combinations that it shows stand beside them. Each attribute is counted alone too.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.data.grammar import Scene, caption
from dream.data.shapes import sample_scenes
from dream.decoding.decode import collect
from dream.decoding.selection import DecodeSettings
from dream.evaluation.judge import Judge
from dream.evaluation.painting import judged_level, records_by_batch, settings_of
from dream.evaluation.statistics import Measure, share
from dream.randomness import seed_of

if TYPE_CHECKING:
    from dream.pretrained import Pretrained

EVERY = "every attribute right"
"""What is malformed counts as what it resembles most."""
WELL_FORMED = "every attribute right, nothing malformed"
"""The judge may refuse: a ragged cross is no cross."""


def prompt_accuracy(
    pretrained: "Pretrained",
    judge: Judge,
    *,
    count: int = 500,
    seed: int = 0,
    settings: DecodeSettings | None = None,
) -> list[Measure]:
    """Share of `count` unseen and `count` / 2 seen prompts painted right, by number of things and attribute.

    `settings` default to the model's own, one candidate. Raises InputError for a level that the judge does
    not know.
    """
    level = judged_level(pretrained.config)
    settings = settings or settings_of(pretrained.config, seed)
    found = []
    for combination, number in (("unseen", count), ("seen", count // 2)):
        draws = np.random.default_rng(seed_of(seed, "prompts", combination))
        scenes = sample_scenes(level, number, draws, unseen=combination == "unseen")
        pictures, captions = paint(pretrained, scenes, settings), [caption(s) for s in scenes]
        right = judge.attributes(pictures, captions, refusing=False)
        found += _measures({k: v.numpy() for k, v in right.items()}, scenes, combination)
        well_formed = judge.correct(pictures, captions)
        where = {"combination": combination, "things": "all", "distinct_prompts": len(set(scenes))}
        found.append(Measure("prompts", WELL_FORMED, where, share(well_formed.numpy())))
    return found


def paint(pretrained: "Pretrained", scenes: Sequence[Scene], settings: DecodeSettings) -> Tensor:
    """(B, 3, H, W) in [0, 1]: one picture a scene, the best candidate where there are several."""
    batches = records_by_batch(pretrained, scenes, settings)
    return torch.cat(
        [pretrained.images.decode(collect(records).tokens[:, 0]).cpu() for _, records in batches]
    )


def _measures(
    right: dict[str, NDArray[np.bool_]], scenes: Sequence[Scene], combination: str
) -> list[Measure]:
    things = np.array([len(scene.things) for scene in scenes])
    every = np.logical_and.reduce(list(right.values()))
    distinct = len(set(scenes))
    where = {"combination": combination, "things": "all", "distinct_prompts": distinct}
    found = [Measure("prompts", EVERY, where, share(every))]
    for number in sorted(set(things.tolist())):
        one = {"combination": combination, "things": number, "distinct_prompts": _distinct(scenes, number)}
        found.append(Measure("prompts", EVERY, one, share(every[things == number])))
    return found + [Measure("prompts", f"{name} right", where, share(flags)) for name, flags in right.items()]


def _distinct(scenes: Sequence[Scene], things: int) -> int:
    return len({scene for scene in scenes if len(scene.things) == things})
