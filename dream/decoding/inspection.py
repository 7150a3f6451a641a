"""What the model computed inside a finished decode: how it would have filled the rest at every step, where
each place looked when it was revealed, and how its token came out of noise.

Nothing of it was stored: the states before every step follow from the record, and one pass over them, many
steps at a time, gives all three. It changes no decode.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dream.decoding.decode import TextMemory, denoise_tokens
from dream.decoding.record import DecodeRecord
from dream.decoding.selection import DecodeSettings
from dream.decoding.state import SeededNoise
from dream.diffusion import noise_draws
from dream.model.blocks import Rows
from dream.model.encoder import equal_groups
from dream.randomness import generator

if TYPE_CHECKING:
    from dream.model.decoder import CrossCache
    from dream.model.dream import Dream
    from dream.model.pretrained import Pretrained

REST_DENOISING_STEPS = 16
"""Most denoising steps for what is filled in at once: a preview, of many more tokens than a step reveals."""


@dataclass(frozen=True)
class Walk:
    """One candidate's way through a decode: S steps that each revealed something, of N places."""

    steps: tuple[int, ...]
    """(S,) their numbers in the reveal schedule."""
    tokens: Tensor
    """(S, N, D_tok) before each step; zero where hidden."""
    mask: Tensor
    """(S, N) bool, hidden before each step."""
    revealed: Tensor
    """(S, N) bool, revealed in it."""
    final: Tensor
    """(N, D_tok)."""
    drawn_by: tuple[int, ...]
    """(S,) candidate whose noise drew the step's tokens."""
    guidance: tuple[float, ...]
    """(S,) guidance scale of each step."""
    decoded_fraction: tuple[float, ...]
    """(S,) share visible after each step."""
    alignment: tuple[float | None, ...]
    """(S,) score after each step, where one was taken."""

    def part(self, steps: slice) -> "Walk":
        """A run of its steps."""
        return replace(self, **{name: getattr(self, name)[steps] for name in _BY_STEP})


_BY_STEP = ("steps", "tokens", "mask", "revealed", "drawn_by", "guidance", "decoded_fraction", "alignment")


class Inside(NamedTuple):
    """What was found at S steps that reveal M places; rows of M are by step, then by rising position."""

    rests: Tensor
    """(S, N, D_tok): before each step, with all that is hidden filled at once."""
    positions: Tensor
    """(M,) long: the place of each row below."""
    own: Tensor
    """(M, R + N): weights over buffer tokens and places, mean of heads and blocks; rows sum to 1."""
    cross: Tensor
    """(M, T): weights over the caption's tokens, mean of heads and blocks; rows sum to 1."""
    paths: Tensor
    """(P + 1, M, D_tok): noised tokens as they enter each denoising step, then the token itself."""


def walk_of(record: DecodeRecord, candidate: int | None = None, picture: int = 0) -> Walk:
    """The way of a candidate that was finished (default: the first such)."""
    candidate = record.finished(picture)[0][0] if candidate is None else candidate
    steps, reveal_step = record.steps, record.reveal_step[picture]
    revealed = np.stack([reveal_step == step for step in steps])
    before = [record.midway(step, picture, candidate).state for step in steps]
    drawn_by = [record.drawn_by(step, picture, candidate) for step in steps]
    scores = record.alignment[steps, picture, drawn_by]
    if record.about.noise_candidate is not None:
        drawn_by = [record.about.noise_candidate] * len(steps)
    return Walk(
        tuple(steps),
        torch.cat([state.tokens for state in before]),
        torch.cat([state.mask for state in before]),
        torch.from_numpy(revealed),
        torch.from_numpy(record.tokens_at(steps[-1], picture, candidate)),
        tuple(drawn_by),
        tuple(record.guidance[steps].tolist()),
        tuple(record.decoded_fraction[steps].tolist()),
        tuple(None if np.isnan(score) else float(score) for score in scores),
    )


