"""Prompts: what share of painted pictures shows everything that the prompt asks for, by the judge?

The prompts are drawn as training's captions are, half of them of combinations that training never shows. Each
attribute is counted alone too. With several candidates the same prompts are painted once more, the best
chosen in mid-decode by the model's own score; a prompt's first candidate is its plain picture, so that the
two can be compared one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dream.data.grammar import Scene, caption
from dream.data.shapes import sample_scenes
from dream.decoding.selection import DEFAULT_SELECT_AT, DecodeSettings, parse_select_at
from dream.evaluation.judging.judge import judged_level, load_judge
from dream.evaluation.limits import at_least, needs_answer_key
from dream.evaluation.painted.painting import decode_settings_of, paint_captions
from dream.evaluation.progress import Progress, quiet, within
from dream.evaluation.statistics import Measure, mean, share
from dream.randomness import seed_of

if TYPE_CHECKING:
    from dream.config import DreamConfig
    from dream.model.pretrained import Pretrained

EVERY = "every attribute right"
"""What is malformed counts as what it resembles most."""
WELL_FORMED = "every attribute right, nothing malformed"
"""The judge may refuse: a ragged cross is no cross."""
GAIN = "gain of the selection"
"""Over the plain picture of the same prompt, in `EVERY` or, with `malformed_refused`, `WELL_FORMED`."""


@dataclass(frozen=True)
class PromptsSettings:
    """What the task `prompts` paints."""

    count: int = 500
    """Prompts in all, half of them of combinations that training never shows."""
    candidates: int = 1
    """K; above 1 the prompts are also painted with the best of K chosen in mid-decode."""
    select_at: str = DEFAULT_SELECT_AT
    """Where that is: '30%tokens', '8steps' or '12.5%steps'."""
    steps: int | None = None
    """Decoding steps; none takes the model's."""
    guidance_scale: float | None = None
    """Classifier-free guidance; 1 = off, none takes the model's."""

    def __post_init__(self) -> None:
        at_least("prompts", self, count=4, candidates=1, steps=1, guidance_scale=1)


@dataclass(frozen=True)
class _Judged:
    """(P,) flags of painted prompts, the unseen combinations first."""

    attributes: dict[str, NDArray[np.bool_]]
    right: NDArray[np.bool_]
    well_formed: NDArray[np.bool_]


def prompt_accuracy(
    pretrained: "Pretrained",
    *,
    data: str = "shapes",
    settings: PromptsSettings = PromptsSettings(),
    seed: int = 0,
    progress: Progress = quiet,
) -> list[Measure]:
    """Share of the prompts painted right, all and by combination, number of things and attribute.

    Raises InputError for a level that the judge does not know, or a place to select that there is not.
    """
    needs_answer_key("prompts", data)
    level, ways = judged_level(pretrained.config), _ways(pretrained.config, settings, seed)
    scenes = []
    for combination, number in (("unseen", settings.count // 2), ("seen", (settings.count + 1) // 2)):
        draws = np.random.default_rng(seed_of(seed, "prompts", combination))
        scenes += sample_scenes(level, number, draws, unseen=combination == "unseen")
    unseen = np.arange(settings.count) < settings.count // 2
    parts = [within(progress, i / len(ways), (i + 1) / len(ways)) for i in range(len(ways))]
    judged = [_judged(pretrained, scenes, way[0], part) for way, part in zip(ways, parts, strict=True)]
    found = []
    for name, rows in (("all", unseen | ~unseen), ("unseen", unseen), ("seen", ~unseen)):
        for flags, (_, where) in zip(judged, ways, strict=True):
            found += _measures(flags, scenes, rows, {"data": data, "combination": name}, where)
        if len(judged) > 1:
            at = {"data": data, "combination": name, **ways[1][1]}
            found += _gains(judged[0], judged[1], rows, at, np.random.default_rng(seed))
    return found


def _ways(config: "DreamConfig", settings: PromptsSettings, seed: int) -> list[tuple[DecodeSettings, dict[str, Any]]]:
    """How the prompts are painted, and what to call it: plainly, and with candidates if there are some."""
    asked = {"steps": settings.steps, "guidance_scale": settings.guidance_scale}
    changes = {name: value for name, value in asked.items() if value is not None}
    ways = [(decode_settings_of(config, seed, **changes), {**changes, "candidates": 1})]
    if settings.candidates > 1:
        steps = ways[0][0].steps
        point = parse_select_at(settings.select_at, config.image.num_tokens, steps)
        select = {"candidates": settings.candidates, "selection": "once", "select_steps": (point.step,)}
        place = {"step": point.step, "decoded_fraction": round(point.decoded_fraction, 4)}
        where = {**changes, "candidates": settings.candidates, **place}
        ways.append((decode_settings_of(config, seed, **changes, **select), where))
    return ways


def _judged(pretrained: "Pretrained", scenes: Sequence[Scene], settings: DecodeSettings, progress: Progress) -> _Judged:
    captions = [caption(scene) for scene in scenes]
    verdict = load_judge().verdict(paint_captions(pretrained, captions, settings, progress), captions)
    attributes = {name: flags.numpy() for name, flags in verdict.attributes.items()}
    return _Judged(attributes, verdict.right.numpy(), verdict.well_formed.numpy())


def _measures(
    judged: _Judged, scenes: Sequence[Scene], rows: NDArray[np.bool_], at: dict[str, Any], way: dict[str, Any]
) -> list[Measure]:
    """Of the prompts in `rows` (P,)."""
    things = np.array([len(scene.things) for scene in scenes])

    def measure(name: str, flags: NDArray[np.bool_], number: int | str, of: NDArray[np.bool_]) -> Measure:
        distinct = len({scene for scene, counted in zip(scenes, of, strict=True) if counted})
        where = {**at, "things": number, "distinct_prompts": distinct, **way}
        return Measure("prompts", name, where, share(flags[of]))

    numbers = sorted(set(things[rows].tolist()))
    return [
        measure(EVERY, judged.right, "all", rows),
        *(measure(EVERY, judged.right, number, rows & (things == number)) for number in numbers),
        *(measure(f"{name} right", flags, "all", rows) for name, flags in judged.attributes.items()),
        measure(WELL_FORMED, judged.well_formed, "all", rows),
    ]


def _gains(
    plain: _Judged, chosen: _Judged, rows: NDArray[np.bool_], at: dict[str, Any], draws: np.random.Generator
) -> list[Measure]:
    return [
        Measure("prompts", GAIN, {**at, **refusing}, mean((after.astype(int) - before)[rows], draws))
        for before, after, refusing in (
            (plain.right, chosen.right, {}),
            (plain.well_formed, chosen.well_formed, {"malformed_refused": True}),
        )
    ]
