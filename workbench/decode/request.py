"""A request for a decode: prompt, settings, and optionally a picture to keep a part of, or a decode to fork.

A decode consists of stretches: one for a plain decode, one more for each fork, with the prompt and settings of
its steps.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.config import DreamConfig
from dream.decoding.record import DecodeRecord, load_record
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import Midway
from dream.errors import InputError
from dream.plain_text import require_text
from workbench.pictures import Picture
from workbench.store import StoredDecode

WEIGHTS = ("averaged", "raw")


@dataclass(frozen=True)
class KeptPicture:
    """A picture of which a part is kept."""

    picture: Picture
    kept: tuple[int, ...]
    """Positions that are kept, in rising order."""
    tokens: NDArray[np.float32] | None = None
    """(N, D_tok) of the picture if the same model painted it; None to tokenize the picture."""


@dataclass(frozen=True)
class Fork:
    """A stored decode to continue differently after its first `steps` steps."""

    parent: StoredDecode
    steps: int

    @cached_property
    def record(self) -> DecodeRecord:
        """The parent's record."""
        return load_record(self.parent.record_path)

    @property
    def candidate(self) -> int:
        """The candidate to continue: the parent's finished one."""
        return winner(self.record)

    @property
    def midway(self) -> Midway:
        """The parent's decode as it stood after `steps` steps."""
        return self.record.midway(self.steps, candidate=self.candidate)


@dataclass(frozen=True)
class DecodeRequest:
    """One decode to paint."""

    model: str
    """As the user typed it."""
    weights: str
    """`averaged` or `raw`."""
    prompt: str
    settings: DecodeSettings
    start: KeptPicture | None = None
    fork: Fork | None = None


@dataclass(frozen=True)
class Stretch:
    """The steps of a decode from `first_step` up to the next stretch."""

    first_step: int
    prompt: str
    settings: DecodeSettings

    def to_dict(self) -> dict[str, Any]:
        """Plain dict, ready for JSON."""
        return {"first_step": self.first_step, "prompt": self.prompt, "settings": self.settings.to_dict()}


def why_not(config: DreamConfig) -> str | None:
    """Reason why a model cannot paint a prompt, as a sentence; None if it can."""
    rest = "choose another one, or train one with the objective dream or fluid."
    if not config.objective.generative_weight:
        return f"This model was trained to tell captions apart only (objective clip), so it cannot paint: {rest}"
    if not config.objective.text:
        return f"This model was trained without captions (objective mar), so prompts mean nothing to it: {rest}"
    return None


def check_decode_request(config: DreamConfig, request: DecodeRequest) -> None:
    """Raises InputError if a model of this configuration cannot paint the request."""
    if reason := why_not(config):
        raise InputError(reason)
    if not require_text(request.prompt, "the prompt").strip():
        raise InputError("the prompt is empty; say what to paint")
    wanted, known = request.settings.sampling_steps, config.head.train_steps
    if wanted is not None and wanted > known:
        raise InputError(f"denoising steps must be at most {known}, got {wanted}")
    request.settings.head(config.head)  # refuses a solver of another kind of head
    if request.settings.candidates != 1:
        raise InputError("this paints a single picture; choose among candidates on the Trajectories page")
    if request.start is not None:
        _check_start(config, request.start)
    if request.fork is not None:
        _check_fork(request.fork, request.settings)


def stretches(stored: StoredDecode | DecodeRecord) -> list[Stretch]:
    """The stretches of a decode, the first of which starts at step 0.

    Raises InputError if their description is damaged, and for the bare record of a fork, which does not say how
    the steps that it took over were painted.
    """
    if isinstance(stored, DecodeRecord):
        about = stored.about
        if about.taken_over:
            raise InputError(
                f"this is the record of a fork and does not say how its first {about.taken_over} steps were "
                "painted; give the folder of the stored decode instead"
            )
        return [Stretch(0, about.prompts[0], about.settings)]
    whole = [{"first_step": 0, "prompt": stored.prompt, "settings": stored.about.get("settings", {})}]
    try:
        return [
            Stretch(int(one["first_step"]), str(one["prompt"]), DecodeSettings.from_dict(one["settings"]))
            for one in stored.about.get("stretches") or whole
        ]
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"the stored decode {stored.id} does not say how it was painted ({error})") from error


def single(settings: DecodeSettings) -> DecodeSettings:
    """The settings for a single picture, without a choice among candidates."""
    return replace(settings, candidates=1, selection="none", select_steps=())


def winner(record: DecodeRecord) -> int:
    """The finished candidate of a record's first picture (the first one, if several were finished)."""
    return record.finished(0)[0][0]


def final_picture(record: DecodeRecord) -> Picture:
    """The finished picture."""
    return np.asarray(record.previews[record.steps[-1], 0, winner(record)])


def start_of(stored: StoredDecode, kept: tuple[int, ...]) -> KeptPicture:
    """The finished picture of a stored decode with its exact tokens, of which `kept` are kept."""
    record = load_record(stored.record_path)
    return KeptPicture(final_picture(record), kept, record.finished(0)[1][0])


def _check_start(config: DreamConfig, start: KeptPicture) -> None:
    tokens, size = config.image.num_tokens, config.image.size
    if not 0 < len(start.kept) < tokens:
        problem = "no cell of the picture is kept" if not start.kept else "every cell is kept: nothing to paint"
        raise InputError(f"{problem}; select between 1 and {tokens - 1} of its {tokens} cells")
    if start.picture.shape != (3, size, size) or max(start.kept) >= tokens:
        raise InputError(f"the picture must be {size} x {size} pixels for this model; choose it again")


def _check_fork(fork: Fork, settings: DecodeSettings) -> None:
    about = fork.record.about
    if settings.steps != about.settings.steps:
        raise InputError(f"a fork must have as many steps as its parent ({about.settings.steps}), got {settings.steps}")
    last = fork.record.steps[-1]
    if not 0 <= fork.steps <= last:
        raise InputError(f"nothing is left to paint after step {fork.steps}; fork at step {last} or earlier")
