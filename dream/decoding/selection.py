"""Semantically Aligned Decoding as a plan: how many candidates are drawn at which step, and how many are
kept.

K candidates of a prompt share one order and differ by diffusion noise; the model's own joint space scores the
partial pictures. "At step t" means after t steps, on what they have revealed, which is why every number goes
with the share of the tokens that is decoded there. Pure functions: it knows nothing of models.
"""

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, NamedTuple

from torch import Tensor

from dream.config import DecodeConfig, HeadConfig
from dream.errors import InputError
from dream.masking import reveal_schedule

Selection = Literal["none", "once", "every", "halving"]
"""How K candidates become one.

`once`: at one step; `every`: from a step on, K draws of each step's tokens, best kept; `halving`: over
several steps (our extension); `none`: all K are finished.
"""

DEFAULT_SELECT_AT = "30%tokens"
"""Where candidates are compared unless told: the contrast was trained on pictures with 25 % and more
visible."""


class SelectPoint(NamedTuple):
    """A place in a decode: after `step` steps, where `decoded_fraction` of the tokens is visible."""

    step: int
    decoded_fraction: float

    def __str__(self) -> str:
        return f"step {self.step} ({self.decoded_fraction:.1%} of the tokens)"


class StepPlan(NamedTuple):
    """One decoding step: tokens it `reveals` a row, `draws` of them a row, and candidates it `keep`s a
    prompt.

    `scored` says that candidates are compared after the step.
    """

    step: int
    reveals: int
    draws: int
    keep: int
    scored: bool


@dataclass(frozen=True)
class DecodeSettings:
    """Everything that decides what a decode paints, given a model and the prompts."""

    steps: int = 16
    """S, reveal steps."""
    guidance_scale: float = 3.0
    """Classifier-free guidance; 1 = off."""
    guidance_schedule: Literal["linear", "constant"] = "linear"
    """`linear` in the share of tokens visible after the step, from 1 to just short of the scale; or
    `constant`."""
    temperature: float = 1.0
    """Factor on the diffusion head's noise."""
    candidates: int = 1
    """K, tries a prompt."""
    selection: Selection = "once"
    """How the candidates are thinned out (no matter when K = 1)."""
    select_steps: tuple[int, ...] = ()
    """Steps after which candidates are compared: one for `once` and `every` (its first), rising ones for
    `halving`."""
    seed: int = 0
    """Seed of orders and noise."""
    sampling_steps: int | None = None
    """Denoising steps of one token; none takes the model's."""

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise InputError("; ".join(problems))

    def to_dict(self) -> dict[str, Any]:
        """Plain dict, ready for JSON."""
        return asdict(self)

    @classmethod
    def of(cls, own: DecodeConfig, **changes: Any) -> "DecodeSettings":
        """The model's own settings, changed where told."""
        return cls(**{**asdict(own), **changes})

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "DecodeSettings":
        """The settings of `to_dict`'s result; unknown or ill-typed fields raise InputError."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(tree) - known):
            raise InputError(f"unknown decoding setting '{unknown[0]}'; known are {', '.join(sorted(known))}")
        try:
            return cls(**{**tree, "select_steps": tuple(tree.get("select_steps", ()))})
        except TypeError as error:
            raise InputError(f"these are no decoding settings: {error}") from error

    @property
    def guided(self) -> bool:
        """True where an unconditional pass is needed."""
        return self.guidance_scale != 1.0

    def head(self, config: HeadConfig) -> HeadConfig:
        """The model's head settings with these sampling steps."""
        return replace(config, sampling_steps=self.sampling_steps or config.sampling_steps)

    def guidance_at(self, left: int, num_tokens: int) -> float:
        """Guidance scale of a step that leaves `left` of `num_tokens` hidden.

        The published schedule counts at least one as hidden, so the last step's scale stays just short of the
        full one.
        """
        if self.guidance_schedule == "constant":
            return self.guidance_scale
        return 1.0 + (self.guidance_scale - 1.0) * (num_tokens - max(1, left)) / num_tokens


