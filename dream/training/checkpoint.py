"""Checkpoints: weights, averages and optimiser in safetensors, the rest in JSON; written whole or not at all.

A checkpoint is a folder `checkpoints/step-00001234` of a run: `model.safetensors` (weights and buffers),
`ema.safetensors` (averaged parameters), `optimizer.safetensors` (moments as `<parameter>/<name>`),
`tokenizer/` and `state.json`. An exported checkpoint has only the averaged weights, as its `model`. Random
generators need no state: everything drawn is a function of seed and step (`dream.randomness`).
"""

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from dream.config import DreamConfig
from dream.data.text import CaptionTokenizer
from dream.errors import InputError, RunError
from dream.files import DISK_FULL, WRITING, remove_leftovers, replace_folder, sync
from dream.json_text import read_json_object
from dream.plain_text import fault_in
from dream.pointer_files import refuse_pointer
from dream.training.optim import whole
from dream.weights.finite import require_finite_weights

FORMAT = 1
"""Version of the layout; a checkpoint of another version is refused."""
CHECKPOINTS = "checkpoints"
"""Folder of a run's checkpoints."""

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class TrainingState:
    """Contents of a checkpoint besides its tensors."""

    step: int
    """Optimiser steps done."""
    config: DreamConfig
    """The resolved configuration."""
    source: str
    """The source of the pictures."""
    position: Any
    """Position in the data right after the last batch used; None at the start, and if it is not one for all ranks."""
    validation_loss: float | None = None
    """Loss of the averaged weights at this step, if it was measured; the smallest is the best."""


def checkpoints_folder(run: Path) -> Path:
    """The folder of a run's checkpoints."""
    return run / CHECKPOINTS


def checkpoint_folder(run: Path, step: int) -> Path:
    """The folder of the run's checkpoint of a step, whether it exists or not."""
    return checkpoints_folder(run) / f"step-{step:08d}"


def list_checkpoints(run: Path) -> list[Path]:
    """The run's checkpoint folders, oldest first, without unfinished ones."""
    return sorted(path.parent for path in checkpoints_folder(run).glob("step-*/state.json"))


def latest_checkpoint(run: Path) -> Path:
    """The newest checkpoint; raises InputError if there is none."""
    folders = list_checkpoints(run)
    if not folders:
        raise InputError(f"{run} holds no checkpoint yet (looked for {checkpoints_folder(run)}/step-*/state.json)")
    return folders[-1]


def save_checkpoint(
    run: Path,
    state: TrainingState,
    tensors: Mapping[str, Tensors],
    tokenizer: CaptionTokenizer,
    check: Callable[[], object] = lambda: None,
) -> Path:
    """Writes a checkpoint of `run` (see `write_checkpoint`) and returns its folder; older ones stay."""
    folder = checkpoint_folder(run, state.step)
    # a name of its own: a training that lost the folder must not write into what its successor writes
    temporary = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}{WRITING}")
    write_checkpoint(folder, state, tensors, tokenizer, check, temporary)
    return folder


def write_checkpoint(
    folder: Path,
    state: TrainingState,
    tensors: Mapping[str, Tensors],
    tokenizer: CaptionTokenizer,
    check: Callable[[], object] = lambda: None,
    temporary: Path | None = None,
    others: Mapping[str, bytes] | None = None,
) -> None:
    """Writes `tensors` (`model`, `ema`, `optimizer`), `state` and `tokenizer` to the checkpoint `folder`.

    The folder appears whole or not at all, and replaces an older one. `check` may raise right before it appears,
    because writing takes long; until then the files are in `temporary`. `others` are further files by name. Raises
    RunError if the disk is full.
    """
    temporary = temporary or folder.with_name(f".{folder.name}{WRITING}")
    with _cleared_on_failure(temporary):
        temporary.mkdir(parents=True)
        for name, group in tensors.items():
            save_file(dict(group), temporary / f"{name}.safetensors")
        tokenizer.save(temporary / "tokenizer")
        files = {path.name: _fingerprint(path) for path in sorted(temporary.glob("*.safetensors"))}
        tree = {"format": FORMAT, **asdict(state), "files": files}
        (temporary / "state.json").write_text(json.dumps(tree, indent=1))
        for name, content in (others or {}).items():
            (temporary / name).write_bytes(content)
        mode = (temporary / "state.json").stat().st_mode
        for name in files:  # safetensors makes files that only their owner can read, whatever the umask
            (temporary / name).chmod(mode)
        for path in [*temporary.rglob("*"), temporary]:
            sync(path)
        check()
        replace_folder(folder, temporary)  # one may be there: damaged, before a resume from an earlier one
        sync(folder.parent)


