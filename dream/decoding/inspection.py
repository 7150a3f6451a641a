"""The inside of a finished decode: previews of the rest, attention, and denoising paths.

A preview shows how the model would have filled the rest at a step; attention, where a position looked when it
was revealed; a path, how its token came out of noise. None of this is stored: the states before every step
follow from the record, and one pass over them, many steps at a time, computes all three.
"""

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dream.decoding.context import DecodeContext, TokenSampler
from dream.decoding.record import GIVEN, DecodeRecord
from dream.model.blocks import Rows
from dream.model.encoder import equal_groups
from dream.randomness import generator
from dream.weights.finite import require_finite

if TYPE_CHECKING:
    from dream.model.decoder import CrossCache
    from dream.model.dream import Dream

REST_DENOISING_STEPS = 16
"""Most denoising steps for a preview of the rest, which fills in many more tokens than a step reveals."""


@dataclass(frozen=True)
class Walk:
    """One candidate's way through a decode of N positions: the S steps that revealed a token."""

    steps: tuple[int, ...]
    """(S,) index of each step in the reveal schedule."""
    tokens: Tensor
    """(S, N, D_tok) before each step; zero where hidden."""
    mask: Tensor
    """(S, N) bool, hidden before each step."""
    revealed: Tensor
    """(S, N) bool, revealed in each step."""
    final: Tensor
    """(N, D_tok), the finished tokens."""
    drawn_by: tuple[int, ...]
    """(S,) candidate for whose noise the step's tokens were drawn."""
    guidance: tuple[float, ...]
    """(S,) guidance scale of each step."""
    decoded_fraction: tuple[float, ...]
    """(S,) share visible after each step."""
    alignment: tuple[float | None, ...]
    """(S,) score after each step; None where it was not scored."""

    def part(self, steps: slice) -> "Walk":
        """The walk over a run of its steps only."""
        return replace(self, **{name: getattr(self, name)[steps] for name in _BY_STEP})


_BY_STEP = ("steps", "tokens", "mask", "revealed", "drawn_by", "guidance", "decoded_fraction", "alignment")


class Inside(NamedTuple):
    """The inside of S steps that reveal M positions; rows of M are by step, then by rising position."""

    rests: Tensor
    """(S, N, D_tok): the state before each step, with all hidden positions filled at once."""
    positions: Tensor
    """(M,) long: the position of each row below."""
    own: Tensor
    """(M, R + N): weights over buffer tokens and positions, mean of heads and blocks; rows sum to 1."""
    cross: Tensor
    """(M, T): weights over the caption's tokens, mean of heads and blocks; rows sum to 1."""
    paths: Tensor
    """(P + 1, M, D_tok): noised tokens before each denoising step, then the token itself."""


def walk_of(record: DecodeRecord, candidate: int | None = None, picture: int = 0) -> Walk:
    """The walk of a finished candidate (default: the first one)."""
    candidate = record.finished(picture)[0][0] if candidate is None else candidate
    steps, reveal_step = record.steps, record.reveal_step[picture]
    redrawn = np.full_like(reveal_step, GIVEN) if record.redrawn_step is None else record.redrawn_step[picture]
    revealed = np.stack([(reveal_step == step) | (redrawn == step) for step in steps])
    before = [record.midway(step, picture, candidate).state for step in steps]
    # what a step reveals was hidden before it, by a repair too
    hidden = [torch.from_numpy(places) for places in revealed]
    masks = [state.mask | places for state, places in zip(before, hidden, strict=True)]
    tokens = [state.tokens.masked_fill(mask.unsqueeze(-1), 0.0) for state, mask in zip(before, masks, strict=True)]
    drawn_by = [record.drawn_by(step, picture, candidate) for step in steps]
    scores = record.alignment[steps, picture, drawn_by]
    if record.about.noise_candidate is not None:
        drawn_by = [record.about.noise_candidate] * len(steps)
    return Walk(
        tuple(steps),
        torch.cat(tokens),
        torch.cat(masks),
        torch.from_numpy(revealed),
        torch.from_numpy(record.tokens_at(steps[-1], picture, candidate)),
        tuple(drawn_by),
        tuple(record.guidance[steps].tolist()),
        tuple(record.decoded_fraction[steps].tolist()),
        tuple(None if np.isnan(score) else float(score) for score in scores),
    )


