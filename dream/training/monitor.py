"""Validation of a model in training (losses by mask ratio, retrieval on fixed pictures) and sample sheets.

Whatever is drawn here is the same every time.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dream.config import DreamConfig
from dream.data.batch import Batch
from dream.decoding import pictures
from dream.decoding.paint import paint
from dream.decoding.settings import DecodeSettings
from dream.diffusion import Draw, sample_draw
from dream.losses import Losses, total_loss
from dream.masking import mask_from_order, num_masked, sample_orders
from dream.model.dream import DreamOutput, generative_rows
from dream.model.pretrained import Pretrained
from dream.randomness import generator

PICTURES = 64
"""Validation pictures, all with different captions; retrieval is among these."""
RATIOS = (0.0, 0.25, 0.5, 0.75, 0.9)
"""Mask ratios at which losses are measured."""
RETRIEVAL_RATIOS = (0.0, 0.75)
"""Mask ratios at which retrieval is measured."""
SHEET_PROMPTS = 8
"""Prompts of a sample sheet."""
AVERAGED, RAW = "averaged weights (the average is still young)", "weights as they are, not averaged"
"""Titles of the two parts of a sample sheet that shows both."""

Forward = Callable[..., DreamOutput]


class FixedInputs(NamedTuple):
    """This rank's share of the validation pictures, ready for the model."""

    places: range
    """Numbers of these B pictures among all of them."""
    total: int
    """Number of pictures on all ranks."""
    tokens: Tensor
    """(B, N, D_tok)."""
    text_ids: Tensor
    conditioning: Tensor
    teacher: Tensor | None


class Validation(NamedTuple):
    """Result of a validation."""

    loss: float
    """The checkpoint with the smallest one is the best."""
    row: dict[str, Any]
    """Values for the log."""


def share_of(batch: Batch, rank: int, world_size: int) -> tuple[Batch, range]:
    """A rank's consecutive share of the batch, and its places in it; all get equally many, a rest is left out."""
    size = len(batch) // world_size
    places = range(rank * size, (rank + 1) * size)
    return batch.part(slice(places.start, places.stop)), places


@torch.no_grad()
def validation_losses(
    forward: Forward, fixed: FixedInputs, config: DreamConfig, mean: Callable[[Tensor], Tensor]
) -> Validation:
    """Losses at every mask ratio, and retrieval, over all ranks (`mean` averages a tensor over them).

    They are the same for every number of ranks by which the number of pictures can be divided.

    The loss is the weighted sum that training minimises, each term averaged over the mask ratios at which it
    counts.
    """
    by_ratio: dict[float, Losses] = {}
    recalls: dict[str, float] = {}
    for index, ratio in enumerate(RATIOS):
        output = _at_ratio(forward, fixed, config, ratio, index)
        by_ratio[ratio] = total_loss(output, config, fixed.teacher)
        if ratio in RETRIEVAL_RATIOS and output.joint is not None and by_ratio[ratio].contrastive_share > 0:
            recalls |= recall_at_1(output.joint.image_features, output.joint.text_features, f"{ratio:.2f}")
    curves = {
        "generative_by_ratio": {r: at.generative for r, at in by_ratio.items() if at.generative_share > 0},
        "contrastive_by_ratio": {r: at.contrastive for r, at in by_ratio.items() if at.contrastive_share > 0},
        "alignment_by_ratio": {r: at.alignment for r, at in by_ratio.items() if fixed.teacher is not None},
    }
    means = {name: {f"{r:.2f}": mean(loss).item() for r, loss in c.items()} for name, c in curves.items() if c}
    weights = {
        "generative_by_ratio": config.objective.generative_weight,
        "contrastive_by_ratio": config.objective.contrastive_weight,
        "alignment_by_ratio": config.objective.alignment_weight,
    }
    loss = sum(weights[name] * sum(curve.values()) / len(curve) for name, curve in means.items())
    return Validation(loss, {"loss": loss, **means, **recalls})


def hidden_at(ratio: float, num_tokens: int, min_visible: float) -> int:
    """Number of tokens hidden at `ratio`: rounded up as in training, unless the picture would then not count.

    75 % of 25 tokens are 18 and not 19 if a quarter must be visible.
    """
    hidden = num_masked(ratio, num_tokens)
    counts = 1 - ratio >= min_visible and 1 - hidden / num_tokens < min_visible
    return int(num_tokens * ratio) if counts else hidden


def recall_at_1(image_features: Tensor, text_features: Tensor, ratio: str) -> dict[str, float]:
    """Shares of captions that find their own picture, and of pictures that find theirs, among (G, E) features."""
    cosine = text_features @ image_features.T  # (captions, pictures)
    own = torch.arange(len(cosine), device=cosine.device)
    return {
        f"text_to_image_r1_at_{ratio}": (cosine.argmax(dim=1) == own).double().mean().item(),
        f"image_to_text_r1_at_{ratio}": (cosine.argmax(dim=0) == own).double().mean().item(),
        "retrieval_among": len(cosine),
    }


def draw_samples(pretrained: Pretrained, prompts: Sequence[str], path: Path, raw: Pretrained | None = None) -> None:
    """Writes a captioned sheet to `path`, with one picture per prompt, painted with the run's seed.

    With `raw`, the model with the weights that are not averaged, its pictures follow below those of `pretrained`; each
    part has a title, which the file's metadata hold too.
    """
    settings = DecodeSettings.of(pretrained.config.decode, seed=pretrained.config.train.seed)
    models = {"": pretrained} if raw is None else {AVERAGED: pretrained, RAW: raw}
    rows: list[pictures.SheetRow] = []
    for title, model in models.items():
        painted = paint(model, prompts, settings).cpu().numpy()
        panels = [pictures.SheetPanel(picture, prompt) for picture, prompt in zip(painted, prompts, strict=True)]
        first, *others = pictures.panel_rows(panels, SHEET_PROMPTS // 2)
        rows += [pictures.SheetRow(first.panels, title), *others]
    sheet = pictures.draw_sheet(rows, heading=f"step {pretrained.step}")
    about = {"prompts": list(prompts), "settings": settings.to_dict(), "model_id": pretrained.model_id}
    path.parent.mkdir(exist_ok=True)
    pictures.save_png(sheet, path, {**about, "step": pretrained.step, "weights": [title for title in models if title]})


def _at_ratio(forward: Forward, fixed: FixedInputs, config: DreamConfig, ratio: float, index: int) -> DreamOutput:
    """Output for this rank's share; masks and noise are drawn for all pictures, so that ranks change nothing."""
    num_tokens, token_dim = fixed.tokens.shape[1:]
    orders = sample_orders(fixed.total, num_tokens, generator("validation", "orders", index, 0))
    mask = mask_from_order(orders, hidden_at(ratio, num_tokens, config.objective.min_visible))
    rows, own = generative_rows(mask, config), slice(fixed.places.start, fixed.places.stop)
    drawn = sample_draw(config.head, rows, token_dim, generator("validation", "noise", index, 0))
    device, per_picture = fixed.tokens.device, (config.head.draws, fixed.total, rows // fixed.total)
    times = drawn.times.view(per_picture)[:, own].flatten()
    noise = drawn.noise.view(*per_picture, token_dim)[:, own].flatten(0, 2)
    draw, mask = Draw(times.to(device), noise.to(device)), mask[own]
    return forward(fixed.tokens, mask.to(device), fixed.text_ids, fixed.conditioning, draw)
