"""Worth of choosing at each step, from finished candidates: ranking, regret, gain and cost, also in words.

Pure functions of arrays.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dream.evaluation.painted.choices import rank_correlations, value_of_choice
from dream.evaluation.statistics import Estimate, auc, mean, mean_difference, mean_share
from workbench.csv_files import csv_of
from workbench.trajectories.finished import Finished


class Worth(NamedTuple):
    """A choice among all K after one step; intervals are over prompts, so one prompt has none."""

    step: int
    of: int
    decoded: float
    """Share of the tokens decoded at the choice."""
    rank: Estimate
    """Spearman's rank correlation of the scores at the choice and at the end."""
    regret: Estimate
    """Best final score minus that of the chosen candidate (cosine)."""
    auc: Estimate | None
    """AUC of the score for right against wrong candidates; None unless there are both."""
    right: Estimate | None
    """Share of chosen candidates that are right; None if the judge knows no prompt."""
    gain: Estimate | None
    """`right` minus the share of the same prompt's candidates that are right."""
    picture_steps: float
    """Decoding steps of single candidates, relative to those of one plain picture."""
    seconds: float
    """Measured time of K candidates up to the choice, then one to the end."""
    seconds_all: float
    """Measured time of all K to the end."""
    seconds_plain: float
    """Measured time of one plain picture."""

    @property
    def slower(self) -> float:
        """Measured time, relative to one plain picture."""
        return self.seconds / self.seconds_plain if self.seconds_plain else math.nan


def worth_by_step(found: Finished, strict: bool = True) -> list[Worth]:
    """Worth of choosing after each step that reveals tokens; after the last one, of choosing at the end.

    `strict` counts malformed pictures as wrong.
    """
    flags, final, total = found.flags(strict), found.scores[-1], len(found.steps)
    mixed = bool((flags.any(1) & ~flags.all(1)).any())
    rows = []
    for i in range(total):
        scores = found.scores[i]
        rho = rank_correlations(scores, final)
        known = scores[found.judged]
        right = value_of_choice(known, flags) if len(flags) else np.zeros(0)
        rows.append(
            Worth(
                found.steps[i],
                found.settings.steps,
                found.decoded[i],
                mean(rho[~np.isnan(rho)], "prompts", least=-1, most=1),
                mean(final.max(1) - value_of_choice(scores, final), "prompts", least=0),
                auc(known, flags) if mixed else None,
                mean_share(right, "prompts") if len(flags) else None,
                mean_difference(right - flags.mean(1)) if len(flags) else None,
                1 + (found.candidates - 1) * (i + 1) / total,
                sum(found.seconds[: i + 1]) + sum(found.plain_seconds[i + 1 :]),
                sum(found.seconds),
                sum(found.plain_seconds),
            )
        )
    return rows


def random_regret(found: Finished) -> float:
    """Mean regret of a random candidate: best final score minus its own (cosine)."""
    final = found.scores[-1]
    return float((final.max(1) - final.mean(1)).mean())


def random_right(found: Finished, strict: bool = True) -> float | None:
    """Share of the candidates that are right; None if the judge knows no prompt."""
    flags = found.flags(strict)
    return float(flags.mean()) if len(flags) else None


def scored_index(found: Finished, step: int) -> int:
    """Index of the last scored step up to `step`; 0 if there is none."""
    return max((i for i, done in enumerate(found.steps) if done <= step), default=0)


COLUMNS = (
    "step",
    "steps",
    "share of the steps",
    "share of the tokens",
    *(
        name + end
        for name in (
            "rank correlation",
            "regret (cosine)",
            "AUC",
            "chosen is right (share)",
            "gain over a random one (share)",
        )
        for end in ("", ", low", ", high")
    ),
    "cost (plain pictures, in steps)",
    "time (s)",
    "time over a plain picture's",
    "prompts",
)
"""Columns of the table; low and high are the ends of 95 % intervals over prompts."""


def worth_table(rows: Sequence[Worth]) -> list[list[float | None]]:
    """One row per step with the columns COLUMNS; None where there is no number."""

    def three(e: Estimate | None) -> list[float | None]:
        numbers = (e.value, e.low, e.high) if e is not None else (math.nan,) * 3
        return [round(n, 6) if math.isfinite(n) else None for n in numbers]

    return [
        [
            row.step,
            row.of,
            round(row.step / row.of, 6),
            round(row.decoded, 6),
            *three(row.rank),
            *three(row.regret),
            *three(row.auc),
            *three(row.right),
            *three(row.gain),
            round(row.picture_steps, 6),
            round(row.seconds, 4),
            round(row.slower, 4),
            row.regret.count,
        ]
        for row in rows
    ]


def worth_csv(rows: Sequence[Worth]) -> bytes:
    """The table as CSV."""
    return csv_of(COLUMNS, worth_table(rows))


def what_is_seen(found: Finished, index: int, taken: int | None = None, strict: bool = True) -> str:
    """Describes in a sentence or two what choosing after the index-th step gained for one prompt.

    `taken` is the chosen candidate (default: the best scored).
    """
    k, final = found.candidates, found.scores[-1, 0]
    taken = int(found.scores[index, 0].argmax()) if taken is None else taken
    rank = 1 + int((final > final[taken]).sum())
    regret, random = float(final.max() - final[taken]), float((final.max() - final).mean())
    by_score = (
        f"By the score, candidate {taken + 1} ranks {_place(rank, k)}, {regret:.3f} below the best; a "
        f"random candidate is {random:.3f} below it on average."
    )
    flags = found.flags(strict)
    if not len(flags):
        return f"The judges know only captions of shapes and emoji, so judge the pictures yourself. {by_score}"
    right, good = int(flags[0].sum()), bool(flags[0, taken])
    if right == k:
        return (
            f"All {k} finished candidates are right, so there was nothing to gain; the score only says which one "
            f"the model finds most similar to the prompt. {by_score}"
        )
    if right == 0:
        return f"None of the {k} finished candidates is right, so no choice could have helped. {by_score}"
    fate = "is one of them" if good else "is not"
    return (
        f"{right} of {k} finished candidates {'is' if right == 1 else 'are'} right, and the chosen one "
        f"({taken + 1}) {fate}. {by_score}"
    )


def what_is_seen_over(found: Finished, rows: Sequence[Worth], index: int, strict: bool = True) -> str:
    """Describes in a sentence or two what choosing after the index-th step gained over many prompts."""
    row, random = rows[index], random_regret(found)
    text = (
        f"Chosen after step {row.step} of {row.of} ({100 * row.decoded:.3g} % of the tokens), the regret is "
        f"{row.regret.value:.3f}; that of a random candidate is {random:.3f}."
    )
    share = random_right(found, strict)
    if share is None or row.right is None or row.gain is None:
        return f"{text} The judge knows none of these prompts, so only scores are compared."
    if share == 1.0:
        return f"{text} Every candidate of every judged prompt is right, so there is nothing to gain here."
    gain, low, high = (100 * n for n in (row.gain.value, row.gain.low, row.gain.high))
    text = (
        f"{text} {100 * row.right.value:.0f} % of the chosen are right against {100 * share:.0f} % of all "
        f"candidates: {gain:+.1f} points"
    )
    if not row.gain.has_interval:
        return f"{text}; {row.gain.interval}."
    sure = "more than chance" if low > 0 or high < 0 else "not distinguishable from chance"
    return f"{text} [{low:.1f}, {high:.1f}], {sure} with {row.gain.count} prompts."


def _place(rank: int, of: int) -> str:
    return "first" if rank == 1 else f"number {rank} of {of}" if rank < of else "last"
