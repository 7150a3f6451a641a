"""A decode on disk, in zarr: the tokens that every candidate drew, when they were revealed, and the scores.

A revealed token never changes, so its value is stored once, with the step that revealed it; every intermediate
state follows from that. Missing numbers read as NaN, and a checksum finds flipped bits.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from dream.decoding.paint import PaintPlan
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import DecodeState, Given, Midway
from dream.errors import InputError
from dream.fields import as_dataclass

if TYPE_CHECKING:  # dream.model.dream imports timm
    from dream.model.pretrained import Pretrained

FORMAT, VERSION = "dream decode", 1
GIVEN = -1
"""Reveal step of a position whose token was given (inpainting)."""


@dataclass(frozen=True)
class About:
    """Description of a record: its contents, and the model that painted it."""

    prompts: tuple[str, ...]
    """B prompts, one per picture."""
    picture_ids: tuple[int, ...]
    """B ids that orders and noise were drawn for."""
    settings: DecodeSettings
    model_id: str
    """Short name of the weights."""
    num_tokens: int
    token_dim: int
    picture_size: int
    """Side of a picture, in pixels."""
    batch_size: int
    """Pictures decoded at a time; decoding again with the same number gives the same bits."""
    taken_over: int = 0
    """Number of first steps that a fork took over from another decode; 0 if it is not a fork."""
    noise_candidate: int | None = None
    """Candidate that a fork's noise is drawn for; None stands for the candidate's own number."""

    @classmethod
    def of(cls, pretrained: "Pretrained", plan: PaintPlan, **fork: Any) -> "About":
        """Description of a plan painted by this model; `fork` takes `taken_over` and `noise_candidate`."""
        image = pretrained.config.image
        return cls(
            prompts=tuple(plan.prompts),
            picture_ids=tuple(plan.picture_ids),
            settings=plan.settings,
            model_id=pretrained.model_id,
            num_tokens=image.num_tokens,
            token_dim=image.token_dim,
            picture_size=image.size,
            batch_size=plan.batch_size,
            **fork,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain dict, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "About":
        """Inverse of `to_dict`; raises InputError for fields that are missing or of another type."""
        return as_dataclass({**tree, "settings": DecodeSettings.from_dict(tree.get("settings", {}))}, cls)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the arrays of its record, by name."""
        b, s, k = len(self.prompts), self.settings.steps, self.settings.candidates
        n, d, side = self.num_tokens, self.token_dim, self.picture_size
        arrays: dict[str, tuple[int, ...]] = {
            "tokens": (b, k, n, d),
            "order": (b, n),
            "reveal_step": (b, n),
            "mask": (s, b, n),
            "alive": (s, b, k),
            "kept": (s, b, k),
            "alignment": (s, b, k),
            "decoded_fraction": (s,),
            "guidance": (s,),
            "previews": (s, b, k, 3, side, side),
        }
        return arrays | ({"redrawn": (b, k, n, d), "redrawn_step": (b, n)} if self.settings.repair else {})


class StoredPreviews:
    """(S, B, K, 3, H, W) uint8 on disk, read by slices; a damaged slice raises InputError."""

    def __init__(self, array: Any, path: Path) -> None:
        self._array, self._path = array, path
        self.shape = tuple(array.shape)

    def __getitem__(self, place: Any) -> np.ndarray:
        try:
            return np.asarray(self._array[place])
        except IndexError:
            raise
        except Exception as error:  # a flipped bit (checksum), a cut file: each its own kind
            raise _damaged(self._path, f"previews: {error}") from error


