"""Outputs of encoder blocks as maps, of whole square pictures at the model's size; nothing is masked."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dream.config import DreamConfig
from dream.model.encoder import equal_groups
from dream.model.pretrained import Pretrained
from dream.weights.finite import require_finite


class BlockMaps:
    """Maps of some encoder blocks; the last block's output is taken after the encoder's final LayerNorm."""

    def __init__(self, pretrained: Pretrained, blocks: Sequence[int], *, frozen: bool) -> None:
        """`blocks` count from 1 and rise. Unless frozen, the encoder is a copy, which can be trained."""
        self.blocks, self.frozen = tuple(blocks), frozen
        self.encoder = pretrained.model.encoder if frozen else copy.deepcopy(pretrained.model.encoder)
        self.grid, self.width = pretrained.config.image.grid, pretrained.config.encoder.width
        self._image_tokenizer = pretrained.image_tokenizer

    @property
    def device(self) -> torch.device:
        """Device of the encoder."""
        return next(self.encoder.parameters()).device

    @property
    def bytes_per_picture(self) -> int:
        """Size of a picture's maps in memory."""
        return 4 * len(self.blocks) * self.width * self.grid**2

    def parameters(self) -> list[nn.Parameter]:
        """Parameters to train; empty if frozen."""
        return [] if self.frozen else list(self.encoder.requires_grad_().parameters())

    def train(self, training: bool) -> None:
        """Turns dropout on or off; a frozen encoder stays as it is."""
        if not self.frozen:
            self.encoder.train(training)

    def __call__(self, images: Tensor) -> list[Tensor]:
        """(B, D, g, g) for each of the blocks, from pictures (B, 3, H, W) uint8."""
        tokens = self._image_tokenizer.tokenize(images).to(self.device)  # (B, N, D_tok)
        groups = equal_groups(torch.zeros(tokens.shape[:2], dtype=torch.bool, device=self.device))
        outputs: dict[int, Tensor] = {}
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen), self._recorded(outputs):
            outputs[len(self.encoder.blocks)] = self.encoder(tokens, groups).tokens
        return [self._as_map(outputs[number], len(images)) for number in self.blocks]

    @contextmanager
    def _recorded(self, outputs: dict[int, Tensor]) -> Iterator[None]:
        """Fills `outputs` with the outputs of the blocks while the encoder runs."""

        def keep(number: int) -> Callable[..., None]:
            return lambda module, args, output: outputs.__setitem__(number, output)

        blocks = self.encoder.blocks
        hooks = [blocks[n - 1].register_forward_hook(keep(n)) for n in set(self.blocks) if n < len(blocks)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _as_map(self, packed: Tensor, count: int) -> Tensor:
        tokens = packed.view(count, -1, self.width)[:, self.encoder.buffer_tokens :]  # (B, N, D)
        require_finite(tokens.detach(), "the model's features of pictures")
        return tokens.transpose(1, 2).reshape(count, self.width, self.grid, self.grid)


def four_blocks(config: DreamConfig) -> tuple[int, ...]:
    """Four encoder blocks (1 is the first), evenly spaced up to the last; a shallow encoder repeats some."""
    return tuple(max(1, round(config.encoder.depth * k / 4)) for k in (1, 2, 3, 4))
