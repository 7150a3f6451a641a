"""Settings of a decode: everything that, given a model and the prompts, determines its result."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from dream.config import DecodeConfig, HeadConfig
from dream.decoding.denoising import DENOISING
from dream.decoding.solvers import SOLVER_NAMES, SOLVERS, TIME_SHIFT, Sampling, last_time, solver_of
from dream.errors import InputError, did_you_mean
from dream.fields import as_dataclass

Selection = Literal["none", "once", "every", "halving"]
"""How K candidates become one.

`once`: by one comparison. `every`: from a step on, K draws of each step's tokens, of which the best is kept.
`halving`: by several comparisons (our extension). `none`: all K are finished.
"""

SCORE_NAMES = ("cosine", "preview", "confidence", "relevance", "critic")
"""What candidates can be compared by, as `dream.decoding.scores` computes it."""

FOLDS = 2
"""Parts of the decoded tokens that are hidden in turn to see how well they are recovered, one decoder pass each."""
REPAIR_PASSES = FOLDS + 1
"""Decoder passes of a repair: to find the tokens, and to draw them again."""


@dataclass(frozen=True)
class DecodeSettings:
    """Everything that determines the result of a decode, given a model and the prompts."""

    steps: int = 16
    """S, reveal steps."""
    guidance_scale: float = 3.0
    """Classifier-free guidance; 1 = off."""
    guidance_schedule: Literal["linear", "constant"] = "linear"
    """`linear` in the share of tokens visible after the step, from 1 to just below the scale; or `constant`."""
    temperature: float = 1.0
    """Factor on the diffusion head's noise."""
    candidates: int = 1
    """K, candidates per prompt."""
    selection: Selection = "once"
    """How K candidates become one; has no effect with K = 1."""
    select_steps: tuple[int, ...] = ()
    """Steps after which candidates are compared: one for `once`, the first for `every`, rising for `halving`."""
    score: str = "cosine"
    """What candidates are compared by (`dream.decoding.scores`): `cosine` is the paper's; `a+b` is a sum."""
    orders: Literal["shared", "own"] = "shared"
    """Order in which tokens are revealed: one for all candidates of a prompt, or (departure) one for each."""
    coarse_steps: int | None = None
    """(departure) steps that reveal a checkerboard of half the places, before the other steps reveal the rest (GtR,
    arXiv 2510.17171); None: all places in one random order."""
    repair: float = 0.0
    """Share of the tokens that are hidden again at the end and redrawn, those recovered worst (departure); 0: none.

    Tokens are then revealed in REPAIR_PASSES steps fewer, so that there are as many decoder passes."""
    reuse: int = 1
    """The decoder is computed for all places in every so many steps, in the others only for what changed (departure).

    1: for all places in every step. See `dream.decoding.conditions`."""
    seed: int = 0
    """Seed of orders and noise."""
    sampling_steps: int | None = None
    """Denoising steps per token; None takes the model's number."""
    last_sampling_steps: int | None = None
    """(departure) denoising steps in the last decoding step, approached evenly from those of the first (DiSA,
    arXiv 2505.20297); None: as many in all."""
    solver: str | None = None
    """How noise becomes tokens (`dream.decoding.solvers`); None: `ddpm` (published) of `noise` heads, `euler` of `flow`
    heads."""
    time_shift: float = TIME_SHIFT
    """Factor by which the times of a `flow` head are moved towards noise; 1: evenly spaced."""
    start_time: float = 1.0
    """(departure) share of the times of a `noise` head at which denoising starts; 1: the last training step."""
    guidance_low: float = 0.0
    """(departure) lowest noise level with guidance, 0 is clean (arXiv 2404.07724); below it none is computed."""
    guidance_high: float = 1.0
    """(departure) highest noise level with guidance, 1 is noise alone; above it none is computed."""

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise InputError("; ".join(problems))

    def to_dict(self) -> dict[str, Any]:
        """Plain dict, ready for JSON."""
        return asdict(self)

    @classmethod
    def of(cls, own: DecodeConfig, **changes: Any) -> "DecodeSettings":
        """The model's own settings with `changes`."""
        return cls(**{**asdict(own), **changes})

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "DecodeSettings":
        """Inverse of `to_dict`; raises InputError for unknown or ill-typed fields."""
        known = {f.name for f in fields(cls)}
        if isinstance(tree, Mapping) and (unknown := sorted(set(tree) - known)):
            raise InputError(f"unknown decoding setting '{unknown[0]}'; known are {', '.join(sorted(known))}")
        return as_dataclass(tree, cls, "the decoding settings")

    @property
    def scores(self) -> list[str]:
        """Names of the scores whose sum compares candidates."""
        return [name.strip() for name in self.score.split("+")]

    @property
    def reveal_steps(self) -> int:
        """Steps among which the tokens are shared out; a repair takes the place of the last ones."""
        return self.steps - REPAIR_PASSES if self.repair else self.steps

    @property
    def begun(self) -> int:
        """Rows per prompt before the first step: candidates with orders of their own are apart from the start."""
        return self.candidates if self.orders == "own" else 1

    @property
    def guided(self) -> bool:
        """Whether decoding needs an unconditional pass."""
        return self.guidance_scale != 1.0

    @property
    def denoising(self) -> dict[str, Any]:
        """The fields that say how noise becomes a token, besides temperature and guidance."""
        return {name: getattr(self, name) for name in DENOISING}

    @property
    def guided_everywhere(self) -> bool:
        """Whether guidance is computed at every noise level."""
        return (self.guidance_low, self.guidance_high) == (0, 1)

    def head(self, config: HeadConfig, step: int = 0) -> HeadConfig:
        """The model's head config with the denoising steps of decoding step `step`; an `energy` head has one.

        Raises InputError for settings that a head of this kind cannot have.
        """
        if problem := _head_problem(self, config):
            raise InputError(problem)
        if config.objective == "energy":
            return replace(config, sampling_steps=1)
        first = self.sampling_steps or config.sampling_steps
        last = self.last_sampling_steps or first
        return replace(config, sampling_steps=round(first + (last - first) * step / max(1, self.steps - 1)))

    @property
    def sampling(self) -> Sampling:
        """How chains of denoising steps are run."""
        return Sampling(self.solver, self.time_shift, self.start_time)

    def guidance_at(self, left: int, num_tokens: int) -> float:
        """Guidance scale of a step that leaves `left` of `num_tokens` hidden.

        The published schedule counts at least one token as hidden, so the last step's scale stays just below
        the full one.
        """
        if self.guidance_schedule == "constant":
            return self.guidance_scale
        return 1.0 + (self.guidance_scale - 1.0) * (num_tokens - max(1, left)) / num_tokens


