"""The losses of DREAM and of its baselines: pure functions of tensors (spec section 3)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dream.config import DreamConfig, HeadConfig
from dream.diffusion import generative_terms
from dream.model.dream import AlignmentOutput, DreamOutput, GenerativeOutput


class Contrastive(NamedTuple):
    """loss () in nats; share () of the pictures that counted; accuracy () of picture-to-caption choices
    that counted.
    """

    loss: Tensor
    share: Tensor
    accuracy: Tensor


class Generative(NamedTuple):
    """loss (), its two terms (), and each picture's loss (B,), zero where `counted` (B,) is False."""

    loss: Tensor
    error: Tensor
    variance: Tensor
    by_picture: Tensor
    counted: Tensor


class Losses(NamedTuple):
    """The weighted total and its parts; a part that is not trained is zero."""

    total: Tensor
    generative: Tensor
    contrastive: Tensor
    alignment: Tensor
    generative_share: Tensor
    contrastive_share: Tensor
    accuracy: Tensor
    by_picture: Tensor


def contrastive_loss(
    image_features: Tensor,
    text_features: Tensor,
    logit_scale: Tensor,
    counted: Tensor,
    same_caption: Tensor | None = None,
) -> Contrastive:
    """Symmetric InfoNCE of L2-normalised features (G, E) each (CLIP), over the pictures that `counted` (G,)
    bool.

    Pictures that do not count are removed as queries (picture to text) and as negatives (text to picture);
    their captions stay as negatives, and the mean runs over the samples that are left. With none left it is
    a clean zero. `same_caption` (G, G) bool leaves pairs with one caption out of the negatives.
    """
    total = counted.numel()
    if not bool(counted.any()):  # text features may be empty here; the sums keep every input in the graph
        nothing = (image_features[:0].sum() + text_features.sum() * 0.0) * logit_scale
        return Contrastive(nothing, nothing.detach(), nothing.detach())
    kept = counted.nonzero()[:, 0]  # (n,)
    image = image_features[kept]
    to_text = logit_scale * image @ text_features.T  # (n, G)
    to_image = logit_scale * text_features[kept] @ image.T  # (n, n)
    if same_caption is not None:
        others = same_caption & ~torch.eye(total, dtype=torch.bool, device=same_caption.device)
        to_text = to_text.masked_fill(others[kept], float("-inf"))
        to_image = to_image.masked_fill(others[kept][:, kept], float("-inf"))
    loss = (F.cross_entropy(to_text, kept) + F.cross_entropy(to_image, torch.arange(len(kept), device=kept.device))) / 2
    accuracy = (to_text.argmax(dim=1) == kept).float().mean()
    return Contrastive(loss, counted.float().mean(), accuracy.detach())


def generative_loss(config: HeadConfig, output: GenerativeOutput, pictures: int) -> Generative:
    """Mean loss of the masked tokens of each group that counts, averaged over all groups, zeros included.

    The rows of `output` belong to some of `pictures` B. Groups are equally large and their pictures hide
    equally many tokens, so the mean over pictures is that mean; no picture gives a clean zero.
    """
    terms = generative_terms(config, output.prediction, output.clean, output.draw)
    sums = terms.error.new_zeros(3, pictures)
    ones = torch.ones_like(terms.error)
    sums = sums.index_add(1, output.row_picture, torch.stack([terms.error, terms.variance, ones]))
    error, variance = sums[:2] / sums[2].clamp(min=1)
    return Generative((error + variance).mean(), error.mean(), variance.mean(), error + variance, sums[2] > 0)


def alignment_loss(output: AlignmentOutput, teacher: Tensor) -> Tensor:
    """Mean of 1 - cos between projected tokens (V, W) and the teacher's features (B, N, W) of the same
    places.

    The spec's 0.5 * (1 - cos) is this times `objective.alignment_weight`. No visible token gives a clean
    zero.
    """
    target = teacher[output.place[:, 0], output.place[:, 1]]
    distance = 1 - F.cosine_similarity(output.aligned.float(), target.float(), dim=-1)
    return distance.sum() / max(len(distance), 1)


def total_loss(output: DreamOutput, config: DreamConfig, teacher: Tensor | None = None) -> Losses:
    """The weighted sum of the losses that the configuration trains, and what a log wants to know of each.

    `teacher` (B, N, W) are the frozen features that REPA aligns to.
    """
    weights, zero = config.objective, output.masked_share.new_zeros((), dtype=torch.float32)
    pictures = len(output.masked_share)
    generative, contrastive, alignment = zero, Contrastive(zero, zero, zero), zero
    by_picture, counted = zero.expand(pictures), torch.zeros(pictures, dtype=torch.bool)
    if output.generative is not None:
        part = generative_loss(config.head, output.generative, pictures)
        generative, by_picture, counted = part.loss, part.by_picture.detach(), part.counted
    if output.joint is not None:
        image, text, scale, counts, ids = output.joint
        same = (ids[:, None] == ids[None]).all(dim=-1) if weights.distinct_negatives else None
        contrastive = contrastive_loss(image, text, scale, counts, same)
    if output.alignment is not None:
        assert teacher is not None, "the alignment loss needs the teacher's features"
        alignment = alignment_loss(output.alignment, teacher)
    total = (
        weights.generative_weight * generative
        + weights.contrastive_weight * contrastive.loss
        + weights.alignment_weight * alignment
    )
    share = counted.float().mean()
    return Losses(
        total, generative, contrastive.loss, alignment, share, contrastive.share, contrastive.accuracy, by_picture
    )
