"""Front: how few steps paint as well as many? Quality against time, over decoding steps and ways of denoising.

Every row of settings paints the same held-out captions with the same seeds. The judge counts what is right, and says
how far the pictures are from the real ones of these captions. The row to paint with is the fastest one whose every
number is within the interval of the first and slowest one's. Distilled heads are rows, too (`also`), and so is the
published algorithm, without any of the savings of `dream.decoding` (`published`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from dream.config import DreamConfig
from dream.data.batch import Batch
from dream.decoding.paint import paint
from dream.decoding.previews import to_uint8
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from dream.evaluation.held_out import held_out_pictures
from dream.evaluation.judging.interface import PictureJudge
from dream.evaluation.judging.worlds import needed_judge
from dream.evaluation.painted.frechet import FEWEST_PICTURES, frechet_estimate
from dream.evaluation.painted.painting import decode_settings_of, painted_and_timed
from dream.evaluation.progress import Progress, quiet, within
from dream.evaluation.settings import HeldOutSettings, at_least
from dream.evaluation.statistics import Estimate, Measure, rate, share
from dream.model.pretrained import Pretrained
from dream.pretrained import load_pretrained
from dream.published import SELECT_SHARE
from dream.randomness import seed_of

SECONDS, DISTANCE, FASTER = "CPU seconds per picture", "Frechet distance", "times as fast as the slowest"
PUBLISHED = "as published"
"""Way of the row that the published algorithm paints."""

WAYS = {
    "flow": ("heun", "dpm++", "euler+shift=1", "euler+shift=4", "euler+last=1", "euler+high=0.8", "euler+low=0.2"),
    "noise": ("ddim", "dpm++", "ddim+start=0.98", "dpm+++start=0.98", "ddpm+start=0.98", "ddpm+last=5"),
    "energy": (),
}
"""Ways of denoising that are tried by default, besides the model's own, by the kind of head."""
DENOISING_STEPS = {"flow": (16, 8, 4, 2, 1), "noise": (50, 25, 10, 5), "energy": (1,)}
"""Denoising steps that are tried by default, by the kind of head."""
WAY_FIELDS = {
    "steps": "steps",
    "coarse": "coarse_steps",
    "last": "last_sampling_steps",
    "low": "guidance_low",
    "high": "guidance_high",
    "shift": "time_shift",
    "start": "start_time",
}
"""Fields of `DecodeSettings` by their names in a way."""


class FrontPoint(NamedTuple):
    """One row of settings, as measured."""

    steps: int
    sampling_steps: int
    seconds: Estimate
    """CPU seconds per picture."""
    shares: dict[str, Estimate]
    """Of pictures with each attribute right, and with everything right."""
    distance: Estimate
    """From the real pictures, in the judge's features."""
    way: str = ""
    """Way of denoising, as `way_settings` reads it; empty: the model's own."""
    model: str = ""
    """Name of another model that painted this row; empty: the one that is measured."""

    @property
    def where(self) -> dict[str, object]:
        """Conditions of its measures."""
        named = {"way": self.way, "model": self.model}
        words = {name: value for name, value in named.items() if value}
        return {"steps": self.steps, "sampling_steps": self.sampling_steps, **words}