@dataclass(frozen=True)
class DecodeRecord:
    """A stored decode of B pictures, K candidates, S steps.

    Steps that revealed no token hold NaN and belong to no candidate.
    """

    about: About
    tokens: np.ndarray
    """(B, K, N, D_tok) float32: token that a candidate drew at a position; NaN where it drew none."""
    order: np.ndarray
    """(B, N) int32; tokens are revealed from its end."""
    reveal_step: np.ndarray
    """(B, N) int32: the step that revealed a position; GIVEN where its token was given."""
    mask: np.ndarray
    """(S, B, N) bool: hidden after the step."""
    alive: np.ndarray
    """(S, B, K) bool: candidates that took part in the step."""
    kept: np.ndarray
    """(S, B, K) bool: candidates that went on after it."""
    alignment: np.ndarray
    """(S, B, K) float32: score after the step; NaN where it was not scored."""
    decoded_fraction: np.ndarray
    """(S,) share of the tokens visible after the step."""
    guidance: np.ndarray
    """(S,) guidance scale of the step."""
    previews: StoredPreviews | np.ndarray
    """(S, B, K, 3, H, W) uint8, read by slices."""
    redrawn: np.ndarray | None = None
    """(B, K, N, D_tok) float32: token that a repair drew in place of the first one; None without a repair."""
    redrawn_step: np.ndarray | None = None
    """(B, N) int32: the step of that repair; GIVEN where the first token stayed."""

    @property
    def steps(self) -> list[int]:
        """The steps that revealed a token."""
        return np.flatnonzero(~np.isnan(self.decoded_fraction)).tolist()

    def tokens_at(self, step: int, picture: int, candidate: int) -> np.ndarray:
        """(N, D_tok): a candidate's tokens after `step`, NaN where hidden.

        After a step that kept a single candidate (`once`, `every`), its tokens are part of every later
        candidate. Raises ValueError if the candidate did not take part in the step.
        """
        if not self.alive[step, picture, candidate]:
            raise ValueError(f"candidate {candidate} of picture {picture} took no part in step {step}")
        drawn_by = np.full(self.about.num_tokens, candidate)
        for earlier in (s for s in self.steps if s < step):
            drawn_by[self.reveal_step[picture] == earlier] = self.drawn_by(earlier, picture, candidate)
        tokens = self.tokens[picture, drawn_by, np.arange(self.about.num_tokens)]
        if self.redrawn is not None and self.redrawn_step is not None:
            of = self.redrawn_step[picture]
            again = (of != GIVEN) & (of <= step)
            tokens = np.where(again[:, None], self.redrawn[picture, candidate], tokens)
        return np.where(self.mask[step, picture][:, None], np.nan, tokens).astype(np.float32)

    def drawn_by(self, step: int, picture: int, candidate: int) -> int:
        """Candidate whose draws of `step` a later candidate contains: the only survivor, or itself."""
        survivors = np.flatnonzero(self.kept[step, picture])
        return int(survivors[0]) if len(survivors) == 1 else candidate

    def midway(self, steps: int, picture: int = 0, candidate: int = 0) -> Midway:
        """A finished candidate's decode as it stood after its first `steps` steps, to continue from."""
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
        """Numbers of the finished candidates, and their tokens (k, N, D_tok)."""
        last = self.steps[-1]
        candidates = np.flatnonzero(self.kept[last, picture]).tolist()
        return candidates, np.stack([self.tokens_at(last, picture, c) for c in candidates])

    def given(self) -> Given | None:
        """Tokens that the decode was given; None if it began with nothing."""
        kept = self.reveal_step[0] == GIVEN
        return Given(torch.from_numpy(self.tokens[:, 0]), torch.from_numpy(kept)) if kept.any() else None


def load_record(path: Path) -> DecodeRecord:
    """Opens the record at `path`; raises InputError if there is none, or it is damaged or of another version."""
    import zarr

    if not path.exists():
        raise InputError(f"no such record: {path}; expected a folder that `dream decode --record` wrote")
    try:
        group = zarr.open_group(path, mode="r")
    except Exception as error:  # zarr's own kinds without metadata, JSON's if it is broken
        raise InputError(f"{path} is not the record of a decode: it holds no readable zarr group") from error
    about = dict(group.attrs)
    if about.get("format") != FORMAT or about.get("version") != VERSION:
        stored = f"'{about.get('format')}' version {about.get('version')}"
        raise InputError(f"{path} has the format {stored}; expected '{FORMAT}' version {VERSION}")
    try:
        described = About.from_dict(cast(Mapping[str, Any], about["about"]))
        arrays = {name: group[name] for name in described.shapes()}
        _check_whole(arrays, described, cast(Mapping[str, int], about.get("chunks", {})))
        read = {name: np.asarray(array) for name, array in arrays.items() if name != "previews"}
    except Exception as error:  # a missing array, a flipped bit (checksum), a cut file: each its own kind
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    return DecodeRecord(about=described, previews=StoredPreviews(arrays["previews"], path), **read)


def _check_whole(arrays: Mapping[str, Any], about: About, chunks: Mapping[str, int]) -> None:
    """Raises ValueError for an array of another shape, or with fewer pieces on disk than were written.

    A piece that is missing reads as an empty one, so the number of pieces is part of the record (`chunks`; records of
    earlier versions lack it).
    """
    for name, shape in about.shapes().items():
        if arrays[name].shape != shape:
            raise ValueError(f"'{name}' has the shape {arrays[name].shape}, expected {shape}")
        there, written = arrays[name].nchunks_initialized, chunks.get(name)
        if written is not None and there != written:
            raise ValueError(f"'{name}' has {there} of its {written} pieces")


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"the record {path} is damaged ({reason}); paint it again")
