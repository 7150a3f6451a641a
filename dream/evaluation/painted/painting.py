"""Painting for `prompts`, `selection` and `headroom`: with the model's own settings, in batches."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from dream.config import DreamConfig
from dream.decoding.decode import collect
from dream.decoding.paint import PaintPlan, paint_batches
from dream.decoding.selection import DecodeSettings
from dream.decoding.state import StepRecord
from dream.evaluation.progress import Progress, quiet
from dream.model.pretrained import Pretrained

ROWS = 128
"""Pictures painted at once."""


def decode_settings_of(config: DreamConfig, seed: int, **changes: Any) -> DecodeSettings:
    """The model's own decoding defaults with `changes`."""
    return DecodeSettings.of(config.decode, seed=seed, **changes)


def records_by_batch(
    pretrained: Pretrained,
    captions: Sequence[str],
    settings: DecodeSettings,
    *,
    scored: bool = False,
    progress: Progress = quiet,
) -> Iterator[tuple[Sequence[str], Iterator[StepRecord]]]:
    """Batches of captions for ROWS pictures each, with the records of decoding them.

    Picture i is drawn from (settings.seed, i), whatever its batch. `scored` fills every record's alignment, which costs
    an extra encoder pass only for the finished picture. Consume the records of a batch before taking the next batch.
    """
    size = max(1, ROWS // settings.candidates)
    plan = PaintPlan(captions, settings, range(len(captions)), size)
    records = paint_batches(pretrained, plan, scored="all" if scored else "choices")
    for first, batch in groupby(records, key=lambda pair: pair[0]):
        progress(first / len(captions), f"painting {settings.candidates} x {len(captions):,} pictures")
        yield captions[first : first + size], (record for _, record in batch)


def paint_captions(
    pretrained: Pretrained, captions: Sequence[str], settings: DecodeSettings, progress: Progress = quiet
) -> Tensor:
    """(B, 3, H, W) in [0, 1]: one picture per caption; with several candidates, the selected one."""
    batches = records_by_batch(pretrained, captions, settings, progress=progress)
    return torch.cat(
        [pretrained.image_tokenizer.to_pixels(collect(records).tokens[:, 0]).cpu() for _, records in batches]
    )
