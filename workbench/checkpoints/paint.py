"""Paints the same prompts with the same seed by two sets of weights, and compares the pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dream.errors import InputError
from workbench.work import Work

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

MOST_PROMPTS = 8
SAMPLES = (
    "a red circle above a blue square on a white background",
    "a green triangle on a black background",
    "a yellow cross left of a red circle on a grey background",
)
"""Prompts that suit a model trained on drawn shapes."""


@dataclass(frozen=True)
class PaintedWeights:
    """Pictures painted by one set of weights."""

    label: str
    pictures: np.ndarray
    """(P, 3, H, W) uint8, one picture per prompt."""
    alignment: tuple[float, ...]
    """Cosine of each finished picture with its prompt, computed by the same weights."""


def prompts_of_text(text: str) -> list[str]:
    """Splits a text into prompts, one per line; raises InputError for none or more than MOST_PROMPTS."""
    prompts = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    if not 1 <= len(prompts) <= MOST_PROMPTS:
        raise InputError(f"enter 1 to {MOST_PROMPTS} prompts, one per line; got {len(prompts)}")
    return prompts


def paint_sides(
    sides: Sequence[tuple[str, "Pretrained"]], prompts: Sequence[str], seed: int, work: Work[Any]
) -> list[PaintedWeights]:
    """Paints the prompts by each side with its own settings; the seed, noise and order are the same."""
    painted: list[PaintedWeights] = []
    for number, (label, pretrained) in enumerate(sides):
        painted.append(_paint(label, pretrained, prompts, seed, number / len(sides), 1 / len(sides), work))
        work.show(tuple(painted))
    return painted


def distance(a: PaintedWeights, b: PaintedWeights) -> np.ndarray:
    """(P,) RMS difference of the pictures in grey levels (0 to 255); raises InputError if their sizes differ."""
    if a.pictures.shape != b.pictures.shape:
        raise InputError(f"the pictures differ in size: {a.pictures.shape[2:]} and {b.pictures.shape[2:]} px")
    change = a.pictures.astype(np.float64) - b.pictures.astype(np.float64)
    return np.sqrt((change**2).mean(axis=(1, 2, 3)))


def _paint(
    label: str, pretrained: "Pretrained", prompts: Sequence[str], seed: int, base: float, span: float, work: Work[Any]
) -> PaintedWeights:
    from dream.decoding.paint import paint_iter
    from dream.decoding.previews import previews
    from dream.decoding.settings import DecodeSettings

    settings = DecodeSettings.of(pretrained.config.decode, seed=seed)
    records = paint_iter(pretrained, prompts, settings, picture_ids=[0] * len(prompts), scored="finished")
    work.tell(base, f"painting with {label}")
    for record in records:
        last = record
        work.tell(base + span * record.decoded_fraction, f"painting with {label}")
    pictures = previews(pretrained.image_tokenizer, pretrained.config.image, last).numpy()
    scores = [] if last.alignment is None else last.alignment.tolist()
    return PaintedWeights(label, pictures, tuple(scores))
