"""Tensors of a weights file that the user has: safetensors, torch.save, or a set of shards by folder or index."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dream.errors import InputError
from dream.pointer_files import refuse_pointer
from dream.weights.finite import require_finite_weights
from dream.weights.sharded import WeightSet, is_index, set_around, set_of_index, sets_in
from dream.weights.torch_files import read_tree

ENDINGS = (".safetensors", ".bin", ".pt", ".pth")
"""Endings of weights in a folder."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors by name of a file, or of the whole set that a folder, an index or one of its shards stands for.

    Raises InputError for what is missing, incomplete, unsafe or damaged, for a pointer of git-lfs, and for weights with
    NaN or infinite values.
    """
    if is_index(path):
        found = set_of_index(path)
    elif path.is_dir():
        sets = sets_in(path, ENDINGS)
        if len(sets) != 1:
            raise InputError(f"{path} holds {len(sets)} sets of weights, not one: give the path of a file")
        found = sets[0]
    else:
        found = set_around(path) or WeightSet(path.stem, (path,))
    if found.problem:
        raise InputError(f"the weights in {path} are {found.problem}")
    tensors: dict[str, Tensor] = {}
    for file in found.files:
        tensors |= _read_file(file)
    if lacking := found.lacking(tensors):
        raise InputError(f"the weights in {path} are {lacking}; download them again")
    require_finite_weights(tensors, str(path))
    return tensors


def check_model_folder(folder: Path) -> None:
    """Raises InputError if the folder of a model has pointers of git-lfs for files, or lacks shards of its weights.

    Anything that is no folder (a hub name) is passed over, as are variants (`model.fp16.safetensors`).
    """
    if not folder.is_dir():
        return
    for file in sorted(folder.iterdir()):
        if file.suffix in (".json", ".txt") or (file.suffix == ".safetensors" and "." not in file.stem):
            refuse_pointer(file)
    for each in sets_in(folder, (".safetensors",)):
        if each.problem:
            raise InputError(f"the weights '{each.name}' in {folder} are {each.problem}")


def check_weights_file(path: Path) -> None:
    """Raises InputError for a pointer of git-lfs, and for the index or one of the files of a set of several."""
    refuse_pointer(path)
    found = set_of_index(path) if is_index(path) else set_around(path) if path.is_file() else None
    if found is not None and len(found.files) + len(found.missing) > 1:
        raise InputError(f"{path} is a part of weights in several files: give a single file with all of them")


def _read_file(path: Path) -> dict[str, Tensor]:
    refuse_pointer(path)
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} cannot be read as safetensors ({error}); download it again") from error
    tensors = read_tree(path)
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise InputError(f"{path} does not hold a dictionary of tensors by name, as a file of weights does")
    return tensors
