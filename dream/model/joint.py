"""The joint space: the projection of pooled image tokens, the CLIP text tower, and the rows of all ranks."""

import math
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from dream.config import DreamConfig
from dream.model.blocks import Dropout, PackedBlock, Rows, initialise
from dream.model.encoder import Group
from dream.model.positions import half_maps
from dream.weights.distributed import has_ranks

TEXT_LAYER_NORM_EPS = 1e-5


class ContrastRows(NamedTuple):
    """What the contrastive loss reads of B images and their captions, before the projection and the normalisation."""

    pooled: Tensor
    """(B, P): pooled encoder tokens."""
    text: Tensor
    """(B, E): output of the text tower."""
    counted: Tensor
    """(B,) bool: images that are visible enough to count."""
    text_ids: Tensor
    """(B, T) long: token ids of the captions."""


class CachedRows(NamedTuple):
    """The rows of a whole batch, computed before without gradient, for the contrast of one of its micro-batches.

    Each micro-batch replaces its own rows and has the loss of the whole batch (GradCache, arXiv 2101.06983). All
    micro-batches together have its gradient if that of the replaced rows is multiplied by their number.
    """

    rows: ContrastRows
    """Of all G images."""
    start: int
    """Row of the micro-batch's first image."""
    micro_batches: int
    """Number of micro-batches over all ranks, whose losses are averaged."""
    is_first: bool
    """Whether it is the first micro-batch of its rank; BatchNorm remembers the batch once, there."""

    def with_own(self, pooled: Tensor) -> Tensor:
        """Pooled tokens (G, P) of all images, with those (B, P) of the micro-batch and their gradient."""
        return self._put(self.rows.pooled, pooled)

    def with_own_text(self, text: Tensor) -> Tensor:
        """The same of the text tower's output (B, E)."""
        return self._put(self.rows.text, text)

    def _put(self, whole: Tensor, own: Tensor) -> Tensor:
        own = own.view_as(own)  # a tensor of its own, for the hook
        if own.requires_grad:
            own.register_hook(lambda gradient: gradient * self.micro_batches)
        return torch.cat([whole[: self.start], own, whole[self.start + len(own) :]])


class ImageProjection(nn.Module):
    """Pooled image tokens to joint embedding: three linear layers, BatchNorm and ReLU after the first two.

    Two departures pool more than the mean: `joint.pooling_maps` adds means under learned weight maps over the grid,
    `joint.buffer_features` adds every buffer token. `joint.dropout` (a departure) hides some of what is pooled.
    """

    def __init__(self, config: DreamConfig) -> None:
        super().__init__()
        c, width = config.joint, config.encoder.width
        self.buffer_tokens = config.encoder.buffer_tokens
        self.maps = nn.Parameter(half_maps(config.image.grid, c.pooling_maps)) if c.pooling_maps else None
        self.buffer_features = c.buffer_features
        self.drop = Dropout(c.dropout)
        vectors = 1 + c.pooling_maps + c.buffer_features * self.buffer_tokens
        self.layer1 = nn.Linear(width * vectors, c.hidden)
        self.bn1 = nn.BatchNorm1d(c.hidden)
        self.layer2 = nn.Linear(c.hidden, c.hidden)
        self.bn2 = nn.BatchNorm1d(c.hidden)
        self.layer3 = nn.Linear(c.hidden, c.width)
        self.apply(initialise)

    def pool(self, tokens: Tensor, visible: Tensor) -> Tensor:
        """Pooled vector (b, P) of encoder tokens (b, R + V, D): their mean (b, D), then what the departures add."""
        pooled = [tokens.mean(dim=1)]  # (b, D)
        if self.maps is not None:
            weights = self.maps[:, visible].softmax(dim=-1)  # (maps, b, V)
            means = torch.einsum("mbv,bvd->bmd", weights, tokens[:, self.buffer_tokens :])  # (b, maps, D)
            pooled.append(means.flatten(1))  # (b, maps * D)
        if self.buffer_features:
            pooled.append(tokens[:, : self.buffer_tokens].flatten(1))  # (b, R * D)
        return torch.cat(pooled, dim=1)  # (b, P)

    def forward(self, pooled: Tensor, remember: bool = True) -> Tensor:
        """Maps (B, P) to (B, E), not normalised. In training BatchNorm uses the statistics of all B rows.

        Unless told to `remember`, it leaves its running statistics as they are.
        """
        x = F.relu(_batch_norm(self.bn1, self.layer1(pooled), remember))  # (B, hidden)
        x = F.relu(_batch_norm(self.bn2, self.layer2(x), remember))  # (B, hidden)
        return self.layer3(x)  # (B, E)