def _problems(settings: DecodeSettings) -> list[str]:
    """All inconsistencies, each as one clause."""
    s, problems = settings, []
    at_least_one = {"steps": s.steps, "candidates": s.candidates, "guidance": s.guidance_scale, "reuse": s.reuse}
    optional = {"sampling-steps": s.sampling_steps, "last-sampling-steps": s.last_sampling_steps}
    at_least_one |= {name: count for name, count in optional.items() if count is not None}
    for name, value in at_least_one.items():
        if not 1 <= value < math.inf:
            problems.append(f"{name} must be at least 1, got {value}")
    for name, value, most in (("steps", s.steps, 100_000), ("candidates", s.candidates, 10_000)):
        if value > most:
            problems.append(f"{name} must be at most {most:,}, got {value}")
    if not 0 <= s.temperature < math.inf:
        problems.append(f"temperature must not be negative, got {s.temperature}")
    if not 0 <= s.seed < 2**63:
        problems.append(f"seed must be in [0, 2^63), got {s.seed}")
    if s.guidance_schedule not in ("linear", "constant"):
        problems.append(f"the guidance schedule must be linear or constant, got '{s.guidance_schedule}'")
    if s.selection not in ("none", "once", "every", "halving"):
        problems.append(f"selection must be none, once, every or halving, got '{s.selection}'")
    if not 0 <= s.repair <= 1:
        problems.append(f"repair must be a share of the tokens in [0, 1], got {s.repair}")
    elif s.repair and s.steps <= REPAIR_PASSES:
        problems.append(f"a repair takes {REPAIR_PASSES} of the steps and needs at least {REPAIR_PASSES + 1}")
    elif s.repair and s.candidates > 1 and s.selection == "none":
        problems.append("a repair is of the candidate that is chosen: use another selection than none")
    if s.coarse_steps is not None and not 1 <= s.coarse_steps < s.reveal_steps:
        left = "" if not s.repair else f" that a repair leaves of {s.steps}"
        problems.append(
            f"coarse-steps must be at least 1 and leave one of the {s.reveal_steps} steps{left}, got {s.coarse_steps}"
        )
    for name in s.scores:
        if not name:
            problems.append(f"a score is a name, or names joined by +, got '{s.score}'")
        elif name not in SCORE_NAMES:
            problems.append(
                f"unknown score '{name}'{did_you_mean(name, SCORE_NAMES)} (scores: {', '.join(SCORE_NAMES)})"
            )
    if "relevance" in s.scores and not s.guided and s.candidates > 1:
        problems.append("the score relevance compares with the empty caption and needs guidance above 1")
    if s.orders not in ("shared", "own"):
        problems.append(f"orders must be shared or own, got '{s.orders}'")
    if s.orders == "own" and s.selection == "every" and s.candidates > 1:
        problems.append("selection every draws its candidates from one picture, so they share its order: orders=shared")
    problems += _solver_problems(s)
    if s.candidates > 1 and s.selection != "none":
        problems += _select_problems(s)
    return problems


