"""Selection: does choosing one of K candidates mid-decode by the model's own score pay, at which step and cost?

All K candidates of each prompt are finished and judged, and every step records the score of each. So a choice at any
step, and among any smaller number of candidates, is measured on the same pictures. `outcomes` computes the gains.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from dream.data.sources import open_source
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import StepRecord
from dream.errors import InputError
from dream.evaluation.judging.interface import PictureJudge
from dream.evaluation.judging.worlds import judge_of
from dream.evaluation.painted.candidates import HEADLINE, MARKED, Candidates, Longer
from dream.evaluation.painted.outcomes import selection_measures
from dream.evaluation.painted.painting import batch_records, batches_of, decode_settings_of, paint_captions
from dream.evaluation.pieces import in_pieces
from dream.evaluation.progress import Progress, quiet, within
from dream.evaluation.settings import UP_TO_1, PaintingSettings, at_least
from dream.evaluation.statistics import Measure
from dream.model.pretrained import Pretrained
from dream.randomness import seed_of

CANDIDATES_SHARE = 0.85
"""Approximate share of the time that the candidates take; samples in more steps take the rest."""


@dataclass(frozen=True)
class SelectionSettings(PaintingSettings, task="selection"):
    """How much to paint, and which steps to report."""

    count: Annotated[int, at_least(2)] = 256
    """P, number of prompts; of data with a judge, combinations that training never shows."""
    candidates: Annotated[int, at_least(2)] = 8
    """K, finished pictures per prompt; every smaller number is measured on the same pictures."""
    shares: Annotated[tuple[float, ...], UP_TO_1] = MARKED
    """Shares of the tokens; the first step that reaches each is marked and always reported."""
    points: Annotated[int, at_least(0)] = 16
    """Steps to report, spread evenly over those that reveal tokens; 0: every step."""
    every_size: bool = False
    """Report every number of candidates from 2 to K at all of these steps, not only at 30 % of the tokens."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """`selection_measures` of pictures painted for unseen prompts of data with a judge, or for other captions.

        Captions of other data come from its validation split, and no judge tells their pictures right from wrong.
        Raises InputError for a level of shapes that the judge does not know, and for data with too few captions.
        """
        judge = judge_of(data, pretrained.config)
        prompts = _prompts(pretrained, judge, data, self.count, seed)
        first, rest = within(progress, 0.0, CANDIDATES_SHARE), within(progress, CANDIDATES_SHARE, 1.0)
        settings = decode_settings_of(
            pretrained.config, seed, **self.otherwise, candidates=self.candidates, selection="none"
        )
        candidates = candidate_scores(pretrained, judge, prompts, settings, first)
        longer = None if judge is None else longer_samples(pretrained, judge, prompts, candidates, settings, rest)
        measures = selection_measures(
            candidates, longer=longer, shares=self.shares, points=self.points, every_size=self.every_size, data=data
        )
        return self.said_in(measures)


def _prompts(pretrained: Pretrained, judge: PictureJudge | None, data: str, count: int, seed: int) -> list[str]:
    if judge is not None:
        return judge.prompts(judge.combinations[0], count, np.random.default_rng(seed_of(seed, "selection prompts")))
    captions = open_source(data, pretrained.config, split="val").captions(20 * count)
    different = list(dict.fromkeys(captions))[:count]
    if len(different) < 2:
        raise InputError(f"{data} has {len(different)} different validation captions, 2 are needed")
    return different


def candidate_scores(
    pretrained: Pretrained,
    judge: PictureJudge | None,
    prompts: Sequence[str],
    settings: DecodeSettings,
    progress: Progress = quiet,
) -> Candidates:
    """All candidates of `settings` finished for each prompt, judged if there is a judge, with the scores of every step.

    This takes the time of the task; the rest is arithmetic.
    """

    def scored(rows: range) -> dict[str, Tensor]:
        records = batch_records(pretrained, prompts, settings, rows, scored=True, progress=progress)
        return _scored(pretrained, judge, [prompts[row] for row in rows], records)

    batches = in_pieces(batches_of(prompts, settings), scored)
    flags: dict[str, Any] = {}
    if judge is not None:
        flags = {name: torch.cat([batch[name] for batch in batches]).numpy() for name in ("right", "well_formed")}
    scores = torch.cat([batch["scores"] for batch in batches], dim=1).numpy()
    return Candidates(scores, tuple(batches[0]["steps"].tolist()), tuple(batches[0]["decoded"].tolist()), **flags)


def _scored(
    pretrained: Pretrained, judge: PictureJudge | None, prompts: Sequence[str], records: Iterator[StepRecord]
) -> dict[str, Tensor]:
    """Fields of `Candidates` for the prompts of a batch."""
    scores, steps, decoded = [], [], []
    for record in records:
        assert record.alignment is not None
        scores.append(record.alignment.view(len(prompts), -1).float().cpu())  # rows are prompt-major
        steps.append(record.step + 1)
        decoded.append(record.decoded_fraction)
    candidates = {
        "scores": torch.stack(scores),
        "steps": torch.tensor(steps),
        "decoded": torch.tensor(decoded, dtype=torch.float64),
    }
    if judge is None:
        return candidates
    pictures = pretrained.image_tokenizer.to_pixels(record.tokens).cpu()  # (P K, 3, H, W), of the last step
    verdict = judge.verdict(pictures, [p for p in prompts for _ in range(len(pictures) // len(prompts))])
    right, well_formed = (flags.view(len(prompts), -1) for flags in (verdict.right, verdict.well_formed))
    return {**candidates, "right": right, "well_formed": well_formed}


def longer_samples(
    pretrained: Pretrained,
    judge: PictureJudge,
    prompts: Sequence[str],
    candidates: Candidates,
    settings: DecodeSettings,
    progress: Progress = quiet,
) -> Longer:
    """One sample per prompt by `settings`, in as many steps as the headline's choice among all candidates costs.

    Steps are capped at the number of tokens; `cost` is what was actually spent.
    """
    cost = candidates.cost(candidates.scores.shape[2], candidates.first_with(HEADLINE))
    steps = min(round(cost * len(candidates.steps)), pretrained.config.image.num_tokens)
    pictures = paint_captions(pretrained, prompts, replace(settings, candidates=1, steps=steps), progress)
    verdict = judge.verdict(pictures, prompts)
    return Longer(steps, steps / len(candidates.steps), verdict.right.numpy(), verdict.well_formed.numpy())
