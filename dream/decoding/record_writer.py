"""Writes a decode to disk while it runs; `record` describes the format.

A record appears whole or not at all: it is written next to its place and renamed. zarr is imported where it is
used, so that decoding works without it.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor

from dream.decoding.record import FORMAT, GIVEN, VERSION, About, DecodeRecord
from dream.decoding.state import StepRecord
from dream.errors import InputError
from dream.files import ABANDONED_SECONDS, WRITING, remove_folder, remove_leftovers, replace_folder

_EMPTY: dict[str, tuple[Any, float]] = {
    "tokens": (np.float32, np.nan),
    "order": (np.int32, 0),
    "reveal_step": (np.int32, GIVEN),
    "mask": (bool, 0),
    "alive": (bool, 0),
    "kept": (bool, 0),
    "alignment": (np.float32, np.nan),
    "decoded_fraction": (np.float64, np.nan),
    "guidance": (np.float64, np.nan),
    "redrawn": (np.float32, np.nan),
    "redrawn_step": (np.int32, GIVEN),
}
"""Type of each array, and its values before anything was painted."""


class RecordWriter:
    """Stores the step records of a decode as they come; leaving `with` finishes the store.

    On an error nothing is left behind.
    """

    def __init__(self, path: Path, about: About, *, overwrite: bool = False) -> None:
        """Raises InputError if `path` exists and must not be overwritten, or is not a record."""
        if about.settings.begun > 1:
            raise InputError("a record holds one order per picture, and --orders own has several: use --orders shared")
        refuse_existing(path, overwrite)
        self.path, self.about = path, about
        shapes = about.shapes()
        empty = {name: _EMPTY[name] for name in shapes if name != "previews"}
        self.arrays = {name: np.full(shapes[name], fill, dtype) for name, (dtype, fill) in empty.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent, ABANDONED_SECONDS)
        self.folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=WRITING, dir=path.parent))
        try:
            self.group = _create_group(self.folder)
            self.previews = _create(self.group, "previews", shapes["previews"], np.uint8, 0, 2)
        except BaseException:
            remove_folder(self.folder)
            raise

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            remove_folder(self.folder)

    def add(self, record: StepRecord, previews: Tensor, first: int = 0) -> None:
        """Adds a step of the pictures from `first` on; `previews` (R, 3, H, W) uint8 show its rows."""
        a, step = self.arrays, record.step
        pictures = (record.picture + first).cpu().numpy()
        candidates = record.candidate.cpu().numpy()
        revealed = record.revealed.cpu().numpy()
        tokens, mask = record.tokens.float().cpu().numpy(), record.mask.cpu().numpy()
        for row, (picture, candidate) in enumerate(zip(pictures, candidates, strict=True)):
            if not a["alive"][:, picture].any():  # its first step: visible tokens that it did not reveal were given
                given = ~mask[row]
                given[revealed[row]] = False
                a["tokens"][picture][:, given] = tokens[row][given]
            earlier = a["reveal_step"][picture, revealed[row]]
            if ((earlier != GIVEN) & (earlier < step)).any():  # a repair: what was drawn first is kept too
                a["redrawn"][picture, candidate, revealed[row]] = tokens[row, revealed[row]]
                a["redrawn_step"][picture, revealed[row]] = step
            else:
                a["tokens"][picture, candidate, revealed[row]] = tokens[row, revealed[row]]
        a["order"][pictures] = record.order.cpu().numpy()
        places = pictures[:, None], revealed
        redrawn = a["redrawn_step"][places] != GIVEN if "redrawn_step" in a else np.zeros(revealed.shape, bool)
        a["reveal_step"][places] = np.where(redrawn, a["reveal_step"][places], step)
        a["mask"][step, pictures] = mask
        a["alive"][step, pictures, candidates] = True
        a["kept"][step, pictures, candidates] = record.kept.cpu().numpy()
        if record.alignment is not None:
            a["alignment"][step, pictures, candidates] = record.alignment.float().cpu().numpy()
        a["decoded_fraction"][step], a["guidance"][step] = record.decoded_fraction, record.guidance
        self._add_previews(step, pictures, candidates, previews.cpu().numpy())

    def take_over(self, parent: "DecodeRecord", steps: int, candidate: int = 0) -> None:
        """Copies the first `steps` steps of another decode's first picture, of a candidate that was finished."""
        a, done = self.arrays, [step for step in parent.steps if step < steps]
        before = parent.midway(steps, candidate=candidate)
        hidden = before.state.mask[0].numpy()
        a["tokens"][0, 0] = np.where(hidden[:, None], np.nan, before.state.tokens[0].numpy())
        a["order"][0] = parent.order[0]
        a["reveal_step"][0] = np.where(hidden, GIVEN, parent.reveal_step[0])
        a["mask"][done, 0] = parent.mask[done, 0]
        a["alive"][done, 0, 0] = a["kept"][done, 0, 0] = True
        for name in ("decoded_fraction", "guidance"):
            a[name][done] = getattr(parent, name)[done]
        for step in done:
            drawn_by = parent.drawn_by(step, 0, candidate)
            a["alignment"][step, 0, 0] = parent.alignment[step, 0, drawn_by]
            self.previews[step, 0] = parent.previews[step, 0, drawn_by][None]

    def _add_previews(self, step: int, pictures: np.ndarray, candidates: np.ndarray, previews: np.ndarray) -> None:
        for picture in np.unique(pictures):
            block = np.zeros(self.previews.shape[2:], np.uint8)
            block[candidates[pictures == picture]] = previews[pictures == picture]
            self.previews[step, int(picture)] = block

    def _finish(self) -> None:
        chunks = {"previews": self.previews.nchunks_initialized}
        for name, values in self.arrays.items():
            stored = _create(self.group, name, values.shape, values.dtype, _EMPTY[name][1], 0)
            stored[...] = values
            chunks[name] = stored.nchunks_initialized
        about = self.about.to_dict()
        self.group.attrs.update({"format": FORMAT, "version": VERSION, "about": about, "chunks": chunks})
        self.folder.chmod(0o755)  # mkdtemp makes folders that only their owner can read
        replace_folder(self.path, self.folder)


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raises InputError if a record cannot be put at `path`: it exists, or is not a record to overwrite."""
    if not path.exists():
        return
    if not overwrite:
        raise InputError(f"{path} already exists; choose another name, or give --overwrite to replace it")
    if not (path / "zarr.json").is_file():
        raise InputError(f"{path} is not a record (it has no zarr.json) and is not overwritten; choose another name")


def _create_group(folder: Path) -> Any:
    try:
        import zarr
    except ImportError as error:
        raise InputError("--record needs the package zarr (version 3): pip install 'zarr>=3'") from error
    return zarr.create_group(folder, overwrite=True)


def _create(group: Any, name: str, shape: Sequence[int], dtype: Any, fill: float, leading: int) -> Any:
    """Creates an empty array with a checksum; a chunk spans all but the `leading` dimensions."""
    from zarr.codecs import Crc32cCodec, ZstdCodec

    return group.create_array(
        name,
        shape=tuple(shape),
        chunks=tuple(1 if i < leading else max(1, length) for i, length in enumerate(shape)),
        dtype=np.dtype(dtype),
        fill_value=fill,
        compressors=[ZstdCodec(level=3), Crc32cCodec()],
    )
