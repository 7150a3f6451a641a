"""Files of torch.save without running what is in them: tensors mapped from the disk, and plain values.

Only `torch.load(weights_only=True, mmap=True)` opens them, after the archive was looked at. Of classes only
`argparse.Namespace` is let in: the authors' checkpoints keep their settings in one, and it runs nothing.
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
"""How files of torch.save begin since torch 1.6: they are zip archives of stored, not packed, records."""
LEGACY = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""How pickles begin, and with them files of older torch."""
MAX_PICKLE = 64_000_000
"""Largest description of what a file holds, in bytes; the tensors are apart from it."""
MAX_VALUES = 200_000
"""A file that describes more than so many values is refused: it is made to exhaust the reader."""
MAX_DEPTH = 32
MAX_FACTS = 400
ANYTHING = (
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
"""What torch raises for a file that is not what it says."""


def read_tree(path: Path) -> Any:
    """What the file holds, its tensors mapped from the disk; InputError where it is refused or damaged."""
    if path.suffix == ".safetensors":  # torch goes by the ending here
        raise InputError(f"{path.name} is a file of torch.save under a wrong name: rename it to end in .pth")
    _check_archive(path)
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except ANYTHING as error:
        raise InputError(_refusal(path, error)) from error


def tensors_by_path(tree: Any) -> tuple[dict[tuple[str, ...], Tensor], dict[str, str]]:
    """Tensors by their path in nested dicts and lists, and the plain values beside them as text.

    InputError for a tree that is endless or far too large.
    """
    tensors: dict[tuple[str, ...], Tensor] = {}
    facts: dict[str, str] = {}
    for number, (place, value) in enumerate(_leaves(tree, (), 0)):
        if number > MAX_VALUES:
            raise InputError(f"the file describes more than {MAX_VALUES:,} values: it is no checkpoint")
        if isinstance(value, Tensor):
            tensors[place or ("tensor",)] = value
        elif len(facts) < MAX_FACTS and isinstance(value, (str, int, float, bool)):
            facts[".".join(place)] = str(value)[:120]
    return tensors, facts


def piece(tensor: Tensor, start: int, stop: int, most: int) -> Tensor:
    """Values `start` to `stop` of a tensor in row-major order, flat, with copies of at most about `most`."""
    if tensor.is_contiguous():
        return tensor.reshape(-1)[start:stop]
    row = tensor.numel() // tensor.shape[0]
    first, last = start // row, -(-stop // row)
    if row <= most:
        return tensor[first:last].reshape(-1)[start - first * row : stop - first * row]
    parts = [piece(tensor[i], max(start - i * row, 0), min(stop - i * row, row), most) for i in range(first, last)]
    return torch.cat(parts)


def _leaves(value: Any, place: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    if depth > MAX_DEPTH:
        raise InputError("the file nests its values without end: it is no checkpoint")
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*place, str(key)), depth + 1)
        yield place, None  # counts: empty ones must not cost nothing
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
        raise InputError(f"{path.name} is damaged: it was cut off or changed; fetch or write it again") from error
    pickles = [record for record in records if record.filename.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise InputError(f"{path.name} is a zip archive, but not of torch.save: it has no data.pkl")
    if any(record.filename.endswith("/constants.pkl") for record in records):
        raise InputError(f"{path.name} is a TorchScript program, not weights: save its state_dict() instead")
    if any(record.compress_type != zipfile.ZIP_STORED for record in records):
        raise InputError(
            f"{path.name} is a packed archive, which torch.save never writes: it is refused, "
            "since unpacking it could fill the memory"
        )
    if pickles[0].file_size > MAX_PICKLE:
        raise InputError(f"{path.name} describes far more values than a checkpoint has: it is refused")


def _refusal(path: Path, error: BaseException) -> str:
    text = str(error)
    if isinstance(error, pickle.UnpicklingError):
        named = re.search(r"GLOBAL ([\w.]+)", text)
        what = named.group(1) if named else "more than tensors and plain values"
        return (
            f"{path.name} is refused: opening it would run code ({what}); save its tensors alone, with "
            "torch.save(model.state_dict(), ...) or as safetensors"
        )
    why = text.splitlines()[0][:160] if text else type(error).__name__
    return f"{path.name} is damaged: torch cannot read it ({why})"
