"""Everything drawn for a step besides the data: a function of (seed, step, number of the picture in the global batch).

A global batch has `masking.groups` equal ratio groups of consecutive pictures. Within a group, pictures draw in blocks,
each from a generator of its own, which is faster than a generator per picture. A rank draws the blocks that its
micro-batches touch and keeps its own pictures: what a picture gets depends neither on the number of ranks nor on
`train.accumulate`. Only dropout is drawn per micro-batch, from the number of its first picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dream.config import DreamConfig
from dream.diffusion import Draw, sample_draw
from dream.masking import mask_from_order, num_masked, sample_mask_ratios
from dream.model.dream import generative_rows
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
        return cls(config, step, sample_mask_ratios(progress, config.masking, config.objective, drawn))

    def mean_visible(self) -> float:
        """Visible tokens per picture, averaged over the global batch."""
        tokens = self.config.image.num_tokens
        return tokens - sum(num_masked(ratio, tokens) for ratio in self.ratios) / len(self.ratios)

    def of(self, places: range) -> PictureDraws:
        """The draws of the pictures at consecutive `places` of the global batch."""
        parts = [self._of_block(*block, places) for block in self._blocks(places)]
        masks, chances, latents, times, noises = zip(*parts, strict=True)
        noise = torch.cat(noises, dim=1)  # (draws, M, D_tok)
        return PictureDraws(
            torch.cat(masks),
            torch.cat(chances),
            None if latents[0] is None else torch.cat(latents),
            Draw(torch.cat(times, dim=1).flatten(), noise.flatten(0, 1)),
        )

    def seed_dropout(self, places: range) -> None:
        """Seeds torch's own generators, which dropout draws from, for a micro-batch at `places`."""
        torch.manual_seed(seed_of("dropout", self.config.train.seed, self.step, places.start))

    def _blocks(self, places: range) -> Iterator[tuple[range, float]]:
        """Blocks that overlap `places`, with their mask ratios."""
        size = self.config.train.batch_size // len(self.ratios)
        for group in range(places.start // size, (places.stop - 1) // size + 1):
            for start in range(group * size, (group + 1) * size, BLOCK):
                block = range(start, min(start + BLOCK, (group + 1) * size))
                if block.start < places.stop and places.start < block.stop:
                    yield block, self.ratios[group]

    def _of_block(
        self, block: range, ratio: float, places: range
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]:
        """Mask, chance, latents, times (draws, m) and noise (draws, m, D_tok) of the block's pictures in `places`."""
        image, head, count = self.config.image, self.config.head, len(block)
        own = slice(max(places.start, block.start) - block.start, min(places.stop, block.stop) - block.start)
        draws = generator("pictures", self.config.train.seed, self.step, block.start)
        chance = torch.rand(count, generator=draws)
        order = torch.rand(count, image.num_tokens, generator=draws)[own].argsort(dim=1)
        mask = mask_from_order(order, num_masked(ratio, image.num_tokens))
        latents = torch.randn(count, *image.latent_shape, generator=draws)[own] if image.tokenizer != "pixels" else None
        hidden = generative_rows(mask[:1], self.config)  # all pictures of a group hide equally many
        drawn = sample_draw(head, count * hidden, image.token_dim, draws)
        times = drawn.times.view(head.draws, count, hidden)[:, own].flatten(1)
        noise = drawn.noise.view(head.draws, count, hidden, image.token_dim)[:, own].flatten(1, 2)
        return mask, chance[own], latents, times, noise


def drop_captions(captions: Sequence[str], chance: Tensor, config: DreamConfig) -> list[str]:
    """Captions for the decoder: some emptied for guidance by `chance` (B,), all of them in a training without text."""
    share = config.objective.caption_drop if config.objective.text else 1.0
    return ["" if drop else caption for caption, drop in zip(captions, (chance < share).tolist(), strict=True)]
