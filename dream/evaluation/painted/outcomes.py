"""What choosing one of K candidates in mid-decode is worth, from recorded scores and outcomes.

Gains are in the share of prompts whose picture is right: over a random candidate, over finishing all K and
choosing then (reranking), and over spending the same compute otherwise. Pure functions of arrays; it paints
and judges nothing.

Cost is counted as DREAM does (section 4): in decoding steps, an encoder and a decoder pass of one candidate
each, over those of one plain sample. Choosing among K after s of S steps costs 1 + (K - 1) s / S: K = 5 costs
1.5x at step 8 of 64. Reranking costs K, and the scores themselves nothing, an encoder pass being the next
step's too (but for those that are dropped, and the finished picture's).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.evaluation.painted.choices import any_hit, between, rank_correlations, value_of_choice
from dream.evaluation.statistics import Measure, auc, mean, share

HEADLINE = 0.3
"""Share of the tokens decoded when the headline's choice is made (the first step with at least that)."""
MARKED = (0.125, 0.25, 0.3, 0.5)
"""Shares of the tokens whose first steps are marked."""
Shown = dict[int, str]
"""Indices of the steps reported, and which shares of the tokens each is the first to reach."""


@dataclass(frozen=True)
class Candidates:
    """K finished candidates of P prompts, and their scores on the way."""

    scores: NDArray[np.float32]
    """(T, P, K): cosine of the partial picture and its caption after each step that reveals tokens."""
    steps: tuple[int, ...]
    """(T) steps done when scored."""
    decoded: tuple[float, ...]
    """(T) share of the tokens decoded then."""
    right: NDArray[np.bool_] | None = None
    """(P, K): every attribute is right; what is malformed counts as what it resembles most. None without a
    judge."""
    well_formed: NDArray[np.bool_] | None = None
    """(P, K): right, and nothing malformed."""

    def first_with(self, share: float) -> int:
        """The index of the first step with at least this share of the tokens decoded."""
        return next(i for i, decoded in enumerate(self.decoded) if decoded >= share - 1e-9)

    def cost(self, size: int, index: int) -> float:
        """Plain samples that a choice among `size` after the index-th step costs."""
        return 1 + (size - 1) * (index + 1) / len(self.steps)


@dataclass(frozen=True)
class Longer:
    """One sample a prompt in more steps, for about what choosing costs."""

    steps: int
    """Steps that each reveal something; never more than there are tokens."""
    cost: float
    """Plain samples that it costs."""
    right: NDArray[np.bool_]
    """(P,) as in Candidates."""
    well_formed: NDArray[np.bool_]
    """(P,) as in Candidates."""


def selection_measures(
    found: Candidates,
    *,
    longer: Longer | None = None,
    shares: Sequence[float] = MARKED,
    points: int = 16,
    every_size: bool = False,
    data: str = "shapes",
    seed: int = 0,
) -> list[Measure]:
    """What a choice at each step is worth, prompts resampled; `headline`: at 30 % of the tokens.

    By both counts, since a model that is nearly always right leaves nothing to choose but form; without a
    judge only how well the partial score foretells the final one. Steps are those of all K candidates;
    fewer candidates are compared at the headline's, or with `every_size` at all of them.
    """
    draws = np.random.default_rng(seed)
    shown = _shown(found, shares, points)
    measures = _alignment(found, shown, {"data": data}, draws)
    if found.right is not None and found.well_formed is not None:
        for count, refusing in (("right", {}), ("well_formed", {"malformed_refused": True})):
            right = getattr(found, count)
            at = {"data": data, **refusing}
            measures += _overview(found, right, at, draws)
            measures += _by_step(found, right, shown, at, draws)
            places = list(shown)[:-1] if every_size else [found.first_with(HEADLINE)]
            measures += [m for i in places for m in _by_size(found, right, i, at, draws)]
            if longer is not None:
                measures += _over_longer(found, right, longer, getattr(longer, count), at, draws)
    return measures


def _alignment(found: Candidates, shown: Shown, at: dict[str, Any], draws: np.random.Generator) -> list[Measure]:
    """Rank correlation with the final score, and what is lost of it against the best of the finished."""
    final, size = found.scores[-1], found.scores.shape[2]
    best = final.max(1)
    measures = [
        Measure(
            "selection",
            "regret in alignment of a random candidate",
            {**at, "candidates": size},
            mean(best - final.mean(1), draws),
        )
    ]
    for i, reached in list(shown.items())[:-1]:  # the last step's are 1 and 0
        where = {**at, **_place(found, i, size, reached)}
        rho = rank_correlations(found.scores[i], final)
        regret = best - value_of_choice(found.scores[i], final)
        measures += [
            Measure("selection", "rank correlation", where, mean(rho[~np.isnan(rho)], draws)),
            Measure("selection", "regret in alignment", where, mean(regret, draws)),
        ]
    return measures


