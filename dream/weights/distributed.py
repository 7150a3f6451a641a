"""Tensors that many ranks write and read together, each rank its own part (torch.distributed.checkpoint).

A folder holds one safetensors file per rank, whose header says where its parts lie in the whole tensors: the storage
that torch writes for Hugging Face. Its default storage, which Fabric's `save` uses too, keeps these places in pickles
(`.metadata` and `meta.pt`). Nothing here opens a pickle, not even one of our own: checkpoints are passed on, and a
checksum next to a pickle is as easy to replace as the pickle. A tensor that all ranks hold is written by one of them.

Whether the bytes are those that were written is not known here: `training/checkpoint.py` keeps their hashes.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from dream.errors import InputError, RunError
from dream.plain_text import fault_in

Made = TypeVar("Made")


class StoredTensorAbout(NamedTuple):
    """Whole shape and type of a stored tensor."""

    shape: torch.Size
    dtype: torch.dtype


def has_ranks() -> bool:
    """Whether this process is one of several ranks."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def is_part(tensor: Tensor) -> bool:
    """Whether the tensor is spread over ranks, of which this one holds a part."""
    return hasattr(tensor, "full_tensor") and has_ranks()


def together(work: Callable[[], Made]) -> list[Made]:
    """What `work` gives on each rank, by rank; an error on any of them is raised on all. Every rank must call it."""
    made: Made | None = None
    error: Exception | None = None
    try:
        made = work()
    except Exception as raised:  # whatever it is, the others must not wait for what never comes
        error = raised
    answers: list[Any] = [(made, error)]
    if has_ranks():
        answers = [None] * dist.get_world_size()
        dist.all_gather_object(answers, (made, _sendable(error)))
    for _, theirs in answers:
        if theirs is not None:
            raise error or theirs
    return [each for each, _ in answers]


def by_first_rank(work: Callable[[], Made]) -> Made:
    """What `work` gives on rank 0, which alone calls it, on every rank; its error is raised on all of them."""
    first = not has_ranks() or dist.get_rank() == 0
    return together(lambda: work() if first else None)[0]  # type: ignore[return-value]


def write_parts(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes this rank's parts of `tensors` to a file of its own in `folder`. Every rank must call it.

    Raises OSError on every rank if one of them could not write.
    """
    import torch.distributed.checkpoint as dcp

    try:
        dcp.save(dict(tensors), storage_writer=dcp.HuggingFaceStorageWriter(str(folder), save_distributed=True))
    except dcp.CheckpointException as failure:  # no Exception, and its text has the traceback of each rank
        rank, (error, _) = next(iter(failure.failures.items()))
        if isinstance(error, OSError):
            raise error from failure
        raise RunError(f"rank {rank} could not write its part of {folder} ({error})") from failure


def own_files(folder: Path) -> list[Path]:
    """The files in `folder` that this rank has written, at most one."""
    return sorted(folder.glob(f"shard-{dist.get_rank() + 1:05d}-*.safetensors"))


def stored_tensors(folder: Path) -> dict[str, StoredTensorAbout]:
    """Shapes and types of the tensors in `folder`; raises InputError if a file is damaged, or a part is missing."""
    if fault := fault_in(str(folder)):
        raise InputError(f"safetensors cannot open files in {folder}: its name has {fault}; rename the folder")
    try:
        found = _reader(folder).read_metadata().state_dict_metadata
    except Exception as error:  # of safetensors, of json, and of what reads their header
        raise InputError(f"the weights in {folder} are damaged ({type(error).__name__}: {error})") from error
    for name, about in found.items():
        if sum(math.prod(chunk.sizes) for chunk in about.chunks) != math.prod(about.size):  # type: ignore[union-attr]
            raise InputError(f"the weights in {folder} are damaged: a part of '{name}' is missing or there twice")
    return {name: StoredTensorAbout(about.size, about.properties.dtype) for name, about in found.items()}  # type: ignore[union-attr]


def read_whole(folder: Path) -> dict[str, Tensor]:
    """Every tensor in `folder`, put together on the CPU, whatever the number of ranks that wrote it or read now."""
    tensors = {name: torch.empty(about.shape, dtype=about.dtype) for name, about in stored_tensors(folder).items()}
    _load(folder, tensors, alone=True)
    return tensors


def read_parts(folder: Path, targets: Mapping[str, Tensor]) -> None:
    """Reads this rank's parts of the `targets` from `folder`, in place. Every rank must call it.

    Names and shapes must be those of `stored_tensors`.
    """
    _load(folder, dict(targets), alone=False)


def _load(folder: Path, tensors: dict[str, Tensor], *, alone: bool) -> None:
    import torch.distributed.checkpoint as dcp

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")  # it is meant so
        try:
            dcp.load(tensors, storage_reader=_reader(folder), no_dist=alone)
        except dcp.CheckpointException as failure:
            _, (error, _) = next(iter(failure.failures.items()))
            raise InputError(f"the weights in {folder} cannot be read ({error})") from failure


def _reader(folder: Path) -> Any:
    import torch.distributed.checkpoint as dcp

    return dcp.HuggingFaceStorageReader(str(folder))


def _sendable(error: Exception | None) -> Exception | None:
    """`error` as other ranks can take it: those of other packages may not survive being sent."""
    return error if error is None or isinstance(error, InputError | RunError | OSError) else RunError(str(error))
