"""What a decode is at one moment (its rows, a step's record, what was given), and where its order and noise
come from.

K candidates of B prompts are rows of one batch, prompt-major (row b * k + c). Order and noise are drawn for
(seed, picture, candidate, step), so that no result depends on what else is in the batch. It knows nothing of
models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from dream.masking import sample_orders
from dream.randomness import generator


class NoiseSource(Protocol):
    """Where the diffusion noise of a step comes from."""

    def __call__(self, step: int, images: list[int], candidates: list[int], count: int, draws: int) -> Tensor:
        """(draws, R * count, D_tok) for R rows, named by picture (index in the batch) and candidate.

        Rows are row-major: a row's `count` revealed positions in rising order, then the next row's. Entry 0
        starts the denoising chain, entry 1 + i is for its i-th step.
        """
        ...


class Given(NamedTuple):
    """Tokens of a given picture to keep: tokens (B or 1, N, D_tok) and the kept positions (N,) bool."""

    tokens: Tensor
    kept: Tensor


@dataclass(frozen=True)
class DecodeState:
    """R rows in mid-decode; all hide equally many tokens."""

    tokens: Tensor
    """(R, N, D_tok); zero where hidden."""
    mask: Tensor
    """(R, N) bool, True = hidden."""
    order: Tensor
    """(R, N) long; revealed from its end."""
    images: Tensor
    """(R,) long, which picture of the batch a row is."""
    candidates: Tensor
    """(R,) long, which candidate of it."""
    encoded: Tensor | None = None
    """Encoder output of the row as it is, if there is one yet: it scores the row and serves its next step."""

    def take(self, rows: Tensor) -> "DecodeState":
        """The state of `rows` (long) only."""
        encoded = None if self.encoded is None else self.encoded[rows]
        return DecodeState(
            self.tokens[rows], self.mask[rows], self.order[rows], self.images[rows], self.candidates[rows], encoded
        )


class Midway(NamedTuple):
    """A decode that is to go on from its middle."""

    state: DecodeState
    steps: int
    """Steps it has done."""
    hidden: int
    """Tokens a row that were hidden before its first step: what each step reveals follows from it."""


@dataclass(frozen=True)
class StepRecord:
    """What one step did; everything is as it stands after the step, before candidates are dropped."""

    step: int
    """Index of the step (0 = first) of `num_steps`; steps that reveal nothing leave no record."""
    num_steps: int
    """S."""
    decoded_fraction: float
    """Share of the picture's tokens that is visible."""
    guidance: float
    """Guidance scale of the step."""
    images: Tensor
    """(R,) long, which picture of the batch a row is."""
    candidates: Tensor
    """(R,) long, which candidate of it."""
    order: Tensor
    """(R, N) long, the order that is revealed from its end."""
    revealed: Tensor
    """(R, M) long, the positions revealed in this step, rising."""
    tokens: Tensor
    """(R, N, D_tok); zero where hidden."""
    mask: Tensor
    """(R, N) bool, True = hidden."""
    condition: Tensor
    """(R * M, D) or, guided, (2 R * M, D): rows given to the head, conditional first, each row-major."""
    alignment: Tensor | None
    """(R,) cosine of picture and caption in the joint space, where it was asked for or needed."""
    kept: Tensor
    """(R,) bool, the candidates that go on."""

    @property
    def pictures(self) -> int:
        """B, pictures of the batch."""
        return int(self.images.max()) + 1

    @property
    def sampled(self) -> Tensor:
        """(R, M, D_tok): the tokens revealed in this step."""
        return self.tokens.gather(1, self.revealed.unsqueeze(-1).expand(-1, -1, self.tokens.shape[-1]))


class SeededNoise:
    """Noise from a generator of (seed, picture id, candidate, step), whatever else is in the batch."""

    def __init__(self, seed: int, picture_ids: Sequence[int], token_dim: int) -> None:
        self.seed, self.picture_ids, self.token_dim = seed, list(picture_ids), token_dim

    def __call__(self, step: int, images: list[int], candidates: list[int], count: int, draws: int) -> Tensor:
        parts = []
        for image, candidate in zip(images, candidates, strict=True):
            own = generator(self.seed, "decode noise", self.picture_ids[image], candidate, step)
            parts.append(torch.randn(draws, count, self.token_dim, generator=own))
        return torch.cat(parts, dim=1)


def seeded_orders(seed: int, picture_ids: Sequence[int], num_tokens: int) -> Tensor:
    """(B, N) long: one order a picture from (seed, picture id)."""
    return torch.cat([sample_orders(1, num_tokens, generator(seed, "decode order", i)) for i in picture_ids])


def start_state(orders: Tensor, token_dim: int, given: Given | None = None) -> DecodeState:
    """One row a picture of `orders` (B, N), all hidden but the `given` tokens, moved to the revealed end."""
    batch, num_tokens = orders.shape
    rows = torch.arange(batch, device=orders.device)
    tokens = torch.zeros(batch, num_tokens, token_dim, device=orders.device)
    mask = torch.ones(batch, num_tokens, dtype=torch.bool, device=orders.device)
    if given is not None:
        kept = given.kept.to(orders.device)
        # a stable sort: what is hidden stays first, each part in its random order
        orders = orders.gather(1, kept[orders].long().argsort(dim=1, stable=True))
        tokens[:, kept] = given.tokens.to(tokens)[:, kept]
        mask[:, kept] = False
    return DecodeState(tokens, mask, orders, rows, torch.zeros_like(rows))
