"""Trains a model's critic on its own decodes: to rank unfinished candidates as their finished pictures turn out.

Towards the judge's log-probability where the data have a judge, else towards the finished picture's own cosine. The
loss is listwise: of a prompt's K candidates after a step, the critic's softmax shall be that of the outcomes. Prompts
are captions of the training split alone, so that pairs and things that are held out stay unseen.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dream.data.sources import open_source
from dream.decoding.critic import AnyCritic, Critic, CriticFeatures, features_of
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from dream.evaluation.judging.interface import PictureJudge
from dream.evaluation.judging.worlds import judge_of
from dream.evaluation.painted.choices import rank_correlations
from dream.evaluation.painted.painting import decode_settings_of
from dream.evaluation.painted.saved_decodes import PartialStep, SavedBatch, partial_steps, saved_decodes
from dream.evaluation.progress import Progress, quiet, within
from dream.model.pretrained import Pretrained
from dream.randomness import generator, seed_of
from dream.weights.finite import require_finite

FEWEST_SHOWN = 0.04
"""Share of the tokens from which partial pictures are learned from: before it they are all alike."""
HELD_OUT = 5
"""Every so many-th prompt is held out, to say when to stop."""
TEMPERATURE = 1.0
"""Nats of the outcome per nat of the target: how sharply it prefers the best candidate."""
ROUNDS, PATIENCE = 60, 8
"""Most rounds over the examples, and rounds without a better rank correlation after which training stops."""
LISTS = 64
"""Lists of K candidates per step of the optimiser."""


@dataclass(frozen=True)
class CriticExamples:
    """Partial pictures of P prompts after T steps, K candidates each, and how they ended."""

    features: CriticFeatures
    """Of P * T * K rows."""
    outcome: Tensor
    """(P, K) float: judge's log-probability, or final cosine in standard deviations of its prompt."""
    prompt: Tensor
    """(P * T,) long: the prompt of each list."""


@dataclass(frozen=True)
class TrainedCritic:
    """A critic, and what is known about it."""

    critic: AnyCritic
    about: dict[str, Any]


def critic_prompts(pretrained: Pretrained, data: str, count: int, seed: int) -> tuple[list[str], PictureJudge | None]:
    """Up to `count` captions of the training split and the judge of the data. Raises InputError for too few."""
    judge = judge_of(data, pretrained.config)
    if judge is not None:
        if "seen" not in judge.combinations:
            raise InputError(f"a critic learns from prompts of the training split, which '{data}' has not")
        prompts = judge.prompts("seen", count, np.random.default_rng(seed_of(seed, "critic prompts")))
    else:
        captions = open_source(data, pretrained.config, split="train").captions(20 * count)
        prompts = list(dict.fromkeys(captions))[:count]
    if len(prompts) < 2 * HELD_OUT:
        raise InputError(f"{data} has {len(prompts)} different captions, a critic needs at least {2 * HELD_OUT}")
    return prompts, judge


def train_critic(
    pretrained: Pretrained,
    data: str,
    *,
    count: int = 320,
    candidates: int = 8,
    seed: int = 0,
    until: Callable[[], bool] = lambda: False,
    progress: Progress = quiet,
) -> TrainedCritic:
    """A critic trained on `count` prompts with K `candidates` each.

    `until` is asked after each batch; once it is true, the critic is trained on what is decoded. Raises InputError for
    data without prompts to learn from, and if it is stopped before there are any.
    """
    begun = time.monotonic()
    prompts, judge = critic_prompts(pretrained, data, count, seed)
    settings = decode_settings_of(pretrained.config, seed_of(seed, "critic"), candidates=candidates, selection="none")
    parts: list[CriticExamples] = []
    for rows, batch in saved_decodes(pretrained, prompts, settings, within(progress, 0.0, 0.95)):
        parts.append(_examples(pretrained, judge, [prompts[i] for i in rows], rows, settings, batch))
        if until():
            break
    examples = _joined(parts)
    if len(examples.outcome) < 2 * HELD_OUT:
        raise InputError(f"stopped after {len(examples.outcome)} prompts, a critic needs at least {2 * HELD_OUT}")
    critic, held_out = fit_critic(examples, seed, within(progress, 0.95, 1.0))
    about = {
        "model_id": pretrained.model_id,
        "data": data,
        "prompts": len(examples.outcome),
        "candidates": candidates,
        "towards": "the finished picture's own cosine" if judge is None else "the judge of finished pictures",
        "held_out_rank_correlation": held_out,
        "seed": seed,
        "seconds": round(time.monotonic() - begun, 1),
    }
    return TrainedCritic(critic, about)


