"""How `prompts` and `selection` have a model paint: its own settings, in batches. It judges nothing."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dream.decoding.decode import collect
from dream.decoding.paint import PaintPlan, paint_batches
from dream.decoding.selection import DecodeSettings
from dream.decoding.state import StepRecord
from dream.evaluation.progress import Progress, quiet

if TYPE_CHECKING:
    from dream.config import DreamConfig
    from dream.model.pretrained import Pretrained

ROWS = 128
"""Pictures painted at once."""


def decode_settings_of(config: "DreamConfig", seed: int, **changes: Any) -> DecodeSettings:
    """The model's own decoding defaults, changed where told."""
    return DecodeSettings.of(config.decode, seed=seed, **changes)


def records_by_batch(
    pretrained: "Pretrained",
    captions: Sequence[str],
    settings: DecodeSettings,
    *,
    scored: bool = False,
    progress: Progress = quiet,
) -> Iterator[tuple[Sequence[str], Iterator[StepRecord]]]:
    """Captions by batches of ROWS pictures, with the records of decoding them.

    Picture i is drawn from (settings.seed, i), whatever its batch. `scored` fills every record's alignment,
    without an encoder pass of its own but for the finished picture. The records must be taken before the
    next batch is asked for.
    """
    size = max(1, ROWS // settings.candidates)
    plan = PaintPlan(captions, settings, range(len(captions)), size)
    records = paint_batches(pretrained, plan, scored="all" if scored else "choices")
    for first, batch in groupby(records, key=lambda pair: pair[0]):
        progress(first / len(captions), f"painting {settings.candidates} x {len(captions):,} pictures")
        yield captions[first : first + size], (record for _, record in batch)


def paint_captions(
    pretrained: "Pretrained", captions: Sequence[str], settings: DecodeSettings, progress: Progress = quiet
) -> Tensor:
    """(B, 3, H, W) in [0, 1]: one picture a caption, the chosen candidate where there are several."""
    batches = records_by_batch(pretrained, captions, settings, progress=progress)
    return torch.cat(
        [pretrained.image_tokenizer.to_pixels(collect(records).tokens[:, 0]).cpu() for _, records in batches]
    )
