"""The text aligner and the text-conditioned decoder, which computes the diffusion head's condition per position."""

import torch
from torch import Tensor, nn

from dream.config import DreamConfig
from dream.model.blocks import LAYER_NORM_EPS, DecoderBlock, KeysValues, PackedBlock, Rows, initialise
from dream.model.encoder import Group, equal_groups, no_rows, run_block
from dream.model.positions import position_table, rotary_table, text_position_table

CrossCache = list[tuple[Tensor, Tensor]]
"""Keys and values (B, H, T, d) of the text for each decoder block."""


class TextAligner(nn.Module):
    """Text states (B, T, D) for the decoder: linear, learned positions, LayerNorm, ViT blocks.

    The input is T5 states (B, T, W), as published, or token ids (B, T) for an embedding of its own (`learned`,
    a departure). See docs/method.md, One model, two objectives.
    """

    def __init__(self, config: DreamConfig) -> None:
        super().__init__()
        text, c = config.text, config.decoder
        learned = text.conditioning == "learned"
        length = text.context_length if learned else text.conditioning_length
        self.embedding = nn.Embedding(text.vocab_size, text.conditioning_width) if learned else None
        self.embed = nn.Linear(text.conditioning_width, c.width)
        self.positions = text_position_table(config.encoder.positions, length, c.width)
        self.norm_in = nn.LayerNorm(c.width, eps=LAYER_NORM_EPS)
        self.blocks = nn.ModuleList(
            PackedBlock(c.width, c.heads, c.mlp_ratio, c.dropout) for _ in range(c.aligner_depth)
        )
        self.apply(initialise)
        self.checkpoint_gradients = config.train.checkpoint_gradients

    def forward(self, conditioning: Tensor) -> Tensor:
        """Maps ids (B, T) or states (B, T, W) to text states (B, T, D)."""
        states = self.embedding(conditioning) if self.embedding is not None else conditioning  # (B, T, W)
        x = self.norm_in(self.embed(states) + self.positions)  # (B, T, D)
        batch, length, width = x.shape
        x, packing = x.flatten(0, 1), [Rows(batch, length)]  # (B * T, D)
        for block in self.blocks:
            x = run_block(block, self.checkpoint_gradients, x, packing)  # (B * T, D)
        return x.view(batch, length, width)  # (B, T, D)


