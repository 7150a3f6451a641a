"""DREAM: one encoder, a joint space, and a text-conditioned decoder with a diffusion head, wired together.

The mask and all random draws (except dropout) are arguments. Losses are in `dream.losses`, sampling in
`dream.decoding`.
"""

import itertools
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dream import masking
from dream.config import DreamConfig
from dream.diffusion import Draw, add_noise
from dream.model.blocks import KeysValues
from dream.model.decoder import CrossCache, Decoder, TextAligner
from dream.model.diffusion_head import DiffusionHead
from dream.model.encoder import Encoded, Encoder, Group, equal_groups, unpack
from dream.model.joint import (
    CachedRows,
    ContrastRows,
    ImageProjection,
    TextTower,
    gather,
    initial_logit_scale,
    own_rows,
    pool_groups,
    with_mean_gradient,
)


class JointOutput(NamedTuple):
    """Features of the global batch (G = images of all ranks); every rank holds the same."""

    image_features: Tensor
    """(G, E), L2-normalised."""
    text_features: Tensor
    """(G, E), L2-normalised; (0, E) if no image is visible enough to count."""
    logit_scale: Tensor
    """(): factor on the cosines."""
    counted: Tensor
    """(G,) bool: images that are visible enough to count in the contrastive loss."""
    caption_ids: Tensor
    """(G, T) long: token ids of the captions."""
    own: slice | None = None
    """Rows of this rank's images, whose terms it computes of the contrastive loss; None: of all."""


class GenerativeOutput(NamedTuple):
    """The head's predictions for the M hidden tokens of the images that count, in `draws` blocks of M rows."""

    prediction: Tensor
    """(M * draws, out)."""
    clean: Tensor
    """(M * draws, D_tok): the tokens to predict."""
    draw: Draw
    """Times and noise of the rows."""
    row_picture: Tensor
    """(M * draws,) long: the image of each row."""


class AlignmentOutput(NamedTuple):
    """Visible encoder tokens, projected for REPA's comparison with the teacher; V counts those of all images."""

    aligned: Tensor
    """(V, W_teacher)."""
    place: Tensor
    """(V, 2) long: image and position of each row."""


class DreamOutput(NamedTuple):
    """Output of one forward pass; a field is `None` if the configuration does not train that loss."""

    joint: JointOutput | None
    generative: GenerativeOutput | None
    alignment: AlignmentOutput | None
    masked_share: Tensor
    """(B,) float64: share of each image's tokens that is hidden."""


