"""Checkpoints: weights, averages and optimiser in safetensors, the rest in JSON; written whole or not at all.

A checkpoint is a folder `checkpoints/step-00001234` of a run: `model.safetensors` (weights and buffers),
`ema.safetensors` (averaged parameters), `optimizer.safetensors` (moments as `<parameter>/<name>`),
`tokenizer/` and `state.json`. That of a training whose parameters are sharded has folders `model/`, `ema/` and
`optimizer/` with one file per rank instead (`live_tensors.py` writes them). An exported checkpoint has only the
averaged weights, as its `model`. Random generators need no state: everything drawn is a function of seed and step
(`dream.randomness`).
"""

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, load_file, save_file
from torch import Tensor

from dream.config import DreamConfig
from dream.data.text import CaptionTokenizer
from dream.errors import InputError
from dream.fields import checked_value
from dream.files import WRITING, remove_leftovers, replace_folder, sync
from dream.json_text import read_json_object
from dream.plain_text import fault_in
from dream.pointer_files import refuse_pointer
from dream.weights.distributed import read_whole
from dream.weights.finite import require_finite_weights
from dream.weights.size import require_room
from dream.weights.writing import cleared_on_failure

FORMAT, FORMAT_OF_RANKS = 1, 2
"""Version of the layout, and that with a file per rank; a checkpoint of another version is refused."""
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
    shutil.rmtree(temporary, ignore_errors=True)
    # a file is hashed while the next one is written and the disk takes them in: hashing costs the training no time
    with cleared_on_failure(temporary), ThreadPoolExecutor(1) as hashing:
        temporary.mkdir(parents=True)
        for name, content in (others or {}).items():
            (temporary / name).write_bytes(content)
        hashed = {path: hashing.submit(fingerprint_of, path) for path in temporary.glob("*.safetensors")}
        for name, group in tensors.items():
            path = temporary / f"{name}.safetensors"
            save_file(dict(group), path)
            hashed[path] = hashing.submit(fingerprint_of, path)
        for path in hashed:
            sync(path)
        files = {path.name: hashed[path].result() for path in sorted(hashed)}
        complete_checkpoint(folder, state, files, tokenizer, check, temporary)


def complete_checkpoint(
    folder: Path,
    state: TrainingState,
    files: Mapping[str, Mapping[str, Any]],
    tokenizer: CaptionTokenizer,
    check: Callable[[], object],
    temporary: Path,
) -> None:
    """Adds `state` and `tokenizer` to the weights in `temporary`, whose `fingerprint_of` each is in `files`.

    Then it becomes the checkpoint `folder`, as `write_checkpoint` says.
    """
    tokenizer.save(temporary / "tokenizer")
    version = FORMAT_OF_RANKS if any("/" in name for name in files) else FORMAT
    tree = {"format": version, **asdict(state), "files": files}
    (temporary / "state.json").write_text(json.dumps(tree, indent=1))
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
    """Whether the checkpoint has tensors of this name; an exported one has only `model`."""
    files = _files(folder)
    return f"{name}.safetensors" in files or bool(_of_ranks(files, name))


def is_in_parts(folder: Path, name: str) -> bool:
    """Whether ranks have written the tensors of this name to a file each, in the folder `name`."""
    return bool(_of_ranks(_files(folder), name))


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
            loss = checked_value("validation_loss", _read_json(path).get("validation_loss"), float | None)
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
    if tree.get("format") not in (FORMAT, FORMAT_OF_RANKS):
        raise InputError(
            f"{folder} has checkpoint format {tree.get('format')}, this version reads {FORMAT} and {FORMAT_OF_RANKS}"
        )
    try:
        return TrainingState(
            step=checked_value("step", tree["step"], int),
            config=DreamConfig.from_dict(tree["config"]),
            source=checked_value("source", tree["source"], str),
            position=tree["position"] if "position" in tree else _common_position(tree["positions"]),
            validation_loss=checked_value("validation_loss", tree["validation_loss"], float | None),
        )
    except KeyError as error:
        raise _damaged(folder / "state.json", f"it lacks {error}") from error
    except (InputError, TypeError) as error:
        raise _damaged(folder / "state.json", str(error)) from error