class TextTower(nn.Module):
    """CLIP's causal text transformer; the feature is that of the end-of-text token (the largest id).

    `joint.positional_text` (a departure) adds an MLP over the concatenated token states.
    """

    def __init__(self, config: DreamConfig) -> None:
        super().__init__()
        c, joint = config.text, config.joint
        self.embedding = nn.Embedding(c.vocab_size, c.width)
        nn.init.normal_(self.embedding.weight, std=c.embedding_std)
        self.positions = nn.Parameter(torch.randn(c.context_length, c.width) * 0.02)
        self.blocks = nn.ModuleList(PackedBlock(c.width, c.heads, 4.0, eps=TEXT_LAYER_NORM_EPS) for _ in range(c.depth))
        self.norm_out = nn.LayerNorm(c.width, eps=TEXT_LAYER_NORM_EPS)
        self.projection = nn.Linear(c.width, joint.width, bias=False)
        self.blocks.apply(initialise)
        nn.init.normal_(self.projection.weight, std=c.width**-0.5)
        self.positional = None
        if joint.positional_text:
            self.positional = nn.Sequential(
                nn.Linear(c.width * c.context_length, joint.hidden), nn.GELU(), nn.Linear(joint.hidden, joint.width)
            )
            self.positional.apply(initialise)

    def forward(self, text_ids: Tensor) -> Tensor:
        """Maps ids (B, T) to features (B, E), not normalised.

        Because the tower is causal, tokens after the end of the longest caption cannot matter; they are cut.
        """
        end = text_ids.argmax(dim=-1)  # (B,)
        trimmed = self.positional is None and len(end) > 0
        length = int(end.max()) + 1 if trimmed else text_ids.shape[1]  # L <= T
        x = self.embedding(text_ids[:, :length]) + self.positions[:length]  # (B, L, D)
        batch, _, width = x.shape
        x, packing = x.flatten(0, 1), [Rows(batch, length)]  # (B * L, D)
        for block in self.blocks:
            x = block(x, packing, True)  # (B * L, D)
        x = x.view(batch, length, width)  # (B, L, D)
        feature = self.projection(self.norm_out(x[torch.arange(batch, device=x.device), end]))  # (B, E)
        if self.positional is None:
            return feature
        written = torch.arange(length, device=x.device) <= end[:, None]  # (B, L); states after the end are padding
        return feature + self.positional((self.norm_out(x) * written.unsqueeze(-1)).flatten(1))  # (B, E)


def initial_logit_scale() -> nn.Parameter:
    """The learned logarithm () of the logit scale; it starts at ln(1 / 0.07)."""
    return nn.Parameter(torch.tensor(math.log(1 / 0.07)))


def pool_groups(projection: ImageProjection, tokens: list[Tensor], groups: list[Group]) -> Tensor:
    """Pooled vectors (B, P) of the groups' tokens, in the order of the batch, with what training hides of them.

    It is hidden here and not in the projection, which every rank repeats for all pictures.
    """
    pooled = torch.cat([projection.pool(t, group.visible) for t, group in zip(tokens, groups, strict=True)])
    order = torch.cat([group.rows for group in groups]).argsort()
    return projection.drop(pooled[order])


def own_rows(count: int) -> slice:
    """Places of this rank's `count` rows among those of all ranks, as `gather` has them."""
    start = dist.get_rank() * count if has_ranks() else 0
    return slice(start, start + count)


def gather(tensor: Tensor) -> Tensor:
    """Rows (B, ...) of all ranks in rank order, with gradient; on one rank the tensor itself."""
    if not has_ranks():
        return tensor
    return _Gather.apply(tensor)  # type: ignore[no-any-return]


def with_mean_gradient(tensor: Tensor) -> Tensor:
    """The tensor, whose gradient becomes the mean over all ranks, for what no strategy averages."""
    return _MeanGradient.apply(tensor) if has_ranks() else tensor  # type: ignore[no-any-return]


class _Gather(torch.autograd.Function):
    """All-gather whose backward sums the ranks' gradients by all-reduce, which every backend has."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        ctx.rows = tensor.shape[0]
        gathered = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(gathered, tensor.contiguous())
        return torch.cat(gathered)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        start = dist.get_rank() * ctx.rows
        return total[start : start + ctx.rows]


class _MeanGradient(torch.autograd.Function):
    """The identity, whose backward averages over ranks."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total / dist.get_world_size()


def _batch_norm(norm: nn.BatchNorm1d, x: Tensor, remember: bool) -> Tensor:
    """BatchNorm in float32. A single row has no variance, so it is normalised by the running statistics."""
    if norm.training and x.shape[0] < 2:
        return F.batch_norm(x.float(), norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
    if norm.training and not remember:
        return F.batch_norm(x.float(), None, None, norm.weight, norm.bias, training=True, eps=norm.eps)
    return norm(x.float())
