"""Contents of a checkpoint file or folder, read from its headers: parts, tensors, shapes, types and sizes.

Checkpoints of this workbench (a run, one of its checkpoints, an exported model) and foreign ones (safetensors,
torch.save, folders of these) are represented alike. No values are loaded here; `reader.py` does that.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dream.errors import InputError
from dream.pointer_files import is_pointer_file, refuse_pointer
from dream.pretrained import checkpoint_of
from dream.training import checkpoint, run_log
from dream.weights import torch_files
from dream.weights.sharded import WeightSet, is_index, set_around, set_of_index, sets_in
from dream.weights.stand_ins import Unread
from workbench.checkpoints import pickles
from workbench.checkpoints import safetensors_files as safe
from workbench.checkpoints.rank_files import FileRows, rank_files, spread_tensors

AVERAGED = ("ema", "model_ema", "ema_model", "averaged", "state_dict_ema")
"""Part names of averaged weights."""
RAW = ("model", "weights", "state_dict", "module")
"""Part names of raw weights."""
MOMENTS = ("exp_avg", "exp_avg_sq", "momentum_buffer", "max_exp_avg_sq", "step")
"""Names of the per-parameter state that optimisers keep."""
TORCH = (".pth", ".pt", ".bin", ".ckpt")
"""Endings of files that torch.save wrote."""
FOREIGN = {
    b"GGUF": "a GGUF file, which is not supported",
    b"\x89HDF": "an HDF5 file: save it as safetensors",
    b"\x93NUM": "a NumPy array: save it as safetensors",
    b"\x1f\x8b": "a gzip archive: unpack it first",
}


@dataclass(frozen=True)
class TensorEntry:
    """A tensor as described in the header."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    file: Path
    offset: int = 0
    """Offset of its values in a safetensors file; -1 for torch.save files."""
    place: tuple[str, ...] = ()
    """Its path in the tree of a torch.save file."""
    pieces: tuple[FileRows, ...] = ()
    """Where its rows are, if ranks have written them to several files."""

    @property
    def count(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold its values."""
        return tuple(piece.file for piece in self.pieces) or (self.file,)

    @property
    def readable(self) -> bool:
        """Whether its values can be read; otherwise only shape and size are known."""
        return self.dtype in safe.TYPES_BY_NAME


@dataclass(frozen=True)
class Part:
    """Tensors that belong together: raw weights, averaged weights or an optimiser's moments."""

    name: str
    entries: tuple[TensorEntry, ...]

    @property
    def count(self) -> int:
        """Number of values."""
        return sum(entry.count for entry in self.entries)

    @property
    def bytes(self) -> int:
        """Size of its values in bytes."""
        return sum(entry.bytes for entry in self.entries)

    @property
    def stamp(self) -> str:
        """Identifies the contents; changes when any of its files changes."""
        return f"{self.name}|" + "|".join(_stamp(path) for path in sorted({f for e in self.entries for f in e.files}))

    @property
    def is_optimizer(self) -> bool:
        """Whether it holds an optimiser's moments."""
        return any(re.split(r"[./]", entry.name)[-1] in MOMENTS[:3] for entry in self.entries)

    def entry(self, name: str) -> TensorEntry | None:
        """The tensor with this name, or None."""
        return next((entry for entry in self.entries if entry.name == name), None)


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint file or folder."""

    path: Path
    kind: str
    """Its type, in words."""
    parts: tuple[Part, ...]
    facts: dict[str, str] = field(default_factory=dict)
    """Values stored in addition to the tensors."""
    grid: int | None = None
    """Grid side of the image tokens, if the checkpoint records it."""
    paintable: bool = False
    """Whether `load_pretrained` can open it."""
    raw: bool = True
    """False for an exported model, whose part `model` holds averaged weights."""
    problems: tuple[str, ...] = ()
    """What is missing from it, each as a clause; shown before anything else."""

    def part(self, name: str) -> Part:
        """The part with this name; raises InputError if there is none."""
        for part in self.parts:
            if part.name == name:
                return part
        raise InputError(f"{self.path.name} has no part '{name}', only {', '.join(p.name for p in self.parts)}")

    @property
    def weights(self) -> Part:
        """The model's weights: the raw part if there is one, else the averaged one, else the largest."""
        for wanted in (*RAW, *AVERAGED):
            for part in self.parts:
                if part.name == wanted:
                    return part
        others = [part for part in self.parts if not part.is_optimizer] or list(self.parts)
        return max(others, key=lambda part: part.bytes)

    @property
    def averaged(self) -> Part | None:
        """The averaged weights if it has both raw and averaged ones, otherwise None."""
        weights = self.weights
        return next((part for part in self.parts if part.name in AVERAGED and part != weights), None)

    @property
    def optimizer(self) -> Part | None:
        """The optimiser state, or None."""
        return next((part for part in self.parts if part.is_optimizer), None)


def open_checkpoint(path: Path) -> Checkpoint:
    """Opens the checkpoint at `path`: a file, a checkpoint folder, a run or a folder of weights.

    Reads headers only. Raises InputError if it is missing, damaged, unsafe or not a checkpoint.
    """
    try:
        return _open(path)
    except PermissionError as error:
        raise InputError(f"{path} cannot be read: permission denied; check its permissions") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})") from error


