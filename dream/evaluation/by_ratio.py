"""Losses of unseen pictures by mask ratio: how well a model paints hidden tokens and matches captions to visible ones.

A picture's tokens are hidden in one random order, of which each ratio takes the first part. The losses are those
of training (which validation logs at fewer ratios); ratios at which training does not count them are marked.
Alignment is the mean cosine of a picture and its own caption in the joint space, shown with that of other captions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dream.data.batch import Batch
from dream.diffusion import add_noise, sample_draw
from dream.evaluation.held_out import held_out_pictures, part
from dream.evaluation.pieces import at_ratio, in_pieces
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.settings import FROM_0, HeldOutSettings, at_least
from dream.evaluation.statistics import Measure, mean
from dream.losses import generative_loss
from dream.masking import counts_in_contrast, counts_in_generation, mask_from_order, sample_orders
from dream.model.decoder import CrossCache
from dream.model.dream import Dream, GenerativeOutput
from dream.model.pretrained import Pretrained
from dream.randomness import generator
from dream.training.monitor import PICTURES, hidden_at
from dream.weights.finite import require_finite, require_unit

GENERATIVE, CONTRASTIVE = "generative loss", "contrastive loss"
OWN, OTHERS, GAP = "alignment with its own caption", "alignment with other captions", "alignment gap"


@dataclass(frozen=True)
class LossesSettings(HeldOutSettings, task="losses"):
    """Settings of the task `losses`."""

    pictures: Annotated[int, at_least(2)] = 512
    """Held-out pictures; other data than shapes may have fewer."""
    pool: Annotated[int, at_least(2)] = PICTURES
    """Pictures per pool of the contrastive loss (default: as in validation); the loss grows with it."""
    mask_ratios: Annotated[tuple[float, ...], FROM_0] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    """Shares of the tokens hidden; at least one token stays visible."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """Returns means over pictures by mask ratio, with intervals over pictures, of the losses that the model has.

        The generative loss is the error per masked token. The contrastive loss is in nats among the pictures of a
        pool (ln(pool) is chance), without pictures of equal captions as negatives.
        """
        batch = held_out_pictures("losses", data, pretrained.config, self.pictures, split=self.split)
        pools = _pools(batch, self.pool)

        def measured(number: int) -> dict[str, Tensor]:
            progress(number / len(pools), f"losses of {len(batch):,} pictures")
            pool = _prepared(pretrained, number, pools[number], seed)
            found: dict[str, Tensor] = {}
            for ratio in self.mask_ratios:
                for name, values in by_ratio(pretrained, pool, ratio, seed):
                    require_finite(values, f"the values of '{name}' at mask ratio {ratio:g}")
                    found[at_ratio(name, ratio)] = values.double()
            return found

        pieces = in_pieces(range(len(pools)), measured)
        measures = []
        for name in (GENERATIVE, CONTRASTIVE, OWN, OTHERS, GAP):
            for ratio in (r for r in self.mask_ratios if at_ratio(name, r) in pieces[0]):
                where = {"data": data, "mask_ratio": ratio, **_conditions(pretrained, name, ratio, pools)}
                values = np.concatenate([piece[at_ratio(name, ratio)].cpu().numpy() for piece in pieces])
                measures.append(Measure("losses", name, where, mean(values)))
        return measures


@dataclass(frozen=True)
class _Pool:
    """P pictures with all values that do not depend on the mask."""

    number: int
    tokens: Tensor
    """(P, N, D_tok)."""
    orders: Tensor
    """(P, N)."""
    same_caption: Tensor
    """(P, P) bool: pairs with equal captions."""
    text_features: Tensor | None
    """(P, E); None if no joint space was trained."""
    cache: CrossCache | None
    """Cross-attention keys and values of the captions; None if the decoder was not trained."""


@torch.no_grad()
def by_ratio(pretrained: Pretrained, pool: _Pool, ratio: float, seed: int) -> Iterator[tuple[str, Tensor]]:
    """Yields names and (P,) values of everything that can be measured at a ratio."""
    model = pretrained.model
    mask = mask_from_order(pool.orders, _hidden(pretrained, ratio))
    encoded = model.encode(pool.tokens, mask)
    if pool.cache is not None and bool(mask.any()):
        yield GENERATIVE, _generative(pretrained, pool, encoded, mask, (seed, str(ratio)))
    if pool.text_features is not None:
        features = require_unit(model.image_features(encoded, mask).float(), "the model's features of pictures")
        cosine = features @ pool.text_features.T  # (pictures, captions)
        yield CONTRASTIVE, _contrastive(pretrained, cosine, pool.same_caption)
        own, others = cosine.diagonal(), _with_others(cosine, ~pool.same_caption)
        yield OWN, own
        yield OTHERS, others
        yield GAP, own - others


def _pools(batch: Batch, size: int) -> list[Batch]:
    """Splits the batch into equal pools; an incomplete last pool is dropped unless it is the only one."""
    size = min(size, len(batch))
    return [part(batch, range(i, i + size)) for i in range(0, len(batch) - size + 1, size)]


@torch.no_grad()
def _prepared(pretrained: Pretrained, number: int, batch: Batch, seed: int) -> _Pool:
    model, objective = pretrained.model, pretrained.config.objective
    device = next(model.parameters()).device
    ids = pretrained.tokenizer.token_ids(batch.captions).to(device)
    orders = sample_orders(len(batch), pretrained.config.image.num_tokens, generator(seed, "losses orders", number))
    cache = None
    if objective.generative_weight > 0:
        words: Sequence[str] = batch.captions if objective.text else ("",) * len(batch)
        cache = model.cross_cache(model.text_states(pretrained.conditioning.condition(words).to(device)))
    return _Pool(
        number=number,
        tokens=pretrained.image_tokenizer.tokenize(batch.images).to(device),
        orders=orders.to(device),
        same_caption=(ids[:, None] == ids[None]).all(-1),
        text_features=_text_features(model, ids) if objective.contrastive_weight > 0 else None,
        cache=cache,
    )


def _text_features(model: Dream, ids: Tensor) -> Tensor:
    return require_unit(model.text_features(ids).float(), "the model's features of captions")


def _hidden(pretrained: Pretrained, ratio: float) -> int:
    tokens = pretrained.config.image.num_tokens
    return min(tokens - 1, hidden_at(ratio, tokens, pretrained.config.objective.min_visible))


def _generative(pretrained: Pretrained, pool: _Pool, encoded: Tensor, mask: Tensor, seed: tuple[int, str]) -> Tensor:
    """Returns (P,): mean loss over each picture's masked tokens."""
    model, head, (pictures, _, width) = pretrained.model, pretrained.config.head, pool.tokens.shape
    assert pool.cache is not None
    condition = model.decode(encoded, mask, pool.cache, wanted=mask)  # (M, D)
    draw = sample_draw(head, len(condition), width, generator("losses noise", *seed, pool.number))
    draw = type(draw)(*(values.to(mask.device) for values in draw))
    clean = pool.tokens[mask].repeat(head.draws, 1)  # (M * draws, D_tok)
    projected = model.head.project(condition).repeat(head.draws, 1)
    prediction = model.head(add_noise(head, clean, draw), draw.times, projected)
    rows = mask.nonzero()[:, 0].repeat(head.draws)
    return generative_loss(head, GenerativeOutput(prediction, clean, draw, rows), pictures).by_picture


