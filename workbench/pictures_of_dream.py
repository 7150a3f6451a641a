"""Pictures for the Home page: a decode with several candidates by the shipped model, and a drawing under masks.

The decode is cached on disk.
"""

import os
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dream.config import MaskingConfig, ObjectiveConfig
from dream.decoding.paint import paint_iter
from dream.decoding.pictures import hatching
from dream.decoding.previews import STRIPES, previews
from dream.decoding.selection import DEFAULT_SELECT_AT, parse_select_at
from dream.decoding.settings import DecodeSettings
from dream.masking import num_masked, sample_orders
from dream.model.pretrained import Pretrained
from dream.pretrained import SHIPPED
from dream.randomness import generator
from workbench.masking.picture import drawing
from workbench.masking.study import true_mean
from workbench.work import Work

PROMPT = "a red circle above a blue square on a white background"
CANDIDATES, SEED = 4, 2
"""At this seed the scores differ visibly, and the chosen candidate is not the first."""
SHOWN = 6
"""Number of moments of the decode that are shown."""


@dataclass(frozen=True)
class ShownDecode:
    """Pictures of a decode: the chosen candidate step by step, and all candidates when they were compared."""

    decoded: np.ndarray
    """(F,) share of the tokens decoded in each frame."""
    frames: np.ndarray
    """(F, 3, H, W) uint8: the chosen candidate; hidden cells are pale grey."""
    candidates: np.ndarray
    """(K, 3, H, W) uint8: all candidates when they were compared."""
    alignment: np.ndarray
    """(K,) cosine with the prompt when they were compared."""
    chosen: int
    compared_at: float
    """Share of the tokens decoded when they were compared."""


def paint_example(pretrained: Pretrained, work: Work[ShownDecode]) -> ShownDecode:
    """Decodes PROMPT with CANDIDATES candidates; takes a second or two on a laptop."""
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
        work.tell(record.decoded_fraction, "painting with the demo model")
    assert compared is not None
    candidates, alignment, chosen = compared
    picked = np.linspace(0, len(seen) - 1, SHOWN + 1).round().astype(int)[1:]
    frames = [seen[i][1][chosen if len(seen[i][1]) > 1 else 0] for i in picked]
    return ShownDecode(
        np.array([seen[i][0] for i in picked]), np.stack(frames), candidates, alignment, chosen, point.decoded_fraction
    )


def kept_place(folder: Path) -> Path:
    """File in `folder` for the decode by the shipped model; other weights have another file."""
    about = (SHIPPED["demo"] / "model.safetensors").stat()
    return folder / f"home-{about.st_mtime_ns:x}-{about.st_size:x}.npz"


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
