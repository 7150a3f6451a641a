"""Front: how few steps paint as well as many? Quality against time, over decoding steps and denoising steps.

Every pair of settings paints the same held-out captions with the same seeds. The judge counts what is right, and says
how far the pictures are from the real ones of these captions. The pair to paint with is the fastest one whose every
number is within the interval of the slowest one's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from dream.data.batch import Batch
from dream.decoding.paint import paint
from dream.decoding.previews import to_uint8
from dream.decoding.selection import DecodeSettings
from dream.evaluation.held_out import held_out_pictures
from dream.evaluation.judging.interface import PictureJudge
from dream.evaluation.judging.worlds import needed_judge
from dream.evaluation.painted.frechet import FEWEST_PICTURES, frechet_estimate
from dream.evaluation.painted.painting import decode_settings_of, painted_and_timed
from dream.evaluation.progress import Progress, quiet, within
from dream.evaluation.settings import HeldOutSettings, at_least
from dream.evaluation.statistics import Estimate, Measure, rate, share
from dream.model.pretrained import Pretrained
from dream.randomness import seed_of

SECONDS, DISTANCE, FASTER = "CPU seconds per picture", "Frechet distance", "times as fast as the slowest"


class FrontPoint(NamedTuple):
    """One pair of settings, as measured."""

    steps: int
    sampling_steps: int
    seconds: Estimate
    """CPU seconds per picture."""
    shares: dict[str, Estimate]
    """Of pictures with each attribute right, and with everything right."""
    distance: Estimate
    """From the real pictures, in the judge's features."""


@dataclass(frozen=True)
class FrontSettings(HeldOutSettings, task="front"):
    """How much to paint, and in how many steps."""

    count: Annotated[int, at_least(FEWEST_PICTURES)] = 400
    """Held-out pictures, whose captions are painted; the data may have fewer."""
    steps: Annotated[tuple[int, ...], at_least(1)] = (16, 8, 4)
    """Decoding steps to try."""
    sampling_steps: Annotated[tuple[int, ...], at_least(1)] = (16, 8, 4, 2)
    """Denoising steps per token to try, each with each number of decoding steps."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """`front_measures` of every pair of the two settings. Raises InputError for data without a judge."""
        judge = needed_judge("front", data, pretrained.config)
        asked = held_out_pictures("front", data, pretrained.config, self.count, split=self.split, least=FEWEST_PICTURES)
        pairs = [(steps, each) for steps in _falling(self.steps) for each in _falling(self.sampling_steps)]
        points = []
        for number, (steps, sampling_steps) in enumerate(pairs):
            span = within(progress, number / len(pairs), (number + 1) / len(pairs))
            settings = decode_settings_of(
                pretrained.config, seed_of(seed, "front"), steps=steps, sampling_steps=sampling_steps
            )
            points.append(_painted(pretrained, judge, asked, settings, span))
        return front_measures(points, {"data": data})


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
        at = {**where, "steps": point.steps, "sampling_steps": point.sampling_steps}
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


def _painted(
    pretrained: Pretrained, judge: PictureJudge, asked: Batch, settings: DecodeSettings, progress: Progress
) -> FrontPoint:
    """Paints all captions in batches, each timed, and has them judged."""
    paint(pretrained, asked.captions[:2], settings)  # the first pass is slower than the others
    words = f"{settings.steps} steps, {settings.sampling_steps} denoising steps"
    painted, times = painted_and_timed(pretrained, asked.captions, settings, lambda done, _: progress(done, words))
    pictures = to_uint8(painted)
    verdict = judge.verdict(pictures, asked.captions)
    flags = {**verdict.attributes, "everything": verdict.right}
    return FrontPoint(
        settings.steps,
        settings.sampling_steps or pretrained.config.head.sampling_steps,
        rate(times.numpy()),
        {name: share(flag.numpy()) for name, flag in flags.items()},
        frechet_estimate(judge.features(asked.images).numpy(), judge.features(pictures).numpy()),
    )
