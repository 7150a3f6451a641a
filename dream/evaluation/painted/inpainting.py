"""Inpainting: half of a true picture is kept, and the hidden half is painted from its caption.

The same half is also painted from the caption of another picture and from none, with the same order and noise, so that
the three differ in the caption alone. The error is the distance of the painted half from the true one. Where many
halves fit the kept one, no model reaches zero: what tells is the difference between the captions, and the error of the
kept half's mean colour beside them. Where the data have a judge, it says whether the whole picture shows what the true
caption says, whichever caption it was painted from; the true pictures themselves are judged beside.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.config import DreamConfig, ImageConfig
from dream.data.batch import Batch
from dream.decoding.decode import collect
from dream.decoding.editing import Box, inside, keep_tokens
from dream.decoding.paint import PaintPlan, paint_batches
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from dream.evaluation.held_out import held_out_pictures
from dream.evaluation.judging.interface import PictureJudge
from dream.evaluation.judging.worlds import judge_of
from dream.evaluation.painted.painting import ROWS, decode_settings_of
from dream.evaluation.pieces import in_pieces
from dream.evaluation.progress import Progress, quiet, within
from dream.evaluation.settings import HeldOutSettings, PaintingSettings, at_least
from dream.evaluation.statistics import Measure, mean, share
from dream.fields import Count
from dream.model.pretrained import Pretrained
from dream.weights.finite import require_finite

ERROR, GAIN, NEARER = "error of the hidden half", "gain of the caption", "nearer with its own caption"
OWN, OTHER, NONE, COLOUR = "own", "another's", "none", "mean colour of the kept half"
TRUTH = "true picture"
Half = Literal["left", "right", "top", "bottom"]
"""Half of a picture."""


@dataclass(frozen=True)
class InpaintingSettings(PaintingSettings, HeldOutSettings, task="inpainting"):
    """Pictures, the half that is kept, and how the other is painted."""

    pictures: Annotated[int, at_least(4)] = 128
    """Held-out pictures with different captions; the data may have fewer."""
    kept: tuple[Half, ...] = ("left", "top")
    """Halves that are kept, each measured apart: left, right, top or bottom."""
    batch_size: Count = ROWS
    """Pictures painted at once."""

    def _conflicts(self, name: str) -> Iterator[str]:
        """Something must be kept."""
        if not self.kept:
            yield "inpainting.kept must name a half: left, right, top or bottom"

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """Root mean square error of the hidden half (colours from 0 to 1) by caption, and what the caption gains.

        Means over pictures, with intervals over pictures. The gain is the error with another caption, or with none,
        minus that with the picture's own. A judge adds the share of pictures that show what the true caption says, by
        attribute. Models without captions have the error with none alone. Raises InputError
        for data without enough captioned pictures.
        """
        batch = held_out_pictures("inpainting", data, pretrained.config, self.pictures, split=self.split, least=4)
        settings = decode_settings_of(pretrained.config, seed, **self.otherwise)
        measures = []
        for number, half in enumerate(self.kept):
            span = within(progress, number / len(self.kept), (number + 1) / len(self.kept))
            kept = kept_cells(half, pretrained.config.image)
            pictures = _by_caption(pretrained, batch, kept, settings, self.batch_size, span)
            truth = batch.images.float() / 255
            shown = {**pictures, COLOUR: _mean_colour(truth, kept)}
            where: dict[str, object] = {"data": data, "kept": half, **self.otherwise}
            measures += _measures({name: hidden_error(each, truth, kept) for name, each in shown.items()}, where)
            measures += _judged(_judge_of(data, pretrained.config), batch.captions, {**pictures, TRUTH: truth}, where)
        return measures


def kept_cells(half: Half, config: ImageConfig) -> Tensor:
    """(N,) bool: cells that lie entirely in a half of the picture."""
    size, middle = config.size, config.size // 2
    boxes = {
        "left": Box(0, 0, middle, size),
        "right": Box(size - middle, 0, size, size),
        "top": Box(0, 0, size, middle),
        "bottom": Box(0, size - middle, size, size),
    }
    return inside(boxes[half], config)


def hidden_error(pictures: Tensor, truth: Tensor, kept: Tensor) -> NDArray[np.float64]:
    """(B,) root mean square error of pictures (B, 3, H, W) in [0, 1] at the pixels of the cells that are not kept (N,).

    Raises InputError for pictures that are not numbers.
    """
    error = ((pictures - truth)[:, :, ~_pixels(kept, truth.shape[-1])] ** 2).mean(dim=(1, 2)).sqrt()
    return require_finite(error, "the painted pictures").double().numpy()


def _by_caption(
    pretrained: Pretrained, batch: Batch, kept: Tensor, settings: DecodeSettings, rows: int, progress: Progress
) -> dict[str, Tensor]:
    """(B, 3, H, W) pictures by caption; those of no caption alone for a model that reads none."""
    captions = {NONE: [""] * len(batch)}
    if pretrained.config.objective.text:
        own = list(batch.captions)
        captions = {OWN: own, OTHER: _others(own), **captions}
    pictures = {}
    for number, (name, texts) in enumerate(captions.items()):
        progress(number / len(captions), f"painting the rest of {len(batch):,} pictures, caption: {name}")
        pictures[name] = _painted(pretrained, batch, texts, kept, settings, rows)
    return pictures


def _others(captions: Sequence[str]) -> list[str]:
    """For each caption that of the picture half a set away."""
    far = len(captions) // 2
    return [*captions[far:], *captions[:far]]


def _painted(
    pretrained: Pretrained, batch: Batch, texts: Sequence[str], kept: Tensor, settings: DecodeSettings, rows: int
) -> Tensor:
    """(B, 3, H, W) in [0, 1]: the pictures with the cells that are not kept painted from the texts."""
    device = next(pretrained.model.parameters()).device

    def painted(start: int) -> dict[str, Tensor]:
        part = slice(start, start + rows)
        given = keep_tokens(pretrained.image_tokenizer, batch.images[part], kept)
        given = given._replace(tokens=given.tokens.to(device), kept=kept.to(device))
        ids = range(len(batch))[part]
        records = paint_batches(pretrained, PaintPlan(texts[part], settings, ids, rows), given=given)
        decoded = collect(record for _, record in records)
        return {"pictures": pretrained.image_tokenizer.to_pixels(decoded.tokens[:, 0]).float().cpu()}

    return torch.cat([piece["pictures"] for piece in in_pieces(range(0, len(batch), rows), painted)])


def _mean_colour(truth: Tensor, kept: Tensor) -> Tensor:
    """(B, 3, H, W): each picture's mean colour over its kept cells, everywhere."""
    return truth[:, :, _pixels(kept, truth.shape[-1])].mean(dim=2)[:, :, None, None].expand_as(truth)


