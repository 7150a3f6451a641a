"""DREAM: one encoder, a joint space, and a text-conditioned decoder with a diffusion head. Wires, and
nothing else.

It draws nothing at random (but dropout), knows no loss and no sampling loop. The mask is an argument.
"""

import itertools
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dream import masking
from dream.config import DreamConfig
from dream.diffusion import Draw, add_noise
from dream.model.decoder import CrossCache, Decoder, TextAligner
from dream.model.diffusion_head import DiffusionHead
from dream.model.encoder import Encoder, Group, equal_groups, unpack
from dream.model.joint import ImageProjection, TextTower, gather, initial_logit_scale, pool_groups


class JointOutput(NamedTuple):
    """Both sides of the joint space, of the global batch (G = pictures of all ranks): every rank holds the
    same.
    """

    image_features: Tensor
    """(G, E), L2-normalised."""
    text_features: Tensor
    """(G, E), L2-normalised; (0, E) where no picture shows enough to count."""
    logit_scale: Tensor
    """() factor on the cosines."""
    counted: Tensor
    """(G,) bool: pictures that show enough to count in the contrastive loss."""
    caption_ids: Tensor
    """(G, T) token ids of the captions."""


class GenerativeOutput(NamedTuple):
    """The head's predictions for the masked tokens of the pictures that count: `draws` blocks of M rows."""

    prediction: Tensor
    """(M * draws, out)."""
    clean: Tensor
    """(M * draws, D_tok): the tokens to predict."""
    draw: Draw
    """Times and noise of the rows."""
    row_picture: Tensor
    """(M * draws,) long: the picture of each row."""


class AlignmentOutput(NamedTuple):
    """The encoder's visible tokens as REPA compares them with the teacher's."""

    aligned: Tensor
    """(V, W_teacher): projected encoder tokens of all visible places."""
    place: Tensor
    """(V, 2) long: picture and position of each row."""


class DreamOutput(NamedTuple):
    """What one forward pass computes; a part is `None` only where the configuration trains no such loss."""

    joint: JointOutput | None
    generative: GenerativeOutput | None
    alignment: AlignmentOutput | None
    masked_share: Tensor
    """(B,) float64: share of each picture's tokens that is hidden."""