def _contrastive(pretrained: Pretrained, cosine: Tensor, same_caption: Tensor) -> Tensor:
    """Returns (P,) parts of a picture and its caption in `losses.contrastive_loss`, which is their mean.

    A pair's part is its own loss and what it adds to the others' as a wrong answer, over that of an average pair. So
    the pairs of a pool are independent of each other, and the spread of the parts is that of the loss.
    """
    own = torch.arange(len(cosine), device=cosine.device)
    others = same_caption & ~torch.eye(len(cosine), dtype=torch.bool, device=cosine.device)
    logits = (cosine * pretrained.model.contrastive_scale()).masked_fill(others, float("-inf"))
    to_text, to_image = (F.cross_entropy(side, own, reduction="none") for side in (logits, logits.T))
    wrong = sum(side.softmax(1).fill_diagonal_(0).sum(0) for side in (logits, logits.T))
    return (to_text + to_image + wrong - torch.as_tensor(wrong).mean()) / 2


def _with_others(cosine: Tensor, different: Tensor) -> Tensor:
    """Returns (P,) parts of a picture and its caption in the mean cosine of pictures with other captions.

    A pair takes part with its picture and with its caption; the mean over pictures is the mean of the parts.
    """
    to_captions = (cosine * different).sum(1) / different.sum(1).clamp(min=1)
    to_pictures = (cosine * different).sum(0) / different.sum(0).clamp(min=1)
    return to_captions + to_pictures - to_pictures.mean()


def _conditions(pretrained: Pretrained, name: str, ratio: float, pools: list[Batch]) -> dict[str, object]:
    """Returns the pool's size where it matters, and `not_trained` if training does not count the loss at this ratio."""
    objective = pretrained.config.objective
    where: dict[str, object] = {}
    if name == CONTRASTIVE:
        where["pool"] = len(pools[0])
    order = torch.arange(pretrained.config.image.num_tokens)[None]
    mask = mask_from_order(order, _hidden(pretrained, ratio))
    counts = {
        GENERATIVE: counts_in_generation(mask, objective.min_masked),
        CONTRASTIVE: counts_in_contrast(mask, objective.min_visible),
    }
    if name in counts and not bool(counts[name]):
        where["not_trained"] = True
    return where
