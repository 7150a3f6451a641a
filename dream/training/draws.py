"""Everything drawn for a step besides the data: a function of (seed, step, number of the picture in the global batch).

A global batch has `masking.groups` equal ratio groups of consecutive pictures. Pictures draw in blocks, each from a
generator of its own, which is faster than a generator per picture. A rank draws the blocks that its micro-batches touch
and keeps its own pictures: what a picture gets depends neither on the number of ranks nor on
`train.accumulate`. Only dropout is drawn per micro-batch, from the number of its first picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dream.config import DreamConfig
from dream.diffusion import Draw, sample_draw
from dream.masking import mask_from_order, num_masked, sample_mask_ratios
from dream.randomness import generator, seed_of

BLOCK = 64
"""Most pictures in a block; a rank whose share ends within a block draws it whole, so that it should be small."""


class PictureDraws(NamedTuple):
    """What B pictures of a step get, in their order."""

    mask: Tensor
    """(B, N) bool, True = hidden."""
    chance: Tensor
    """(B,) in [0, 1): the decoder's caption is dropped below `objective.caption_drop`."""
    latents: Tensor | None
    """(B, C, H, W): noise of the VAE's posterior; None for pixels."""
    noise: Draw
    """Times and noise of the hidden tokens of the pictures that count (`Dream.forward`)."""


@dataclass(frozen=True)
class StepDraws:
    """The draws of one optimiser step, the same on every rank."""

    config: DreamConfig
    step: int
    ratios: list[float]
    """Mask ratio of each ratio group of the global batch."""

    @classmethod
    def at(cls, config: DreamConfig, step: int, progress: float) -> "StepDraws":
        """The draws of `step`, at `progress` (0 to 1) of the masking schedule."""
        drawn = generator("ratios", config.train.seed, step)
        return cls(config, step, sample_mask_ratios(progress, config.trained_masking, config.objective, drawn))

    def mean_visible(self) -> float:
        """Visible tokens per picture, averaged over the global batch."""
        tokens, size = self.config.image.num_tokens, self.config.train.batch_size
        return tokens - sum(self.hidden(range(size))) / size

    def of(self, places: range) -> PictureDraws:
        """The draws of the pictures at consecutive `places` of the global batch."""
        first, last = places.start // BLOCK, (places.stop - 1) // BLOCK
        parts = [self._of_block(range(i * BLOCK, (i + 1) * BLOCK), places) for i in range(first, last + 1)]
        masks, chances, latents, times, noises = zip(*parts, strict=True)
        noise = Draw(torch.cat(times, dim=1).flatten(), torch.cat(noises, dim=1).flatten(0, 1))
        return PictureDraws(
            torch.cat(masks), torch.cat(chances), None if latents[0] is None else torch.cat(latents), noise
        )

    def seed_dropout(self, places: range) -> None:
        """Seeds torch's own generators, which dropout draws from, for a micro-batch at `places`."""
        torch.manual_seed(seed_of("dropout", self.config.train.seed, self.step, places.start))

    def hidden(self, places: Sequence[int]) -> list[int]:
        """Number of tokens that the pictures at `places` hide."""
        counts = [num_masked(ratio, self.config.image.num_tokens) for ratio in self.ratios]
        size = self.config.train.batch_size // len(counts)
        return [counts[place // size] for place in places]

    def _of_block(self, block: range, places: range) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]:
        """Mask, chance, latents, times (draws, M) and noise (draws, M, D_tok) of the block's pictures in `places`."""
        config, image, head = self.config, self.config.image, self.config.head
        block = range(block.start, min(block.stop, config.train.batch_size))
        own = slice(max(places.start, block.start) - block.start, min(places.stop, block.stop) - block.start)
        draws = generator("pictures", config.train.seed, self.step, block.start)
        chance = torch.rand(len(block), generator=draws)[own]
        order = torch.rand(len(block), image.num_tokens, generator=draws)[own].argsort(dim=1)
        latents = None
        if image.tokenizer != "pixels":
            latents = torch.randn(len(block), *image.latent_shape, generator=draws)[own]
        hidden = self.hidden(block)
        mask = mask_from_order(order, torch.tensor(hidden[own]))
        counted = [count * self._counts(count) for count in hidden]
        start, rows, total = sum(counted[: own.start]), sum(counted[own]), sum(counted)
        drawn = sample_draw(head, total, image.token_dim, draws)
        times = drawn.times.view(head.draws, total)[:, start : start + rows]
        noise = drawn.noise.view(head.draws, total, image.token_dim)[:, start : start + rows]
        return mask, chance, latents, times, noise

    def _counts(self, hidden: int) -> bool:
        """Whether pictures that hide so many tokens count in the generative loss, as `generative_rows` decides."""
        objective = self.config.trained_objective
        share = hidden / self.config.image.num_tokens  # a quotient of whole numbers, as there
        return bool(objective.generative_weight) and hidden > 0 and share >= objective.min_masked


def drop_captions(captions: Sequence[str], chance: Tensor, config: DreamConfig) -> list[str]:
    """Captions for the decoder: some emptied for guidance by `chance` (B,), all of them in a training without text."""
    share = config.objective.caption_drop if config.objective.text else 1.0
    return ["" if drop else caption for caption, drop in zip(captions, (chance < share).tolist(), strict=True)]
