"""Prompts for many races, drawn or typed, and example races that show what a choice can do."""

from typing import Any, NamedTuple

import numpy as np

from dream.data.drawn.grammar import caption
from dream.data.drawn.shapes import distinct_scenes
from dream.errors import InputError
from dream.plain_text import require_text
from dream.randomness import seed_of
from workbench.trajectories.kept import MOST_PROMPTS

MOST_CHARACTERS = 500
"""Length limit of one prompt."""


class Example(NamedTuple):
    """An instructive race with the shipped model."""

    name: str
    what: str
    """Its point, in a sentence or two."""
    prompt: str
    settings: dict[str, Any]
    """Values of the controls: candidates, steps, guidance_scale, temperature, seed, selection, and tokens (the
    percentage at which candidates are compared)."""


_PLAIN = {"candidates": 8, "temperature": 1.0, "selection": "once"}
_ROUGH = {**_PLAIN, "steps": 6, "tokens": 30}
EXAMPLES = (
    Example(
        "A choice that matters",
        "Too few steps and much too strong guidance: most candidates come out malformed, and the score has to "
        "find a good one.",
        "a red circle above a blue square on a white background",
        {**_ROUGH, "guidance_scale": 6.0, "seed": 0},
    ),
    Example(
        "Chosen too early",
        "Few of these candidates come out well, and after a third of the tokens it does not show yet which. Move "
        "the choice to 50 % of the tokens and paint again.",
        "a red circle above a blue square on a white background",
        {**_ROUGH, "guidance_scale": 5.0, "seed": 0},
    ),
    Example(
        "A wrong choice",
        "Most of these candidates come out well, but the score chooses one that does not.",
        "an orange triangle on a white background",
        {**_ROUGH, "guidance_scale": 8.0, "seed": 3},
    ),
    Example(
        "Nothing to choose",
        "The shipped model with its own settings: every candidate is right, so choosing gains nothing.",
        "a red circle above a blue square on a white background",
        {**_PLAIN, "steps": 16, "guidance_scale": 2.0, "seed": 0, "tokens": 30},
    ),
)
"""Seeds and settings were found by trial; the shipped model behaves as described."""


def drawn_prompts(level: int, count: int, seed: int, unseen: bool) -> list[str]:
    """`count` different captions of drawn shapes; `unseen` takes only combinations that training never shows.

    Raises InputError if the level has fewer.
    """
    draws = np.random.default_rng(seed_of(seed, "trajectory prompts"))
    return [caption(scene) for scene in distinct_scenes(level, count, draws, unseen=unseen)]


def typed_prompts(text: str) -> list[str]:
    """The different prompts of a text, one per line; raises InputError for fewer than two or too many."""
    lines = [" ".join(require_text(line, "a prompt").split()) for line in text.splitlines()]
    prompts = list(dict.fromkeys(line for line in lines if line))
    if not 2 <= len(prompts) <= MOST_PROMPTS:
        raise InputError(f"write 2 to {MOST_PROMPTS} different prompts, one per line; there are {len(prompts)}")
    if any(len(prompt) > MOST_CHARACTERS for prompt in prompts):
        raise InputError(f"a prompt may have at most {MOST_CHARACTERS} characters; shorten the longer line")
    return prompts