def text_memory(pretrained: "Pretrained", prompt: str, settings: DecodeSettings) -> TextMemory:
    """What a decode of this prompt computes once."""
    device = next(pretrained.model.parameters()).device
    unconditional = pretrained.conditioning.condition([""]).to(device) if settings.guided else None
    return TextMemory(
        pretrained.model,
        pretrained.tokenizer.token_ids([prompt]).to(device),
        pretrained.conditioning.condition([prompt]).to(device),
        unconditional,
    )


@torch.no_grad()
def look_inside(
    model: "Dream", memory: TextMemory, walk: Walk, settings: DecodeSettings, picture_id: int = 0
) -> Inside:
    """What the model computed at the steps of `walk`, a decode of `memory`'s one prompt under `settings`.

    The last of a token's path is the recorded token up to rounding, since other rows share the batch here.
    """
    groups, rows = equal_groups(walk.mask), torch.zeros(len(walk.steps), dtype=torch.long)
    scattered = model.decoder.scatter(model.encoder(walk.tokens, groups).split(), groups)  # (S, R + N, D)
    own, cross = attention(model, scattered, memory.cross_cache(rows, False), walk.revealed)
    halves = 2 if settings.guided else 1
    condition = model.decoder(
        torch.cat([scattered] * halves), memory.cross_cache(rows, settings.guided), torch.cat([walk.mask] * halves)
    ).unflatten(0, (halves, -1))  # (halves, hidden, D)
    rests = _rests(model, memory, walk, settings, condition)
    paths = _paths(model, memory, walk, settings, condition, picture_id)
    return Inside(rests, walk.revealed.nonzero()[:, 1], own, cross, paths)


@torch.no_grad()
def attention(model: "Dream", scattered: Tensor, cache: "CrossCache", places: Tensor) -> tuple[Tensor, Tensor]:
    """(M, R + N) and (M, T): where the M `places` (S, N) bool look, among themselves and in the text.

    Means over heads and decoder blocks; `scattered` (S, R + N, D) is what enters the decoder.
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
        for found, (weights,) in zip((own, cross), block.weights(x, packing, keys_values), strict=True):  # type: ignore[operator]
            found.append(weights.mean(dim=1)[row, decoder.buffer_tokens + position])
        x = block(x, packing, keys_values)
    return torch.stack(own).mean(dim=0), torch.stack(cross).mean(dim=0)


def _rests(model: "Dream", memory: TextMemory, walk: Walk, settings: DecodeSettings, condition: Tensor) -> Tensor:
    """All hidden places filled at once; a place's noise is the same at every step, so that what changes is
    the model's mind.
    """
    places = walk.mask.nonzero()[:, 1]
    num_tokens, token_dim = walk.final.shape
    head = settings.head(model.config.head)
    head = replace(head, sampling_steps=min(head.sampling_steps, REST_DENOISING_STEPS))
    own = generator(settings.seed, "preview of the rest")
    noise = torch.randn(noise_draws(head), num_tokens, token_dim, generator=own)
    rests = walk.tokens.clone()
    rests[walk.mask] = denoise_tokens(
        model,
        memory,
        head,
        condition.flatten(0, 1),
        noise.to(rests)[:, places],
        settings.guidance_at(0, num_tokens),
        settings.temperature,
    )
    return rests


def _paths(
    model: "Dream", memory: TextMemory, walk: Walk, settings: DecodeSettings, condition: Tensor, picture: int
) -> Tensor:
    head = settings.head(model.config.head)
    source = SeededNoise(settings.seed, [picture], walk.final.shape[-1])
    counts = walk.revealed.sum(dim=1).tolist()
    parts = [
        source(step, [0], [candidate], count, noise_draws(head))
        for step, candidate, count in zip(walk.steps, walk.drawn_by, counts, strict=True)
    ]
    scale = torch.tensor(walk.guidance).repeat_interleave(torch.tensor(counts)).unsqueeze(-1)
    wanted = condition[:, walk.revealed[walk.mask]].flatten(0, 1)
    path: list[Tensor] = []
    chain = torch.cat(parts, dim=1).to(walk.tokens)
    token = denoise_tokens(model, memory, head, wanted, chain, scale.to(chain), settings.temperature, path)
    return torch.stack([*path, token])
