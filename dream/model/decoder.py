"""The text aligner and the text-conditioned decoder, which gives every hidden place its condition."""

import torch
from torch import Tensor, nn

from dream.config import DreamConfig
from dream.model.blocks import LAYER_NORM_EPS, DecoderBlock, PackedBlock, Rows, initialise
from dream.model.encoder import Group, equal_groups, no_rows, run_block
from dream.model.positions import position_table, rotary_table, text_position_table

CrossCache = list[tuple[Tensor, Tensor]]
"""Keys and values (B, H, T, d) of the text in every decoder block."""


class TextAligner(nn.Module):
    """Text states (B, T, D) for the decoder: linear, learned positions, LayerNorm, ViT blocks (spec section
    1).

    Its input is T5 states (B, T, W), or token ids (B, T) with its own trainable embedding (`learned`, a
    departure).
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
        """(B, T) ids or (B, T, W) states -> (B, T, D)."""
        states = self.embedding(conditioning) if self.embedding is not None else conditioning
        x = self.norm_in(self.embed(states) + self.positions)  # (B, T, D)
        batch, length, width = x.shape
        x, packing = x.flatten(0, 1), [Rows(batch, length)]
        for block in self.blocks:
            x = run_block(block, self.checkpoint_gradients, x, packing)
        return x.view(batch, length, width)


class Decoder(nn.Module):
    """Scatter, mask tokens, positions, LayerNorm, cross-attending blocks, LayerNorm, output positions."""

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
        """Keys and values of every block for text states (B, T, D)."""
        return [block.cross_attn.keys_values(text_states) for block in self.blocks]  # type: ignore[union-attr, operator]

    def scatter(self, encoded: list[Tensor], groups: list[Group]) -> Tensor:
        """(B, R + N, D): each group's tokens (b, R + V, D) back in their places, the mask token everywhere
        else.
        """
        batch = sum(len(group.rows) for group in groups)
        places = self.buffer_tokens + self.num_tokens
        rows, positions = [], []
        for tokens, (row, visible) in zip(encoded, groups, strict=True):
            front = torch.arange(self.buffer_tokens, device=row.device).expand(len(row), -1)
            position = torch.cat([front, self.buffer_tokens + visible], dim=1)
            positions.append(position.flatten())
            rows.append(row.repeat_interleave(tokens.shape[1]))
        values = self.embed(torch.cat([tokens.flatten(0, 1) for tokens in encoded]))
        full = self.mask_token.to(values.dtype).expand(batch, places, -1)
        return full.index_put((torch.cat(rows), torch.cat(positions)), values)

    def forward(self, x: Tensor, cache: CrossCache, wanted: Tensor | None = None) -> Tensor:
        """Condition (B, N, D) of the scattered tokens (B, R + N, D).

        `wanted` (B, N) bool asks for those places only: (W, D), row-major. All places still serve as keys;
        the last block's queries and what follows are spared.
        """
        batch, length, width = x.shape
        x = self.norm_in(x + self.positions).flatten(0, 1)
        rotary = None if self.rotary is None else self.rotary.unsqueeze(0)
        packing = [Rows(batch, length, rotary)]
        for block, keys_values in zip(self.blocks[:-1], cache[:-1], strict=True):
            x = run_block(block, self.checkpoint_gradients, x, packing, keys_values)
        if wanted is None:
            x = run_block(self.blocks[-1], self.checkpoint_gradients, x, packing, cache[-1])
            x = self.norm_out(x).view(batch, length, width)[:, self.buffer_tokens :]  # (B, N, D)
            return x + self.output_positions
        # rows with equally many wanted places stand together, so that one call of the block serves all
        groups = equal_groups(~wanted) or [no_rows(x.device)]
        order = torch.cat([rows for rows, _ in groups])
        packing = [Rows(len(p), length, rotary, self.buffer_tokens + p) for _, p in groups]
        key, value = cache[-1]
        if len(groups) > 1:
            key, value = key[order], value[order]
            x = x.view(batch, length, width)[order].flatten(0, 1)
        x = run_block(self.blocks[-1], self.checkpoint_gradients, x, packing, (key, value))
        place = torch.cat([(rows[:, None] * self.num_tokens + p).flatten() for rows, p in groups])
        x = self.norm_out(x) + self.output_positions[place % self.num_tokens]
        return x[place.argsort()] if len(groups) > 1 else x
