"""Orders and diffusion noise of a decode, drawn for (seed, picture, candidate, step).

No result therefore depends on what else is in the batch.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from dream.decoding.settings import DecodeSettings
from dream.masking import coarse_places_last, sample_orders
from dream.randomness import generator


class NoiseSource(Protocol):
    """Source of the diffusion noise of a step."""

    def __call__(self, step: int, pictures: list[int], candidates: list[int], count: int, draws: int) -> Tensor:
        """(draws, R * count, D_tok) for R rows, named by picture (index in the batch) and candidate.

        Rows are row-major: a row's `count` revealed positions in rising order, then the next row's. Entry 0
        starts the denoising chain, entry 1 + i is for its i-th step.
        """
        ...


class SeededNoise:
    """Noise from a generator of (seed, picture id, candidate, step)."""

    def __init__(self, seed: int, picture_ids: Sequence[int], token_dim: int) -> None:
        self.seed, self.picture_ids, self.token_dim = seed, list(picture_ids), token_dim

    def __call__(self, step: int, pictures: list[int], candidates: list[int], count: int, draws: int) -> Tensor:
        """(draws, R * count, D_tok), as `NoiseSource` says."""
        rows = []
        for picture, candidate in zip(pictures, candidates, strict=True):
            own = generator(self.seed, "decode noise", self.picture_ids[picture], candidate, step)
            rows.append(torch.randn(draws, count, self.token_dim, generator=own))
        return torch.cat(rows, dim=1)


def seeded_orders(seed: int, picture_ids: Sequence[int], num_tokens: int, candidates: int = 1) -> Tensor:
    """(B * candidates, N) long: orders drawn for (seed, picture id) and, from the second on, candidate."""
    names = [(i, *([candidate] if candidate else [])) for i in picture_ids for candidate in range(candidates)]
    return torch.cat([sample_orders(1, num_tokens, generator(seed, "decode order", *name)) for name in names])


def orders_of(settings: DecodeSettings, picture_ids: Sequence[int], num_tokens: int) -> Tensor:
    """(B * begun, N) long: the orders in which a decode with these settings reveals the places, from their end."""
    orders = seeded_orders(settings.seed, picture_ids, num_tokens, settings.begun)
    return orders if settings.coarse_steps is None else coarse_places_last(orders)
