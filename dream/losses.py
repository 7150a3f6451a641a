"""The losses of DREAM and of its baselines, as pure functions of tensors. See docs/method.md, Losses."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dream.config import DreamConfig, HeadConfig
from dream.diffusion import generative_terms
from dream.model.dream import AlignmentOutput, DreamOutput, GenerativeOutput


class Contrastive(NamedTuple):
    """The contrastive loss and what a log records of it, each ()."""

    loss: Tensor
    """Symmetric cross-entropy in nats."""
    share: Tensor
    """Share of the images that counted."""
    accuracy: Tensor
    """Share of the counted images whose own caption was the most similar."""


class Generative(NamedTuple):
    """The generative loss, its two terms, and the loss of each image."""

    loss: Tensor
    """(): error plus variance."""
    error: Tensor
    """(): mean squared error of the prediction."""
    variance: Tensor
    """(): variance term in bits per dimension (0 for `flow`)."""
    by_picture: Tensor
    """(B,): loss of each image; zero if it did not count."""
    counted: Tensor
    """(B,) bool: images that counted."""


@dataclass(frozen=True, kw_only=True)
class Losses:
    """The weighted total and its terms; a term that is not trained is zero."""

    total: Tensor
    """(): weighted sum of the three losses below, to differentiate."""
    generative: Tensor
    """(): error plus variance of the predicted noise."""
    contrastive: Tensor
    """(): nats."""
    alignment: Tensor
    """(): REPA's 1 - cosine."""
    generative_share: Tensor
    """(): share of the images that counted in the generative loss."""
    contrastive_share: Tensor
    """(): share of the images that counted in the contrastive loss."""
    accuracy: Tensor
    """(): share of the counted images whose own caption was the most similar."""
    by_picture: Tensor
    """(B,): generative loss of each image, detached; zero if it did not count."""


def contrastive_loss(
    image_features: Tensor,
    text_features: Tensor,
    logit_scale: Tensor,
    counted: Tensor,
    caption_ids: Tensor | None = None,
    own: slice | None = None,
) -> Contrastive:
    """CLIP's symmetric InfoNCE of L2-normalised features (G, E) each, over the images that are `counted` (G,) bool.

    Images that do not count are removed as queries (image to text) and as negatives (text to image). Their captions
    stay as negatives, and the mean runs over the n images that count; with n = 0 the loss is zero, with gradients
    of zero. With `caption_ids` (G, T), pairs with equal captions are no negatives. With `own`, the rows of one of
    several equal shares of the images, only their logits are computed: the mean over all shares is the loss.
    """
    total = counted.numel()
    if not bool(counted.any()):  # text features may be empty here; the sums keep every input in the graph
        zero = (image_features[:0].sum() + text_features.sum() * 0.0) * logit_scale
        return Contrastive(zero, zero.detach(), zero.detach())
    own = slice(0, total) if own is None else own
    kept = counted.nonzero()[:, 0]  # (n,)
    place = ((kept >= own.start) & (kept < own.stop)).nonzero()[:, 0]  # (m,): own ones among the kept
    rows = kept[place]  # (m,)
    image = image_features[kept]  # (n, E)
    to_text = logit_scale * image_features[rows] @ text_features.T  # (m, G)
    to_image = logit_scale * text_features[rows] @ image.T  # (m, n)
    if caption_ids is not None:
        others = (caption_ids[rows, None] == caption_ids[None]).all(dim=-1)  # (m, G)
        others[torch.arange(len(rows), device=rows.device), rows] = False
        to_text = to_text.masked_fill(others, float("-inf"))
        to_image = to_image.masked_fill(others[:, kept], float("-inf"))
    parts = total / (own.stop - own.start) / len(kept)  # over all shares these sums become a mean
    sums = F.cross_entropy(to_text, rows, reduction="sum") + F.cross_entropy(to_image, place, reduction="sum")
    loss = parts * sums / 2
    accuracy = parts * (to_text.argmax(dim=1) == rows).float().sum()
    return Contrastive(loss, counted.float().mean(), accuracy.detach())


def generative_loss(config: HeadConfig, output: GenerativeOutput, images: int) -> Generative:
    """Mean over all `images` B of the mean loss of their hidden tokens; images that do not count contribute zero.

    This equals the published mean over ratio groups, because groups are equally large and the images of a group hide
    equally many tokens. Without a counted image the loss is zero, with gradients of zero.
    """
    terms = generative_terms(config, output.prediction, output.clean, output.draw)  # (M * draws,) each
    sums = terms.error.new_zeros(3, images)
    ones = torch.ones_like(terms.error)
    sums = sums.index_add(1, output.row_picture, torch.stack([terms.error, terms.variance, ones]))  # (3, B)
    error, variance = sums[:2] / sums[2].clamp(min=1)  # (B,) each
    return Generative((error + variance).mean(), error.mean(), variance.mean(), error + variance, sums[2] > 0)


def alignment_loss(output: AlignmentOutput, teacher: Tensor, visible: float | None = None) -> Tensor:
    """Mean 1 - cosine () between projected tokens (V, W) and the teacher's features (B, N, W) at their positions.

    `visible` is what the sum is divided by instead of V: the mean over the shares of a batch is then that of the batch.
    The published 0.5 * (1 - cos) is this times `objective.alignment_weight`. Without visible tokens the loss is zero.
    """
    target = teacher[output.place[:, 0], output.place[:, 1]]  # (V, W)
    distance = 1 - F.cosine_similarity(output.aligned.float(), target.float(), dim=-1)  # (V,)
    return distance.sum() / max(len(distance) if visible is None else visible, 1.0)


def total_loss(
    output: DreamOutput, config: DreamConfig, teacher: Tensor | None = None, mean_visible: float | None = None
) -> Losses:
    """The weighted sum of the losses that the configuration trains, with the values that a log records.

    `teacher` (B, N, W) holds the frozen features that REPA aligns to. If the output is that of a share of a batch,
    `mean_visible` is the number of visible tokens per image of the whole batch.
    """
    weights, zero = config.objective, output.masked_share.new_zeros((), dtype=torch.float32)
    images = len(output.masked_share)
    generative, by_picture, counted = zero, zero.expand(images), torch.zeros(images, dtype=torch.bool)
    if output.generative is not None:
        terms = generative_loss(config.head, output.generative, images)
        generative, by_picture, counted = terms.loss, terms.by_picture.detach(), terms.counted
    contrastive = Contrastive(zero, zero, zero)
    if output.joint is not None:
        joint = output.joint
        ids = joint.caption_ids if weights.distinct_negatives else None
        contrastive = contrastive_loss(
            joint.image_features, joint.text_features, joint.logit_scale, joint.counted, ids, joint.own
        )
    alignment = zero
    if output.alignment is not None:
        assert teacher is not None, "the alignment loss needs the teacher's features"
        alignment = alignment_loss(output.alignment, teacher, None if mean_visible is None else mean_visible * images)
    total = (
        weights.generative_weight * generative
        + weights.contrastive_weight * contrastive.loss
        + weights.alignment_weight * alignment
    )
    return Losses(
        total=total,
        generative=generative,
        contrastive=contrastive.loss,
        alignment=alignment,
        generative_share=counted.float().mean(),
        contrastive_share=contrastive.share,
        accuracy=contrastive.accuracy,
        by_picture=by_picture,
    )
