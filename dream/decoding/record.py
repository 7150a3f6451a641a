"""A decode on disk, in zarr: what every candidate drew at every place, when, and how it was scored.

A token never changes once it is revealed, so its value is stored once, with the step that revealed it; every
intermediate state follows. Whole or not at all: a record is written beside its place and renamed. What is
missing reads as NaN, and flipped bits are found by a checksum. The only user of zarr, imported where it is
used.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from dream.decoding.decode import paint_batches, paint_iter
from dream.decoding.selection import DecodeSettings
from dream.decoding.state import DecodeState, Given, Midway, StepRecord
from dream.errors import InputError

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

FORMAT, VERSION = "dream decode", 1
GIVEN = -1
"""Reveal step of a place that was given (inpainting)."""


@dataclass(frozen=True)
class About:
    """What was decoded, by what."""

    prompts: tuple[str, ...]
    """B prompts, one a picture."""
    picture_ids: tuple[int, ...]
    """B ids that noise and orders were drawn for."""
    settings: DecodeSettings
    model_id: str
    """Short name of the weights."""
    num_tokens: int
    token_dim: int
    picture_size: int
    """Side of a picture, in pixels."""
    batch_size: int
    """Pictures decoded at a time: with the same number a replay is the same to the bit."""
    taken_over: int = 0
    """First steps that a fork of one picture took over from another decode."""
    noise_candidate: int | None = None
    """Candidate that a fork's noise is drawn for, where that is not its own number."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dict, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "About":
        """The About of `to_dict`'s result."""
        settings = DecodeSettings.from_dict(tree["settings"])
        lists = {name: tuple(tree[name]) for name in ("prompts", "picture_ids")}
        return cls(**{**tree, **lists, "settings": settings})


class RecordWriter:
    """Takes the records of a decode as they come; `with` finishes the store, or leaves nothing behind on an
    error.
    """

    def __init__(self, path: Path, about: About, *, overwrite: bool = False) -> None:
        """Raises InputError where `path` exists and is not to be overwritten, or is no record."""
        refuse_existing(path, overwrite)
        self.path, self.about = path, about
        pictures, steps, k = len(about.prompts), about.settings.steps, about.settings.candidates
        n, d, side = about.num_tokens, about.token_dim, about.picture_size
        self.arrays: dict[str, np.ndarray] = {
            "tokens": np.full((pictures, k, n, d), np.nan, np.float32),
            "order": np.zeros((pictures, n), np.int32),
            "reveal_step": np.full((pictures, n), GIVEN, np.int32),
            "mask": np.zeros((steps, pictures, n), bool),
            "alive": np.zeros((steps, pictures, k), bool),
            "kept": np.zeros((steps, pictures, k), bool),
            "alignment": np.full((steps, pictures, k), np.nan, np.float32),
            "decoded_fraction": np.full(steps, np.nan, np.float64),
            "guidance": np.full(steps, np.nan, np.float64),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        self.group = _create_group(self.folder)
        self.previews = _create(self.group, "previews", (steps, pictures, k, 3, side, side), np.uint8, 0, 2)

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, record: StepRecord, previews: Tensor, first: int = 0) -> None:
        """One step of the pictures from `first` on; `previews` (R, 3, H, W) uint8 show its rows."""
        a, step = self.arrays, record.step
        pictures = (record.images + first).cpu().numpy()
        candidates = record.candidates.cpu().numpy()
        revealed = record.revealed.cpu().numpy()
        tokens, mask = record.tokens.float().cpu().numpy(), record.mask.cpu().numpy()
        for row, (picture, candidate) in enumerate(zip(pictures, candidates, strict=True)):
            if not a["alive"][:, picture].any():  # its first step: what is visible and was not revealed was given
                given = ~mask[row]
                given[revealed[row]] = False
                a["tokens"][picture][:, given] = tokens[row][given]
            a["tokens"][picture, candidate, revealed[row]] = tokens[row, revealed[row]]
        a["order"][pictures] = record.order.cpu().numpy()
        a["reveal_step"][pictures[:, None], revealed] = step
        a["mask"][step, pictures] = mask
        a["alive"][step, pictures, candidates] = True
        a["kept"][step, pictures, candidates] = record.kept.cpu().numpy()
        if record.alignment is not None:
            a["alignment"][step, pictures, candidates] = record.alignment.float().cpu().numpy()
        a["decoded_fraction"][step], a["guidance"][step] = record.decoded_fraction, record.guidance
        self._add_previews(step, pictures, candidates, previews.cpu().numpy())

    def take_over(self, parent: "DecodeRecord", steps: int, candidate: int = 0) -> None:
        """The first `steps` steps of a finished candidate of another decode's first picture, as this one's
        own.
        """
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
        for name, values in self.arrays.items():
            fill = np.nan if values.dtype.kind == "f" else GIVEN if name == "reveal_step" else 0
            _create(self.group, name, values.shape, values.dtype, fill, 0)[...] = values
        self.group.attrs.update({"format": FORMAT, "version": VERSION, "about": self.about.to_dict()})
        if self.path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.old.", dir=self.path.parent))
            os.rename(self.path, old / "record")
            os.rename(self.folder, self.path)
            shutil.rmtree(old)
        else:
            os.rename(self.folder, self.path)
        self.path.chmod(0o755)  # mkdtemp's folders are for their owner alone