def path_stamp(path: Path) -> str:
    """Cheap identifier of the contents at `path`, for caches; changes when a file changes."""
    if path.is_file():
        return _stamp(path)
    if not path.is_dir():
        return f"{path}:missing"
    inside = [*path.iterdir(), *path.glob("checkpoints/*/state.json")]
    return f"{path}|" + "|".join(_stamp(file) for file in sorted(inside) if file.is_file())


def _open(path: Path) -> Checkpoint:
    if not path.exists():
        raise InputError(f"there is no {path}; expected a checkpoint file, a checkpoint folder or a run")
    if path.is_dir():
        if (path / "state.json").is_file() or run_log.holds_run(path):
            return _open_ours(checkpoint_of(path))
        return _open_folder(path)
    if not path.is_file():
        raise InputError(f"{path.name} is neither a file nor a folder")
    if is_index(path):
        return _open_sets(path, [set_of_index(path)], "safetensors" if ".safetensors" in path.name else "torch")
    parts, facts, kind = _open_file(path)
    others = set_around(path)
    if others is not None and len(others.files) + len(others.missing) > 1:
        kind += f", one of {len(others.files) + len(others.missing)} of a set: open its folder to see all of them"
    return _checked(Checkpoint(path, kind, parts, facts))


def _open_ours(folder: Path) -> Checkpoint:
    state = checkpoint.read_state(folder)
    files = sorted(folder.glob("*.safetensors"), key=lambda file: _rank(file.stem))
    for file in files:
        refuse_pointer(file)
    spread = sorted((each for each in folder.iterdir() if rank_files(each)), key=lambda each: _rank(each.name))
    parts = tuple(Part(file.stem, _entries(file)[0]) for file in files)
    parts += tuple(Part(each.name, _spread_entries(each)) for each in spread)
    loss = state.validation_loss
    facts = {
        "step": f"{state.step:,}",
        "data": state.source,
        "optimiser": state.config.train.optimizer,
        "validation loss": "not measured" if loss is None else f"{loss:.4f}",
    }
    if spread:
        facts["written by"] = f"{max(len(rank_files(each)) for each in spread)} ranks, a file each"
    raw = checkpoint.holds(folder, "ema")
    kind = "checkpoint of a run" if raw else "exported model"
    return _checked(Checkpoint(folder, kind, parts, facts, state.config.image.grid, paintable=True, raw=raw))


def _open_folder(folder: Path) -> Checkpoint:
    safetensors = sets_in(folder, (".safetensors",))
    if safetensors:
        return _open_sets(folder, safetensors, "safetensors")
    sets = sets_in(folder, TORCH)
    if len(sets) > 1:
        names = ", ".join(file.name for each in sets[:5] for file in each.files[:1])
        raise InputError(f"{folder.name} holds several torch files ({names}): give the path of one of them")
    if not sets:
        raise InputError(
            f"{folder} holds no checkpoint: expected state.json, a run's config.json, or a .safetensors, .pth, .pt or "
            ".bin file"
        )
    if len(sets[0].files) == 1 and not sets[0].problem:
        return _open(sets[0].files[0])
    return _open_sets(folder, sets, "torch")


def _open_sets(path: Path, sets: list[WeightSet], kind: str) -> Checkpoint:
    """The files of one or several sets of weights, each set as a part; names what is missing from them."""
    parts: dict[str, list[TensorEntry]] = {}
    problems: list[str] = []
    for each in sets:
        pointers = [file for file in each.files if is_pointer_file(file)]
        problems += [f"{file.name} is a git-lfs pointer, not the file itself: run `git lfs pull`" for file in pointers]
        real = [file for file in each.files if file not in pointers]
        opened = [entry for file in real for part in _open_file(file)[0] for entry in part.entries]
        if pointers and not opened:
            continue
        parts.setdefault(each.name, []).extend(sorted(opened, key=lambda entry: safe.natural(entry.name)))
        problems += [clause for clause in (each.problem, each.lacking(e.name for e in opened)) if clause]
    count = sum(len(each.files) for each in sets)
    if not parts or not count:
        raise InputError(f"{path.name} cannot be opened: {'; '.join(problems)}")
    whole = f"folder of {count} {kind} file(s)"
    ordered = sorted(parts.items(), key=lambda pair: _rank(pair[0]))
    made = tuple(Part(name, tuple(entries)) for name, entries in ordered)
    return _checked(Checkpoint(path, "; ".join([whole, *problems]), made, problems=tuple(problems)))


