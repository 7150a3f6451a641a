"""Transformer blocks over *packed* sequences: rows of several lengths in one tensor, attention within each
row.

Every per-token layer sees all tokens of a batch at once, whatever each picture hides; only attention walks
the groups of equally long rows. Parameters and their names are timm's (`Block`, `Attention`); with one
group the result is timm's.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from timm.layers import Mlp, apply_rot_embed_cat
from timm.models.vision_transformer import Attention, Block
from torch import Tensor, nn

LAYER_NORM_EPS = 1e-6


class Rows(NamedTuple):
    """A run of equally long rows in a packed tensor."""

    batch: int
    length: int
    """Tokens a row."""
    rotary: Tensor | None = None
    """(batch or 1, length, 2 d) rotary table."""
    queries: Tensor | None = None
    """(batch, Q) long: the places of each row that a decoder block puts out; none means all."""

    @property
    def outputs(self) -> int:
        """Places a row that come out."""
        return self.length if self.queries is None else self.queries.shape[1]


Packing = list[Rows]


def attend(query: Tensor, key: Tensor, value: Tensor, dropout: float, causal: bool = False) -> Tensor:
    """Attention of (B, H, Q, d) on (B, H, K, d). In bfloat16 the CPU's kernel is several times slower:
    float32 there.
    """
    if query.device.type == "cpu" and query.dtype == torch.bfloat16:
        with torch.autocast("cpu", enabled=False):
            query, key, value = query.float(), key.float(), value.float()
            return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=causal)
    return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=causal)


def attention_weights(query: Tensor, key: Tensor) -> Tensor:
    """(B, H, Q, K) float32: the weights that `attend` mixes values with, not causal; each row sums to 1."""
    query, key = query.float(), key.float()
    return (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).softmax(dim=-1)


class PackedAttention(Attention):
    """timm's self-attention on a packed tensor (tokens, D), optionally causal or with rotary positions."""

    def forward(self, x: Tensor, packing: Packing, causal: bool = False) -> Tensor:  # type: ignore[override]
        """(tokens, D) -> (tokens, D), or the packing's queries alone."""
        qkv = self.qkv(x).split([rows.batch * rows.length for rows in packing])
        parts = [self._attend_rows(part, rows, causal) for part, rows in zip(qkv, packing, strict=True)]
        mixed = torch.cat(parts) if len(parts) > 1 else parts[0]
        return self.proj_drop(self.proj(mixed.to(x.dtype)))

    def weights(self, x: Tensor, packing: Packing) -> list[Tensor]:
        """Where every run's queries look, (batch, H, queries, length) each: for looking at, `forward` needs
        none.
        """
        qkv = self.qkv(x).split([rows.batch * rows.length for rows in packing])
        heads = (self._heads(part, rows) for part, rows in zip(qkv, packing, strict=True))
        return [attention_weights(query, key) for query, key, _ in heads]

    def _attend_rows(self, qkv: Tensor, rows: Rows, causal: bool) -> Tensor:
        q, k, v = self._heads(qkv, rows)
        mixed = attend(q, k, v, self.attn_drop.p if self.training else 0.0, causal)
        return mixed.transpose(1, 2).reshape(-1, self.num_heads * self.head_dim)

    def _heads(self, qkv: Tensor, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, Q, d), keys and values (B, H, T, d) of a run of rows."""
        qkv = qkv.view(rows.batch, rows.length, 3, self.num_heads, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (B, H, T, d)
        if rows.rotary is not None:
            rotary = rows.rotary.unsqueeze(1)  # (B, 1, T, 2 d)
            q, k = (apply_rot_embed_cat(part, rotary, half=True) for part in (q, k))
        if rows.queries is not None:
            index = rows.queries[:, None, :, None].expand(-1, self.num_heads, -1, self.head_dim)
            q = q.gather(2, index)
        return q, k, v


class PackedBlock(Block):
    """timm's pre-norm ViT block on a packed tensor (tokens, D)."""

    def __init__(
        self, width: int, heads: int, mlp_ratio: float, dropout: float = 0.0, eps: float = LAYER_NORM_EPS
    ) -> None:
        super().__init__(
            width,
            heads,
            mlp_ratio,
            qkv_bias=True,
            proj_drop=dropout,
            attn_drop=dropout,
            norm_layer=lambda dim, **device: nn.LayerNorm(dim, eps=eps, **device),  # type: ignore[arg-type]
            attn_layer=PackedAttention,
        )

    def forward(self, x: Tensor, packing: Packing, causal: bool = False) -> Tensor:  # type: ignore[override]
        x = x + self.attn(self.norm1(x), packing, causal)
        return x + self.mlp(self.norm2(x))


