"""The encoder of visible tokens. It never sees text or hidden tokens."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dream.config import DreamConfig
from dream.model.blocks import LAYER_NORM_EPS, PackedBlock, Packing, Rows, initialise
from dream.model.positions import position_table, rotary_table


class Group(NamedTuple):
    """The b images of a batch that hide equally many tokens."""

    rows: Tensor
    """(b,) long: row numbers in the batch."""
    visible: Tensor
    """(b, V) long: visible positions in raster order."""


def equal_groups(mask: Tensor) -> list[Group]:
    """Splits the batch of `mask` (B, N) into groups that hide equally many tokens, fewest hidden first."""
    counts = mask.sum(dim=1).tolist()
    groups = []
    for count in sorted(set(counts)):
        rows = torch.tensor([i for i, c in enumerate(counts) if c == count], device=mask.device)
        visible = (~mask[rows]).nonzero()[:, 1].view(len(rows), mask.shape[1] - count)
        groups.append(Group(rows, visible))
    return groups


def no_rows(device: torch.device) -> Group:
    """An empty group: running a layer on it costs nothing and gives its parameters gradients of zero."""
    return Group(torch.arange(0, device=device), torch.arange(0, device=device).view(0, 1))


class Encoded(NamedTuple):
    """Packed encoder output, in the order of the groups."""

    tokens: Tensor
    """(sum of b (R + V), D)."""
    packing: Packing
    middle: Tensor | None
    """The output of an intermediate block if one was requested, shaped like `tokens`."""

    def split(self) -> list[Tensor]:
        """Tokens (b, R + V, D) of each group."""
        return unpack(self.tokens, self.packing)


def unpack(tokens: Tensor, packing: Packing) -> list[Tensor]:
    """Splits a packed tensor into its groups, each (b, length, D)."""
    groups = tokens.split([rows.batch * rows.length for rows in packing])
    return [group.view(rows.batch, rows.length, tokens.shape[-1]) for group, rows in zip(groups, packing, strict=True)]


class Encoder(nn.Module):
    """Linear embedding, buffer tokens, position table, LayerNorm, ViT blocks, LayerNorm.

    See docs/method.md, One model, two objectives.
    """

    rotary: Tensor | None

    def __init__(self, config: DreamConfig) -> None:
        super().__init__()
        c, image = config.encoder, config.image
        self.buffer_tokens = c.buffer_tokens
        self.embed = nn.Linear(image.token_dim, c.width)
        self.buffer = nn.Parameter(torch.randn(1, c.width) * 0.02)
        self.positions = position_table(c.positions, image.grid, c.buffer_tokens, c.width)
        self.norm_in = nn.LayerNorm(c.width, eps=LAYER_NORM_EPS)
        self.blocks = nn.ModuleList(PackedBlock(c.width, c.heads, c.mlp_ratio, c.dropout) for _ in range(c.depth))
        self.norm_out = nn.LayerNorm(c.width, eps=LAYER_NORM_EPS)
        self.apply(initialise)
        table = rotary_table(image.grid, c.buffer_tokens, c.width // c.heads) if c.rotary else None
        self.register_buffer("rotary", table, persistent=False)
        self.checkpoint_gradients = config.train.checkpoint_gradients

    def forward(self, tokens: Tensor, groups: list[Group], middle_block: int | None = None) -> Encoded:
        """Packed encoder output of image tokens (B, N, D_tok), with the output of `middle_block` (1 = first).

        Embedding and LayerNorm act on single tokens, so hidden ones are dropped first: same result, less work.
        """
        inputs, packing = [], []
        front = self.norm_in(self.buffer + self.positions[: self.buffer_tokens])  # (R, D)
        for rows, visible in groups:
            kept = tokens[rows[:, None], visible]  # (b, V, D_tok)
            x = self.norm_in(self.embed(kept) + self.positions[self.buffer_tokens + visible])  # (b, V, D)
            x = torch.cat([front.expand(len(rows), -1, -1), x], dim=1)  # (b, R + V, D)
            packing.append(Rows(x.shape[0], x.shape[1], self._rotary_of(visible)))
            inputs.append(x.flatten(0, 1))  # (b * (R + V), D)
        x, middle = torch.cat(inputs), None  # (sum of b (R + V), D)
        for number, block in enumerate(self.blocks, start=1):
            x = run_block(block, self.checkpoint_gradients, x, packing)  # (sum of b (R + V), D)
            if number == middle_block:
                middle = x  # (sum of b (R + V), D)
        return Encoded(self.norm_out(x), packing, middle)  # (sum of b (R + V), D)

    def _rotary_of(self, visible: Tensor) -> Tensor | None:
        """Rotary table (b, R + V, 2 d) of the buffer tokens and the visible positions."""
        if self.rotary is None:
            return None
        front = torch.arange(self.buffer_tokens, device=visible.device).expand(len(visible), -1)  # (b, R)
        return self.rotary[torch.cat([front, self.buffer_tokens + visible], dim=1)]  # (b, R + V, 2 d)


def run_block(block: nn.Module, recompute: bool, *inputs: object) -> Tensor:
    """Output of `block`; with `recompute` its activations are recomputed in the backward pass to save memory."""
    if recompute and torch.is_grad_enabled():
        return checkpoint(block, *inputs, use_reentrant=False)
    return block(*inputs)