def averaged_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors that decoding and evaluation use: averaged parameters and current BatchNorm statistics."""
    return read_tensors(folder, "model") | (read_tensors(folder, "ema") if holds(folder, "ema") else {})


def holds(folder: Path, name: str) -> bool:
    """Whether the checkpoint has `<name>.safetensors`; an exported one has only `model`."""
    return f"{name}.safetensors" in _files(folder)


def prune(run: Path, keep_last: int) -> None:
    """Deletes all checkpoints but the last `keep_last` and the best one by validation loss."""
    best = best_checkpoint(run)
    for path in list_checkpoints(run)[:-keep_last]:
        if path != best:
            shutil.rmtree(path)


def best_checkpoint(run: Path) -> Path | None:
    """The checkpoint with the smallest validation loss, if any was measured; damaged ones are skipped."""
    measured: dict[Path, float] = {}
    for path in list_checkpoints(run):
        with suppress(InputError):
            loss = _read_json(path).get("validation_loss")
            if loss is not None:
                measured[path] = loss
    return min(measured, key=lambda path: measured[path]) if measured else None


def set_aside_after(run: Path, step: int) -> list[Path]:
    """Moves checkpoints later than `step` to `set-aside/`, so that the run continues from an earlier one."""
    moved = []
    for path in list_checkpoints(run):
        if int(path.name.removeprefix("step-")) > step:
            target = run / "set-aside" / path.name
            target.parent.mkdir(exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            path.rename(target)
            moved.append(target)
    return moved


def remove_unfinished(run: Path) -> None:
    """Deletes what a killed process left half written in the run's folder and those of checkpoints and samples."""
    for folder in (run, checkpoints_folder(run), run / "samples", run / "tokenizer"):
        remove_leftovers(folder)


def read_state(folder: Path) -> TrainingState:
    """Reads the checkpoint's `state.json`; raises InputError if it is damaged or of another format."""
    tree = _read_json(folder)
    if tree.get("format") != FORMAT:
        raise InputError(f"{folder} has checkpoint format {tree.get('format')}, this version reads {FORMAT}")
    try:
        return TrainingState(
            step=tree["step"],
            config=DreamConfig.from_dict(tree["config"]),
            source=tree["source"],
            position=tree["position"] if "position" in tree else _common_position(tree["positions"]),
            validation_loss=tree["validation_loss"],
        )
    except KeyError as error:
        raise _damaged(folder / "state.json", f"it lacks {error}") from error
    except (InputError, TypeError) as error:
        raise _damaged(folder / "state.json", str(error)) from error


def read_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """Reads `<name>.safetensors` onto the CPU; raises InputError if its bytes are not those that were written.

    NaN and infinite values are refused too, by the names of their tensors.
    """
    path = folder / f"{name}.safetensors"
    refuse_pointer(path)
    expected = _files(folder).get(path.name)
    if not path.is_file():
        raise _damaged(path, "it is missing")
    if expected is not None and _fingerprint(path) != expected:
        raise _damaged(path, "its bytes are not those that were written")
    try:
        # safetensors takes no path with bytes that are not UTF-8
        tensors = load(path.read_bytes()) if fault_in(str(path)) else load_file(path)
    except SafetensorError as error:
        raise _damaged(path, str(error)) from error
    require_finite_weights(tensors, str(path), f"the training diverged, or the file was damaged; {_earlier(folder)}")
    return tensors


def weights_id(folder: Path, name: str) -> str:
    """Short name of the weights in `<name>.safetensors`: equal weights have equal names."""
    try:
        return str(_files(folder)[f"{name}.safetensors"]["sha256"])[:12]
    except (KeyError, TypeError) as error:
        raise _damaged(folder / "state.json", f"it has no hash of {name}.safetensors") from error


def check_same_model(folder: Path, stored: DreamConfig, wanted: DreamConfig) -> None:
    """Raises InputError, naming every key in which `wanted` describes other weights than `folder` holds."""
    theirs, ours = flatten_tree(stored.model_dict()), flatten_tree(wanted.model_dict())
    keys = [key for key in sorted(theirs | ours) if theirs.get(key) != ours.get(key)]
    if keys:
        named = ", ".join(f"{key} ({theirs.get(key)} there, {ours.get(key)} here)" for key in keys)
        raise InputError(f"{folder} has another configuration: {named}; use its settings, or another --out")