@dataclass(frozen=True)
class FrontSettings(HeldOutSettings, task="front"):
    """How much to paint, and in how many steps."""

    count: Annotated[int, at_least(FEWEST_PICTURES)] = 400
    """Held-out pictures, whose captions are painted; the data may have fewer."""
    steps: Annotated[tuple[int, ...], at_least(1)] = (16, 8, 4)
    """Decoding steps to try."""
    sampling_steps: Annotated[tuple[int, ...] | None, at_least(1)] = None
    """Denoising steps per token to try, each with each number of decoding steps; none: those of the kind of head."""
    ways: tuple[str, ...] | None = None
    """Other ways of denoising to try, at the model's own decoding steps: a solver, then +steps=, +coarse=, +last=,
    +low=, +high=, +shift= or +start= with a number; none: those of the kind of head, if `steps` has the model's own."""
    way_steps: Annotated[tuple[int, ...] | None, at_least(1)] = None
    """Denoising steps of these ways; none: the three smallest of `sampling_steps`."""
    also: tuple[str, ...] = ()
    """Other models, such as distilled ones, each as it paints by itself, at each number of decoding steps."""
    candidates: Annotated[int, at_least(1)] = 1
    """Candidates per caption, of which one is chosen after an eighth of the steps, in every row."""
    published: bool = False
    """Whether the published algorithm paints the first row, in the most steps of both kinds."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """`front_measures` of every row. Raises InputError for data without a judge and for ways that cannot be."""
        judge = needed_judge("front", data, pretrained.config)
        rows = self._rows(pretrained, seed_of(seed, "front"))
        asked = held_out_pictures("front", data, pretrained.config, self.count, split=self.split, least=FEWEST_PICTURES)
        points = []
        for number, row in enumerate(rows):
            span = within(progress, number / len(rows), (number + 1) / len(rows))
            points.append(_painted(row, judge, asked, span))
        return front_measures(points, {"data": data} | ({"candidates": self.candidates} if self.candidates > 1 else {}))

    def _rows(self, pretrained: Pretrained, seed: int) -> "list[_Row]":
        """All rows, the slowest first."""
        config = pretrained.config
        denoising = _falling(self.sampling_steps or DENOISING_STEPS[config.head.objective])
        rows = [
            _Row(pretrained, self._settings(config, seed, steps=steps, sampling_steps=each))
            for steps in _falling(self.steps)
            for each in denoising
        ]
        if self.published:
            rows.insert(0, rows[0]._replace(way=PUBLISHED))
        if self.ways is not None or config.decode.steps in self.steps:
            for way in WAYS[config.head.objective] if self.ways is None else self.ways:
                for each in _falling(self.way_steps or denoising[-3:]):
                    own = way_settings(config, way, each)
                    rows.append(_Row(pretrained, self._settings(config, seed, **own), way))
        for path in self.also:
            other = load_pretrained(path)
            if other.config.image != config.image:
                raise InputError(f"{path} paints pictures of another kind, so it does not belong to this front")
            for steps in _falling(self.steps):
                rows.append(_Row(other, self._settings(other.config, seed, steps=steps), model=Path(path).name))
        for row in rows:
            row.settings.head(row.pretrained.config.head)  # refuses before anything is painted
        return rows

    def _settings(self, config: DreamConfig, seed: int, **changes: Any) -> DecodeSettings:
        """Settings of a row. Raises InputError if there are candidates, and no step after which to choose."""
        plain = decode_settings_of(config, seed, **changes)
        if self.candidates == 1:
            return plain
        if plain.steps == 1:
            raise InputError("a choice among candidates needs at least two steps; leave 1 out of front.steps")
        at = max(1, round(plain.steps * SELECT_SHARE))
        return replace(plain, candidates=self.candidates, selection="once", select_steps=(at,))


class _Row(NamedTuple):
    """A model, the settings it paints with, and what the row is called."""

    pretrained: Pretrained
    settings: DecodeSettings
    way: str = ""
    model: str = ""


def way_settings(config: DreamConfig, way: str, sampling_steps: int) -> dict[str, Any]:
    """Fields of `DecodeSettings` for a way such as `heun` or `euler+last=1+high=0.8`.

    A solver of `noise` heads that adds no noise has temperature 1. Raises InputError for a way that says anything else.
    """
    solver, *changes = (word.strip() for word in way.replace("dpm++", "dpm**").split("+"))
    fields: dict[str, Any] = {"solver": solver.replace("dpm**", "dpm++"), "sampling_steps": sampling_steps}
    if config.head.objective == "noise" and fields["solver"] != "ddpm":
        fields["temperature"] = 1.0
    for change in changes:
        name, _, text = change.partition("=")
        if name not in WAY_FIELDS:
            known = ", ".join(f"+{each}=NUMBER" for each in WAY_FIELDS)
            raise InputError(f"a way of denoising is a solver, and then any of {known}; got '{way}'")
        try:
            fields[WAY_FIELDS[name]] = int(text) if WAY_FIELDS[name].endswith("steps") else float(text)
        except ValueError:
            raise InputError(f"'{change}' in the way '{way}' must have a number after the =") from None
    return fields


def fastest_as_good(points: Sequence[FrontPoint]) -> FrontPoint:
    """The fastest of the points that are as good as the first: within the interval of its shares and its distance."""
    first = points[0]

    def is_as_good(point: FrontPoint) -> bool:
        right = all(point.shares[name].value >= own.low for name, own in first.shares.items())
        return right and point.distance.value <= first.distance.high

    return min([first, *filter(is_as_good, points[1:])], key=lambda point: point.seconds.value)


def front_measures(points: Sequence[FrontPoint], where: dict[str, object]) -> list[Measure]:
    """What was measured of each point, the slowest first; the point to paint with has `chosen` among its conditions."""
    chosen, slowest = fastest_as_good(points), points[0].seconds.value
    measures = []
    for point in points:
        at = {**where, **point.where}
        at |= {"chosen": True} if point is chosen else {}
        measures += [Measure("front", f"{name} right", at, estimate) for name, estimate in point.shares.items()]
        measures += [Measure("front", DISTANCE, at, point.distance), Measure("front", SECONDS, at, point.seconds)]
        measures.append(Measure("front", FASTER, at, _inverse(point.seconds, slowest)))
    return measures


def _falling(numbers: Sequence[int]) -> list[int]:
    return sorted(set(numbers), reverse=True)


def _inverse(seconds: Estimate, slowest: float) -> Estimate:
    """`slowest` over the seconds, with the interval of these alone."""
    low, high = math.nan, math.nan
    if seconds.has_interval and seconds.low > 0:
        low, high = slowest / seconds.high, slowest / seconds.low
    return Estimate(slowest / seconds.value, low, high, seconds.count, seconds.kind, seconds.rows)


def _painted(row: _Row, judge: PictureJudge, asked: Batch, progress: Progress) -> FrontPoint:
    """Paints all captions in batches, each timed, and has them judged."""
    pretrained, settings = row.pretrained, row.settings
    published = row.way == PUBLISHED
    paint(pretrained, asked.captions[:2], settings)  # the first pass is slower than the others
    denoising = settings.head(pretrained.config.head).sampling_steps
    words = " ".join(filter(None, [f"{settings.steps} steps, {denoising} denoising steps", row.way, row.model]))
    painted, times = painted_and_timed(
        pretrained, asked.captions, settings, lambda done, _: progress(done, words), published=published
    )
    pictures = to_uint8(painted)
    verdict = judge.verdict(pictures, asked.captions)
    flags = {**verdict.attributes, "everything": verdict.right}
    return FrontPoint(
        settings.steps,
        denoising,
        rate(times.numpy()),
        {name: share(flag.numpy()) for name, flag in flags.items()},
        frechet_estimate(judge.features(asked.images).numpy(), judge.features(pictures).numpy()),
        row.way,
        row.model,
    )
