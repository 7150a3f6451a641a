"""Between the tensors of a training, whole or sharded over ranks, and its checkpoints.

Sharded tensors are never gathered to be saved: each rank writes its parts to a file of its own, and a checkpoint with
such files is read by any number of ranks, each of which takes its own parts. Saving is not asynchronous: that would
need a copy of every part in the host's memory and could notice a full disk, or a lost claim on the folder, only steps
later, while checkpoints are spaced so that they take at most `budget.SAVING_SHARE` of the time anyway.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from dream.data.text import CaptionTokenizer
from dream.errors import InputError
from dream.files import WRITING
from dream.training.checkpoint import (
    TrainingState,
    check_parts,
    checkpoint_folder,
    complete_checkpoint,
    diverged,
    fingerprint_of,
    holds,
    is_in_parts,
    read_tensors,
    save_checkpoint,
)
from dream.training.optim import whole
from dream.weights.distributed import (
    by_first_rank,
    is_part,
    own_files,
    read_parts,
    stored_tensors,
    together,
    write_parts,
)
from dream.weights.finite import require_finite_weights
from dream.weights.writing import cleared_on_failure

Groups = Mapping[str, Mapping[str, Tensor]]
"""Tensors by the names of their group (`model`, `ema`, `optimizer`) and their own."""


def save_tensors(
    run: Path,
    state: TrainingState,
    tensors: Groups,
    tokenizer: CaptionTokenizer,
    check: Callable[[], object] = lambda: None,
    *,
    writes: bool = True,
) -> Path:
    """Writes the checkpoint of a training and returns its folder. Every rank must call it, and rank 0 `writes`.

    The folder appears whole or not at all, once every rank has written; `check` may raise on rank 0 right before.
    Raises RunError if a disk is full: on all ranks if the tensors are sharded, otherwise on rank 0.
    """
    if any(is_part(tensor) for group in tensors.values() for tensor in group.values()):
        return _save_parts(run, state, tensors, tokenizer, check)
    if writes:
        check()
        gathered = {name: gathered_tensors(group) for name, group in tensors.items()}
        save_checkpoint(run, state, gathered, tokenizer, check)
    return checkpoint_folder(run, state.step)


def _save_parts(
    run: Path, state: TrainingState, tensors: Groups, tokenizer: CaptionTokenizer, check: Callable[[], object]
) -> Path:
    folder = checkpoint_folder(run, state.step)
    # one name for all ranks, but another than that of a training which took the folder over
    temporary = by_first_rank(lambda: _unused_name(folder, check))
    with cleared_on_failure(temporary, owner=dist.get_rank() == 0):
        for name, group in tensors.items():
            write_parts(temporary / name, group)
        written = together(lambda: _own_fingerprints(temporary, tensors))
        files = {name: about for each in written for name, about in sorted(each.items())}
        by_first_rank(lambda: complete_checkpoint(folder, state, files, tokenizer, check, temporary))
    return folder


def _own_fingerprints(temporary: Path, names: Iterable[str]) -> dict[str, Any]:
    return {f"{name}/{file.name}": fingerprint_of(file) for name in names for file in own_files(temporary / name)}


def _unused_name(folder: Path, check: Callable[[], object]) -> Path:
    check()
    return folder.with_name(f".{folder.name}-{secrets.token_hex(4)}{WRITING}")


def gathered_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by name, whole and on the CPU. Of sharded ones every rank must call it."""
    return {name: whole(tensor).detach().cpu().contiguous() for name, tensor in tensors.items()}


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Weights and buffers by name, whole and on the CPU. Under a sharded strategy every rank must call it."""
    return gathered_tensors(model.state_dict())


def optimizer_tensors(model: nn.Module, optimizers: Iterable[Optimizer]) -> dict[str, Tensor]:
    """Every moment as `<parameter>/<name>`, as it is; learning rates are a function of the step."""
    return {
        f"{name}/{key}": tensor.detach()
        for optimizer in optimizers
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
        for key, tensor in optimizer.state[parameter].items()
    }


@torch.no_grad()
def copy_tensors(folder: Path, name: str, targets: Mapping[str, Tensor], without: tuple[str, ...] = ()) -> None:
    """Copies the checkpoint's tensors `name` into `targets`, in place; raises InputError if names or shapes differ.

    Names that begin with one of `without` are left alone on both sides. If ranks wrote it and `targets` are sharded,
    each rank reads its own parts alone, and every rank must call it.
    """
    shared = is_in_parts(folder, name) and any(map(is_part, targets.values()))
    stored: Mapping[str, Any] = _checked_parts(folder, name) if shared else read_tensors(folder, name)
    stored, targets = (
        {key: each for key, each in tensors.items() if not key.startswith(without)} for tensors in (stored, targets)
    )
    missing, unexpected = sorted(targets.keys() - stored.keys()), sorted(stored.keys() - targets.keys())
    shapes = [key for key in stored.keys() & targets.keys() if stored[key].shape != targets[key].shape]
    if missing or unexpected or shapes:
        raise InputError(
            f"the tensors {folder / name} do not fit the model: missing {missing}, unexpected {unexpected}, "
            f"with another shape {sorted(shapes)}"
        )
    if shared:
        _read_own_parts(folder, name, targets)
        return
    for key, target in targets.items():
        target.copy_(_placed(stored[key], target))


def copy_averaged_weights(folder: Path, model: nn.Module, without: tuple[str, ...] = ()) -> None:
    """Gives `model` the weights that `averaged_weights` reads, in place; raises InputError as `copy_tensors`.

    Those whose names begin with one of `without` stay the model's own.
    """
    copy_tensors(folder, "model", model.state_dict(), without)
    if holds(folder, "ema"):
        copy_tensors(folder, "ema", dict(model.named_parameters()), without)


@torch.no_grad()
def restore_optimizers(folder: Path, model: nn.Module, optimizers: Iterable[Optimizer]) -> None:
    """Restores every parameter's moments; raises InputError for a parameter that is not trained here.

    As with `copy_tensors`, every rank must call it if the parameters are sharded.
    """
    owners = {p: optimizer for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}
    parameters = dict(model.named_parameters())
    shared = is_in_parts(folder, "optimizer") and any(map(is_part, parameters.values()))
    stored: Mapping[str, Any] = _checked_parts(folder, "optimizer") if shared else read_tensors(folder, "optimizer")
    moments: dict[str, Tensor] = {}
    for key, about in stored.items():
        parameter = parameters.get(key.rpartition("/")[0])
        if parameter is None or parameter not in owners:
            lost = key.rpartition("/")[0]
            raise InputError(f"{folder / 'optimizer'} has moments of '{lost}', which is not trained here")
        if not shared:
            moments[key] = _placed(about, parameter) if about.ndim else about.to(parameter.device)
        elif about.shape:
            moments[key] = torch.zeros_like(parameter, dtype=about.dtype)
        else:
            moments[key] = torch.zeros((), dtype=about.dtype, device=parameter.device)
    if shared:
        _read_own_parts(folder, "optimizer", moments)
    for key, tensor in moments.items():
        name, _, moment = key.rpartition("/")
        owners[parameters[name]].state[parameters[name]][moment] = tensor


def _checked_parts(folder: Path, name: str) -> Mapping[str, Any]:
    """Shapes and types by name, once the ranks have checked the files' bytes, each its share of them."""
    share = slice(dist.get_rank(), None, dist.get_world_size())
    together(lambda: check_parts(folder, name, share))
    return together(lambda: stored_tensors(folder / name))[0]


def _read_own_parts(folder: Path, name: str, targets: Mapping[str, Tensor]) -> None:
    read_parts(folder / name, targets)
    local = {key: target.to_local() if is_part(target) else target for key, target in targets.items()}  # type: ignore[attr-defined]
    together(lambda: require_finite_weights(local, str(folder / name), diverged(folder)))


def _placed(tensor: Tensor, like: Tensor) -> Tensor:
    """`tensor` on the device of `like`, and sharded like it."""
    tensor = tensor.to(like.device)
    if not hasattr(like, "full_tensor"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor, like.device_mesh, like.placements)  # type: ignore[attr-defined]
