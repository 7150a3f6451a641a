"""Prompts: share of painted pictures that show everything their prompt asks for, according to the judge.

The prompts are drawn in the same way as training's captions; half of them are combinations that training never shows.
Each attribute is also counted alone. With several candidates the same prompts are painted once more, selecting the best
candidate mid-decode by the model's own score. A prompt's first candidate is its plain picture, so the two are paired.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from dream.config import DreamConfig
from dream.data.drawn.grammar import Scene, caption
from dream.data.drawn.shapes import sample_scenes
from dream.decoding.selection import DEFAULT_SELECT_AT, DecodeSettings, parse_select_at
from dream.evaluation.judging.judge import judged_level, load_judge
from dream.evaluation.painted.painting import decode_settings_of, paint_captions
from dream.evaluation.progress import Progress, quiet, within
from dream.evaluation.settings import TaskSettings, at_least, needs_answer_key
from dream.evaluation.statistics import Measure, mean_difference, share
from dream.fields import Count
from dream.model.pretrained import Pretrained
from dream.randomness import seed_of

EVERY = "every attribute right"
"""Malformed objects count as what they resemble most."""
WELL_FORMED = "every attribute right, nothing malformed"
"""The judge may refuse: a ragged cross is not a cross."""
GAIN = "gain of the selection"
"""Gain over the plain picture of the same prompt, in `EVERY` or, with `malformed_refused`, in `WELL_FORMED`."""


@dataclass(frozen=True)
class PromptsSettings(TaskSettings, task="prompts"):
    """How many prompts to paint, and how."""

    count: Annotated[int, at_least(4)] = 500
    """Prompts in total, half of them combinations that training never shows."""
    candidates: Count = 1
    """K; above 1 the prompts are also painted with the best of K selected mid-decode."""
    select_at: str = DEFAULT_SELECT_AT
    """Point of the selection: '30%tokens', '8steps' or '12.5%steps'."""
    steps: Annotated[int | None, at_least(1)] = None
    """Decoding steps; none: the model's."""
    guidance_scale: Annotated[float | None, at_least(1)] = None
    """Classifier-free guidance; 1: off; none: the model's."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """Share of the prompts painted right: all, and by combination, number of objects and attribute.

        Raises InputError for a level that the judge does not know, or a `select_at` outside the decoding.
        """
        needs_answer_key("prompts", data)
        level, ways = judged_level(pretrained.config), _ways(pretrained.config, self, seed)
        scenes = []
        for combination, number in (("unseen", self.count // 2), ("seen", (self.count + 1) // 2)):
            draws = np.random.default_rng(seed_of(seed, "prompts", combination))
            scenes += sample_scenes(level, number, draws, unseen=combination == "unseen")
        unseen = np.arange(self.count) < self.count // 2
        spans = [within(progress, i / len(ways), (i + 1) / len(ways)) for i in range(len(ways))]
        judged = [_judged(pretrained, scenes, way[0], span) for way, span in zip(ways, spans, strict=True)]
        measures = []
        for name, rows in (("all", unseen | ~unseen), ("unseen", unseen), ("seen", ~unseen)):
            for flags, (_, where) in zip(judged, ways, strict=True):
                measures += _measures(flags, scenes, rows, {"data": data, "combination": name}, where)
            if len(judged) > 1:
                at = {"data": data, "combination": name, **ways[1][1]}
                measures += _gains(judged[0], judged[1], rows, at)
        return measures


@dataclass(frozen=True)
class _Judged:
    """(P,) flags of painted prompts, unseen combinations first."""

    attributes: dict[str, NDArray[np.bool_]]
    right: NDArray[np.bool_]
    well_formed: NDArray[np.bool_]


def _ways(config: DreamConfig, settings: PromptsSettings, seed: int) -> list[tuple[DecodeSettings, dict[str, Any]]]:
    """Decoding settings and the conditions that name them: plain, and with selection if there are candidates."""
    given = {"steps": settings.steps, "guidance_scale": settings.guidance_scale}
    changes = {name: value for name, value in given.items() if value is not None}
    ways = [(decode_settings_of(config, seed, **changes), {**changes, "candidates": 1})]
    if settings.candidates > 1:
        steps = ways[0][0].steps
        point = parse_select_at(settings.select_at, config.image.num_tokens, steps)
        select = {"candidates": settings.candidates, "selection": "once", "select_steps": (point.step,)}
        place = {"step": point.step, "decoded_fraction": round(point.decoded_fraction, 4)}
        where = {**changes, "candidates": settings.candidates, **place}
        ways.append((decode_settings_of(config, seed, **changes, **select), where))
    return ways


def _judged(pretrained: Pretrained, scenes: Sequence[Scene], settings: DecodeSettings, progress: Progress) -> _Judged:
    captions = [caption(scene) for scene in scenes]
    verdict = load_judge().verdict(paint_captions(pretrained, captions, settings, progress), captions)
    attributes = {name: flags.numpy() for name, flags in verdict.attributes.items()}
    return _Judged(attributes, verdict.right.numpy(), verdict.well_formed.numpy())


def _measures(
    judged: _Judged, scenes: Sequence[Scene], rows: NDArray[np.bool_], at: dict[str, Any], way: dict[str, Any]
) -> list[Measure]:
    """Measures of the prompts in `rows` (P,)."""
    things = np.array([len(scene.things) for scene in scenes])

    def measure(name: str, flags: NDArray[np.bool_], number: int | str, of: NDArray[np.bool_]) -> Measure:
        distinct = len({scene for scene, counted in zip(scenes, of, strict=True) if counted})
        where = {**at, "things": number, "distinct_prompts": distinct, **way}
        return Measure("prompts", name, where, share(flags[of], "prompts"))

    numbers = sorted(set(things[rows].tolist()))
    return [
        measure(EVERY, judged.right, "all", rows),
        *(measure(EVERY, judged.right, number, rows & (things == number)) for number in numbers),
        *(measure(f"{name} right", flags, "all", rows) for name, flags in judged.attributes.items()),
        measure(WELL_FORMED, judged.well_formed, "all", rows),
    ]


def _gains(plain: _Judged, chosen: _Judged, rows: NDArray[np.bool_], at: dict[str, Any]) -> list[Measure]:
    return [
        Measure("prompts", GAIN, {**at, **refusing}, mean_difference((after.astype(int) - before)[rows]))
        for before, after, refusing in (
            (plain.right, chosen.right, {}),
            (plain.well_formed, chosen.well_formed, {"malformed_refused": True}),
        )
    ]
