"""Value of choosing one of K candidates mid-decode, from recorded scores and outcomes.

Gains are in the share of prompts whose picture is right: over a random candidate, over finishing all K and choosing
then (reranking), and over spending the same compute differently. `candidates` says how cost is counted.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.evaluation.painted.candidates import HEADLINE, MARKED, Candidates, Longer
from dream.evaluation.painted.choices import any_hit, between, rank_correlations, value_of_choice
from dream.evaluation.statistics import Measure, auc, mean, mean_difference, mean_share, share

PROMPTS = "prompts"
Shown = dict[int, str]
"""Indices of the reported steps, each with the shares of the tokens that it is the first to reach."""


def selection_measures(
    candidates: Candidates,
    *,
    longer: Longer | None = None,
    shares: Sequence[float] = MARKED,
    points: int = 16,
    every_size: bool = False,
    data: str = "shapes",
) -> list[Measure]:
    """Value of a choice at each step, with intervals over prompts; `headline` marks the step at 30 % of the tokens.

    Outcomes are counted both ways, because only form is left to choose for a model that is nearly always right. Without
    a judge, only the agreement of partial and final scores is measured. All steps compare all K candidates; smaller
    numbers of candidates are compared at the headline's step, or with `every_size` at all steps.
    """
    shown = _shown(candidates, shares, points)
    measures = _alignment(candidates, shown, {"data": data})
    if candidates.right is not None and candidates.well_formed is not None:
        for count, refusing in (("right", {}), ("well_formed", {"malformed_refused": True})):
            right = getattr(candidates, count)
            at = {"data": data, **refusing}
            measures += _overview(candidates, right, at)
            measures += _by_step(candidates, right, shown, at)
            places = list(shown)[:-1] if every_size else [candidates.first_with(HEADLINE)]
            measures += [m for i in places for m in _by_size(candidates, right, i, at)]
            if longer is not None:
                measures += _over_longer(candidates, right, longer, getattr(longer, count), at)
    return measures


def _alignment(candidates: Candidates, shown: Shown, at: dict[str, Any]) -> list[Measure]:
    """Rank correlation with the final score, and the loss in it against the best finished candidate."""
    final, size = candidates.scores[-1], candidates.scores.shape[2]
    best = final.max(1)
    measures = [
        Measure(
            "selection",
            "regret in alignment of a random candidate",
            {**at, "candidates": size},
            mean(best - final.mean(1), PROMPTS, least=0),
        )
    ]
    for i, reached in list(shown.items())[:-1]:  # the last step's are 1 and 0
        where = {**at, **_place(candidates, i, size, reached)}
        rho = rank_correlations(candidates.scores[i], final)
        regret = best - value_of_choice(candidates.scores[i], final)
        measures += [
            Measure("selection", "rank correlation", where, mean(rho[~np.isnan(rho)], PROMPTS, least=-1, most=1)),
            Measure("selection", "regret in alignment", where, mean(regret, PROMPTS, least=0)),
        ]
    return measures


def _overview(candidates: Candidates, right: NDArray[np.bool_], at: dict[str, Any]) -> list[Measure]:
    i, count = candidates.first_with(HEADLINE), right.shape[1]
    at = {**at, "candidates": count}
    place = {**at, **_place(candidates, i, count)}
    cost = candidates.cost(count, i)
    choice, final = value_of_choice(candidates.scores[i], right), candidates.scores[-1]
    reranked = value_of_choice(final, right)
    plain = between(lambda size: value_of_choice(final, right, size), cost)
    any_plain = between(lambda size: any_hit(right, size), cost)
    return [
        Measure("selection", "random candidate right", at, mean_share(right.mean(1), PROMPTS)),
        Measure("selection", "chosen candidate right", place, mean_share(choice, PROMPTS)),
        Measure("selection", "reranked candidate right", {**at, "cost": count}, mean_share(reranked, PROMPTS)),
        Measure("selection", f"any of {count} right", at, share(right.any(1), PROMPTS)),
        Measure("selection", "gain over plain samples of equal cost, reranked", place, mean_difference(choice - plain)),
        Measure("selection", "any of the plain samples of equal cost right", place, mean_share(any_plain, PROMPTS)),
    ]


def _by_step(candidates: Candidates, right: NDArray[np.bool_], shown: Shown, at: dict[str, Any]) -> list[Measure]:
    reranked, size = value_of_choice(candidates.scores[-1], right), right.shape[1]
    measures = []
    for i, reached in shown.items():
        where = {**at, **_place(candidates, i, size, reached)}
        choice = value_of_choice(candidates.scores[i], right)
        measures += [
            Measure("selection", "gain of the choice", where, mean_difference(choice - right.mean(1))),
            Measure("selection", "AUC", where, auc(candidates.scores[i], right)),
        ]
        if i < len(candidates.steps) - 1:
            measures.append(Measure("selection", "gain over reranking", where, mean_difference(choice - reranked)))
    return measures


def _by_size(candidates: Candidates, right: NDArray[np.bool_], i: int, at: dict[str, Any]) -> list[Measure]:
    """Choice at the i-th step among 2 .. K - 1 candidates, exact over all such sets of the K."""
    measures = []
    for size in range(2, right.shape[1]):
        where = {**at, **_place(candidates, i, size)}
        choice, reranked = (
            value_of_choice(scores, right, size) for scores in (candidates.scores[i], candidates.scores[-1])
        )
        measures += [
            Measure("selection", "gain of the choice", where, mean_difference(choice - right.mean(1))),
            Measure("selection", "gain over reranking", where, mean_difference(choice - reranked)),
        ]
    return measures


def _over_longer(
    candidates: Candidates,
    right: NDArray[np.bool_],
    longer: Longer,
    longer_right: NDArray[np.bool_],
    at: dict[str, Any],
) -> list[Measure]:
    i = candidates.first_with(HEADLINE)
    where = {**at, "steps": longer.steps, "cost": round(longer.cost, 3)}
    gain = value_of_choice(candidates.scores[i], right) - longer_right
    place = {**at, **_place(candidates, i, right.shape[1])}
    conditions = {"longer_steps": longer.steps, "longer_cost": round(longer.cost, 3)}
    return [
        Measure("selection", "one sample in more steps right", where, share(longer_right, PROMPTS)),
        Measure("selection", "gain over more steps", {**place, **conditions}, mean_difference(gain)),
    ]


def _shown(candidates: Candidates, shares: Sequence[float], points: int) -> Shown:
    """About `points` steps (0: all) in order, including the last and those that first reach a share."""
    last = len(candidates.steps) - 1
    count = min(points or last + 1, last + 1)
    reached: dict[int, str] = {}
    for value in sorted(shares):
        i = candidates.first_with(value)
        reached[i] = f"{reached[i]}, {100 * value:g} %" if i in reached else f"{100 * value:g} %"
    indices = {round(i) for i in np.linspace(0, last, count).tolist()}
    return {i: reached.get(i, "") for i in sorted(indices | {last, candidates.first_with(HEADLINE)} | set(reached))}


def _place(candidates: Candidates, index: int, size: int, reached: str = "") -> dict[str, Any]:
    """Conditions of a choice among `size` candidates after a step."""
    where: dict[str, Any] = {
        "candidates": size,
        "step": candidates.steps[index],
        "decoded_fraction": round(candidates.decoded[index], 4),
        "cost": round(candidates.cost(size, index), 3),
    }
    where |= {"first_with": f"{reached} of the tokens"} if reached else {}
    return where | ({"headline": True} if index == candidates.first_with(HEADLINE) else {})
