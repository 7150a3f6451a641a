"""Weights in several files: `NAME-00001-of-00003.safetensors` and the index that says which tensor is where.

A download that broke off leaves some of them. What is missing is named here, whether there is an index or not.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dream.console import counted, few_of
from dream.errors import InputError
from dream.json_text import read_json_object
from dream.pointer_files import refuse_pointer

INDEX = ".index.json"
"""Ending of an index, as in `model.safetensors.index.json` or `pytorch_model.bin.index.json`."""
_NUMBERED = re.compile(r"^(?P<name>.+?)-(?P<number>\d+)-of-(?P<count>\d+)(?P<ending>\.[A-Za-z]+)$")


@dataclass(frozen=True)
class WeightSet:
    """The files of one set of weights in a folder; a file that stands alone is a set of one."""

    name: str
    """Common name without number and ending: `model`."""
    files: tuple[Path, ...]
    """The files that are there, in order."""
    missing: tuple[str, ...] = ()
    """Names of files that belong to the set and are not there."""
    tensors: tuple[tuple[str, str], ...] = ()
    """(tensor, name of its file) by the index; empty without one."""

    @property
    def lost(self) -> tuple[str, ...]:
        """Tensors that the index puts into missing files."""
        return tuple(tensor for tensor, file in self.tensors if file in self.missing)

    @property
    def problem(self) -> str:
        """What is missing, in a clause; empty if the set is whole."""
        if not self.missing:
            return ""
        lost = f", and with it {counted(len(self.lost), 'tensor')} ({few_of(self.lost)})" if self.lost else ""
        share = f"{len(self.missing)} of {counted(len(self.files) + len(self.missing), 'file')}"
        return f"incomplete: {few_of(self.missing)} missing ({share}){lost}; download it again"

    def lacking(self, held: Iterable[str]) -> str:
        """The tensors that the index puts into files that are there and do not hold them, in a clause."""
        promised = {tensor for tensor, file in self.tensors if file not in self.missing}
        absent = sorted(promised - set(held))
        if not absent:
            return ""
        return f"incomplete: {counted(len(absent), 'tensor')} of the index are in no file ({few_of(absent)})"


def is_index(path: Path) -> bool:
    """Whether the file is the index of a set, by its name."""
    return path.name.endswith(INDEX)


def set_of_index(index: Path) -> WeightSet:
    """The set that an index describes. Raises InputError if the index is damaged or names files elsewhere."""
    refuse_pointer(index)
    try:
        tree = read_json_object(index)
        places = tree["weight_map"].items()
        tensors = tuple((str(tensor), str(file)) for tensor, file in places)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it has no weight_map"
        raise InputError(f"{index.name} is not an index of weights ({reason}); download it again") from error
    names = sorted({file for _, file in tensors})
    outside = [name for name in names if name != Path(name).name or name in ("", ".", "..")]
    if outside:
        raise InputError(f"{index.name} is refused: it names a file outside its folder, '{outside[0]}'")
    if not names:
        raise InputError(f"{index.name} names no tensors")
    here = [name for name in names if (index.parent / name).is_file()]
    name = re.sub(r"\.(safetensors|bin|pt|pth)$", "", index.name.removesuffix(INDEX))
    missing = tuple(each for each in names if each not in here)
    return WeightSet(name, tuple(index.parent / each for each in here), missing, tensors)


def sets_in(folder: Path, endings: Iterable[str]) -> list[WeightSet]:
    """The sets of weights in a folder, of files with one of the `endings`: by index, by number, and single files."""
    endings = tuple(endings)
    entries = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    indexes = [path for path in entries if is_index(path) and path.name.removesuffix(INDEX).endswith(endings)]
    sets = [set_of_index(path) for path in indexes if path.with_name(path.name.removesuffix(INDEX)) not in entries]
    taken = {path for each in sets for path in each.files}
    numbered: dict[tuple[str, int, str], dict[int, Path]] = {}
    for path in entries:
        if path in taken or path.suffix not in endings:
            continue
        match = _NUMBERED.match(path.name)
        if match:
            key = (match["name"], int(match["count"]), match["ending"])
            numbered.setdefault(key, {})[int(match["number"])] = path
        else:
            sets.append(WeightSet(path.stem, (path,)))
    return sets + [_numbered_set(*key, files) for key, files in numbered.items()]


def set_around(path: Path) -> WeightSet | None:
    """The set that a numbered file is one of; None for a file that stands alone."""
    if not _NUMBERED.match(path.name):
        return None
    return next((each for each in sets_in(path.parent, (path.suffix,)) if path in each.files), None)


def _numbered_set(name: str, count: int, ending: str, files: dict[int, Path]) -> WeightSet:
    start = 0 if 0 in files else 1
    wanted = range(start, start + min(count, 10_000))
    digits = re.search(r"-(\d+)-of-(\d+)", next(iter(files.values())).name)
    widths = [len(part) for part in digits.groups()] if digits else [5, 5]
    missing = tuple(
        f"{name}-{number:0{widths[0]}d}-of-{count:0{widths[1]}d}{ending}" for number in wanted if number not in files
    )
    return WeightSet(name, tuple(files[number] for number in sorted(files)), missing)
