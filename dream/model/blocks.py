"""Transformer blocks over packed sequences: rows of several lengths in one tensor, attention within each row.

Per-token layers see all tokens of a batch at once, however many each image hides; only attention loops over
the groups of equally long rows. Parameters and their names are timm's (`Block`, `Attention`, `Mlp`), and so is the
result when there is a single group. timm itself is not imported: with torchvision and torch's compiler, which it
brings, that takes longer than painting a picture.
"""

from collections.abc import Iterator
from contextvars import ContextVar
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYER_NORM_EPS = 1e-6
DRAWS = 2**16
"""Different values of a draw of dropout on a CPU."""
torch_dropout: ContextVar[bool] = ContextVar("torch_dropout", default=False)
"""Whether dropout is torch's own everywhere, for comparisons."""


KeysValues = tuple[Tensor, Tensor]
"""Keys and values of a layer, (B, H, L, d) each."""


class Rows(NamedTuple):
    """Equally long rows that are adjacent in a packed tensor."""

    batch: int
    """Number of rows."""
    length: int
    """Tokens per row."""
    rotary: Tensor | None = None
    """(batch or 1, length, 2 d) rotary table."""
    queries: Tensor | None = None
    """(batch, Q) long: the positions of each row that a decoder block outputs; `None` means all."""

    seen: list[KeysValues] | None = None
    """Collects keys and values of self-attention, block by block."""
    known: KeysValues | None = None
    """Keys and values of longer rows, of which these tokens are the `places` (batch, length): changed there."""
    places: Tensor | None = None

    @property
    def outputs(self) -> int:
        """Number of output tokens per row."""
        return self.length if self.queries is None else self.queries.shape[1]


Packing = list[Rows]


def attend(query: Tensor, key: Tensor, value: Tensor, dropout: float, causal: bool = False) -> Tensor:
    """Attention output (B, H, Q, d) of queries (B, H, Q, d) over keys and values (B, H, K, d).

    On the CPU bfloat16 inputs are computed in float32, because the bfloat16 kernel is several times slower; and dropout
    of the weights is `drop`'s, because torch's kernel for it draws one number per weight.
    """
    if query.device.type == "cpu" and query.dtype == torch.bfloat16:
        with torch.autocast("cpu", enabled=False):
            return attend(query.float(), key.float(), value.float(), dropout, causal)
    if query.device.type == "cpu" and dropout and not causal and not torch_dropout.get():
        return drop(attention_weights(query, key), dropout) @ value
    return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=causal)


def attention_weights(query: Tensor, key: Tensor) -> Tensor:
    """Attention weights (B, H, Q, K) float32 of `attend` without causal masking; each row sums to 1."""
    query, key = query.float(), key.float()
    return (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).softmax(dim=-1)


def rotate(heads: Tensor, rotary: Tensor) -> Tensor:
    """Heads (b, H, L, d) turned by the sines and cosines of `rotary` (b or 1, 1, L, 2 d): halves, as in RoFormer.

    Source: arXiv 2104.09864, with the pairs of channels that are d / 2 apart.
    """
    sines, cosines = rotary.chunk(2, dim=-1)
    first, second = heads.chunk(2, dim=-1)
    return (heads * cosines + torch.cat([-second, first], dim=-1) * sines).to(heads.dtype)


def drop(x: Tensor, share: float) -> Tensor:
    """`x` (...) with a share of its values set to 0, and the others grown in turn.

    On a CPU four draws are cut from one of torch's, which rounds the share to 1 / 65,536: torch draws one number per
    value there, on one thread, which takes a fifth of a training step.
    """
    dropped = round(share * DRAWS)
    if x.device.type != "cpu" or dropped == DRAWS or torch_dropout.get():
        return F.dropout(x, share)
    words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    kept = words.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - DRAWS // 2
    return (x * (kept * (DRAWS / (DRAWS - dropped)))).to(x.dtype)


class Dropout(nn.Module):
    """`drop` in training, nothing otherwise."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Maps (...) to (...)."""
        return drop(x, self.share) if self.training and self.share else x