def parse_select_at(text: str, num_tokens: int, steps: int, hidden: int | None = None) -> SelectPoint:
    """The step that `text` names: '8steps', '12.5%steps' (nearest step), or '12.5%tokens'.

    A percentage of tokens is the first step after which at least that share of the picture is visible; of 256
    tokens in 64 steps 12.5 % is step 21. `hidden` is how many tokens there are to decode (default: all).
    Raises InputError for another form, or a step outside [1, steps - 1].
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*(tokens|steps?)\s*", text.lower())
    if not match or match[2] + match[3] == "tokens":
        raise InputError(
            f"select-at takes a number of steps or a percentage of the tokens or steps, got '{text}'; "
            "write e.g. 8steps, 12.5%tokens or 12.5%steps"
        )
    amount, percent, unit = float(match[1]), bool(match[2]), match[3]
    fractions = decoded_fractions(num_tokens, steps, hidden)
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
    text: str, selection: Selection, candidates: int, num_tokens: int, steps: int, hidden: int | None = None
) -> list[SelectPoint]:
    """The comma-separated places of `--select-at`, checked against `selection`.

    `halving` given one place goes on at each doubling of the decoded share, until one of K `candidates` is
    left.
    """
    points = [parse_select_at(part, num_tokens, steps, hidden) for part in text.split(",")]
    if len(points) > 1 and selection != "halving":
        raise InputError(f"select-at takes one place with --selection {selection}, got '{text}'")
    if any(later.step <= earlier.step for earlier, later in itertools.pairwise(points)):
        raise InputError(f"select-at must name rising steps, got '{text}'")
    if selection == "halving" and len(points) == 1:
        return _doubling(points[0], candidates, decoded_fractions(num_tokens, steps, hidden))
    return points


def decoded_fractions(num_tokens: int, steps: int, hidden: int | None = None) -> list[float]:
    """Share of the tokens visible after 0, 1, .. S steps, when `hidden` (default all) are to be decoded."""
    hidden = num_tokens if hidden is None else hidden
    visible = [num_tokens - hidden]
    for count in reveal_schedule(hidden, steps):
        visible.append(visible[-1] + count)
    return [v / num_tokens for v in visible]


def plan_steps(settings: DecodeSettings, hidden: int) -> list[StepPlan]:
    """What every step does that reveals a token, in order. `hidden` tokens a row are to be decoded.

    A comparison that falls after a step without tokens is made after the last one before it that has some.
    """
    counts = reveal_schedule(hidden, settings.steps)
    revealing = [step for step, count in enumerate(counts) if count]
    following = dict(zip(revealing, [*revealing[1:], settings.steps], strict=True))
    kept_after = _kept_after(settings)
    plan, alive = [], 1
    for step in revealing:
        draws, keep, scored = 1, alive, False
        if settings.selection == "every" and settings.candidates > 1:
            if step >= settings.select_steps[0]:
                draws, keep, scored = settings.candidates, 1, True
        else:
            if step == revealing[0]:
                draws = settings.candidates
            keep = alive * draws
            for at, kept in kept_after.items():
                if step < at <= following[step]:
                    keep, scored = min(keep, kept), True
        plan.append(StepPlan(step, counts[step], draws, keep, scored))
        alive = keep
    return plan


def best(scores: Tensor, keep: int) -> Tensor:
    """(B, keep) long: the columns of the best `scores` (B, K), rising; of equals the first."""
    order = scores.argsort(dim=1, descending=True, stable=True)
    return order[:, :keep].sort(dim=1).values


def _doubling(first: SelectPoint, candidates: int, fractions: list[float]) -> list[SelectPoint]:
    """`first`, then each step where the decoded share has doubled, before the end; at most log2(K) places."""
    points, steps = [first], len(fractions) - 1
    while len(points) < math.ceil(math.log2(candidates)):
        target = 2 * points[-1].decoded_fraction
        step = next((s for s, share in enumerate(fractions) if share >= target), steps)
        if not points[-1].step < step < steps:
            break
        points.append(SelectPoint(step, fractions[step]))
    return points


def _kept_after(settings: DecodeSettings) -> dict[int, int]:
    """Candidates kept after each comparison of `once` and `halving`: K shrinks by one factor a time, to 1."""
    if settings.candidates == 1 or settings.selection in ("none", "every"):
        return {}
    times = len(settings.select_steps)
    return {
        step: max(1, round(settings.candidates ** (1 - (i + 1) / times)))
        for i, step in enumerate(settings.select_steps)
    }


def _problems(settings: DecodeSettings) -> list[str]:
    """Every inconsistency, each as one clause."""
    s, problems = settings, []
    at_least_one = {"steps": s.steps, "candidates": s.candidates, "guidance": s.guidance_scale}
    at_least_one |= {"sampling-steps": s.sampling_steps} if s.sampling_steps is not None else {}
    for name, value in at_least_one.items():
        if not 1 <= value < math.inf:
            problems.append(f"{name} must be at least 1, got {value}")
    if not 0 <= s.temperature < math.inf:
        problems.append(f"temperature must not be negative, got {s.temperature}")
    if not 0 <= s.seed < 2**63:
        problems.append(f"seed must be in [0, 2^63), got {s.seed}")
    if s.guidance_schedule not in ("linear", "constant"):
        problems.append(f"the guidance schedule must be linear or constant, got '{s.guidance_schedule}'")
    if s.selection not in ("none", "once", "every", "halving"):
        problems.append(f"selection must be none, once, every or halving, got '{s.selection}'")
    if s.candidates > 1 and s.selection != "none":
        problems += _select_problems(s)
    return problems


def _select_problems(s: DecodeSettings) -> list[str]:
    bad = [t for t in s.select_steps if not 1 <= t <= s.steps - 1]
    if bad:
        return [f"select_steps must be in [1, {s.steps - 1}] (steps - 1), got {bad[0]}"]
    if not s.select_steps or (s.selection != "halving" and len(s.select_steps) > 1):
        return [f"selection {s.selection} of {s.candidates} candidates needs one select step: {s.select_steps}"]
    if list(s.select_steps) != sorted(set(s.select_steps)):
        return [f"select_steps must rise, got {s.select_steps}"]
    return []
