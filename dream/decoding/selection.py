"""Semantically Aligned Decoding as a plan of a decode's steps.

K candidates of a prompt share one order and differ by diffusion noise; the model's own joint space scores the
partial pictures. "At step t" means after t steps, on the tokens they have revealed, so every step is given
together with the share of the tokens that is decoded there. Pure functions, without a model (docs/method.md,
Decoding).
"""

import itertools
import math
import re
from typing import NamedTuple

from torch import Tensor

from dream.decoding.settings import DecodeSettings, Selection
from dream.errors import InputError
from dream.masking import reveal_schedule

DEFAULT_SELECT_AT = "30%tokens"
"""Default place of the comparison: the contrastive loss is trained on pictures with at least 25 % visible."""


class SelectPoint(NamedTuple):
    """A moment of a decode: after `step` steps, when `decoded_fraction` of the tokens is visible."""

    step: int
    decoded_fraction: float

    def __str__(self) -> str:
        return f"step {self.step} ({self.decoded_fraction:.1%} of the tokens)"


class StepPlan(NamedTuple):
    """One decoding step: tokens it `reveals` per row, `draws` per row, and candidates to `keep` per prompt.

    If `scored`, candidates are compared after the step. If it `repairs`, what it reveals was decoded before and is
    hidden again first.
    """

    step: int
    reveals: int
    draws: int
    keep: int
    scored: bool
    repairs: bool = False


def parse_select_at(
    text: str, num_tokens: int, steps: int, hidden: int | None = None, coarse_steps: int | None = None
) -> SelectPoint:
    """The moment that `text` names: '8steps', '12.5%steps' (nearest step), or '12.5%tokens'.

    A percentage of tokens is the first step after which at least that share of the picture is visible; of 256
    tokens in 64 steps 12.5 % is step 21. `hidden` is the number of tokens to decode (default: all),
    `coarse_steps` that of the settings. Raises InputError for any other form, or a step outside [1, steps - 1].
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*(tokens|steps?)\s*", text.lower())
    if not match or match[2] + match[3] == "tokens":
        raise InputError(
            f"select-at takes a number of steps or a percentage of the tokens or steps, got '{text}'; "
            "write for example 8steps, 12.5%tokens or 12.5%steps"
        )
    amount, percent, unit = float(match[1]), bool(match[2]), match[3]
    fractions = decoded_fractions(num_tokens, steps, hidden, coarse_steps)
    if unit == "tokens":
        step = next((s for s, share in enumerate(fractions) if 100 * share >= amount - 1e-9), steps + 1)
    elif percent:
        step = round(steps * amount / 100)
    elif amount.is_integer():
        step = int(amount)
    else:
        raise InputError(f"select-at takes a whole number of steps, got '{text}'")
    if not 1 <= step <= steps - 1:
        raise InputError(f"select-at must name a step in [1, {steps - 1}] (steps - 1), got {text.strip()}: step {step}")
    return SelectPoint(step, fractions[step])


def parse_select_points(
    text: str, selection: Selection, candidates: int, plain: DecodeSettings, num_tokens: int, hidden: int | None = None
) -> list[SelectPoint]:
    """The comma-separated moments of `--select-at`, in the steps of `plain`, checked against `selection`.

    `halving` with one moment continues at each doubling of the decoded share, until one of K `candidates` is
    left. Raises InputError as `parse_select_at` does, and for moments that do not fit the selection.
    """
    steps, coarse_steps = plain.reveal_steps, plain.coarse_steps
    points = [parse_select_at(part, num_tokens, steps, hidden, coarse_steps) for part in text.split(",")]
    if len(points) > 1 and selection != "halving":
        raise InputError(f"select-at takes one moment with --selection {selection}, got '{text}'")
    if any(later.step <= earlier.step for earlier, later in itertools.pairwise(points)):
        raise InputError(f"select-at must name rising steps, got '{text}'")
    if selection == "halving" and len(points) == 1:
        return _doubling(points[0], candidates, decoded_fractions(num_tokens, steps, hidden, coarse_steps))
    return points


def decoded_fractions(
    num_tokens: int, steps: int, hidden: int | None = None, coarse_steps: int | None = None
) -> list[float]:
    """Share of the tokens visible after 0, 1, .. S steps, if `hidden` (default: all) are to be decoded."""
    hidden = num_tokens if hidden is None else hidden
    visible = [num_tokens - hidden]
    for count in reveal_schedule(hidden, steps, coarse_steps):
        visible.append(visible[-1] + count)
    return [v / num_tokens for v in visible]


def plan_steps(settings: DecodeSettings, hidden: int) -> list[StepPlan]:
    """Plans of the steps that reveal a token, in order, for `hidden` tokens per row.

    A comparison planned after a step without tokens is made after the last step before it that reveals one.
    """
    counts = reveal_schedule(hidden, settings.reveal_steps, settings.coarse_steps)
    revealing = [step for step, count in enumerate(counts) if count]
    following = dict(zip(revealing, [*revealing[1:], settings.reveal_steps], strict=True))
    kept_after = _kept_after(settings)
    plan, alive = [], settings.begun
    for step in revealing:
        draws, keep, scored = 1, alive, False
        if settings.selection == "every" and settings.candidates > 1:
            if step >= settings.select_steps[0]:
                draws, keep, scored = settings.candidates, 1, True
        else:
            if step == revealing[0]:
                draws = settings.candidates // settings.begun
            keep = alive * draws
            for at, kept in kept_after.items():
                if step < at <= following[step]:
                    keep, scored = min(keep, kept), True
        plan.append(StepPlan(step, counts[step], draws, keep, scored))
        alive = keep
    if settings.repair and hidden:
        plan.append(StepPlan(settings.steps - 1, math.ceil(settings.repair * hidden), 1, alive, False, True))
    return plan


def best(scores: Tensor, keep: int) -> Tensor:
    """(B, keep) long: columns of the best `scores` (B, K), in rising order; of equal ones the first."""
    order = scores.argsort(dim=1, descending=True, stable=True)
    return order[:, :keep].sort(dim=1).values


def _doubling(first: SelectPoint, candidates: int, fractions: list[float]) -> list[SelectPoint]:
    """`first`, then each step before the end where the decoded share has doubled; at most log2(K) moments."""
    points, steps = [first], len(fractions) - 1
    while len(points) < math.ceil(math.log2(candidates)):
        target = 2 * points[-1].decoded_fraction
        step = next((s for s, share in enumerate(fractions) if share >= target), steps)
        if not points[-1].step < step < steps:
            break
        points.append(SelectPoint(step, fractions[step]))
    return points


def _kept_after(settings: DecodeSettings) -> dict[int, int]:
    """Candidates kept after each comparison of `once` and `halving`: K shrinks to 1 by equal factors."""
    if settings.candidates == 1 or settings.selection in ("none", "every"):
        return {}
    count = len(settings.select_steps)
    return {
        step: max(1, round(settings.candidates ** (1 - (i + 1) / count)))
        for i, step in enumerate(settings.select_steps)
    }