def _open_file(path: Path) -> tuple[tuple[Part, ...], dict[str, str], str]:
    refuse_pointer(path)
    with path.open("rb") as file:
        start = file.read(9)
    if not start:
        raise InputError(f"{path.name} is empty")
    if start.startswith(torch_files.MAGIC):
        return *_pickle_parts(path), "torch file"
    if safe.looks_like(path):
        entries, notes = _entries(path)
        return (Part("weights", entries),), notes, "safetensors file"
    if start.startswith(torch_files.LEGACY):
        raise InputError(
            f"{path.name} is a pickle or was written by torch before 1.6, so it cannot be read in pieces: "
            "load it in torch with weights_only=True and save its tensors again"
        )
    kind = next((text for magic, text in FOREIGN.items() if start.startswith(magic)), None)
    if kind is None and path.suffix == ".safetensors":
        kind = "damaged or not a safetensors file: its header is not readable"
    raise InputError(f"{path.name} is {kind or 'not a checkpoint: neither safetensors nor written by torch.save'}")


def _entries(path: Path) -> tuple[tuple[TensorEntry, ...], dict[str, str]]:
    tensors, notes = safe.read_header(path)
    for one, other in safe.overlapping(tensors):
        raise InputError(f"{path.name} is damaged: '{one}' and '{other}' claim the same bytes")
    return tuple(TensorEntry(t.name, t.shape, t.dtype, t.bytes, path, t.offset) for t in tensors), notes


def _spread_entries(folder: Path) -> tuple[TensorEntry, ...]:
    return tuple(
        TensorEntry(about.name, about.shape, about.dtype, about.bytes, folder, pieces=pieces)
        for about, pieces in spread_tensors(folder)
    )


def _pickle_parts(path: Path) -> tuple[tuple[Part, ...], dict[str, str]]:
    tree = torch_files.read_tree(path)
    tensors, facts = pickles.tensors_by_path(tree)
    groups: dict[str, list[TensorEntry]] = {}
    for place, tensor in tensors.items():
        group, name = (place[0], place[1:]) if len(place) > 1 else ("weights", place)
        if _is_map_of_weights(tree):
            group, name = "weights", place
        groups.setdefault(group, []).append(_pickled(path, place, ".".join(name), tensor))
    order = sorted(groups.items(), key=lambda pair: _rank(pair[0]))
    return tuple(Part(name, tuple(entries)) for name, entries in order), facts


def _is_map_of_weights(tree: Any) -> bool:
    if isinstance(tree, Unread):  # a whole module, pickled
        return True
    return isinstance(tree, dict) and any(isinstance(v, Tensor) and "." in str(k) for k, v in tree.items())


def _pickled(path: Path, place: tuple[str, ...], name: str, tensor: Tensor) -> TensorEntry:
    dtype, size = str(tensor.dtype).removeprefix("torch."), tensor.numel() * tensor.element_size()
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        return TensorEntry(name, tuple(tensor.shape), f"{dtype}, not plain", 0, path, -1, place)
    if size > tensor.untyped_storage().nbytes():
        raise InputError(f"{path.name} is damaged: '{name}' claims {size:,} bytes and the file holds fewer")
    return TensorEntry(name, tuple(tensor.shape), dtype, size, path, -1, place)


def _checked(opened: Checkpoint) -> Checkpoint:
    if not any(part.entries for part in opened.parts):
        raise InputError(f"{opened.path.name} holds no tensors")
    return opened


def _rank(name: str) -> tuple[int, str]:
    """Sort key: raw weights, averaged weights, other parts, the optimiser."""
    order: Iterable[str] = (*RAW, *AVERAGED)
    places = {word: i for i, word in enumerate(order)}
    return (places.get(name, len(places) + (name.startswith("optim"))), name)


def _stamp(path: Path) -> str:
    about = path.stat()
    return f"{path}:{about.st_mtime_ns}:{about.st_size}"
