"""Cuts a rank's share of a batch into micro-batches, and makes their contrast that of the whole batch."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dream.data.batch import Batch
from dream.model.joint import ContrastRows, gather
from dream.training import frozen
from dream.training.draws import PictureDraws, StepDraws
from dream.training.state import Run


class MicroBatch(NamedTuple):
    """B pictures that go through the model together; tensors are on the device."""

    places: range
    """Their numbers in the global batch."""
    batch: Batch
    """As it was read."""
    images: Tensor
    """(B, 3, H, W) uint8."""
    tokens: Tensor
    """(B, N, D_tok)."""
    mask: Tensor
    """(B, N) bool."""
    text_ids: Tensor
    """(B, T)."""
    draws: PictureDraws
    """`chance` stays on the CPU."""


def micro_batches(batch: Batch, count: int, rank: int) -> Iterator[tuple[Batch, range]]:
    """`count` equal parts of this rank's share of a batch, in order, each with its numbers in the global batch."""
    size = len(batch) // count
    for start in range(0, count * size, size):
        first = rank * len(batch) + start
        yield batch.part(slice(start, start + size)), range(first, first + size)


def prepare(run: Run, micro: Batch, drawn: StepDraws, places: range) -> MicroBatch:
    """Tokenizes a micro-batch and moves it to the device, with what the step draws for it."""
    draws, images = drawn.of(places), run.fabric.to_device(micro.images)
    tokens = frozen.batch_tokens(run.bundle, micro, images, draws.latents)  # (B, N, D_tok)
    tensors = (tokens, draws.mask, frozen.caption_ids(run.bundle, micro), draws.noise)
    tokens, mask, text_ids, noise = run.fabric.to_device(tensors)
    return MicroBatch(places, micro, images, tokens, mask, text_ids, draws._replace(noise=noise))


@torch.no_grad()
def whole_batch_rows(run: Run, micros: Sequence[MicroBatch], drawn: StepDraws) -> ContrastRows:
    """The rows of the global batch in its order, without gradient, from one more pass through encoder and text tower.

    Dropout is that of the pass with gradient. Every rank must call it.
    """
    parts = []
    for micro in micros:
        drawn.seed_dropout(micro.places)
        with run.fabric.autocast():
            parts.append(run.model.contrast_rows(micro.tokens, micro.mask, micro.text_ids))
    return ContrastRows(*(gather(torch.cat(tensors)) for tensors in zip(*parts, strict=True)))
