"""Decoding of prompts in words by a trained model with its tokenizers: step by step, in batches, or to pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from dream.decoding.critic import critic_for
from dream.decoding.decode import Scored, collect, decode_iter
from dream.decoding.previews import to_uint8
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import Beginning, Given, Prompted, StepRecord
from dream.plain_text import require_text

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained


@dataclass(frozen=True)
class PaintPlan:
    """Prompts to paint, one per picture, and the batches in which they are painted."""

    prompts: Sequence[str]
    settings: DecodeSettings
    picture_ids: Sequence[int]
    """Ids that orders and noise are drawn for, one per prompt."""
    batch_size: int
    """Pictures decoded at a time."""


def encode_prompts(
    pretrained: "Pretrained", prompts: Sequence[str], settings: DecodeSettings, picture_ids: Sequence[int] | None = None
) -> Prompted:
    """The prompts as the model reads them, on its device; the empty prompt only if the settings are guided.

    Raises InputError for a prompt that is not plain text.
    """
    for prompt in prompts:
        require_text(prompt, "the prompt")
    device = next(pretrained.model.parameters()).device
    return Prompted(
        pretrained.tokenizer.token_ids(prompts).to(device),
        pretrained.conditioning.condition(prompts).to(device),
        pretrained.conditioning.condition([""]).to(device) if settings.guided else None,
        picture_ids,
    )


def paint_iter(
    pretrained: "Pretrained",
    prompts: Sequence[str],
    settings: DecodeSettings,
    *,
    picture_ids: Sequence[int] | None = None,
    beginning: Beginning = None,
    scored: Scored = "choices",
) -> Iterator[StepRecord]:
    """`decode_iter` of a trained model on prompts in words. Raises InputError if it needs a critic and has none."""
    critic = critic_for(pretrained) if "critic" in settings.scores else None
    prompted = encode_prompts(pretrained, prompts, settings, picture_ids)
    return decode_iter(pretrained.model, prompted, settings, beginning=beginning, scored=scored, critic=critic)


def paint_batches(
    pretrained: "Pretrained", plan: PaintPlan, *, given: Given | None = None, scored: Scored = "choices"
) -> Iterator[tuple[int, StepRecord]]:
    """`paint_iter` batch by batch: (index of the batch's first prompt, record) per step.

    `given` has one picture for all prompts, or one per prompt.
    """
    for first in range(0, len(plan.prompts), plan.batch_size):
        batch = slice(first, first + plan.batch_size)
        own = given
        if given is not None and len(given.tokens) > 1:
            own = given._replace(tokens=given.tokens[batch])
        ids = plan.picture_ids[batch]
        records = paint_iter(
            pretrained, plan.prompts[batch], plan.settings, picture_ids=ids, beginning=own, scored=scored
        )
        for record in records:
            yield first, record


def paint(
    pretrained: "Pretrained",
    prompts: Sequence[str],
    settings: DecodeSettings,
    *,
    picture_ids: Sequence[int] | None = None,
) -> Tensor:
    """(B * k, 3, H, W) uint8 pictures of the prompts, k = 1 unless selection is `none`."""
    decoded = collect(paint_iter(pretrained, prompts, settings, picture_ids=picture_ids))
    return to_uint8(pretrained.image_tokenizer.to_pixels(decoded.tokens.flatten(0, 1)))
