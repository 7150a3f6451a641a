"""Selection: does choosing one of K candidates in mid-decode by the model's own score pay, and when?

All K candidates of each prompt are finished and judged, and every step's score of each is recorded on the
way, so that a choice at any step is measured on the same pictures. Gains are against a random candidate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dream.data.grammar import Scene, caption
from dream.data.shapes import sample_scenes
from dream.decoding.decode import StepRecord
from dream.evaluation.judge import Judge
from dream.evaluation.painting import judged_level, records_by_batch, settings_of
from dream.evaluation.statistics import Measure, auc, mean, share
from dream.randomness import seed_of

if TYPE_CHECKING:
    from dream.pretrained import Pretrained

HEADLINE = 0.3
"""Share of the tokens decoded when the headline's choice is made (the first step with at least that)."""


@dataclass(frozen=True)
class Candidates:
    """K finished candidates of P prompts, and their scores on the way."""

    right: NDArray[np.bool_]
    """(P, K): every attribute is right; what is malformed counts as what it resembles most."""
    well_formed: NDArray[np.bool_]
    """(P, K): right, and nothing malformed."""
    scores: NDArray[np.float32]
    """(T, P, K): cosine of the partial picture and its caption after each step that reveals tokens."""
    steps: tuple[int, ...]
    """(T) steps done when scored."""
    decoded: tuple[float, ...]
    """(T) share of the tokens decoded then."""


def candidate_scores(
    pretrained: "Pretrained", judge: Judge, *, count: int = 500, candidates: int = 8, seed: int = 0
) -> Candidates:
    """`candidates` finished pictures for each of `count` unseen prompts, judged, with every step's scores.

    Scoring takes no encoder pass of its own, but for the finished picture. Raises InputError for a level
    that the judge does not know.
    """
    level = judged_level(pretrained.config)
    settings = settings_of(pretrained.config, seed, candidates=candidates, selection="none")
    draws = np.random.default_rng(seed_of(seed, "selection prompts"))
    scenes = sample_scenes(level, count, draws, unseen=True)
    parts = records_by_batch(pretrained, scenes, settings, scored=True)
    batches = [_judged(pretrained, judge, part, records) for part, records in parts]
    return Candidates(
        right=np.concatenate([b.right for b in batches]),
        well_formed=np.concatenate([b.well_formed for b in batches]),
        scores=np.concatenate([b.scores for b in batches], axis=1),
        steps=batches[0].steps,
        decoded=batches[0].decoded,
    )


def _judged(
    pretrained: "Pretrained", judge: Judge, scenes: Sequence[Scene], records: Iterator[StepRecord]
) -> Candidates:
    scores, steps, decoded = [], [], []
    for record in records:
        assert record.alignment is not None
        scores.append(record.alignment.view(len(scenes), -1).cpu().numpy())  # rows are prompt-major
        steps.append(record.step + 1)
        decoded.append(record.decoded_fraction)
    pictures = pretrained.images.decode(record.tokens).cpu()  # (P K, 3, H, W), of the last step
    prompts = [caption(scene) for scene in scenes for _ in range(len(pictures) // len(scenes))]
    right, well_formed = (
        judge.correct(pictures, prompts, refusing=refusing).view(len(scenes), -1).numpy()
        for refusing in (False, True)
    )
    return Candidates(right, well_formed, np.stack(scores), tuple(steps), tuple(decoded))


def selection_measures(found: Candidates, seed: int = 0) -> list[Measure]:
    """Gain and AUC of a choice at each step (`headline`: at 30 % of the tokens), prompts resampled.

    By both counts, since a model that is nearly always right leaves nothing to choose but form.
    """
    draws = np.random.default_rng(seed)
    count = found.right.shape[1]
    headline = next(i for i, decoded in enumerate(found.decoded) if decoded >= HEADLINE - 1e-9)
    measures = []
    for right, refusing in ((found.right, {}), (found.well_formed, {"malformed_refused": True})):
        at = {"candidates": count, **refusing}
        measures += [
            Measure("selection", "random candidate right", at, mean(right.mean(1), draws)),
            Measure("selection", f"any of {count} right", at, share(right.any(1))),
        ]
        for i, (step, decoded) in enumerate(zip(found.steps, found.decoded, strict=True)):
            where = {**at, "step": step, "decoded_fraction": round(decoded, 4)}
            where |= {"headline": True} if i == headline else {}
            gain = chosen_right(found.scores[i], right) - right.mean(1)
            measures += [
                Measure("selection", "gain of the choice", where, mean(gain, draws)),
                Measure("selection", "AUC", where, auc(found.scores[i], right, draws)),
            ]
    return measures


def chosen_right(scores: NDArray[np.floating], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(P,): is the candidate with the best of the scores (P, K) right; a tie counts by its share."""
    best = scores == scores.max(1, keepdims=True)
    return (best & right).sum(1) / best.sum(1)


def selection(
    pretrained: "Pretrained", judge: Judge, *, count: int = 500, candidates: int = 8, seed: int = 0
) -> list[Measure]:
    """`selection_measures` of `candidate_scores`."""
    return selection_measures(
        candidate_scores(pretrained, judge, count=count, candidates=candidates, seed=seed), seed
    )
