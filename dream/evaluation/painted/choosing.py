"""Choosing: does choosing among unfinished candidates pay, by which score, when, and against what else the time buys?

All K candidates of each prompt are decoded to the end once; every score reads every partial picture of theirs. So the
choice at any step, by any score, among any smaller number of candidates is measured on the same pictures. Cost is CPU
time, measured in the same pass, relative to one plain sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from dream.decoding.settings import SCORE_NAMES, DecodeSettings
from dream.errors import InputError, did_you_mean
from dream.evaluation.judging.interface import PictureJudge
from dream.evaluation.judging.worlds import needed_judge
from dream.evaluation.painted.choosing_measures import Otherwise, choosing_measures
from dream.evaluation.painted.painting import decode_settings_of, painted_and_timed
from dream.evaluation.painted.scored_candidates import scored_candidates
from dream.evaluation.progress import Progress, quiet, within
from dream.evaluation.settings import UP_TO_1, PaintingSettings, at_least
from dream.evaluation.statistics import Measure
from dream.model.pretrained import Pretrained
from dream.randomness import seed_of

KINDS = 2
"""Kinds of prompts that are measured apart: those that were trained on, and known things combined anew."""


@dataclass(frozen=True)
class ChoosingSettings(PaintingSettings, task="choosing"):
    """How much to paint, and which scores to compare."""

    count: Annotated[int, at_least(4)] = 500
    """Prompts in total, in equal parts seen and unseen combinations."""
    candidates: Annotated[int, at_least(2)] = 8
    """K, finished pictures per prompt; every smaller number is measured on the same pictures."""
    scores: tuple[str, ...] = (*SCORE_NAMES, "critic+cosine")
    """Scores to compare, sums included; the critic only if the model has one (`dream critic train`)."""
    shares: Annotated[tuple[float, ...], UP_TO_1] = (0.125, 0.3)
    """Shares of the tokens at which scores that cost passes of their own are measured."""
    alternatives: Annotated[int, at_least(0)] = 100
    """Prompts that are also painted once in more steps, and once in more denoising steps; 0: none."""
    factor: Annotated[int, at_least(2)] = 2
    """How many times as many steps that is."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """`choosing_measures` of seen and of unseen combinations. Raises InputError for data without a judge."""
        judge = needed_judge("choosing", data, pretrained.config)
        names = list(dict.fromkeys(part for score in self.scores for part in score.split("+")))
        if wrong := [name for name in names if name not in SCORE_NAMES]:
            raise InputError(f"unknown score '{wrong[0]}'{did_you_mean(wrong[0], SCORE_NAMES)}")
        kinds = judge.combinations[:KINDS]
        measures = []
        for number, kind in enumerate(kinds):
            span = within(progress, number / len(kinds), (number + 1) / len(kinds))
            draws = np.random.default_rng(seed_of(seed, "choosing prompts", kind))
            prompts = judge.prompts(kind, (self.count + number) // len(kinds), draws)
            settings = decode_settings_of(
                pretrained.config,
                seed_of(seed, "choosing"),
                **self.otherwise,
                candidates=self.candidates,
                selection="none",
            )
            found = scored_candidates(pretrained, judge, prompts, settings, names, self.shares, within(span, 0.0, 0.9))
            others = self._otherwise(pretrained, judge, prompts, settings, within(span, 0.9, 1.0))
            scores = [score for score in self.scores if all(part in found.scores for part in score.split("+"))]
            measures += choosing_measures(found, scores, others, {"data": data, "combination": kind})
        return self.said_in(measures)

    def _otherwise(
        self,
        pretrained: Pretrained,
        judge: PictureJudge,
        prompts: Sequence[str],
        settings: DecodeSettings,
        progress: Progress,
    ) -> list[Otherwise]:
        """One sample per prompt, for the first prompts, with the time spent on more steps or on more denoising."""
        some = prompts[: self.alternatives // KINDS]
        if not some:
            return []
        steps = min(self.factor * settings.steps, pretrained.config.image.num_tokens)
        denoising = self.factor * settings.head(pretrained.config.head).sampling_steps
        ways = {
            "one sample as usual": {},
            f"one sample in {steps} steps": {"steps": steps},
            f"one sample with {denoising} denoising steps": {"sampling_steps": denoising},
        }
        found = []
        for number, (name, changes) in enumerate(ways.items()):
            own = decode_settings_of(pretrained.config, settings.seed, **{**self.otherwise, **changes})
            pictures, times = painted_and_timed(pretrained, some, own, within(progress, number / 3, (number + 1) / 3))
            seconds = float(times[:, 0].sum()) / len(some)
            verdict = judge.verdict(pictures, some)
            flags = {**verdict.attributes, "everything": verdict.right}
            flags["everything, nothing malformed"] = verdict.well_formed
            found.append(Otherwise(name, seconds, {name: flag.numpy() for name, flag in flags.items()}))
        return found
