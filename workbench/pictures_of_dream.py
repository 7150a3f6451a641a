"""Pictures for the Home page: a decode and a choice by the models that ship, and a drawing under masks.

What the models paint is cached on disk.
"""

import os
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dream.config import MaskingConfig, ObjectiveConfig
from dream.decoding.paint import paint_iter
from dream.decoding.pictures import hatching
from dream.decoding.previews import STRIPES, previews
from dream.decoding.selection import parse_select_at
from dream.decoding.settings import DecodeSettings
from dream.masking import num_masked, sample_orders
from dream.model.pretrained import Pretrained
from dream.pretrained import SHIPPED
from dream.randomness import generator
from workbench.masking.picture import drawing
from workbench.masking.study import true_mean
from workbench.work import Work

PROMPT, SEED = "a red circle above a blue square on a white background", 2
SHOWN = 6
"""Number of moments of the decode that are shown."""
CHOICE_PROMPT, CHOICE_SEED, CANDIDATES = "cat face, ink", 1, 3
"""The choice that is shown: one cat becomes whole, the others tear at the ears, which shows when they are compared."""
CHOICE_AT = "45%tokens"


@dataclass(frozen=True)
class ShownDecode:
    """Pictures of a decode of PROMPT step by step, and of a choice among candidates for CHOICE_PROMPT."""

    decoded: np.ndarray
    """(F,) share of the tokens decoded in each frame."""
    frames: np.ndarray
    """(F, 3, H, W) uint8: the decode; hidden cells are hatched."""
    candidates: np.ndarray
    """(K, 3, H, W) uint8: all candidates when they were compared."""
    finished: np.ndarray
    """(K, 3, H, W) uint8: what each of them becomes."""
    alignment: np.ndarray
    """(K,) cosine with the prompt when they were compared."""
    chosen: int
    compared_at: float
    """Share of the tokens decoded when they were compared."""


def paint_example(steps: Pretrained, choice: Pretrained, work: Work[ShownDecode]) -> ShownDecode:
    """Decodes PROMPT with the model `steps`, and all candidates of CHOICE_PROMPT with `choice`; takes seconds."""
    seen = _painted(steps, PROMPT, DecodeSettings.of(steps.config.decode, seed=SEED), work, 0)
    picked = np.linspace(0, len(seen) - 1, SHOWN + 1).round().astype(int)[1:]
    own = DecodeSettings.of(choice.config.decode, seed=CHOICE_SEED, candidates=CANDIDATES, selection="none")
    point = parse_select_at(CHOICE_AT, choice.config.image.num_tokens, own.steps)
    race = _painted(choice, CHOICE_PROMPT, own, work, 0.5)
    alignment = race[point.step - 1].alignment
    return ShownDecode(
        np.array([seen[i].decoded for i in picked]),
        np.stack([seen[i].pictures[0] for i in picked]),
        race[point.step - 1].pictures,
        race[-1].pictures,
        alignment,
        int(alignment.argmax()),
        point.decoded_fraction,
    )


class _Step(NamedTuple):
    decoded: float
    pictures: np.ndarray
    """(R, 3, H, W) uint8."""
    alignment: np.ndarray
    """(R,)."""


def _painted(
    pretrained: Pretrained, prompt: str, settings: DecodeSettings, work: Work[ShownDecode], done: float
) -> list[_Step]:
    """Every step of a decode, which is the half of the work that comes after the share `done`."""
    steps = []
    for record in paint_iter(pretrained, [prompt], settings, scored="all"):
        pictures = previews(pretrained.image_tokenizer, pretrained.config.image, record).cpu().numpy()
        assert record.alignment is not None  # all steps are scored
        steps.append(_Step(record.decoded_fraction, pictures, record.alignment.float().cpu().numpy()))
        work.tell(done + record.decoded_fraction / 2, f"painting “{prompt}”")
    return steps


def kept_place(folder: Path) -> Path:
    """File in `folder` for what the shipped models paint; other weights have another file."""
    weights = [(model / "model.safetensors").stat() for model in SHIPPED.values()]
    return folder / f"home-{'-'.join(f'{each.st_mtime_ns:x}-{each.st_size:x}' for each in weights)}.npz"


def save_shown(painted: ShownDecode, path: Path) -> None:
    """Writes the pictures atomically; does nothing if the disk cannot be written, since they can be painted again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".home-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **asdict(painted))
        os.replace(name, path)
    except OSError:
        return


def kept(path: Path) -> ShownDecode | None:
    """Reads the pictures at `path`; None if there are none, or they are damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            fields = {name: arrays[name] for name in ShownDecode.__dataclass_fields__}
        return ShownDecode(**{**fields, "chosen": int(fields["chosen"]), "compared_at": float(fields["compared_at"])})
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile):
        return None


def hidden_more_and_more(
    masking: MaskingConfig, objective: ObjectiveConfig, times: list[float], grid: int = 5
) -> list[np.ndarray]:
    """A drawing (3, H, W) uint8 at each moment of the training, with the mean share of its tokens hidden."""
    pixels, _ = drawing(0, grid)
    order = sample_orders(1, grid**2, generator(0, "home"))[0].numpy()
    cell, pictures = pixels.shape[1] // grid, []
    pattern = hatching(pixels.shape[1], max(1, cell // STRIPES))
    for progress in times:
        hidden = np.zeros(grid**2, dtype=bool)
        hidden[order[: num_masked(true_mean(progress, masking, objective), grid**2)]] = True
        cells = hidden.reshape(grid, grid).repeat(cell, axis=0).repeat(cell, axis=1)
        pictures.append(np.where(cells, pattern, pixels))
    return pictures