class Dream(nn.Module):
    """The published architecture at any size, and its options (spec section 1)."""

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
        self, tokens: Tensor, mask: Tensor, text_ids: Tensor, conditioning: Tensor, draw: Draw | None
    ) -> DreamOutput:
        """Everything the losses need, for tokens (B, N, D_tok) under mask (B, N), True = hidden.

        `text_ids` (B, T) are the captions; `conditioning` is what the decoder reads, (B, T) ids or (B, T,
        W) states, captions already dropped where they are. `draw` has `draws` entries for each masked token
        of the pictures with enough masked, in row-major order (`generative_rows`). What no loss counts is
        not computed: it runs on zero rows, so that its parameters get gradients of exactly zero, on every
        rank alike. Rows may hide different numbers of tokens.
        """
        objective, groups = self.config.objective, equal_groups(mask)
        middle_block = objective.alignment_block if self.alignment is not None else None
        encoded = self.encoder(tokens, groups, middle_block)
        parts = encoded.split()
        joint, generative, alignment = None, None, None
        if objective.contrastive_weight:
            joint = self._joint(parts, groups, mask, text_ids)
        if objective.generative_weight:
            generative = self._generative(parts, groups, tokens, mask, conditioning, draw)
        if self.alignment is not None and encoded.middle is not None:
            visible = [part[:, self.encoder.buffer_tokens :] for part in unpack(encoded.middle, encoded.packing)]
            aligned = self.alignment(torch.cat([part.flatten(0, 1) for part in visible]))
            alignment = AlignmentOutput(aligned, torch.cat([_places(group) for group in groups]))
        return DreamOutput(joint, generative, alignment, masking.masked_share(mask))

    def encode(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, R + V, D): encoder output, buffer first, visible tokens in raster order. All rows must hide
        equally many.
        """
        groups = equal_groups(mask)
        assert len(groups) == 1, "encode() takes rows that hide equally many tokens; forward() takes any"
        return self.encoder(tokens, groups).split()[0]

    def pooled_features(self, encoded: Tensor, mask: Tensor) -> Tensor:
        """(B, E), not normalised: projection of the pooled encoder output (B, R + V, D) of rows that hide
        equally many.
        """
        return self.joint(self.joint.pool(encoded, _visible(mask)))

    def image_features(self, encoded: Tensor, mask: Tensor) -> Tensor:
        """(B, E), L2-normalised: pictures in the joint space. The one pooling of training and scoring."""
        return F.normalize(self.pooled_features(encoded, mask), dim=-1)

    def text_features(self, text_ids: Tensor) -> Tensor:
        """(B, E), L2-normalised: captions (B, T) in the joint space."""
        return F.normalize(self.text_tower(text_ids), dim=-1)

    def contrastive_scale(self) -> Tensor:
        """() factor on the cosines of the contrastive loss: the learned scale, within its bound."""
        scale = self.logit_scale.exp()
        if self.config.joint.max_logit_scale is not None:
            scale = scale.clamp(max=self.config.joint.max_logit_scale)
        return scale

    def text_states(self, conditioning: Tensor) -> Tensor:
        """(B, T, D): what the decoder attends to, from ids (B, T) or T5 states (B, T, W)."""
        return self.aligner(conditioning)

    def cross_cache(self, text_states: Tensor) -> CrossCache:
        """Keys and values of the text (B, T, D) in every decoder block; they serve all decoding steps."""
        return self.decoder.cross_cache(text_states)

    def decode(self, encoded: Tensor, mask: Tensor, cache: CrossCache, wanted: Tensor | None = None) -> Tensor:
        """Condition (B, N, D) of every place, or (W, D) of the `wanted` (B, N) ones, row-major."""
        group = Group(torch.arange(len(mask), device=mask.device), _visible(mask))
        return self.decoder(self.decoder.scatter([encoded], [group]), cache, wanted)

    def _joint(self, parts: list[Tensor], groups: list[Group], mask: Tensor, text_ids: Tensor) -> JointOutput:
        """Features of the global batch. Pooled tokens are gathered before the projection, so that its
        BatchNorm is synchronised by construction, on any backend; the projection's work is repeated on
        every rank (it is small).
        """
        counted = gather(masking.counts_in_contrast(mask, self.config.objective.min_visible))
        pooled = gather(pool_groups(self.joint, parts, groups))
        image_features = F.normalize(self.joint(pooled), dim=-1)
        written = text_ids if bool(counted.any()) else text_ids[:0]
        text_features = F.normalize(gather(self.text_tower(written)), dim=-1)
        return JointOutput(image_features, text_features, self.contrastive_scale(), counted, gather(text_ids))

    def _generative(
        self,
        parts: list[Tensor],
        groups: list[Group],
        tokens: Tensor,
        mask: Tensor,
        conditioning: Tensor,
        draw: Draw | None,
    ) -> GenerativeOutput:
        counted = masking.counts_in_generation(mask, self.config.objective.min_masked)
        picture = counted.nonzero()[:, 0]  # (Bc,)
        # pictures of one group count together, since they hide equally many
        kept = [i for i, group in enumerate(groups) if bool(counted[group.rows[:1]].all())]
        place = torch.cumsum(counted, 0) - 1
        some = [Group(place[groups[i].rows], groups[i].visible) for i in kept]
        if not kept:
            some, parts = [Group(picture, groups[0].visible[:0])], [parts[0][:0]]
        else:
            parts = [parts[i] for i in kept]
        cache = self.decoder.cross_cache(self.aligner(conditioning[picture]))
        hidden = mask[picture]
        condition = self.decoder(self.decoder.scatter(parts, some), cache, hidden)  # (M, D)
        draws = self.config.head.draws
        clean = tokens[picture][hidden].repeat(draws, 1)  # (M * draws, D_tok)
        draw = draw or Draw(clean.new_zeros(0), clean.new_zeros(0, clean.shape[-1]))
        assert len(draw.times) == len(clean), f"draw has {len(draw.times)} rows, {len(clean)} are masked"
        projected = self.head.project(condition).repeat(draws, 1)
        prediction = self.head(add_noise(self.config.head, clean, draw), draw.times, projected)
        row_picture = picture.repeat_interleave(hidden.sum(dim=1)).repeat(draws)
        return GenerativeOutput(prediction, clean, draw, row_picture)


def generative_rows(mask: Tensor, config: DreamConfig) -> int:
    """M, masked tokens of the pictures that count in the generative loss: what `sample_draw` wants."""
    if not config.objective.generative_weight:
        return 0
    return int(mask[masking.counts_in_generation(mask, config.objective.min_masked)].sum())


def alignment_projection(config: DreamConfig) -> nn.Sequential:
    """REPA's MLP D -> hidden -> hidden -> teacher width with SiLU (arXiv 2410.06940)."""
    c = config.objective
    sizes = (config.encoder.width, c.alignment_hidden, c.alignment_hidden)
    layers: list[nn.Module] = []
    for inner, outer in itertools.pairwise(sizes):
        layers += [nn.Linear(inner, outer), nn.SiLU()]
    return nn.Sequential(*layers, nn.Linear(c.alignment_hidden, c.teacher_width))


def _visible(mask: Tensor) -> Tensor:
    """(B, V) long: visible positions in raster order, of rows that hide equally many."""
    return (~mask).nonzero()[:, 1].view(len(mask), int((~mask[:1]).sum()))


def _places(group: Group) -> Tensor:
    """(b * V, 2) long: picture and position of a group's visible tokens."""
    picture = group.rows[:, None].expand_as(group.visible)
    return torch.stack([picture, group.visible], dim=-1).flatten(0, 1)