def _judge_of(data: str, config: DreamConfig) -> PictureJudge | None:
    """The judge of the data; None if it has none, or none for what this model paints."""
    try:
        return judge_of(data, config)
    except InputError:
        return None


def _judged(
    judge: PictureJudge | None, captions: Sequence[str], pictures: dict[str, Tensor], where: dict[str, object]
) -> list[Measure]:
    """Shares of pictures right in each attribute of their true captions, of the captions that the judge knows."""
    known = [row for row, caption in enumerate(captions) if judge is not None and judge.knows(caption)]
    if judge is None or not known:
        return []
    measures = []
    for name, painted in pictures.items():
        verdict = judge.verdict(painted[known], [captions[row] for row in known])
        measures += [
            Measure("inpainting", f"{attribute} right", {**where, "caption": name}, share(flags.numpy()))
            for attribute, flags in verdict.attributes.items()
        ]
    return measures


def _pixels(cells: Tensor, size: int) -> Tensor:
    """(H, W) bool: the pixels of cells (N,) in a picture of this size."""
    grid = math.isqrt(len(cells))
    return cells.view(grid, grid).repeat_interleave(size // grid, 0).repeat_interleave(size // grid, 1)


def _measures(errors: dict[str, NDArray[np.float64]], where: dict[str, object]) -> list[Measure]:
    measures = [
        Measure("inpainting", ERROR, {**where, "caption": name}, mean(values, least=0.0, most=1.0))
        for name, values in errors.items()
    ]
    if OWN in errors:
        for name in (OTHER, NONE):
            at = {**where, "against": name}
            measures.append(Measure("inpainting", GAIN, at, mean(errors[name] - errors[OWN], least=-1.0, most=1.0)))
            measures.append(Measure("inpainting", NEARER, at, share(errors[OWN] < errors[name])))
    return measures