class CrossAttention(nn.Module):
    """Attention of image tokens to text states; keys and values come ready from `keys_values`."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.proj_drop = nn.Dropout(dropout)

    def keys_values(self, text_states: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, each (B, H, T, d), of text states (B, T, D); they do not change over decoding
        steps.
        """
        batch, length, width = text_states.shape
        kv = self.kv(text_states).view(batch, length, 2, self.heads, width // self.heads)
        key, value = kv.permute(2, 0, 3, 1, 4).unbind(0)
        return key, value

    def forward(self, x: Tensor, packing: Packing, keys_values: tuple[Tensor, Tensor]) -> Tensor:
        """(queries, D) -> (queries, D): every row's queries attend to that row's text, (B, H, T, d) each."""
        parts = []
        for query, key, value in self._heads(x, packing, keys_values):
            mixed = attend(query, key, value, self.dropout if self.training else 0.0)
            parts.append(mixed.transpose(1, 2).reshape(-1, x.shape[-1]))
        mixed = torch.cat(parts) if len(parts) > 1 else parts[0]
        return self.proj_drop(self.proj(mixed.to(x.dtype)))

    def weights(self, x: Tensor, packing: Packing, keys_values: tuple[Tensor, Tensor]) -> list[Tensor]:
        """Which text every run's queries look at, (batch, H, queries, T) each: for looking at, `forward`
        needs none.
        """
        return [attention_weights(query, key) for query, key, _ in self._heads(x, packing, keys_values)]

    def _heads(
        self, x: Tensor, packing: Packing, keys_values: tuple[Tensor, Tensor]
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Queries (b, H, Q, d), keys and values (b, H, T, d) of every run of rows."""
        queries, row = self.q(x).split([rows.batch * rows.outputs for rows in packing]), 0
        for part, rows in zip(queries, packing, strict=True):
            key, value = (each[row : row + rows.batch] for each in keys_values)
            heads = part.view(rows.batch, rows.outputs, self.heads, part.shape[-1] // self.heads)
            yield heads.transpose(1, 2), key, value
            row += rows.batch


class DecoderBlock(nn.Module):
    """Pre-norm block of self-attention, cross-attention to the text, and MLP."""

    def __init__(self, width: int, heads: int, mlp_ratio: float, dropout: float) -> None:
        super().__init__()
        self.norm0 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.self_attn = PackedAttention(width, heads, qkv_bias=True, attn_drop=dropout, proj_drop=dropout)
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.cross_attn = CrossAttention(width, heads, dropout)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(width, int(width * mlp_ratio), drop=dropout)

    def forward(self, x: Tensor, packing: Packing, keys_values: tuple[Tensor, Tensor]) -> Tensor:
        """(tokens, D) -> (tokens, D); where the packing names queries, only those places go on."""
        x = _outputs(x, packing) + self.self_attn(self.norm0(x), packing)
        x = x + self.cross_attn(self.norm1(x), packing, keys_values)
        return x + self.mlp(self.norm2(x))

    def weights(
        self, x: Tensor, packing: Packing, keys_values: tuple[Tensor, Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Where the queries of this block's input look: in their rows, and in the text."""
        normed = self.norm0(x)
        mixed = _outputs(x, packing) + self.self_attn(normed, packing)
        cross = self.cross_attn.weights(self.norm1(mixed), packing, keys_values)
        return self.self_attn.weights(normed, packing), cross


def _outputs(x: Tensor, packing: Packing) -> Tensor:
    """The tokens that come out of a block: the queries of each row, or all."""
    if all(rows.queries is None for rows in packing):
        return x
    places, start = [], 0
    for rows in packing:
        queries = torch.arange(rows.length, device=x.device) if rows.queries is None else rows.queries
        first = start + torch.arange(rows.batch, device=x.device)[:, None] * rows.length
        places.append((first + queries).flatten())
        start += rows.batch * rows.length
    return x[torch.cat(places)]


def initialise(module: nn.Module) -> None:
    """Xavier-uniform linear layers with zero bias, as the authors start them; for use with `Module.apply`."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