def _solver_problems(s: DecodeSettings) -> list[str]:
    problems, low, high = [], s.guidance_low, s.guidance_high
    if s.solver is not None and s.solver not in SOLVER_NAMES:
        hint = did_you_mean(s.solver, SOLVER_NAMES)
        problems.append(f"unknown solver '{s.solver}'{hint} (solvers: {', '.join(SOLVER_NAMES)})")
    if not 0 < s.time_shift < math.inf:
        problems.append(f"the time shift must be above 0, got {s.time_shift}")
    if not 0 < s.start_time <= 1:
        problems.append(f"the start time must be a share of the times in (0, 1], got {s.start_time}")
    if not 0 <= low <= high <= 1:
        problems.append(f"the guidance interval must be two rising noise levels in [0, 1], got {low} to {high}")
    return problems


def _head_problem(s: DecodeSettings, config: HeadConfig) -> str | None:
    """Why a head of this kind cannot sample so, as one sentence; None if it can."""
    kind, known = config.objective, SOLVERS[config.objective]
    solver, most = solver_of(config, s.solver), config.train_steps
    if solver not in known:
        return f"the solver {solver} is not for {kind} heads as this model's: choose {' or '.join(known)}"
    if kind == "noise" and solver != "ddpm" and s.temperature != 1:
        return (
            f"temperature scales the noise of ddpm's steps and has no meaning for {solver}, which adds none: give "
            f"temperature 1, or the solver ddpm (got {s.temperature})"
        )
    if kind != "flow" and s.time_shift != TIME_SHIFT:
        return f"a time shift is for flow heads, and this model's is a {kind} head: leave it at {TIME_SHIFT:g}"
    if kind != "noise" and s.start_time != 1:
        return f"a start time is for noise heads, and this model's is a {kind} head: leave it at 1"
    if kind == "energy" and not s.guided_everywhere:
        return "a guidance interval needs several noise levels, and an energy head has none: leave it at 0 to 1"
    if kind == "noise":
        most = last_time(config, s.start_time) + 1
    if (count := max(s.sampling_steps or 1, s.last_sampling_steps or 1)) > most:
        return f"sampling_steps must be at most {most} here, got {count}"
    return None


def _select_problems(s: DecodeSettings) -> list[str]:
    last = s.reveal_steps - 1
    bad = [t for t in s.select_steps if not 1 <= t <= last]
    if bad:
        less = "steps - 1" if not s.repair else f"steps - {REPAIR_PASSES} of the repair - 1"
        return [f"select_steps must be in [1, {last}] ({less}), got {bad[0]}"]
    if not s.select_steps or (s.selection != "halving" and len(s.select_steps) > 1):
        return [f"selection {s.selection} of {s.candidates} candidates needs one select step, got {s.select_steps}"]
    if list(s.select_steps) != sorted(set(s.select_steps)):
        return [f"select_steps must rise, got {s.select_steps}"]
    return []
