"""Selection: does choosing one of K candidates in mid-decode by the model's own score pay, when, and at what?

All K candidates of each prompt are finished and judged, and every step's score of each is recorded on the
way, so that a choice at any step, and among any fewer candidates, is measured on the same pictures. Gains are
in the share of prompts whose picture is right: over a random candidate, over finishing all K and choosing
then (reranking), and over spending the same compute otherwise.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dream.data.grammar import caption
from dream.data.shapes import sample_scenes
from dream.data.sources import open_source
from dream.decoding.state import StepRecord
from dream.errors import InputError
from dream.evaluation.judging.judge import Judge, judged_level, load_judge
from dream.evaluation.limits import at_least, shares
from dream.evaluation.painted.outcomes import HEADLINE, MARKED, Candidates, Longer, selection_measures
from dream.evaluation.painted.painting import decode_settings_of, paint_captions, records_by_batch
from dream.evaluation.progress import Progress, quiet, within
from dream.evaluation.statistics import Measure
from dream.randomness import seed_of

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

FIRST_PART = 0.85
"""About how much of the time the candidates take; the rest is for the samples in more steps."""


@dataclass(frozen=True)
class SelectionSettings:
    """What the task `selection` paints and reports."""

    count: int = 256
    """P, prompts: for shapes, of combinations that training never shows."""
    candidates: int = 8
    """K, finished pictures a prompt; every smaller number is measured on the same ones."""
    shares: tuple[float, ...] = MARKED
    """Shares of the tokens whose first steps are marked (and always reported)."""
    points: int = 16
    """Steps reported, evenly spread over those that reveal tokens; 0: every one."""
    every_size: bool = False
    """Report every number of candidates from 2 to K at all of these steps, not only at 30 % of the tokens."""

    def __post_init__(self) -> None:
        at_least("selection", self, count=2, candidates=2, points=0)
        shares("selection", "shares", self.shares, one=True)


def selection(
    pretrained: "Pretrained",
    *,
    data: str = "shapes",
    settings: SelectionSettings = SelectionSettings(),
    seed: int = 0,
    progress: Progress = quiet,
) -> list[Measure]:
    """`selection_measures` of pictures painted for unseen prompts of shapes, or for the validation captions
    of other data, which no judge can tell right from wrong.

    Raises InputError for a level of shapes that the judge does not know, and for data with too few captions.
    """
    judge = load_judge() if data == "shapes" else None
    prompts = _prompts(pretrained, data, settings.count, seed)
    first, rest = within(progress, 0.0, FIRST_PART), within(progress, FIRST_PART, 1.0)
    found = candidate_scores(pretrained, judge, prompts, candidates=settings.candidates, seed=seed, progress=first)
    longer = None if judge is None else longer_samples(pretrained, judge, prompts, found, seed, rest)
    return selection_measures(
        found,
        longer=longer,
        shares=settings.shares,
        points=settings.points,
        every_size=settings.every_size,
        data=data,
        seed=seed,
    )


def _prompts(pretrained: "Pretrained", data: str, count: int, seed: int) -> list[str]:
    if data == "shapes":
        draws = np.random.default_rng(seed_of(seed, "selection prompts"))
        level = judged_level(pretrained.config)
        return [caption(scene) for scene in sample_scenes(level, count, draws, unseen=True)]
    captions = open_source(data, pretrained.config, split="val").captions(20 * count)
    different = list(dict.fromkeys(captions))[:count]
    if len(different) < 2:
        raise InputError(f"{data} has {len(different)} different validation captions, 2 are needed")
    return different


def candidate_scores(
    pretrained: "Pretrained",
    judge: Judge | None,
    prompts: Sequence[str],
    *,
    candidates: int = 8,
    seed: int = 0,
    progress: Progress = quiet,
) -> Candidates:
    """`candidates` finished pictures for each prompt, judged (if there is a judge), with every step's scores.

    This is what takes its time; everything else is arithmetic.
    """
    settings = decode_settings_of(pretrained.config, seed, candidates=candidates, selection="none")
    parts = records_by_batch(pretrained, prompts, settings, scored=True, progress=progress)
    batches = [_scored(pretrained, judge, part, records) for part, records in parts]
    flags: dict[str, Any] = {}
    if judge is not None:
        flags = {n: np.concatenate([getattr(b, n) for b in batches]) for n in ("right", "well_formed")}
    scores = np.concatenate([b.scores for b in batches], axis=1)
    return Candidates(scores, batches[0].steps, batches[0].decoded, **flags)


def _scored(
    pretrained: "Pretrained", judge: Judge | None, prompts: Sequence[str], records: Iterator[StepRecord]
) -> Candidates:
    scores, steps, decoded = [], [], []
    for record in records:
        assert record.alignment is not None
        scores.append(record.alignment.view(len(prompts), -1).float().cpu().numpy())  # rows are prompt-major
        steps.append(record.step + 1)
        decoded.append(record.decoded_fraction)
    found = Candidates(np.stack(scores), tuple(steps), tuple(decoded))
    if judge is None:
        return found
    pictures = pretrained.image_tokenizer.to_pixels(record.tokens).cpu()  # (P K, 3, H, W), of the last step
    verdict = judge.verdict(pictures, [p for p in prompts for _ in range(len(pictures) // len(prompts))])
    flags = (part.view(len(prompts), -1).numpy() for part in (verdict.right, verdict.well_formed))
    return Candidates(found.scores, found.steps, found.decoded, *flags)


def longer_samples(
    pretrained: "Pretrained",
    judge: Judge,
    prompts: Sequence[str],
    found: Candidates,
    seed: int = 0,
    progress: Progress = quiet,
) -> Longer:
    """One sample of each prompt in as many steps as the headline's choice among all candidates costs.

    More steps than tokens cannot be taken, so that this may cost less; its cost says so.
    """
    cost = found.cost(found.scores.shape[2], found.first_with(HEADLINE))
    steps = min(round(cost * len(found.steps)), pretrained.config.image.num_tokens)
    pictures = paint_captions(pretrained, prompts, decode_settings_of(pretrained.config, seed, steps=steps), progress)
    verdict = judge.verdict(pictures, prompts)
    return Longer(steps, steps / len(found.steps), verdict.right.numpy(), verdict.well_formed.numpy())
