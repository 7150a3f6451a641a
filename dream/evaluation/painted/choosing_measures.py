"""Measures of a choice among recorded candidates: gains, AUC, ranks, regret, and cost in time; with intervals.

Gains are in the share of prompts whose finished picture shows what is asked, by what is asked. They compare with a
random candidate, with choosing among all finished pictures, and with the same time spent otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.evaluation.painted.candidates import HEADLINE
from dream.evaluation.painted.choices import any_hit, between, rank_correlations, value_of_choice
from dream.evaluation.painted.scored_candidates import ScoredCandidates
from dream.evaluation.statistics import (
    Estimate,
    Measure,
    auc,
    mean,
    mean_difference,
    mean_of_averages,
    mean_share,
    rate,
    share,
)

TASK, PROMPTS = "choosing", "prompts"
RERANKER = "cosine"
"""Score by which finished pictures are compared where that is the alternative: the paper's."""


@dataclass(frozen=True)
class Otherwise:
    """One picture of some prompts, painted in another way."""

    name: str
    seconds: float
    """CPU seconds per picture."""
    outcomes: dict[str, NDArray[np.bool_]]
    """(Q,) as in ScoredCandidates, for the first Q of its prompts."""


def choosing_measures(
    found: ScoredCandidates, scores: Sequence[str], others: Sequence[Otherwise], at: dict[str, Any]
) -> list[Measure]:
    """All measures of one kind of prompts, `at` these conditions."""
    size = found.grade.shape[1]
    measures = [Measure(TASK, "CPU seconds of a plain sample", at, mean_of_averages(found.batches, "batches"))]
    for outcome, right in found.outcomes.items():
        where = {**at, "outcome": outcome, "candidates": size}
        measures += [
            Measure(TASK, "a sample right", where, mean_share(right.mean(1), PROMPTS)),
            Measure(TASK, f"any of {size} right", where, share(right.any(1), PROMPTS)),
            *_finished(found, right, where),
            *_otherwise(found, right, others, where, outcome),
        ]
    for score in scores:
        values = found.score(score)
        for index in range(len(found.steps)):
            if not np.isnan(values[index]).any():
                measures += _choice(found, score, values[index], index, at)
    return measures


def _choice(
    found: ScoredCandidates, score: str, values: NDArray[np.float64], index: int, at: dict[str, Any]
) -> list[Measure]:
    """The choice by one score at one step; among fewer candidates at the headline's step."""
    size = found.grade.shape[1]
    where = {**at, "score": score, **_place(found, score, size, index)}
    ranks = rank_correlations(values, found.grade)
    measures = [
        Measure(TASK, "rank correlation with the judge", where, _ranks(ranks)),
        Measure(
            TASK,
            "rank correlation with the finished cosine",
            where,
            _ranks(rank_correlations(values, found.scores[RERANKER][-1])),
        ),
    ]
    for outcome, right in found.outcomes.items():
        place = {**where, "outcome": outcome}
        choice = value_of_choice(values, right)
        gain, finished = choice - right.mean(1), value_of_choice(found.scores[RERANKER][-1], right) - right.mean(1)
        measures += [
            Measure(TASK, "gain of the choice", place, mean_difference(gain)),
            Measure(TASK, "AUC", place, auc(values, right)),
            Measure(TASK, "regret", place, mean_difference(right.any(1) - choice)),
            Measure(
                TASK,
                "gain over fewer finished ones in the same time",
                place,
                _over_fewer(found, right, choice, place["time"]),
            ),
        ]
        if index < len(found.steps) - 1:
            measures.append(Measure(TASK, "gain over all finished ones", place, mean_difference(gain - finished)))
            if finished.mean() > 0:
                part = rate(np.stack([gain, finished], 1), PROMPTS)
                measures.append(Measure(TASK, "share of the gain among finished ones", place, part))
        if place.get("headline"):
            for fewer in range(2, size):
                own = {**at, "score": score, "outcome": outcome, **_place(found, score, fewer, index)}
                gained = value_of_choice(values, right, fewer) - right.mean(1)
                measures.append(Measure(TASK, "gain of the choice", own, mean_difference(gained)))
    return measures


def _over_fewer(
    found: ScoredCandidates, right: NDArray[np.bool_], choice: NDArray[np.float64], time: float
) -> Estimate:
    """Gain over finishing as many candidates as the same time allows and taking the best by the finished cosine."""
    last = len(found.steps) - 1
    alone = found.seconds.of_choice(RERANKER, 1, last) / found.seconds.plain
    number = min(max(1.0, time / alone), float(right.shape[1]))
    final = found.scores[RERANKER][-1]
    plain = between(lambda size: value_of_choice(final, right, size), number)
    return mean_difference(choice - plain)


def _finished(found: ScoredCandidates, right: NDArray[np.bool_], where: dict[str, Any]) -> list[Measure]:
    """Best of 2 .. K finished pictures by the paper's score: the line that a choice in the middle has to beat."""
    final, last, measures = found.scores[RERANKER][-1], len(found.steps) - 1, []
    for size in range(2, right.shape[1] + 1):
        time = found.seconds.of_choice(RERANKER, size, last) / found.seconds.plain
        place = {**where, "candidates": size, "time": round(time, 3)}
        gain = value_of_choice(final, right, size) - right.mean(1)
        measures.append(Measure(TASK, "gain of finishing all and choosing", place, mean_difference(gain)))
        reached = any_hit(right, size) - right.mean(1)
        measures.append(Measure(TASK, "gain of an oracle among finished ones", place, mean_difference(reached)))
    return measures


def _otherwise(
    found: ScoredCandidates, right: NDArray[np.bool_], others: Sequence[Otherwise], where: dict[str, Any], outcome: str
) -> list[Measure]:
    """Gain over the first sample of painting one picture in another way, and what that costs in time.

    The first of `others` is the usual way: times are relative to its, since one picture per prompt is painted in
    other batches than several.
    """
    measures = []
    for other in others[1:]:
        hits = other.outcomes[outcome]
        gain = hits.astype(float) - others[0].outcomes[outcome]
        place = {**where, "candidates": 1, "way": other.name, "time": round(other.seconds / others[0].seconds, 3)}
        measures.append(Measure(TASK, "gain of another way", place, mean_difference(gain)))
    return measures


def _ranks(values: NDArray[np.float64]) -> Estimate:
    return mean(values[~np.isnan(values)], PROMPTS, least=-1, most=1)


def _place(found: ScoredCandidates, score: str, size: int, index: int) -> dict[str, Any]:
    """Conditions of a choice among `size` candidates after a step; `time` is CPU time relative to a plain sample."""
    time = found.seconds.of_choice(score, size, index) / found.seconds.plain
    place: dict[str, Any] = {
        "candidates": size,
        "step": found.steps[index],
        "decoded_fraction": round(found.decoded[index], 4),
        "time": round(time, 3),
    }
    return place | ({"headline": True} if index == found.first_with(HEADLINE) else {})