def flatten_tree(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten_tree(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Weights and buffers by name, whole and on the CPU. Under a sharded strategy every rank must call it."""
    return {name: _whole(tensor) for name, tensor in model.state_dict().items()}


def optimizer_tensors(model: nn.Module, optimizers: Iterable[Optimizer]) -> dict[str, Tensor]:
    """Every moment as `<parameter>/<name>`, whole and on the CPU; learning rates are a function of the step."""
    return {
        f"{name}/{key}": _whole(tensor)
        for optimizer in optimizers
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
        for key, tensor in optimizer.state[parameter].items()
    }


def named_tensors(names: Iterable[str], tensors: Iterable[Tensor]) -> dict[str, Tensor]:
    """`tensors` by name, whole and on the CPU."""
    return {name: _whole(tensor) for name, tensor in zip(names, tensors, strict=True)}


@torch.no_grad()
def copy_tensors(folder: Path, name: str, targets: Tensors) -> None:
    """Copies `<name>.safetensors` into `targets`, in place; raises InputError if names or shapes differ."""
    stored = read_tensors(folder, name)
    missing, unexpected = sorted(targets.keys() - stored.keys()), sorted(stored.keys() - targets.keys())
    shapes = [key for key in stored.keys() & targets.keys() if stored[key].shape != targets[key].shape]
    if missing or unexpected or shapes:
        raise InputError(
            f"{folder / name}.safetensors does not fit the model: missing {missing}, unexpected {unexpected}, "
            f"with another shape {sorted(shapes)}"
        )
    for key, target in targets.items():
        target.copy_(_placed(stored[key], target))


def copy_averaged_weights(folder: Path, model: nn.Module) -> None:
    """Gives `model` the weights that `averaged_weights` reads, in place; raises InputError as `copy_tensors`."""
    copy_tensors(folder, "model", model.state_dict())
    if holds(folder, "ema"):
        copy_tensors(folder, "ema", dict(model.named_parameters()))


def restore_optimizers(folder: Path, model: nn.Module, optimizers: Iterable[Optimizer]) -> None:
    """Restores every parameter's moments; raises InputError for a parameter that is not trained here."""
    owners = {p: optimizer for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}
    parameters = dict(model.named_parameters())
    for key, tensor in read_tensors(folder, "optimizer").items():
        name, _, moment = key.rpartition("/")
        parameter = parameters.get(name)
        if parameter is None or parameter not in owners:
            raise InputError(f"{folder / 'optimizer.safetensors'} has moments of '{name}', which is not trained here")
        placed = _placed(tensor, parameter) if tensor.ndim else tensor.to(parameter.device)
        owners[parameter].state[parameter][moment] = placed


def _whole(tensor: Tensor) -> Tensor:
    """Any tensor, gathered if it is sharded, contiguous on the CPU."""
    return whole(tensor).detach().cpu().contiguous()


def _placed(tensor: Tensor, like: Tensor) -> Tensor:
    """`tensor` on the device of `like`, and sharded like it."""
    tensor = tensor.to(like.device)
    if not hasattr(like, "full_tensor"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor, like.device_mesh, like.placements)  # type: ignore[attr-defined]


def _read_json(folder: Path) -> dict[str, Any]:
    path = folder / "state.json"
    refuse_pointer(path)
    try:
        return read_json_object(path)
    except FileNotFoundError as error:
        raise InputError(f"{folder} is not a checkpoint: it has no state.json") from error
    except OSError as error:
        raise _damaged(path, f"it cannot be read ({error.strerror})") from error
    except InputError as error:
        raise InputError(f"{error}; {_earlier(folder)}") from error


def _common_position(positions: list[Any]) -> Any:
    """The position in a checkpoint of a version that had one per rank: that of the only rank, or of equal ones."""
    return positions[0] if positions and all(other == positions[0] for other in positions) else None


def _files(folder: Path) -> dict[str, Any]:
    """Size and hash of the checkpoint's weights files, by name."""
    files = _read_json(folder).get("files", {})
    if not isinstance(files, dict):
        raise _damaged(folder / "state.json", "its list of files is not an object")
    return files


def _damaged(path: Path, why: str) -> InputError:
    """The error for a damaged file of a checkpoint; it names the checkpoint to use instead."""
    return InputError(f"the checkpoint file {path} is damaged ({why}); {_earlier(path.parent)}; nothing was changed")


def _earlier(folder: Path) -> str:
    """What to use instead of a bad checkpoint."""
    if folder.parent.name != CHECKPOINTS:
        return "get the model again, or use another one"
    before = [other.name for other in list_checkpoints(folder.parent.parent) if other.name < folder.name]
    if not before:
        return "the run has no checkpoint before it"
    return f"use {folder.parent / before[-1]} instead (`--resume {before[-1]}` to continue training)"


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


@contextmanager
def _cleared_on_failure(temporary: Path) -> Iterator[None]:
    """Removes `temporary` before the block and if it fails; a full disk raises RunError."""
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        yield
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if is_disk_full(error):
            raise RunError(
                f"the disk is full: no checkpoint could be written to {temporary.parent}; older ones are "
                "untouched; free some space and continue with --resume"
            ) from error
        raise


def is_disk_full(error: BaseException) -> bool:
    """Whether `error` means a full disk or quota; safetensors has the error number in its text only."""
    if isinstance(error, SafetensorError):
        return any(f"os error {number})" in str(error) for number in DISK_FULL)
    return isinstance(error, OSError) and error.errno in DISK_FULL