@torch.no_grad()
def look_inside(context: DecodeContext, walk: Walk) -> Inside:
    """Computes the inside of the steps of `walk`, a decode of the context's one prompt.

    The end of a token's path is the recorded token up to rounding, since other rows share the batch here.
    """
    model, text, guided = context.model, context.text, context.settings.guided
    groups, rows = equal_groups(walk.mask), torch.zeros(len(walk.steps), dtype=torch.long)
    scattered = model.decoder.scatter(model.encoder(walk.tokens, groups).split(), groups)  # (S, R + N, D)
    own, cross = attention(model, scattered, text.cross_cache(rows, False), walk.revealed)
    halves = 2 if guided else 1
    condition = model.decoder(
        torch.cat([scattered] * halves), text.cross_cache(rows, guided), torch.cat([walk.mask] * halves)
    ).unflatten(0, (halves, -1))  # (halves, hidden, D)
    require_finite(condition, "the decoder's outputs for the steps of this decode")
    rests, paths = _rests(context, walk, condition), _paths(context, walk, condition)
    return Inside(rests, walk.revealed.nonzero()[:, 1], own, cross, paths)


@torch.no_grad()
def attention(model: "Dream", scattered: Tensor, cache: "CrossCache", places: Tensor) -> tuple[Tensor, Tensor]:
    """(M, R + N) and (M, T): attention of the M `places` (S, N) bool to all positions and to the text.

    Means over heads and decoder blocks; `scattered` (S, R + N, D) is the input of the decoder.
    """
    decoder = model.decoder
    length = scattered.shape[1]
    rotary = None if decoder.rotary is None else decoder.rotary.unsqueeze(0)
    packing = [Rows(len(scattered), length, rotary)]
    row, position = places.nonzero().unbind(1)
    x = decoder.norm_in(scattered + decoder.positions).flatten(0, 1)
    own: list[Tensor] = []
    cross: list[Tensor] = []
    for block, keys_values in zip(decoder.blocks, cache, strict=True):
        for means, (weights,) in zip((own, cross), block.weights(x, packing, keys_values), strict=True):  # type: ignore[operator]
            means.append(weights.mean(dim=1)[row, decoder.buffer_tokens + position])
        x = block(x, packing, keys_values)
    return torch.stack(own).mean(dim=0), torch.stack(cross).mean(dim=0)


def _rests(context: DecodeContext, walk: Walk, condition: Tensor) -> Tensor:
    """All hidden positions filled at once, before each step.

    A position has the same noise at every step, so that only a change in the model's output shows.
    """
    positions = walk.mask.nonzero()[:, 1]
    num_tokens, token_dim = walk.final.shape
    steps = min(context.sampler.config.sampling_steps, REST_DENOISING_STEPS)
    settings = replace(context.settings, sampling_steps=steps, last_sampling_steps=None)
    sampler = TokenSampler(context.model, settings)
    own = generator(context.settings.seed, "preview of the rest")
    noise = torch.randn(sampler.draws, num_tokens, token_dim, generator=own)
    rests = walk.tokens.clone()
    guidance = context.settings.guidance_at(0, num_tokens)
    rests[walk.mask] = sampler.sample(condition.flatten(0, 1), noise.to(rests)[:, positions], guidance)
    return rests


def _paths(context: DecodeContext, walk: Walk, condition: Tensor) -> Tensor:
    """Paths of all tokens; those with fewer denoising steps than others stay at their end."""
    counts = walk.revealed.sum(dim=1).tolist()
    wanted = condition[:, walk.revealed[walk.mask]]  # (halves, M, D)
    samplers = [context.sampler.at(step) for step in walk.steps]
    longest, paths, first = max(each.config.sampling_steps for each in samplers), [], 0
    for length, group in groupby(range(len(counts)), lambda i: samplers[i].config.sampling_steps):
        own = list(group)
        sampler, sizes = samplers[own[0]], [counts[i] for i in own]
        noise = [
            context.noise(walk.steps[i], [0], [walk.drawn_by[i]], counts[i], sampler.draws).to(walk.tokens) for i in own
        ]
        guidance = torch.tensor([walk.guidance[i] for i in own]).repeat_interleave(torch.tensor(sizes)).unsqueeze(-1)
        rows = wanted[:, first : first + sum(sizes)].flatten(0, 1)
        path: list[Tensor] = []
        token = sampler.sample(rows, torch.cat(noise, dim=1), guidance.to(walk.tokens), path)
        paths.append(torch.stack([*path, *[token] * (1 + longest - length)]))
        first += sum(sizes)
    return torch.cat(paths, dim=1)
