"""Safe reader of torch.save files: tensors memory-mapped from disk, and plain values. No code in a file is run.

Files are opened by `torch.load(weights_only=True, mmap=True)` after a check of the archive. The only class allowed is
`argparse.Namespace`, which runs no code: the authors' checkpoints keep their settings in one.
"""

import argparse
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dream.errors import InputError

MAGIC = b"PK\x03\x04"
"""First bytes of torch.save files since torch 1.6, which are uncompressed zip archives."""
LEGACY = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""First bytes of pickles, including files of older torch versions."""
MAX_PICKLE = 64_000_000
"""Largest pickle in bytes; tensor data is stored separately from it."""
MAX_VALUES = 200_000
"""A file that describes more values is refused: it is built to exhaust the reader."""
MAX_DEPTH = 32
MAX_FACTS = 400
LOAD_ERRORS = (
    RuntimeError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
    AssertionError,
    MemoryError,
    OverflowError,
    RecursionError,
    OSError,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
)
"""Errors that torch raises for damaged or mislabelled files."""


def read_tree(path: Path) -> Any:
    """Loads the file's tree with memory-mapped tensors; raises InputError if it is unsafe or damaged."""
    if path.suffix == ".safetensors":  # torch decides by the extension here
        raise InputError(f"{path.name} is a torch.save file with the wrong extension: rename it to .pth")
    _check_archive(path)
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except LOAD_ERRORS as error:
        raise InputError(_refusal(path, error)) from error


def tensors_by_path(tree: Any) -> tuple[dict[tuple[str, ...], Tensor], dict[str, str]]:
    """Tensors by their path in nested dicts and lists, and the other values as text.

    Raises InputError for a tree that is nested too deeply or far too large.
    """
    tensors: dict[tuple[str, ...], Tensor] = {}
    facts: dict[str, str] = {}
    for number, (place, value) in enumerate(_leaves(tree, (), 0)):
        if number > MAX_VALUES:
            raise InputError(f"the file describes more than {MAX_VALUES:,} values: it is not a checkpoint")
        if isinstance(value, Tensor):
            tensors[place or ("tensor",)] = value
        elif len(facts) < MAX_FACTS and isinstance(value, (str, int, float, bool)):
            facts[".".join(place)] = str(value)[:120]
    return tensors, facts


def piece(tensor: Tensor, start: int, stop: int, most: int) -> Tensor:
    """Values `start` to `stop` of a tensor in row-major order, flat; copies at most about `most` values at once."""
    if tensor.is_contiguous():
        return tensor.reshape(-1)[start:stop]
    row = tensor.numel() // tensor.shape[0]
    first, last = start // row, -(-stop // row)
    if row <= most:
        return tensor[first:last].reshape(-1)[start - first * row : stop - first * row]
    rows = [piece(tensor[i], max(start - i * row, 0), min(stop - i * row, row), most) for i in range(first, last)]
    return torch.cat(rows)


def _leaves(value: Any, place: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    if depth > MAX_DEPTH:
        raise InputError("the file nests its values too deeply: it is not a checkpoint")
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*place, str(key)), depth + 1)
        yield place, None  # so that empty containers count towards the limit
    elif isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        for key, inner in enumerate(value):
            yield from _leaves(inner, (*place, str(key)), depth + 1)
        yield place, None
    else:
        yield place, value


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path.name} is damaged: it was truncated or changed; download or save it again") from error
    pickles = [record for record in records if record.filename.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise InputError(f"{path.name} is a zip archive but not a torch.save file: it has no data.pkl")
    if any(record.filename.endswith("/constants.pkl") for record in records):
        raise InputError(f"{path.name} is a TorchScript program, not weights: save its state_dict() instead")
    if any(record.compress_type != zipfile.ZIP_STORED for record in records):
        raise InputError(
            f"{path.name} is refused: it is a compressed archive, which torch.save never writes and which could fill "
            "the memory when unpacked"
        )
    if pickles[0].file_size > MAX_PICKLE:
        raise InputError(f"{path.name} is refused: it describes far more values than a checkpoint has")


def _refusal(path: Path, error: BaseException) -> str:
    text = str(error)
    if isinstance(error, pickle.UnpicklingError):
        named = re.search(r"GLOBAL ([\w.]+)", text)
        code = named.group(1) if named else "more than tensors and plain values"
        return (
            f"{path.name} is refused: opening it would run code ({code}); save only its tensors, with "
            "torch.save(model.state_dict(), ...) or as safetensors"
        )
    why = text.splitlines()[0][:160] if text else type(error).__name__
    return f"{path.name} is damaged: torch cannot read it ({why})"
