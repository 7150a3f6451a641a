"""Headroom: what could *any* score gain by choosing among partial pictures, and how well could it tell them?

A partial picture decides only in part what becomes of it. Each of the K candidates of a prompt is taken to
one step and finished several times with other noise; one half of its completions then serves as its score,
the other half says what became of it. So what comes out is reached by a choice that really can be made at
that step: the best possible score is at least as good. It knows nothing of the model's own score.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.data.grammar import caption
from dream.data.shapes import sample_scenes
from dream.decoding.context import DecodeContext
from dream.decoding.decode import decode_step
from dream.decoding.noise import SeededNoise, seeded_orders
from dream.decoding.paint import encode_prompts
from dream.decoding.selection import DecodeSettings, plan_steps
from dream.decoding.state import DecodeState, start_state
from dream.evaluation.judging.judge import judged_level, load_judge
from dream.evaluation.limits import at_least, needs_answer_key, shares
from dream.evaluation.painted.choices import value_of_choice
from dream.evaluation.painted.painting import ROWS, decode_settings_of
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.statistics import Measure, bootstrap, mean, ordered_pairs
from dream.randomness import seed_of

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained


@dataclass(frozen=True)
class HeadroomSettings:
    """What the task `headroom` paints."""

    count: int = 48
    """P, prompts of combinations that training never shows."""
    candidates: int = 8
    """K, partial pictures a prompt."""
    halves: int = 6
    """Completions in each half: those that score a partial picture, and those that say what became of it."""
    shares: tuple[float, ...] = (0.3,)
    """Shares of the tokens at which is chosen (the first step with at least that)."""

    def __post_init__(self) -> None:
        at_least("headroom", self, count=2, candidates=2, halves=1)
        shares("headroom", "shares", self.shares, one=True)


@dataclass(frozen=True)
class Completions:
    """What became of K partial pictures of P prompts, finished C times each."""

    step: int
    """Steps done when they part."""
    decoded: float
    """Share of the tokens decoded then."""
    right: NDArray[np.bool_]
    """(P, K, C): every attribute is right; what is malformed counts as what it resembles most."""
    well_formed: NDArray[np.bool_]
    """(P, K, C): right, and nothing malformed."""


def headroom(
    pretrained: "Pretrained",
    *,
    data: str = "shapes",
    settings: HeadroomSettings = HeadroomSettings(),
    seed: int = 0,
    progress: Progress = quiet,
) -> list[Measure]:
    """`headroom_measures` at each of the shares. Raises InputError for data or a level without a judge."""
    needs_answer_key("headroom", data)
    level = judged_level(pretrained.config)
    scenes = sample_scenes(level, settings.count, np.random.default_rng(seed_of(seed, "headroom prompts")), unseen=True)
    measures = []
    for number, share in enumerate(settings.shares):

        def tell(done: float, what: str, number: int = number) -> None:
            progress((number + done) / len(settings.shares), what)

        found = completions(pretrained, [caption(s) for s in scenes], settings, share, seed, tell)
        measures += headroom_measures(found, seed)
    return measures


def completions(
    pretrained: "Pretrained",
    prompts: Sequence[str],
    settings: HeadroomSettings,
    share: float,
    seed: int = 0,
    progress: Progress = quiet,
) -> Completions:
    """Candidates of the prompts, taken to `share` of the tokens and finished 2 `halves` times each."""
    judge, count = load_judge(), 2 * settings.halves
    decode = decode_settings_of(pretrained.config, seed, candidates=settings.candidates, selection="none")
    size = max(1, ROWS // settings.candidates)
    right, well_formed, step, decoded = [], [], 0, 0.0
    for first in range(0, len(prompts), size):
        part = prompts[first : first + size]
        walk = _Walk(pretrained, part, decode, range(first, first + len(part)))
        state, step, decoded = walk.to(share)
        asked = [prompt for prompt in part for _ in range(settings.candidates)]
        verdicts = []
        for number, tokens in enumerate(walk.finished(state, count)):
            progress((first + len(part) * number / count) / len(prompts), "finishing partial pictures")
            verdicts.append(judge.verdict(pretrained.image_tokenizer.to_pixels(tokens).cpu(), asked))
        shape = (len(part), settings.candidates, count)
        right.append(torch.stack([v.right for v in verdicts], 1).view(shape).numpy())
        well_formed.append(torch.stack([v.well_formed for v in verdicts], 1).view(shape).numpy())
    return Completions(step, decoded, np.concatenate(right), np.concatenate(well_formed))


class _Walk:
    """Decoding of some prompts that parts at one step."""

    def __init__(
        self, pretrained: "Pretrained", prompts: Sequence[str], settings: DecodeSettings, ids: Sequence[int]
    ) -> None:
        self.settings, self.ids, image = settings, ids, pretrained.config.image
        prompted = encode_prompts(pretrained, list(prompts), settings, ids)
        self.context = DecodeContext.of(pretrained.model, prompted, settings)
        orders = seeded_orders(settings.seed, ids, image.num_tokens).to(prompted.text_ids.device)
        self.state = start_state(orders, image.token_dim)
        self.token_dim, self.num_tokens = image.token_dim, image.num_tokens
        self.plans = plan_steps(settings, image.num_tokens)

    def to(self, share: float) -> tuple[DecodeState, int, float]:
        """The state after the first step with that share of the tokens, its number, and the share."""
        state = self.state
        while True:
            plan, *self.plans = self.plans
            state, record = decode_step(self.context, state, plan)
            if record.decoded_fraction >= share - 1e-9:
                return state, plan.step + 1, record.decoded_fraction

    def finished(self, partial: DecodeState, count: int) -> Iterator[Tensor]:
        """(R, N, D_tok) tokens of finished pictures, `count` times with other noise."""
        for number in range(count):
            noise = SeededNoise(seed_of(self.settings.seed, "completion", number), self.ids, self.token_dim)
            state, context = partial, replace(self.context, noise=noise)
            for plan in self.plans:
                state, _ = decode_step(context, state, plan)
            yield state.tokens


def headroom_measures(found: Completions, seed: int = 0) -> list[Measure]:
    """Gain over a random candidate and AUC of the completions' score, by both counts, prompts resampled.

    'spread of success' is the standard deviation, among the candidates of a prompt, of the chance to end
    well: the halves' covariance has it without the noise of counting.
    """
    draws = np.random.default_rng(seed)
    place = {"candidates": found.right.shape[1], "step": found.step, "decoded_fraction": round(found.decoded, 4)}
    measures = []
    for outcomes, refusing in ((found.right, {}), (found.well_formed, {"malformed_refused": True})):
        where = place | refusing
        half = outcomes.shape[2] // 2
        first, second = outcomes[..., :half].mean(2), outcomes[..., half:].mean(2)  # (P, K)
        gain = [value_of_choice(score, end) - end.mean(1) for score, end in ((first, second), (second, first))]
        pairs = sum(
            ordered_pairs(score, outcomes[..., i])
            for score, ends in ((first, range(half, 2 * half)), (second, range(half)))
            for i in ends
        )
        deviations = (part - part.mean(1, keepdims=True) for part in (first, second))
        covariance = np.prod(list(deviations), axis=0).sum(1) / (outcomes.shape[1] - 1)  # (P,)
        measures += [
            Measure("headroom", "random candidate right", where, mean(outcomes.mean((1, 2)), draws)),
            Measure("headroom", "gain within reach", where, mean(np.mean(gain, 0), draws)),
            Measure("headroom", "AUC within reach", where, bootstrap(pairs, _ratio, draws)),
            Measure("headroom", "spread of success", where, bootstrap(covariance, _root, draws)),
        ]
    return measures


def _ratio(sums: NDArray[Any]) -> NDArray[Any]:
    return sums[..., 0] / sums[..., 1]


def _root(sums: NDArray[Any]) -> NDArray[Any]:
    return np.sqrt(np.maximum(sums[..., 0], 0))