def _examples(
    pretrained: Pretrained,
    judge: PictureJudge | None,
    prompts: Sequence[str],
    ids: Sequence[int],
    settings: DecodeSettings,
    batch: SavedBatch,
) -> CriticExamples:
    count, k = batch.tokens.shape[:2]
    kept: list[CriticFeatures] = []
    last: PartialStep | None = None
    for step in partial_steps(pretrained, prompts, ids, settings, batch):
        if step.decoded >= FEWEST_SHOWN:
            kept.append(CriticFeatures(*(values.cpu() for values in features_of(step.context, step.state))))
        last = step
    assert last is not None
    steps = len(kept)
    # rows (T, P, K) of each feature become (P, T, K)
    features = CriticFeatures(
        *(torch.stack(v).unflatten(1, (count, k)).transpose(0, 1).flatten(0, 2) for v in zip(*kept, strict=True))
    )
    if judge is None:
        cosine = (kept[-1].image * kept[-1].text).sum(-1).view(count, k)
        outcome = (cosine - cosine.mean(1, keepdim=True)) / cosine.std(1, keepdim=True).clamp(min=1e-6)
    else:
        pictures = pretrained.image_tokenizer.to_pixels(last.state.tokens).cpu()
        outcome = judge.grade(pictures, [p for p in prompts for _ in range(k)]).view(count, k)
    return CriticExamples(
        features, require_finite(outcome, "the outcomes of decodes"), torch.arange(count).repeat_interleave(steps)
    )


def _joined(parts: Sequence[CriticExamples]) -> CriticExamples:
    before = np.cumsum([0, *(len(part.outcome) for part in parts)]).tolist()
    return CriticExamples(
        CriticFeatures(*(torch.cat(v) for v in zip(*(part.features for part in parts), strict=True))),
        torch.cat([part.outcome for part in parts]),
        torch.cat([part.prompt + first for part, first in zip(parts, before, strict=False)]),
    )


def fit_critic(examples: CriticExamples, seed: int = 0, progress: Progress = quiet) -> tuple[Critic, float]:
    """The critic that ranks held-out prompts best, and its mean rank correlation with the outcome there."""
    features, k = examples.features, examples.outcome.shape[1]
    draws = generator(seed, "critic training")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "critic weights"))
        critic = Critic(features.pooled.shape[1], features.image.shape[1])
        optimizer = torch.optim.AdamW(critic.parameters(), lr=2e-3, weight_decay=0.05)
        held = examples.prompt % HELD_OUT == 0
        learned, tested = (~held).nonzero()[:, 0], held.nonzero()[:, 0]
        best, kept, since = -2.0, {}, 0
        for number in range(ROUNDS + 1):
            progress(number / ROUNDS, "training the critic")
            if number:
                critic.train()
                for lists in learned[torch.randperm(len(learned), generator=draws)].split(LISTS):
                    loss = listwise_loss(_scored(critic, features, lists, k), examples.outcome[examples.prompt[lists]])
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
            found = _ranking(critic.eval(), examples, tested, k)
            since += 1
            if found > best:
                best, since = found, 0
                kept = {name: tensor.clone() for name, tensor in critic.state_dict().items()}
            if since > PATIENCE:
                break
    critic.load_state_dict(kept)
    return critic.eval().requires_grad_(False), best


def listwise_loss(scores: Tensor, outcome: Tensor) -> Tensor:
    """Cross entropy () of the scores' softmax (L, K) with that of the outcomes (L, K)."""
    wanted = (outcome / TEMPERATURE).softmax(1)
    return -(wanted * scores.log_softmax(1)).sum(1).mean()


def _scored(critic: Critic, features: CriticFeatures, lists: Tensor, k: int) -> Tensor:
    """(L, K) scores of some lists."""
    rows = (lists[:, None] * k + torch.arange(k)).flatten()
    scores: Tensor = critic(features.take(rows))
    return scores.view(-1, k)


@torch.no_grad()
def _ranking(critic: Critic, examples: CriticExamples, lists: Tensor, k: int) -> float:
    scores = torch.cat([_scored(critic, examples.features, part, k) for part in lists.split(1024)])
    found = rank_correlations(scores.numpy(), examples.outcome[examples.prompt[lists]].numpy())
    return float(np.nanmean(found)) if not np.isnan(found).all() else 0.0
