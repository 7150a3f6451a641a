"""Headroom: how much any score could gain by choosing among partial pictures, and how well it could rank them.

A partial picture only partly determines the finished one. Each of a prompt's K candidates is decoded to one step and
finished several times with different noise. Half of its completions then serve as its score, and the other half as the
outcome. So the measured gain is reached by a choice that is possible at that step, and the best possible score is at
least as good. The model's own score is not used.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.decoding.context import DecodeContext
from dream.decoding.decode import decode_step
from dream.decoding.noise import SeededNoise, orders_of
from dream.decoding.paint import encode_prompts
from dream.decoding.selection import plan_steps
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import DecodeState, start_state
from dream.evaluation.judging.interface import PictureJudge
from dream.evaluation.judging.worlds import needed_judge
from dream.evaluation.painted.choices import value_of_choice
from dream.evaluation.painted.painting import batches_of, decode_settings_of
from dream.evaluation.pieces import in_pieces
from dream.evaluation.progress import Progress, quiet, within
from dream.evaluation.settings import UP_TO_1, PaintingSettings, at_least
from dream.evaluation.statistics import Estimate, Measure, mean, mean_difference, mean_share, ordered_pairs, ratio_share
from dream.fields import Count
from dream.model.pretrained import Pretrained
from dream.randomness import seed_of


@dataclass(frozen=True)
class HeadroomSettings(PaintingSettings, task="headroom"):
    """How much to paint, and when to choose."""

    count: Annotated[int, at_least(2)] = 48
    """P, number of prompts, all of them combinations that training never shows."""
    candidates: Annotated[int, at_least(2)] = 8
    """K, partial pictures per prompt."""
    halves: Count = 6
    """Completions in each half: those that score a partial picture, and those that are its outcome."""
    shares: Annotated[tuple[float, ...], UP_TO_1] = (0.3,)
    """Shares of the tokens at which to choose (at the first step that reaches them)."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """`headroom_measures` at each of the shares. Raises InputError for data or a level without a judge."""
        judge = needed_judge("headroom", data, pretrained.config)
        draws = np.random.default_rng(seed_of(seed, "headroom prompts"))
        prompts = judge.prompts(judge.combinations[0], self.count, draws)
        measures = []
        for number, share in enumerate(self.shares):
            span = within(progress, number / len(self.shares), (number + 1) / len(self.shares))
            measures += headroom_measures(completions(pretrained, judge, prompts, self, share, seed, span))
        return self.said_in(measures)


@dataclass(frozen=True)
class Completions:
    """Outcomes of K partial pictures of P prompts, finished C times each."""

    step: int
    """Steps done before the completions diverge."""
    decoded: float
    """Share of the tokens decoded then."""
    right: NDArray[np.bool_]
    """(P, K, C): every attribute is right; malformed objects count as what they resemble most."""
    well_formed: NDArray[np.bool_]
    """(P, K, C): right, and nothing malformed."""


def completions(
    pretrained: Pretrained,
    judge: PictureJudge,
    prompts: Sequence[str],
    settings: HeadroomSettings,
    share: float,
    seed: int = 0,
    progress: Progress = quiet,
) -> Completions:
    """Outcomes of the prompts' candidates, decoded to `share` of the tokens and finished 2 `halves` times each."""
    count = 2 * settings.halves
    decode = decode_settings_of(
        pretrained.config, seed, **settings.otherwise, candidates=settings.candidates, selection="none"
    )

    def finished(rows: range) -> dict[str, Tensor]:
        batch = [prompts[row] for row in rows]
        decoding = _ForkedDecoding(pretrained, batch, decode, rows)
        state, step, decoded = decoding.until(share)
        captions = [prompt for prompt in batch for _ in range(settings.candidates)]
        verdicts = []
        for number, tokens in enumerate(decoding.finished(state, count)):
            progress((rows.start + len(batch) * number / count) / len(prompts), "finishing partial pictures")
            verdicts.append(judge.verdict(pretrained.image_tokenizer.to_pixels(tokens).cpu(), captions))
        shape = (len(batch), settings.candidates, count)
        return {
            "step": torch.tensor(step),
            "decoded": torch.tensor(decoded, dtype=torch.float64),
            "right": torch.stack([v.right for v in verdicts], 1).view(shape),
            "well_formed": torch.stack([v.well_formed for v in verdicts], 1).view(shape),
        }

    batches = in_pieces(batches_of(prompts, decode), finished)
    right, well_formed = (torch.cat([batch[name] for batch in batches]).numpy() for name in ("right", "well_formed"))
    return Completions(int(batches[-1]["step"]), float(batches[-1]["decoded"]), right, well_formed)


