"""Painting for `prompts`, `selection` and `headroom`: with the model's own settings, in batches."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from dream.config import DreamConfig
from dream.decoding.decode import collect
from dream.decoding.paint import encode_prompts, paint_iter
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import StepRecord
from dream.evaluation.pieces import in_pieces, row_batches
from dream.evaluation.progress import Progress, quiet
from dream.model.pretrained import Pretrained
from dream.published import decode_published

ROWS = 128
"""Pictures painted at once."""


def decode_settings_of(config: DreamConfig, seed: int, **changes: Any) -> DecodeSettings:
    """The model's own decoding defaults with `changes`."""
    return DecodeSettings.of(config.decode, seed=seed, **changes)


def batches_of(captions: Sequence[str], settings: DecodeSettings) -> list[range]:
    """Numbers of the captions, batch by batch of ROWS pictures each."""
    return row_batches(len(captions), max(1, ROWS // settings.candidates))


def batch_records(
    pretrained: Pretrained,
    captions: Sequence[str],
    settings: DecodeSettings,
    rows: range,
    *,
    scored: bool = False,
    progress: Progress = quiet,
) -> Iterator[StepRecord]:
    """Records of decoding the captions of these rows.

    Picture i is drawn from (settings.seed, i), whatever its batch. `scored` fills every record's alignment, which costs
    an extra encoder pass only for the finished picture.
    """
    progress(rows.start / len(captions), f"painting {settings.candidates} x {len(captions):,} pictures")
    own = [captions[row] for row in rows]
    return paint_iter(pretrained, own, settings, picture_ids=rows, scored="all" if scored else "choices")


def paint_captions(
    pretrained: Pretrained, captions: Sequence[str], settings: DecodeSettings, progress: Progress = quiet
) -> Tensor:
    """(B, 3, H, W) in [0, 1]: one picture per caption; with several candidates, the selected one."""
    return painted_and_timed(pretrained, captions, settings, progress)[0]


def painted_and_timed(
    pretrained: Pretrained,
    captions: Sequence[str],
    settings: DecodeSettings,
    progress: Progress = quiet,
    *,
    published: bool = False,
) -> tuple[Tensor, Tensor]:
    """As `paint_captions`, and (batches, 2): the CPU seconds of each batch, whoever painted it, and its size.

    `published` paints them by the published algorithm (`dream.published`).
    """

    def tokens(rows: range) -> Tensor:
        if not published:
            return collect(batch_records(pretrained, captions, settings, rows, progress=progress)).tokens[:, 0]
        progress(rows.start / len(captions), "")
        prompted = encode_prompts(pretrained, [captions[row] for row in rows], settings, rows)
        return decode_published(pretrained.model, prompted, settings).tokens[:, 0]

    def painted(rows: range) -> dict[str, Tensor]:
        begun = time.process_time()
        pictures = pretrained.image_tokenizer.to_pixels(tokens(rows)).cpu()
        return {
            "pictures": pictures,
            "times": torch.tensor([[time.process_time() - begun, len(rows)]], dtype=torch.float64),
        }

    pieces = in_pieces(batches_of(captions, settings), painted)
    return torch.cat([piece["pictures"] for piece in pieces]), torch.cat([piece["times"] for piece in pieces])
