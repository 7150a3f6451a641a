"""Long work of a task in pieces: shared by ranks, each kept on disk once it is done, so that a kill loses little.

A piece is the same whoever computes it: its items, and all that is drawn for it, follow from the task alone. So the
ranks' measures are to the bit those of one process. Which ranks there are is not known to tasks: they call `in_pieces`,
and an evaluation says by `kept_pieces` where they are kept and who computes which.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dream.errors import InputError, RunError
from dream.files import replace_bytes
from dream.weights.distributed import together

Item = TypeVar("Item")
FOLDER = ".pieces"
"""Folder, in that of the results, of the pieces of questions that have no answer yet."""
WORTH_KEEPING = 1.0
"""Seconds from which a process on its own keeps a piece: to make a quicker one again costs less than the disk."""


class EvaluationRank(NamedTuple):
    """One of the ranks that share an evaluation."""

    rank: int = 0
    ranks: int = 1

    @property
    def writes(self) -> bool:
        """Whether it is the one that writes results and speaks."""
        return self.rank == 0


ALONE = EvaluationRank()
"""A process that evaluates on its own."""


@dataclass
class _Pieces:
    """Where the pieces of a question are, and how many lists of them were asked for."""

    folder: Path
    member: EvaluationRank
    lists: int = field(default=0)


_AT_WORK: ContextVar[_Pieces | None] = ContextVar("pieces at work", default=None)


def row_batches(count: int, size: int) -> list[range]:
    """Rows 0 to `count` in batches of `size`; the last one may be smaller."""
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def at_ratio(name: str, mask_ratio: float) -> str:
    """What the values of `name` at a mask ratio are called in a piece."""
    return f"{name} at {mask_ratio!r}"


@contextmanager
def kept_pieces(out: Path, question: Any, member: EvaluationRank) -> Iterator[None]:
    """Keeps pieces of what the block measures below `out`, for this `question` (JSON), until the block ends well.

    Every rank must enter it for the same questions in the same order; `out` is a folder that all of them see.
    """
    name = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:16]
    pieces = _Pieces(out / FOLDER / name, member)
    token = _AT_WORK.set(pieces)
    try:
        yield
        if pieces.lists:
            together(lambda: None)  # until every rank has read what it needs
            _remove(pieces)
    except InputError:  # the same on every rank, and the question's answer
        _remove(pieces)
        raise
    finally:
        _AT_WORK.reset(token)


def in_pieces(items: Iterable[Item], make: Callable[[Item], Mapping[str, Tensor]]) -> list[dict[str, Tensor]]:
    """`make` of each item, in order; of many ranks each makes its share of them, and what is kept is not made again.

    Tensors are on the CPU. `make` may ask for pieces itself: those are part of its own. An error of one rank is raised
    on all of them.
    """
    pieces = _AT_WORK.get()
    if pieces is None:
        return [dict(make(item)) for item in items]
    folder, member = pieces.folder / f"{pieces.lists:03d}", pieces.member
    pieces.lists += 1
    token = _AT_WORK.set(None)
    try:
        if member.ranks == 1:
            return [_made_alone(_place(folder, number), item, make) for number, item in enumerate(items)]
        count = together(lambda: _made(folder, member, items, make))[0]
    finally:
        _AT_WORK.reset(token)
    return [_needed(_place(folder, number)) for number in range(count)]


def _made_alone(place: Path, item: Item, make: Callable[[Item], Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """A piece that is there, or is made, and kept if that took long."""
    piece = _kept(place)
    if piece is None:
        begun = time.monotonic()
        piece = {name: tensor.detach().cpu().contiguous() for name, tensor in make(item).items()}
        if time.monotonic() - begun >= WORTH_KEEPING:
            _keep(place, piece)
    return piece


def _remove(pieces: _Pieces) -> None:
    if pieces.member.writes:
        shutil.rmtree(pieces.folder, ignore_errors=True)
        with suppress(OSError):  # others are in it
            pieces.folder.parent.rmdir()


def _made(
    folder: Path, member: EvaluationRank, items: Iterable[Item], make: Callable[[Item], Mapping[str, Tensor]]
) -> int:
    """Makes and keeps this rank's pieces; returns the number of all."""
    number = -1
    for number, item in enumerate(items):
        if number % member.ranks == member.rank and _kept(_place(folder, number)) is None:
            _keep(_place(folder, number), make(item))
    return number + 1


def _keep(place: Path, piece: Mapping[str, Tensor]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    replace_bytes(place, save({name: tensor.detach().cpu().contiguous() for name, tensor in piece.items()}))


def _place(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.safetensors"


def _kept(path: Path) -> dict[str, Tensor] | None:
    """The piece at a path; None if there is none, or it is damaged, so that it is made again."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):
        return None


def _needed(path: Path) -> dict[str, Tensor]:
    piece = _kept(path)
    if piece is None:
        raise RunError(f"{path} of another rank cannot be read here: --out must be a folder that every rank sees")
    return piece