class Decoder(nn.Module):
    """Mask tokens in the hidden positions, position table, LayerNorm, cross-attending blocks, LayerNorm, output table.

    See docs/method.md, One model, two objectives.
    """

    rotary: Tensor | None

    def __init__(self, config: DreamConfig) -> None:
        super().__init__()
        c, image = config.decoder, config.image
        self.buffer_tokens, self.num_tokens = config.encoder.buffer_tokens, image.num_tokens
        self.embed = nn.Linear(config.encoder.width, c.width)
        self.mask_token = nn.Parameter(torch.randn(c.width) * 0.02)
        self.positions = position_table(config.encoder.positions, image.grid, self.buffer_tokens, c.width)
        self.norm_in = nn.LayerNorm(c.width, eps=LAYER_NORM_EPS)
        self.blocks = nn.ModuleList(DecoderBlock(c.width, c.heads, c.mlp_ratio, c.dropout) for _ in range(c.depth))
        self.norm_out = nn.LayerNorm(c.width, eps=LAYER_NORM_EPS)
        self.output_positions = position_table(config.encoder.positions, image.grid, 0, c.width)
        self.apply(initialise)
        table = rotary_table(image.grid, self.buffer_tokens, c.width // c.heads) if config.encoder.rotary else None
        self.register_buffer("rotary", table, persistent=False)
        self.checkpoint_gradients = config.train.checkpoint_gradients

    def cross_cache(self, text_states: Tensor) -> CrossCache:
        """Keys and values of the text states (B, T, D) for each block."""
        return [block.cross_attn.keys_values(text_states) for block in self.blocks]  # type: ignore[union-attr, operator]

    def scatter(self, encoded: list[Tensor], groups: list[Group]) -> Tensor:
        """Decoder input (B, R + N, D): the groups' tokens (b, R + V, D) in their positions, mask tokens elsewhere."""
        batch = sum(len(group.rows) for group in groups)
        length = self.buffer_tokens + self.num_tokens
        rows, positions = [], []
        for tokens, (row, visible) in zip(encoded, groups, strict=True):
            front = torch.arange(self.buffer_tokens, device=row.device).expand(len(row), -1)  # (b, R)
            positions.append(torch.cat([front, self.buffer_tokens + visible], dim=1).flatten())  # (b * (R + V),)
            rows.append(row.repeat_interleave(tokens.shape[1]))  # (b * (R + V),)
        values = self.embed(torch.cat([tokens.flatten(0, 1) for tokens in encoded]))  # (sum of b (R + V), D)
        full = self.mask_token.to(values.dtype).expand(batch, length, -1)  # (B, R + N, D)
        return full.index_put((torch.cat(rows), torch.cat(positions)), values)  # (B, R + N, D)

    def forward(
        self, x: Tensor, cache: CrossCache, wanted: Tensor | None = None, seen: list[KeysValues] | None = None
    ) -> Tensor:
        """Condition (B, N, D) of the scattered tokens (B, R + N, D).

        With `wanted` (B, N) bool only those positions are returned, (M, D) in row-major order. All positions still
        serve as keys; only the last block's queries and the layers after it are restricted. `seen` collects the keys
        and values of self-attention in each block, for `again`.
        """
        batch, length, width = x.shape
        x = self.norm_in(x + self.positions).flatten(0, 1)  # (B * (R + N), D)
        rotary = None if self.rotary is None else self.rotary.unsqueeze(0)  # (1, R + N, 2 d)
        packing = [Rows(batch, length, rotary, seen=seen)]
        for block, keys_values in zip(self.blocks[:-1], cache[:-1], strict=True):
            x = run_block(block, self.checkpoint_gradients, x, packing, keys_values)  # (B * (R + N), D)
        x = x.view(batch, length, width)  # (B, R + N, D)
        if wanted is None:
            return self._last_block(x, cache[-1], rotary)  # (B, N, D)
        return self._wanted(x, cache[-1], rotary, wanted, seen)  # (M, D)

    def again(self, x: Tensor, cache: CrossCache, known: list[KeysValues], places: Tensor, queries: Tensor) -> Tensor:
        """Condition (B * Q, D) at `queries`, computed at the `places` of scattered tokens x (B, R + N, D) only.

        Every other place keeps the keys and values (B, H, R + N, d) per block that it had in an earlier step: `known`,
        which is changed. `places` (B, S) long rise and count buffer tokens; `queries` (B, Q) long number some of them.
        """
        batch, count, width = len(x), places.shape[1], x.shape[-1]
        x = x.gather(1, places.unsqueeze(-1).expand(-1, -1, width))  # (B, S, D)
        x = self.norm_in(x + self.positions[places]).flatten(0, 1)  # (B * S, D)
        rotary = None if self.rotary is None else self.rotary[places]  # (B, S, 2 d)
        for number, (block, keys_values, own) in enumerate(zip(self.blocks, cache, known, strict=True), start=1):
            restricted = queries if number == len(self.blocks) else None
            x = block(x, [Rows(batch, count, rotary, restricted, known=own, places=places)], keys_values)
        return self.norm_out(x) + self.output_positions[places.gather(1, queries).flatten() - self.buffer_tokens]

    def _last_block(self, x: Tensor, keys_values: tuple[Tensor, Tensor], rotary: Tensor | None) -> Tensor:
        """Condition (B, N, D) of every position from the last block's input (B, R + N, D)."""
        batch, length, width = x.shape
        packing = [Rows(batch, length, rotary)]
        x = x.flatten(0, 1)  # (B * (R + N), D)
        x = run_block(self.blocks[-1], self.checkpoint_gradients, x, packing, keys_values)  # (B * (R + N), D)
        x = self.norm_out(x).view(batch, length, width)[:, self.buffer_tokens :]  # (B, N, D)
        return x + self.output_positions  # (B, N, D)

    def _wanted(
        self,
        x: Tensor,
        keys_values: tuple[Tensor, Tensor],
        rotary: Tensor | None,
        wanted: Tensor,
        seen: list[KeysValues] | None,
    ) -> Tensor:
        """Condition (M, D) of the M `wanted` positions (B, N) from the last block's input (B, R + N, D)."""
        groups = equal_groups(~wanted) or [no_rows(x.device)]  # by the number of wanted positions P
        packing = [Rows(len(rows), x.shape[1], rotary, self.buffer_tokens + p, seen) for rows, p in groups]
        if len(groups) > 1:  # rows of one group must be adjacent
            order = torch.cat([rows for rows, _ in groups])  # (B,)
            key, value = keys_values
            x, keys_values = x[order], (key[order], value[order])
        x = run_block(self.blocks[-1], self.checkpoint_gradients, x.flatten(0, 1), packing, keys_values)  # (M, D)
        place = torch.cat([(rows[:, None] * self.num_tokens + p).flatten() for rows, p in groups])  # (M,)
        x = self.norm_out(x) + self.output_positions[place % self.num_tokens]  # (M, D)
        return x[place.argsort()] if len(groups) > 1 else x  # (M, D)