@dataclass(frozen=True)
class DecodeRecord:
    """A stored decode of B pictures, K candidates, S steps. Steps that revealed nothing are NaN and
    nobody's.
    """

    about: About
    tokens: np.ndarray
    """(B, K, N, D_tok) float32: what a candidate drew at a place; NaN where it drew nothing."""
    order: np.ndarray
    """(B, N) int32; revealed from its end."""
    reveal_step: np.ndarray
    """(B, N) int32: the step that revealed a place; GIVEN where it was given."""
    mask: np.ndarray
    """(S, B, N) bool: hidden after the step."""
    alive: np.ndarray
    """(S, B, K) bool: candidates there were in the step."""
    kept: np.ndarray
    """(S, B, K) bool: candidates that went on after it."""
    alignment: np.ndarray
    """(S, B, K) float32: score after the step; NaN where none was taken."""
    decoded_fraction: np.ndarray
    """(S,) share of the tokens visible after the step."""
    guidance: np.ndarray
    """(S,) guidance scale of the step."""
    previews: Any
    """(S, B, K, 3, H, W) uint8, a zarr array that reads what is asked for."""

    @property
    def steps(self) -> list[int]:
        """The steps that revealed something."""
        return np.flatnonzero(~np.isnan(self.decoded_fraction)).tolist()

    def tokens_at(self, step: int, picture: int, candidate: int) -> np.ndarray:
        """(N, D_tok): a candidate's tokens after `step`, NaN where hidden. Raises ValueError if it was not
        there.

        Draws of a step that kept one candidate are everybody's past from then on (`once`, `every`).
        """
        if not self.alive[step, picture, candidate]:
            raise ValueError(f"candidate {candidate} of picture {picture} was not there in step {step}")
        drawn_by = np.full(self.about.num_tokens, candidate)
        for earlier in (s for s in self.steps if s < step):
            drawn_by[self.reveal_step[picture] == earlier] = self.drawn_by(earlier, picture, candidate)
        tokens = self.tokens[picture, drawn_by, np.arange(self.about.num_tokens)]
        return np.where(self.mask[step, picture][:, None], np.nan, tokens).astype(np.float32)

    def drawn_by(self, step: int, picture: int, candidate: int) -> int:
        """Whose draws of `step` are a later candidate's past: its own, or those of the one that alone went
        on.
        """
        survivors = np.flatnonzero(self.kept[step, picture])
        return int(survivors[0]) if len(survivors) == 1 else candidate

    def midway(self, steps: int, picture: int = 0, candidate: int = 0) -> Midway:
        """A finished candidate's decode as it stood after its first `steps` steps, to go on from."""
        done = [step for step in self.steps if step < steps]
        given = self.reveal_step[picture] == GIVEN
        mask, tokens, number = ~given, self.tokens[picture, candidate], candidate
        if done:
            number = self.drawn_by(done[-1], picture, candidate)
            mask, tokens = self.mask[done[-1], picture], self.tokens_at(done[-1], picture, number)
        if self.about.noise_candidate is not None:
            number = self.about.noise_candidate
        state = DecodeState(
            torch.from_numpy(np.where(mask[:, None], 0, tokens).astype(np.float32))[None],
            torch.from_numpy(mask.copy())[None],
            torch.from_numpy(self.order[picture].astype(np.int64))[None],
            torch.tensor([0]),
            torch.tensor([number]),
        )
        return Midway(state, steps, int((~given).sum()))

    def finished(self, picture: int) -> tuple[list[int], np.ndarray]:
        """The candidates that were finished, and their tokens (k, N, D_tok)."""
        last = self.steps[-1]
        candidates = np.flatnonzero(self.kept[last, picture]).tolist()
        return candidates, np.stack([self.tokens_at(last, picture, c) for c in candidates])

    def given(self) -> Given | None:
        """What the decode started from, if it was given a picture."""
        kept = self.reveal_step[0] == GIVEN
        return Given(torch.from_numpy(self.tokens[:, 0]), torch.from_numpy(kept)) if kept.any() else None