def check_room(folder: Path, config: DreamConfig) -> None:
    """Raises InputError for a checkpoint whose files are too small for the model of its `config`."""
    try:
        require_room(folder, config)
    except InputError as error:
        raise _damaged(folder / "state.json", str(error)) from error


def read_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """Reads all tensors of `name` onto the CPU; raises InputError if their bytes are not those that were written.

    NaN and infinite values are refused too, by the names of their tensors.
    """
    path = folder / f"{name}.safetensors"
    if is_in_parts(folder, name):
        path = folder / name
        check_parts(folder, name)
        tensors = read_whole(path)
    else:
        check_file(path, _files(folder).get(path.name))
        try:
            # safetensors takes no path with bytes that are not UTF-8
            tensors = load(path.read_bytes()) if fault_in(str(path)) else load_file(path)
        except SafetensorError as error:
            raise _damaged(path, str(error)) from error
    require_finite_weights(tensors, str(path), diverged(folder))
    return tensors


def check_parts(folder: Path, name: str, share: slice = slice(None)) -> None:
    """Raises InputError if a file that a rank has written is missing, damaged or was added; reads those of `share`."""
    files = _of_ranks(_files(folder), name)
    if extra := sorted({path.name for path in (folder / name).glob("*.safetensors")} - files.keys()):
        raise _damaged(folder / name, f"it has a file that no rank has written: {extra[0]}")
    for file in sorted(files)[share]:
        check_file(folder / name / file, files[file])


def check_file(path: Path, expected: Mapping[str, Any] | None) -> None:
    """Raises InputError if a weights file of a checkpoint is missing, or not that of the fingerprint."""
    refuse_pointer(path)
    if not path.is_file():
        raise _damaged(path, "it is missing")
    if expected is not None and fingerprint_of(path) != expected:
        raise _damaged(path, "its bytes are not those that were written")


def diverged(folder: Path) -> str:
    """What to do about weights of the checkpoint that are not finite."""
    return f"the training diverged, or the file was damaged; {_earlier(folder)}"


def weights_id(folder: Path, name: str) -> str:
    """Short name of the weights `name`: equal weights have equal names, if as many ranks wrote them."""
    files = _files(folder)
    try:
        if parts := _of_ranks(files, name):
            hashes = "".join(str(parts[file]["sha256"]) for file in sorted(parts))
            return hashlib.sha256(hashes.encode()).hexdigest()[:12]
        return str(files[f"{name}.safetensors"]["sha256"])[:12]
    except (KeyError, TypeError) as error:
        raise _damaged(folder / "state.json", f"it has no hash of {name}.safetensors") from error


def check_same_model(
    folder: Path, stored: DreamConfig, wanted: DreamConfig, but: Collection[str] = frozenset()
) -> None:
    """Raises InputError, naming every key in which `wanted` describes other weights than `folder` holds.

    Keys of `but` may differ.
    """
    theirs, ours = flatten_tree(stored.model_dict()), flatten_tree(wanted.model_dict())
    keys = [key for key in sorted(theirs | ours) if theirs.get(key) != ours.get(key) and key not in but]
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


def _of_ranks(files: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Those of the `files` that ranks have written to the folder `name`, by their names in it."""
    return {path.removeprefix(f"{name}/"): about for path, about in files.items() if path.startswith(f"{name}/")}


def _damaged(path: Path, why: str) -> InputError:
    """The error for a damaged file of a checkpoint; it names the checkpoint to use instead."""
    folder = next((each for each in (path, *path.parents) if (each / "state.json").exists()), path.parent)
    return InputError(f"the checkpoint file {path} is damaged ({why}); {_earlier(folder)}; nothing was changed")


def _earlier(folder: Path) -> str:
    """What to use instead of a bad checkpoint."""
    if folder.parent.name != CHECKPOINTS:
        return "get the model again, or use another one"
    before = [other.name for other in list_checkpoints(folder.parent.parent) if other.name < folder.name]
    if not before:
        return "the run has no checkpoint before it"
    return f"use {folder.parent / before[-1]} instead (`--resume {before[-1]}` to continue training)"


def fingerprint_of(path: Path) -> dict[str, Any]:
    """Size and hash of a file."""
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