class _ForkedDecoding:
    """Decoding of some prompts that shares its first steps and then diverges."""

    def __init__(
        self, pretrained: Pretrained, prompts: Sequence[str], settings: DecodeSettings, ids: Sequence[int]
    ) -> None:
        self.settings, self.ids, image = settings, ids, pretrained.config.image
        prompted = encode_prompts(pretrained, list(prompts), settings, ids)
        self.context = DecodeContext.of(pretrained.model, prompted, settings)
        orders = orders_of(settings, ids, image.num_tokens).to(prompted.text_ids.device)
        self.state = start_state(orders, image.token_dim)
        self.token_dim, self.num_tokens = image.token_dim, image.num_tokens
        self.plans = plan_steps(settings, image.num_tokens)

    def until(self, share: float) -> tuple[DecodeState, int, float]:
        """State after the first step that reaches the share of the tokens, steps done, and the share reached."""
        state = self.state
        while True:
            plan, *self.plans = self.plans
            state, record = decode_step(self.context, state, plan)
            if record.decoded_fraction >= share - 1e-9:
                return state, plan.step + 1, record.decoded_fraction

    def finished(self, partial: DecodeState, count: int) -> Iterator[Tensor]:
        """(R, N, D_tok) tokens of finished pictures, `count` times with different noise."""
        for number in range(count):
            noise = SeededNoise(seed_of(self.settings.seed, "completion", number), self.ids, self.token_dim)
            state, context = partial, replace(self.context, noise=noise)
            for plan in self.plans:
                state, _ = decode_step(context, state, plan)
            yield state.tokens


def headroom_measures(outcomes: Completions) -> list[Measure]:
    """Gain over a random candidate and AUC of the completions' score, counted both ways; intervals over prompts.

    'spread of success' is the standard deviation of the chance to end well among a prompt's candidates. It comes from
    the covariance of the halves, which is free of counting noise.
    """
    place = {
        "candidates": outcomes.right.shape[1],
        "step": outcomes.step,
        "decoded_fraction": round(outcomes.decoded, 4),
    }
    measures = []
    for right, refusing in ((outcomes.right, {}), (outcomes.well_formed, {"malformed_refused": True})):
        where = place | refusing
        half = right.shape[2] // 2
        first, second = right[..., :half].mean(2), right[..., half:].mean(2)  # (P, K)
        gain = [value_of_choice(score, end) - end.mean(1) for score, end in ((first, second), (second, first))]
        pairs = sum(
            ordered_pairs(score, right[..., i])
            for score, ends in ((first, range(half, 2 * half)), (second, range(half)))
            for i in ends
        )
        deviations = (score - score.mean(1, keepdims=True) for score in (first, second))
        covariance = np.prod(list(deviations), axis=0).sum(1) / (right.shape[1] - 1)  # (P,)
        measures += [
            Measure("headroom", "random candidate right", where, mean_share(right.mean((1, 2)), "prompts")),
            Measure("headroom", "gain within reach", where, mean_difference(np.mean(gain, 0))),
            Measure("headroom", "AUC within reach", where, ratio_share(pairs, "prompts")),
            Measure("headroom", "spread of success", where, _root(mean(covariance, "prompts"))),
        ]
    return measures


def _root(variance: Estimate) -> Estimate:
    """Returns the standard deviation of an estimated variance; 0 for a negative one."""
    value, low, high = np.sqrt(np.maximum([variance.value, variance.low, variance.high], 0)).tolist()
    return replace(variance, value=value, low=low, high=high)
