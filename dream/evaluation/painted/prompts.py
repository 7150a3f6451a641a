"""Prompts: share of painted pictures that show everything their prompt asks for, according to the judge.

The prompts are captions of the data, of each combination that its judge counts apart. Half of those of shapes are drawn
in the same way as training's captions, half are combinations that training never shows. A third each of those of emoji
are pairs of thing and style that were trained on, known things in a style they were never seen in, and things never
seen. Each attribute is also counted alone. With several candidates the same prompts are painted once more, selecting
the best candidate mid-decode by the model's own score. A prompt's first candidate is its plain picture, so the two are
paired.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from dream.config import DreamConfig
from dream.decoding.selection import DEFAULT_SELECT_AT, parse_select_at
from dream.decoding.settings import DecodeSettings
from dream.evaluation.judging.interface import PictureJudge
from dream.evaluation.judging.worlds import needed_judge
from dream.evaluation.painted.painting import decode_settings_of, paint_captions
from dream.evaluation.progress import Progress, quiet, within
from dream.evaluation.settings import PaintingSettings, at_least
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
class PromptsSettings(PaintingSettings, task="prompts"):
    """How many prompts to paint, and how."""

    count: Annotated[int, at_least(4)] = 500
    """Prompts in total, in equal parts of the combinations of the data (for shapes seen and unseen ones)."""
    candidates: Count = 1
    """K; above 1 the prompts are also painted with the best of K selected mid-decode."""
    select_at: str = DEFAULT_SELECT_AT
    """Point of the selection: '30%tokens', '8steps' or '12.5%steps'."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """Share of the prompts painted right: all, and by combination, attribute and number of things (of shapes).

        Raises InputError for data or a level without a judge, or a `select_at` outside the decoding.
        """
        judge, ways = needed_judge("prompts", data, pretrained.config), _ways(pretrained.config, self, seed)
        captions, of = _prompts(judge, self.count, seed)
        spans = [within(progress, i / len(ways), (i + 1) / len(ways)) for i in range(len(ways))]
        judged = [_judged(pretrained, judge, captions, way[0], span) for way, span in zip(ways, spans, strict=True)]
        combinations = {name: of == name for name in judge.combinations}
        if len(combinations) > 1:
            combinations = {"all": of == of} | combinations
        measures = []
        for name, rows in combinations.items():
            at = {"data": data, "combination": name}
            for flags, (_, where) in zip(judged, ways, strict=True):
                measures += _measures(flags, judge, captions, rows, at, where)
            if len(judged) > 1:
                measures += _gains(judged[0], judged[1], rows, {**at, **ways[1][1]})
        return measures


@dataclass(frozen=True)
class _Judged:
    """(P,) flags of painted prompts."""

    attributes: dict[str, NDArray[np.bool_]]
    right: NDArray[np.bool_]
    well_formed: NDArray[np.bool_]


def _ways(config: DreamConfig, settings: PromptsSettings, seed: int) -> list[tuple[DecodeSettings, dict[str, Any]]]:
    """Decoding settings and the conditions that name them: plain, and with selection if there are candidates."""
    changes = settings.otherwise
    ways = [(decode_settings_of(config, seed, **changes), {**changes, "candidates": 1})]
    if settings.candidates > 1:
        plain, tokens = ways[0][0], config.image.num_tokens
        point = parse_select_at(settings.select_at, tokens, plain.steps, coarse_steps=plain.coarse_steps)
        select = {"candidates": settings.candidates, "selection": "once", "select_steps": (point.step,)}
        place = {"step": point.step, "decoded_fraction": round(point.decoded_fraction, 4)}
        where = {**changes, "candidates": settings.candidates, **place}
        ways.append((decode_settings_of(config, seed, **changes, **select), where))
    return ways


def _prompts(judge: PictureJudge, count: int, seed: int) -> tuple[list[str], NDArray[np.str_]]:
    """Captions of every combination, in nearly equal numbers (`count` in total), and the combination of each."""
    captions, of = [], []
    for number, combination in enumerate(judge.combinations):
        draws = np.random.default_rng(seed_of(seed, "prompts", combination))
        found = judge.prompts(combination, (count + number) // len(judge.combinations), draws)
        captions += found
        of += [combination] * len(found)
    return captions, np.array(of)


def _judged(
    pretrained: Pretrained, judge: PictureJudge, captions: Sequence[str], settings: DecodeSettings, progress: Progress
) -> _Judged:
    verdict = judge.verdict(paint_captions(pretrained, captions, settings, progress), captions)
    attributes = {name: flags.numpy() for name, flags in verdict.attributes.items()}
    return _Judged(attributes, verdict.right.numpy(), verdict.well_formed.numpy())


def _measures(
    judged: _Judged,
    judge: PictureJudge,
    captions: Sequence[str],
    rows: NDArray[np.bool_],
    at: dict[str, Any],
    way: dict[str, Any],
) -> list[Measure]:
    """Measures of the prompts in `rows` (P,), and of each of the judge's conditions alone."""
    conditions = [judge.conditions(caption) for caption in captions]
    everything = {name: "all" for condition in conditions for name in condition}

    def measure(name: str, flags: NDArray[np.bool_], condition: dict[str, Any], of: NDArray[np.bool_]) -> Measure:
        distinct = len({caption for caption, counted in zip(captions, of, strict=True) if counted})
        where = {**at, **condition, "distinct_prompts": distinct, **way}
        return Measure("prompts", name, where, share(flags[of], "prompts"))

    alone = sorted(
        {(n, v) for condition, row in zip(conditions, rows, strict=True) if row for n, v in condition.items()}
    )
    parts = [
        ({**everything, name: value}, rows & np.array([c.get(name) == value for c in conditions]))
        for name, value in alone
    ]
    return [
        measure(EVERY, judged.right, everything, rows),
        *(measure(EVERY, judged.right, condition, of) for condition, of in parts),
        *(measure(f"{name} right", flags, everything, rows) for name, flags in judged.attributes.items()),
        measure(WELL_FORMED, judged.well_formed, everything, rows),
    ]


def _gains(plain: _Judged, chosen: _Judged, rows: NDArray[np.bool_], at: dict[str, Any]) -> list[Measure]:
    return [
        Measure("prompts", GAIN, {**at, **refusing}, mean_difference((after.astype(int) - before)[rows]))
        for before, after, refusing in (
            (plain.right, chosen.right, {}),
            (plain.well_formed, chosen.well_formed, {"malformed_refused": True}),
        )
    ]
