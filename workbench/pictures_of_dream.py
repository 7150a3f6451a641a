"""What the Home page shows of DREAM: a prompt that the shipped model decodes with several candidates, kept on
disk, and a drawing under the masks of a training. It draws no figures.
"""

import os
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dream.config import MaskingConfig, ObjectiveConfig
from dream.decoding.paint import paint_iter
from dream.decoding.previews import HIDDEN_GREY, previews
from dream.decoding.selection import DEFAULT_SELECT_AT, DecodeSettings, parse_select_at
from dream.masking import num_masked, sample_orders
from dream.model.pretrained import Pretrained
from dream.pretrained import SHIPPED
from dream.randomness import generator
from workbench.masking.picture import drawing
from workbench.masking.study import true_mean
from workbench.work import Work

PROMPT = "a red circle above a blue square on a white background"
CANDIDATES, SEED = 4, 2
"""A seed at which the scores differ visibly and not the first is chosen."""
SHOWN = 6
"""Moments of the decode that are shown."""


@dataclass(frozen=True)
class ShownDecode:
    """A decode as it is shown: the chosen candidate step by step, and all when they were compared."""

    decoded: np.ndarray
    """(F,) share of the tokens decoded in each frame."""
    frames: np.ndarray
    """(F, 3, H, W) uint8: the chosen candidate; hidden places pale grey."""
    candidates: np.ndarray
    """(K, 3, H, W) uint8: when they were compared."""
    alignment: np.ndarray
    """(K,) cosine with the prompt then."""
    chosen: int
    compared_at: float
    """Share of the tokens decoded then."""


def paint_example(pretrained: Pretrained, work: Work[ShownDecode]) -> ShownDecode:
    """PROMPT decoded by the model with CANDIDATES candidates; a second or two on a laptop."""
    own = pretrained.config
    point = parse_select_at(DEFAULT_SELECT_AT, own.image.num_tokens, own.decode.steps)
    settings = DecodeSettings.of(
        own.decode, candidates=CANDIDATES, selection="once", select_steps=(point.step,), seed=SEED
    )
    seen, compared = [], None
    for record in paint_iter(pretrained, [PROMPT], settings):
        pictures = previews(pretrained.image_tokenizer, own.image, record).cpu().numpy()
        if compared is None and record.alignment is not None:
            compared = (pictures, record.alignment.numpy(), int(record.kept.nonzero()[0, 0]))
        seen.append((record.decoded_fraction, pictures))
        work.tell(record.decoded_fraction, "the demo model paints")
    assert compared is not None
    candidates, alignment, chosen = compared
    picked = np.linspace(0, len(seen) - 1, SHOWN + 1).round().astype(int)[1:]
    frames = [seen[i][1][chosen if len(seen[i][1]) > 1 else 0] for i in picked]
    return ShownDecode(
        np.array([seen[i][0] for i in picked]), np.stack(frames), candidates, alignment, chosen, point.decoded_fraction
    )


def kept_place(folder: Path) -> Path:
    """Where in `folder` the decode by the model that ships is kept: another file for other weights."""
    about = (SHIPPED["demo"] / "model.safetensors").stat()
    return folder / f"home-{about.st_mtime_ns:x}-{about.st_size:x}.npz"


def save_shown(painted: ShownDecode, path: Path) -> None:
    """Writes it, whole or not at all; a disk that cannot be written is no failure: it is painted again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".home-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **asdict(painted))
        os.replace(name, path)
    except OSError:
        return


def kept(path: Path) -> ShownDecode | None:
    """What was kept there; None where there is nothing, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in ShownDecode.__dataclass_fields__}
        return ShownDecode(**{**found, "chosen": int(found["chosen"]), "compared_at": float(found["compared_at"])})
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile):
        return None


def hidden_more_and_more(
    masking: MaskingConfig, objective: ObjectiveConfig, times: list[float], grid: int = 5
) -> list[np.ndarray]:
    """A drawing (3, H, W) uint8 at each moment of the training, with the mean share of its tokens hidden."""
    pixels, _ = drawing(0, grid)
    order = sample_orders(1, grid**2, generator(0, "home"))[0].numpy()
    cell, found = pixels.shape[1] // grid, []
    for progress in times:
        hidden = np.zeros(grid**2, dtype=bool)
        hidden[order[: num_masked(true_mean(progress, masking, objective), grid**2)]] = True
        cells = hidden.reshape(grid, grid).repeat(cell, axis=0).repeat(cell, axis=1)
        found.append(np.where(cells, np.uint8(HIDDEN_GREY), pixels))
    return found
