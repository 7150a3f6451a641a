"""Prompts for many races, drawn or typed, and example races that show what a choice can do."""

from collections.abc import Mapping
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
    model: str = "demo"
    """The shipped model that paints it."""


_PLAIN = {"candidates": 8, "temperature": 1.0, "selection": "once", "tokens": 30}
_ROUGH = {**_PLAIN, "steps": 6}
_EMOJI = {**_PLAIN, "steps": 8, "guidance_scale": 3.0, "temperature": 0.8}
EXAMPLES = (
    Example(
        "A choice that matters",
        "Two of eight crabs come out right, those with claws that can be told. The score sees it in what is painted of "
        "them when less than half of the tokens are decoded, and one of the two goes on.",
        "crab, glossy",
        {**_EMOJI, "seed": 1},
        "emoji",
    ),
    Example(
        "A wrong choice",
        "Seven of eight rockets come out right, and the score takes the one whose side then tears open: it judges what "
        "is painted, and what spoils this one comes later. Move the choice.",
        "rocket, classic",
        {**_EMOJI, "seed": 1},
        "emoji",
    ),
    Example(
        "Chosen too early",
        "Too few steps and much too strong guidance: two of these candidates come out right, and after a third of the "
        "tokens the score takes another one. One step later it finds a right one: move the choice.",
        "a purple square on a black background",
        {**_ROUGH, "guidance_scale": 10.0, "seed": 0},
    ),
    Example(
        "Nothing to choose",
        "The model of drawn shapes with its own settings: every candidate is right, so choosing gains nothing.",
        "a green cross above a yellow square on a white background",
        {**_PLAIN, "steps": 16, "guidance_scale": 2.0, "seed": 0},
    ),
)
"""Found by `workbench.trajectories.telling`; the shipped models behave as described (a slow test)."""
HONEST = (
    "How often choosing helps: there is no study of these weights, step by step. The model demo, with its own "
    "settings, gains 0.6 of 100 prompts [-0.5, 1.7] over a random candidate (256 unseen prompts)."
)
"""Said of models without a study, with the interval of docs/results.md."""


def example_of(model: str, prompt: str, settings: Mapping[str, Any]) -> Example | None:
    """The example that was painted with this prompt and these settings; None if there is none."""
    names = ("candidates", "steps", "guidance_scale", "temperature", "seed", "selection")
    given = {"score": "cosine", **settings}
    for example in EXAMPLES:
        wanted = {"score": "cosine", **{name: example.settings[name] for name in names}}
        wanted |= {name: value for name, value in example.settings.items() if name == "score"}
        if (model, prompt) == (example.model, example.prompt) and wanted.items() <= given.items():
            return example
    return None


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