def _overview(
    found: Candidates, right: NDArray[np.bool_], at: dict[str, Any], draws: np.random.Generator
) -> list[Measure]:
    i, count = found.first_with(HEADLINE), right.shape[1]
    at = {**at, "candidates": count}
    place = {**at, **_place(found, i, count)}
    cost = found.cost(count, i)
    choice, final = value_of_choice(found.scores[i], right), found.scores[-1]
    plain = between(lambda size: value_of_choice(final, right, size), cost)
    some = between(lambda size: any_hit(right, size), cost)
    return [
        Measure("selection", "random candidate right", at, mean(right.mean(1), draws)),
        Measure("selection", "chosen candidate right", place, mean(choice, draws)),
        Measure(
            "selection", "reranked candidate right", {**at, "cost": count}, mean(value_of_choice(final, right), draws)
        ),
        Measure("selection", f"any of {count} right", at, share(right.any(1))),
        Measure("selection", "gain over plain samples of equal cost, reranked", place, mean(choice - plain, draws)),
        Measure("selection", "any of the plain samples of equal cost right", place, mean(some, draws)),
    ]


def _by_step(
    found: Candidates, right: NDArray[np.bool_], shown: Shown, at: dict[str, Any], draws: np.random.Generator
) -> list[Measure]:
    reranked, size = value_of_choice(found.scores[-1], right), right.shape[1]
    measures = []
    for i, reached in shown.items():
        where = {**at, **_place(found, i, size, reached)}
        choice = value_of_choice(found.scores[i], right)
        measures += [
            Measure("selection", "gain of the choice", where, mean(choice - right.mean(1), draws)),
            Measure("selection", "AUC", where, auc(found.scores[i], right, draws)),
        ]
        if i < len(found.steps) - 1:
            measures.append(Measure("selection", "gain over reranking", where, mean(choice - reranked, draws)))
    return measures


def _by_size(
    found: Candidates, right: NDArray[np.bool_], i: int, at: dict[str, Any], draws: np.random.Generator
) -> list[Measure]:
    """The i-th step's choice among 2 .. K - 1 candidates, exactly over all such sets of the K."""
    measures = []
    for size in range(2, right.shape[1]):
        where = {**at, **_place(found, i, size)}
        choice, reranked = (value_of_choice(scores, right, size) for scores in (found.scores[i], found.scores[-1]))
        measures += [
            Measure("selection", "gain of the choice", where, mean(choice - right.mean(1), draws)),
            Measure("selection", "gain over reranking", where, mean(choice - reranked, draws)),
        ]
    return measures


def _over_longer(
    found: Candidates,
    right: NDArray[np.bool_],
    longer: Longer,
    longer_right: NDArray[np.bool_],
    at: dict[str, Any],
    draws: np.random.Generator,
) -> list[Measure]:
    i = found.first_with(HEADLINE)
    where = {**at, "steps": longer.steps, "cost": round(longer.cost, 3)}
    gain = value_of_choice(found.scores[i], right) - longer_right
    place = {**at, **_place(found, i, right.shape[1])}
    beside = {"longer_steps": longer.steps, "longer_cost": round(longer.cost, 3)}
    return [
        Measure("selection", "one sample in more steps right", where, share(longer_right)),
        Measure("selection", "gain over more steps", {**place, **beside}, mean(gain, draws)),
    ]


def _shown(found: Candidates, shares: Sequence[float], points: int) -> Shown:
    """About `points` steps (0: all), rising; those that first reach a share, and the last, are among them."""
    last = len(found.steps) - 1
    count = min(points or last + 1, last + 1)
    reached: dict[int, str] = {}
    for value in sorted(shares):
        i = found.first_with(value)
        reached[i] = f"{reached[i]}, {100 * value:g} %" if i in reached else f"{100 * value:g} %"
    indices = {round(i) for i in np.linspace(0, last, count).tolist()}
    return {i: reached.get(i, "") for i in sorted(indices | {last, found.first_with(HEADLINE)} | set(reached))}


def _place(found: Candidates, index: int, size: int, reached: str = "") -> dict[str, Any]:
    """The conditions of a choice among `size` candidates after a step."""
    where: dict[str, Any] = {
        "candidates": size,
        "step": found.steps[index],
        "decoded_fraction": round(found.decoded[index], 4),
        "cost": round(found.cost(size, index), 3),
    }
    where |= {"first_with": f"{reached} of the tokens"} if reached else {}
    return where | ({"headline": True} if index == found.first_with(HEADLINE) else {})
