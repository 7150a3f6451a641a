"""The encoder of visible tokens. It never sees text, nor what is hidden."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dream.config import DreamConfig
from dream.model.blocks import LAYER_NORM_EPS, PackedBlock, Packing, Rows, initialise
from dream.model.positions import position_table, rotary_table


class Group(NamedTuple):
    """Pictures of a batch that hide equally many tokens: their rows (b,) and visible positions (b, V),
    raster order.
    """

    rows: Tensor
    visible: Tensor


def equal_groups(mask: Tensor) -> list[Group]:
    """The batch of `mask` (B, N) cut into groups of equally many visible tokens, fewest hidden first."""
    counts = mask.sum(dim=1).tolist()
    groups = []
    for count in sorted(set(counts)):
        rows = torch.tensor([i for i, c in enumerate(counts) if c == count], device=mask.device)
        visible = (~mask[rows]).nonzero()[:, 1].view(len(rows), mask.shape[1] - count)
        groups.append(Group(rows, visible))
    return groups


def no_rows(device: torch.device) -> Group:
    """The group of no picture: what is run on it costs nothing, and its parameters get gradients of zero."""
    return Group(torch.arange(0, device=device), torch.arange(0, device=device).view(0, 1))


class Encoded(NamedTuple):
    """Packed encoder output: tokens (sum of b (R + V), D) in the groups' order, and one level's tokens if
    asked for.
    """

    tokens: Tensor
    packing: Packing
    middle: Tensor | None

    def split(self) -> list[Tensor]:
        """The tokens of each group, (b, R + V, D)."""
        return unpack(self.tokens, self.packing)


def unpack(tokens: Tensor, packing: Packing) -> list[Tensor]:
    """A packed tensor cut into its groups, each (b, length, D)."""
    parts = tokens.split([rows.batch * rows.length for rows in packing])
    return [part.view(rows.batch, rows.length, tokens.shape[-1]) for part, rows in zip(parts, packing, strict=True)]


class Encoder(nn.Module):
    """Linear embedding, buffer tokens, position table, LayerNorm, ViT blocks, LayerNorm (spec section 1)."""

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
        """Packed encoder output of image tokens (B, N, D_tok); `middle` is the output of block
        `middle_block` (1 = first).

        Embedding and LayerNorm act on single tokens, so masked ones are dropped before them: same result,
        less work.
        """
        inputs, packing = [], []
        front = self.norm_in(self.buffer + self.positions[: self.buffer_tokens])  # (R, D)
        for rows, visible in groups:
            kept = tokens[rows[:, None], visible]  # (b, V, D_tok)
            x = self.norm_in(self.embed(kept) + self.positions[self.buffer_tokens + visible])  # (b, V, D)
            x = torch.cat([front.expand(len(rows), -1, -1), x], dim=1)  # (b, R + V, D)
            packing.append(Rows(x.shape[0], x.shape[1], self._rotary_of(visible)))
            inputs.append(x.flatten(0, 1))
        x, middle = torch.cat(inputs), None
        for number, block in enumerate(self.blocks, start=1):
            x = run_block(block, self.checkpoint_gradients, x, packing)
            if number == middle_block:
                middle = x
        return Encoded(self.norm_out(x), packing, middle)

    def _rotary_of(self, visible: Tensor) -> Tensor | None:
        """(b, R + V, 2 d) rotary angles of the buffer and the visible places."""
        if self.rotary is None:
            return None
        front = torch.arange(self.buffer_tokens, device=visible.device).expand(len(visible), -1)
        return self.rotary[torch.cat([front, self.buffer_tokens + visible], dim=1)]


def run_block(block: nn.Module, recompute: bool, *inputs: object) -> Tensor:
    """The block's output; with `recompute` its activations are made again in the backward pass to save
    memory.
    """
    if recompute and torch.is_grad_enabled():
        return checkpoint(block, *inputs, use_reentrant=False)
    return block(*inputs)