class PackedAttention(nn.Module):
    """Self-attention on a packed tensor (tokens, D), optionally causal or with rotary positions."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads, self.head_dim, self.dropout = heads, width // heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.proj_drop = Dropout(dropout)

    def forward(self, x: Tensor, packing: Packing, causal: bool = False) -> Tensor:
        """Maps (tokens, D) to (tokens, D), or to the packing's queries only."""
        mixed = [self._attend_rows(qkv, rows, causal) for qkv, rows in self._qkv_of_rows(x, packing)]
        return self.proj_drop(self.proj(_join(mixed).to(x.dtype)))

    def weights(self, x: Tensor, packing: Packing) -> list[Tensor]:
        """Attention weights (batch, H, queries, length) of each group of rows. For inspection only."""
        heads = (self._heads(qkv, rows) for qkv, rows in self._qkv_of_rows(x, packing))
        return [attention_weights(query, key) for query, key, _ in heads]

    def _qkv_of_rows(self, x: Tensor, packing: Packing) -> Iterator[tuple[Tensor, Rows]]:
        """Projected tokens (batch * length, 3 D) of each group of rows."""
        return zip(self.qkv(x).split([rows.batch * rows.length for rows in packing]), packing, strict=True)

    def _attend_rows(self, qkv: Tensor, rows: Rows, causal: bool) -> Tensor:
        q, k, v = self._heads(qkv, rows)
        mixed = attend(q, k, v, self.dropout if self.training else 0.0, causal)  # (b, H, Q, d)
        return mixed.transpose(1, 2).reshape(-1, self.num_heads * self.head_dim)  # (b * Q, D)

    def _heads(self, qkv: Tensor, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (b, H, Q, d), keys and values (b, H, L, d) of a group of rows."""
        qkv = qkv.view(rows.batch, rows.length, 3, self.num_heads, self.head_dim)  # (b, L, 3, H, d)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (b, H, L, d) each
        if rows.rotary is not None:
            rotary = rows.rotary.unsqueeze(1)  # (b or 1, 1, L, 2 d)
            q, k = rotate(q, rotary), rotate(k, rotary)
        if rows.known is not None:
            assert rows.places is not None
            index = rows.places[:, None, :, None].expand(-1, self.num_heads, -1, self.head_dim)
            k, v = (known.scatter_(2, index, own) for known, own in zip(rows.known, (k, v), strict=True))
        if rows.seen is not None:
            rows.seen.append((k, v))
        if rows.queries is not None:
            index = rows.queries[:, None, :, None].expand(-1, self.num_heads, -1, self.head_dim)
            q = q.gather(2, index)  # (b, H, Q, d)
        return q, k, v


class Mlp(nn.Module):
    """Two linear layers with GELU between, on any number of tokens."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.drop1 = Dropout(dropout)
        self.fc2 = nn.Linear(hidden, width)
        self.drop2 = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (tokens, D) to (tokens, D)."""
        return self.drop2(self.fc2(self.drop1(self.act(self.fc1(x)))))


class PackedBlock(nn.Module):
    """Pre-norm ViT block on a packed tensor (tokens, D)."""

    def __init__(
        self, width: int, heads: int, mlp_ratio: float, dropout: float = 0.0, eps: float = LAYER_NORM_EPS
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = PackedAttention(width, heads, dropout)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, int(width * mlp_ratio), dropout)

    def forward(self, x: Tensor, packing: Packing, causal: bool = False) -> Tensor:
        """Maps (tokens, D) to (tokens, D)."""
        x = x + self.attn(self.norm1(x), packing, causal)  # (tokens, D)
        return x + self.mlp(self.norm2(x))  # (tokens, D)


class CrossAttention(nn.Module):
    """Attention from image tokens to text states, whose keys and values `keys_values` computes once."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.proj_drop = Dropout(dropout)

    def keys_values(self, text_states: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values, each (B, H, T, d), of text states (B, T, D). They serve all decoding steps."""
        batch, length, width = text_states.shape
        kv = self.kv(text_states).view(batch, length, 2, self.heads, width // self.heads)  # (B, T, 2, H, d)
        key, value = kv.permute(2, 0, 3, 1, 4).unbind(0)  # (B, H, T, d) each
        return key, value

    def forward(self, x: Tensor, packing: Packing, keys_values: tuple[Tensor, Tensor]) -> Tensor:
        """Maps (queries, D) to (queries, D); the queries of each row attend to the text of that row."""
        mixed = []
        for query, key, value in self._heads(x, packing, keys_values):
            heads = attend(query, key, value, self.dropout if self.training else 0.0)  # (b, H, Q, d)
            mixed.append(heads.transpose(1, 2).reshape(-1, x.shape[-1]))  # (b * Q, D)
        return self.proj_drop(self.proj(_join(mixed).to(x.dtype)))  # (queries, D)

    def weights(self, x: Tensor, packing: Packing, keys_values: tuple[Tensor, Tensor]) -> list[Tensor]:
        """Attention weights (batch, H, queries, T) of each group of rows. For inspection only."""
        return [attention_weights(query, key) for query, key, _ in self._heads(x, packing, keys_values)]

    def _heads(
        self, x: Tensor, packing: Packing, keys_values: tuple[Tensor, Tensor]
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Queries (b, H, Q, d), keys and values (b, H, T, d) of each group of rows."""
        queries, row = self.q(x).split([rows.batch * rows.outputs for rows in packing]), 0
        for query, rows in zip(queries, packing, strict=True):
            key, value = (states[row : row + rows.batch] for states in keys_values)
            heads = query.view(rows.batch, rows.outputs, self.heads, query.shape[-1] // self.heads)
            yield heads.transpose(1, 2), key, value
            row += rows.batch


class DecoderBlock(nn.Module):
    """Pre-norm block of self-attention, cross-attention to the text, and an MLP."""

    def __init__(self, width: int, heads: int, mlp_ratio: float, dropout: float) -> None:
        super().__init__()
        self.norm0 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.self_attn = PackedAttention(width, heads, dropout)
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.cross_attn = CrossAttention(width, heads, dropout)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(width, int(width * mlp_ratio), dropout)

    def forward(self, x: Tensor, packing: Packing, keys_values: tuple[Tensor, Tensor]) -> Tensor:
        """Maps (tokens, D) to (tokens, D), or to the packing's queries only."""
        x = _outputs(x, packing) + self.self_attn(self.norm0(x), packing)  # (queries, D)
        x = x + self.cross_attn(self.norm1(x), packing, keys_values)  # (queries, D)
        return x + self.mlp(self.norm2(x))  # (queries, D)

    def weights(
        self, x: Tensor, packing: Packing, keys_values: tuple[Tensor, Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Self-attention and cross-attention weights of this block on its input `x`. For inspection only."""
        normed = self.norm0(x)
        mixed = _outputs(x, packing) + self.self_attn(normed, packing)
        cross = self.cross_attn.weights(self.norm1(mixed), packing, keys_values)
        return self.self_attn.weights(normed, packing), cross


def _join(tensors: list[Tensor]) -> Tensor:
    """Concatenates along dimension 0; a single tensor is not copied."""
    return torch.cat(tensors) if len(tensors) > 1 else tensors[0]


def _outputs(x: Tensor, packing: Packing) -> Tensor:
    """The tokens that a block outputs: the queries of each row, or all."""
    if all(rows.queries is None for rows in packing):
        return x
    index, start = [], 0
    for rows in packing:
        queries = torch.arange(rows.length, device=x.device) if rows.queries is None else rows.queries
        first = start + torch.arange(rows.batch, device=x.device)[:, None] * rows.length
        index.append((first + queries).flatten())
        start += rows.batch * rows.length
    return x[torch.cat(index)]


def initialise(module: nn.Module) -> None:
    """Initialises a linear layer as the authors do: Xavier-uniform weight, zero bias. For `Module.apply`."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