class Dream(nn.Module):
    """The published architecture at any size, and its options. See docs/method.md, One model, two objectives."""

    def __init__(self, config: DreamConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.joint = ImageProjection(config)
        self.text_tower = TextTower(config)
        self.logit_scale = initial_logit_scale()
        self.aligner = TextAligner(config)
        self.decoder = Decoder(config)
        self.head = DiffusionHead(config)
        self.alignment = alignment_projection(config) if config.objective.alignment_weight else None

    def forward(
        self,
        tokens: Tensor,
        mask: Tensor,
        text_ids: Tensor,
        conditioning: Tensor,
        draw: Draw | None,
        cached: CachedRows | None = None,
    ) -> DreamOutput:
        """Everything the losses need, for tokens (B, N, D_tok) under mask (B, N), True = hidden.

        `text_ids` (B, T) are the captions. `conditioning` is the decoder's text, ids (B, T) or states (B, T, W),
        with captions already dropped for guidance. `draw` holds `draws` entries for each of the M hidden tokens of
        the images that count (`generative_rows`), in row-major order. Images may hide different numbers of tokens.
        With `cached` the images are a micro-batch of those whose rows it holds, and the contrast is that of all of
        them.

        A module whose loss counts no image runs on zero rows instead of being skipped, so that its parameters get
        gradients of exactly zero, alike on every rank.
        """
        objective = self.config.trained_objective
        middle_block = objective.alignment_block if objective.alignment_weight else None
        groups = equal_groups(mask)  # [rows (b,), visible (b, V)]
        encoded = self.encoder(tokens, groups, middle_block)  # (sum of b (R + V), D), packed
        visible = encoded.split()  # [(b, R + V, D)]
        joint, generative, alignment = None, None, None
        if objective.contrastive_weight:
            joint = self._joint(visible, groups, mask, text_ids, cached)  # features (G, E)
        if objective.generative_weight:
            generative = self._generative(visible, groups, tokens, mask, conditioning, draw)  # (M * draws, out)
        if objective.alignment_weight:
            alignment = self._alignment(encoded, groups)  # (sum of b V, W_teacher)
        return DreamOutput(joint, generative, alignment, masking.masked_share(mask))  # share (B,)

    def contrast_rows(self, tokens: Tensor, mask: Tensor, text_ids: Tensor) -> ContrastRows:
        """The rows of a micro-batch, as `forward` takes them with `cached`.

        The encoder runs first, as in `forward`, so that equal seeds give equal dropout.
        """
        groups = equal_groups(mask)
        pooled = pool_groups(self.joint, self.encoder(tokens, groups).split(), groups)  # (B, P)
        return ContrastRows(pooled, self.text_tower(text_ids), self._counted(mask), text_ids)

    def encode(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Encoder output (B, R + V, D): buffer tokens, then visible tokens in raster order.

        All rows of `mask` must hide equally many tokens.
        """
        groups = equal_groups(mask)
        assert len(groups) == 1, "encode() takes rows that hide equally many tokens; forward() takes any"
        return self.encoder(tokens, groups).split()[0]  # (B, R + V, D)

    def pooled_tokens(self, encoded: Tensor, mask: Tensor) -> Tensor:
        """What the joint space projects (B, P) of encoder output (B, R + V, D). For rows that hide equally many."""
        return self.joint.pool(encoded, _visible(mask))  # (B, P)

    def pooled_features(self, encoded: Tensor, mask: Tensor) -> Tensor:
        """Image features (B, E) of encoder output (B, R + V, D), not normalised. For rows that hide equally many."""
        return self.joint(self.pooled_tokens(encoded, mask))  # (B, E)

    def image_features(self, encoded: Tensor, mask: Tensor) -> Tensor:
        """Image features (B, E), L2-normalised, pooled as in training."""
        return F.normalize(self.pooled_features(encoded, mask), dim=-1)  # (B, E)

    def text_features(self, text_ids: Tensor) -> Tensor:
        """Caption features (B, E) of ids (B, T), L2-normalised."""
        return F.normalize(self.text_tower(text_ids), dim=-1)  # (B, E)

    def contrastive_scale(self) -> Tensor:
        """Factor () on the cosines of the contrastive loss: the learned scale, clamped to its bound."""
        scale = self.logit_scale.exp()
        if self.config.joint.max_logit_scale is not None:
            scale = scale.clamp(max=self.config.joint.max_logit_scale)
        return scale

    def text_states(self, conditioning: Tensor) -> Tensor:
        """Text states (B, T, D) that the decoder attends to, from ids (B, T) or T5 states (B, T, W)."""
        return self.aligner(conditioning)

    def cross_cache(self, text_states: Tensor) -> CrossCache:
        """Keys and values of text states (B, T, D) for each decoder block. They serve all decoding steps."""
        return self.decoder.cross_cache(text_states)

    def decode(
        self,
        encoded: Tensor,
        mask: Tensor,
        cache: CrossCache,
        wanted: Tensor | None = None,
        seen: list[KeysValues] | None = None,
    ) -> Tensor:
        """Condition (B, N, D) of every position, or (M, D) of the `wanted` (B, N) ones in row-major order.

        `seen` collects what `decode_again` takes as `known`.
        """
        return self.decoder(self._scattered(encoded, mask), cache, wanted, seen)

    def decode_again(
        self, encoded: Tensor, mask: Tensor, cache: CrossCache, known: list[KeysValues], changed: Tensor, wanted: Tensor
    ) -> Tensor:
        """Condition (M, D) of the `wanted` (B, N), from the decoder at buffer tokens and the `changed` (B, N) only.

        `known` has the keys and values of an earlier step for every other place; it is changed. All rows have equally
        many changed places, which include the wanted ones, and equally many of those (docs/method.md, Decoding).
        """
        front = self.encoder.buffer_tokens
        places = torch.cat([changed.new_ones(len(mask), front), changed], dim=1).nonzero()[:, 1].view(len(mask), -1)
        among = wanted.gather(1, (places[:, front:] - front)).nonzero()[:, 1].view(len(mask), -1)
        return self.decoder.again(self._scattered(encoded, mask), cache, known, places, front + among)

    def _scattered(self, encoded: Tensor, mask: Tensor) -> Tensor:
        """Decoder input (B, R + N, D) of encoder output, for rows that hide equally many."""
        group = Group(torch.arange(len(mask), device=mask.device), _visible(mask))
        return self.decoder.scatter([encoded], [group])

    def _joint(
        self, visible: list[Tensor], groups: list[Group], mask: Tensor, text_ids: Tensor, cached: CachedRows | None
    ) -> JointOutput:
        """Features of the global batch.

        The projection takes the pooled tokens of all ranks, which synchronises its BatchNorm on any backend. Every
        rank repeats the projection, which is small.
        """
        pooled = pool_groups(self.joint, visible, groups)  # (B, P)
        own = None if cached else own_rows(len(pooled))
        counted = cached.rows.counted if cached else gather(self._counted(mask))  # (G,)
        text = self.text_tower(text_ids if bool(counted.any()) else text_ids[:0])  # (B, E) or (0, E)
        if cached:
            pooled, text, text_ids = cached.with_own(pooled), cached.with_own_text(text), cached.rows.text_ids
        else:
            pooled, text, text_ids = gather(pooled), gather(text), gather(text_ids)
        image_features = self.joint(pooled, remember=cached is None or cached.is_first)  # (G, E)
        image_features, text_features = F.normalize(image_features, dim=-1), F.normalize(text, dim=-1)  # (G, E) each
        scale = self.contrastive_scale() if cached else with_mean_gradient(self.contrastive_scale())
        return JointOutput(image_features, text_features, scale, counted, text_ids, own)

    def _counted(self, mask: Tensor) -> Tensor:
        """Images (B,) bool that count in the contrastive loss."""
        return masking.counts_in_contrast(mask, self.config.objective.min_visible)

    def _generative(
        self,
        visible: list[Tensor],
        groups: list[Group],
        tokens: Tensor,
        mask: Tensor,
        conditioning: Tensor,
        draw: Draw | None,
    ) -> GenerativeOutput:
        """The head's predictions for the hidden tokens of the C images that count."""
        counted = masking.counts_in_generation(mask, self.config.objective.min_masked)  # (B,)
        picture = counted.nonzero()[:, 0]  # (C,)
        hidden = mask[picture]  # (C, N)
        cache = self.decoder.cross_cache(self.aligner(conditioning[picture]))  # (C, H, T, d) per block
        scattered = self.decoder.scatter(*_counted_groups(visible, groups, counted))  # (C, R + N, D)
        condition = self.decoder(scattered, cache, hidden)  # (M, D)
        draws = self.config.head.draws
        clean = tokens[picture][hidden].repeat(draws, 1)  # (M * draws, D_tok)
        draw = draw or Draw(clean.new_zeros(0), clean.new_zeros(0, clean.shape[-1]))
        assert len(draw.times) == len(clean), f"draw has {len(draw.times)} rows, {len(clean)} are masked"
        noised = add_noise(self.config.head, clean, draw)  # (M * draws, D_tok)
        projected = self.head.project(condition).repeat(draws, 1)  # (M * draws, W)
        prediction = self.head(noised, draw.times, projected)  # (M * draws, out)
        row_picture = picture.repeat_interleave(hidden.sum(dim=1)).repeat(draws)  # (M * draws,)
        return GenerativeOutput(prediction, clean, draw, row_picture)

    def _alignment(self, encoded: Encoded, groups: list[Group]) -> AlignmentOutput:
        """Visible tokens of the encoder's middle block, projected to the teacher's width."""
        assert self.alignment is not None and encoded.middle is not None
        middle = unpack(encoded.middle, encoded.packing)  # [(b, R + V, D)]
        visible = [tokens[:, self.encoder.buffer_tokens :].flatten(0, 1) for tokens in middle]  # [(b * V, D)]
        aligned = self.alignment(torch.cat(visible))  # (sum of b V, W_teacher)
        return AlignmentOutput(aligned, torch.cat([_places(group) for group in groups]))  # places (sum of b V, 2)


def generative_rows(mask: Tensor, config: DreamConfig) -> int:
    """M, the number of hidden tokens in the images that count in the generative loss; `sample_draw` takes it."""
    if not config.trained_objective.generative_weight:
        return 0
    return int(mask[masking.counts_in_generation(mask, config.objective.min_masked)].sum())


def alignment_projection(config: DreamConfig) -> nn.Sequential:
    """REPA's MLP with SiLU: D -> hidden -> hidden -> teacher width (arXiv 2410.06940)."""
    c = config.objective
    sizes = (config.encoder.width, c.alignment_hidden, c.alignment_hidden)
    layers: list[nn.Module] = []
    for inner, outer in itertools.pairwise(sizes):
        layers += [nn.Linear(inner, outer), nn.SiLU()]
    return nn.Sequential(*layers, nn.Linear(c.alignment_hidden, c.teacher_width))


def _visible(mask: Tensor) -> Tensor:
    """Visible positions (B, V) long in raster order, for rows that hide equally many."""
    return (~mask).nonzero()[:, 1].view(len(mask), int((~mask[:1]).sum()))


def _counted_groups(visible: list[Tensor], groups: list[Group], counted: Tensor) -> tuple[list[Tensor], list[Group]]:
    """The tokens and groups of the images that `counted` (B,), with rows numbered among those images only.

    The images of a group hide equally many tokens, so all of them count or none. If none does anywhere, the result
    is one empty group.
    """
    kept = [i for i, group in enumerate(groups) if bool(counted[group.rows[:1]].all())]
    if not kept:
        return [visible[0][:0]], [Group(groups[0].rows[:0], groups[0].visible[:0])]
    row = torch.cumsum(counted, 0) - 1  # (B,)
    return [visible[i] for i in kept], [Group(row[groups[i].rows], groups[i].visible) for i in kept]


def _places(group: Group) -> Tensor:
    """Image and position (b * V, 2) long of a group's visible tokens."""
    picture = group.rows[:, None].expand_as(group.visible)
    return torch.stack([picture, group.visible], dim=-1).flatten(0, 1)
