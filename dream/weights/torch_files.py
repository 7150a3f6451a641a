"""Safe reader of torch.save files: tensors and plain values. No code that a file names is run.

Files are opened by `torch.load(weights_only=True)`; what they name besides tensors becomes `stand_ins`. A zip archive
is checked first, and its tensors stay on the disk until they are used.
"""

import pickle
import re
import threading
import zipfile
from pathlib import Path
from typing import Any

import torch

from dream.errors import InputError
from dream.weights.stand_ins import CodeInFile, inert_globals, stand_in

MAGIC = b"PK\x03\x04"
"""First bytes of torch.save files since torch 1.6, which are uncompressed zip archives."""
LEGACY = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""First bytes of pickles, including files of older torch versions."""
MAX_PICKLE = 64_000_000
"""Largest pickle in bytes; tensor data is stored separately from it."""
MOST_UNKNOWN = 500
"""A file that names more classes is refused."""
READABLE_PROTOCOL = 3
"""Newest pickle protocol that torch's safe reader knows; torch.save writes 2 unless told otherwise."""
_LOCK = threading.Lock()
"""One load at a time: torch keeps its list of allowed names for the whole process."""


def read_tree(path: Path) -> Any:
    """The file's tree, with tensors memory-mapped where its format allows; raises InputError if unsafe or damaged.

    NumPy arrays are `ArrayInFile`, objects of unknown classes `Unread`; paths, dates and the like are plain values.
    """
    if path.suffix == ".safetensors":  # torch decides by the extension here
        raise InputError(f"{path.name} is a torch.save file with the wrong extension: rename it to .pth")
    with path.open("rb") as file:
        archive = file.read(len(MAGIC)) == MAGIC
    unknown = _check_archive(path) if archive else []
    try:
        return _load(path, unknown, mapped=archive)
    except Exception as error:  # torch raises exceptions of many types for damaged files
        raise InputError(_refusal(path, error)) from error


def _load(path: Path, unknown: list[str], *, mapped: bool) -> Any:
    """Loads with a stand-in per unknown name; those that the file fills with items are tried again as dict or list."""
    fills: dict[str, Any] = {}
    for _ in range(2 * len(unknown) + 1):
        stands = [(stand_in(name, fills.get(name, "")), name) for name in unknown]
        try:
            with _LOCK, torch.serialization.safe_globals([*inert_globals(), *stands]):
                return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        except pickle.UnpicklingError as error:
            filled = re.search(r"Can only (SETITEM|append|extend).* got <class '([^']+)'>", str(error))
            if filled is None or filled[2] not in unknown or filled[2] in fills:
                raise
            fills[filled[2]] = "dict" if filled[1] == "SETITEM" else "list"
    raise pickle.UnpicklingError("its classes cannot be told apart")


def _check_archive(path: Path) -> list[str]:
    """The names in a torch.save archive that torch does not know. Raises InputError for any other archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
            pickles = [record for record in records if record.filename.endswith("/data.pkl")]
            _check_records(path, records, pickles)
            start = archive.open(pickles[0]).read(2)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is damaged: it was truncated or changed; download or save it again") from error
    if len(start) == 2 and start[0] == 0x80 and start[1] > READABLE_PROTOCOL:
        raise InputError(
            f"{path.name} was saved with pickle protocol {start[1]}, which torch's safe reader does not know: "
            "save it again with torch.save's own protocol (2), or as safetensors"
        )
    known = {name for _, name in inert_globals()}
    try:
        named = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    except Exception as error:  # as for torch.load
        raise InputError(_refusal(path, error)) from error
    if len(named) > MOST_UNKNOWN:
        raise InputError(f"{path.name} is refused: it names {len(named):,} classes, far more than a checkpoint has")
    return sorted(set(named) - known)


def _check_records(path: Path, records: list[zipfile.ZipInfo], pickles: list[zipfile.ZipInfo]) -> None:
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
    text = " ".join(str(error).split())
    code = str(error) if isinstance(error, CodeInFile) else ""
    if isinstance(error, pickle.UnpicklingError) and (named := re.search(r"GLOBAL ([\w.]+)", text)):
        code = named[1]  # in a module that torch blocks, or in a file older than torch 1.6
    if "call reduce for unrecognized function" in text:
        code = "a function that it looks up by name"
    if code:
        return (
            f"{path.name} is refused: opening it would run code ({code}); save only its tensors, with "
            "torch.save(model.state_dict(), ...) or as safetensors"
        )
    if "Unsupported operand" in text:
        return (
            f"{path.name} cannot be read safely: it is damaged, or was saved with another pickle protocol than "
            "torch.save's own (2); save or download it again"
        )
    return f"{path.name} is damaged: torch cannot read it ({text[:160] or type(error).__name__})"