def load_record(path: Path) -> DecodeRecord:
    """The record at `path`; raises InputError where there is none, it is damaged, or of another version."""
    import zarr

    if not path.exists():
        raise InputError(f"no such record: {path}; expected a folder that `dream decode --record` wrote")
    try:
        group = zarr.open_group(path, mode="r")
    except Exception as error:  # zarr raises its own kinds for a folder without metadata, and JSON's for a broken one
        raise InputError(f"{path} is no record of a decode: no readable zarr group") from error
    about = dict(group.attrs)
    if about.get("format") != FORMAT or about.get("version") != VERSION:
        found = f"'{about.get('format')}' version {about.get('version')}"
        raise InputError(f"{path} is not of format '{FORMAT}' version {VERSION} that is read here, but of {found}")
    names = [name for name in DecodeRecord.__dataclass_fields__ if name not in ("about", "previews")]
    try:
        arrays = {name: np.asarray(group[name]) for name in names}
        return DecodeRecord(
            about=About.from_dict(cast(Mapping[str, Any], about["about"])), previews=group["previews"], **arrays
        )
    except Exception as error:  # a missing array, a flipped bit (checksum), a cut file: each its own kind
        raise InputError(f"the record {path} is damaged ({type(error).__name__}: {error}); paint it again") from error


def replay(record: DecodeRecord, pretrained: "Pretrained") -> Iterator[tuple[int, StepRecord]]:
    """The steps of `record` decoded again by its model: (first picture, record a step), batch by batch.

    Of a fork, the steps after those it took over. Raises InputError for another model.
    """
    about = record.about
    if about.model_id != pretrained.model_id:
        raise InputError(f"the record was painted by model {about.model_id}, this is {pretrained.model_id}")
    if about.taken_over:
        midway = record.midway(about.taken_over)
        for step in paint_iter(pretrained, about.prompts, about.settings, picture_ids=about.picture_ids, midway=midway):
            yield 0, replace(step, candidates=torch.zeros_like(step.candidates))
        return
    yield from paint_batches(
        pretrained,
        about.prompts,
        about.settings,
        picture_ids=about.picture_ids,
        batch_size=about.batch_size,
        given=record.given(),
    )


def replay_difference(record: DecodeRecord, pretrained: "Pretrained") -> float:
    """Largest absolute difference between recorded and replayed tokens over all steps and candidates; 0 = to
    the bit.
    """
    largest = 0.0
    for first, step in replay(record, pretrained):
        tokens = step.tokens.masked_fill(step.mask.unsqueeze(-1), torch.nan).cpu().numpy()
        for row, (picture, candidate) in enumerate(zip(step.images.tolist(), step.candidates.tolist(), strict=True)):
            there = record.tokens_at(step.step, first + picture, candidate)
            largest = max(largest, float(np.nanmax(np.abs(tokens[row] - there))))
    return largest


def refuse_existing(path: Path, overwrite: bool) -> None:
    """InputError where a record cannot be put at `path`: something is there, or something that is no
    record.
    """
    if not path.exists():
        return
    if not overwrite:
        raise InputError(f"{path} is there already; choose another name, or give --overwrite to replace it")
    if not (path / "zarr.json").is_file():
        raise InputError(f"{path} is no record (no zarr.json in it) and is not overwritten; choose another name")


def _create_group(folder: Path) -> Any:
    try:
        import zarr
    except ImportError as error:
        raise InputError("--record needs the package zarr (version 3): pip install 'zarr>=3'") from error
    return zarr.create_group(folder, overwrite=True)


def _create(group: Any, name: str, shape: Sequence[int], dtype: Any, fill: float, leading: int) -> Any:
    """An empty array with a checksum; a chunk spans all but the `leading` dimensions."""
    from zarr.codecs import Crc32cCodec, ZstdCodec

    return group.create_array(
        name,
        shape=tuple(shape),
        chunks=tuple(1 if i < leading else max(1, length) for i, length in enumerate(shape)),
        dtype=np.dtype(dtype),
        fill_value=fill,
        compressors=[ZstdCodec(level=3), Crc32cCodec()],
    )
