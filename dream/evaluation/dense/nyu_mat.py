"""NYUv2's labelled set as one MATLAB 7.3 file (nyu_depth_v2_labeled.mat, under any name), read by h5py."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dream.data.content import check_inside
from dream.data.matlab import MAT, is_hdf5, is_matlab
from dream.errors import InputError
from dream.evaluation.classes.pictures import in_test_share
from dream.evaluation.dense.crop import Map, cut
from dream.evaluation.dense.data import DensePictures, Example
from dream.evaluation.dense.depth_protocol import Counted
from dream.evaluation.dense.nyu_splits import find_splits, official_rows
from dream.plain_text import printable
from dream.pointer_files import pointer_fault
from dream.randomness import seed_of

Depths = Literal["auto", "raw", "inpainted"]
FIELDS = {"inpainted": "depths", "raw": "rawDepths"}
"""Field of the file for each kind of depths."""
EXPECTED = "images (N, 3, W, H) of 8 bits, and depths (N, W, H)"
LISTED = 8
"""Names of fields listed in an error message."""


@dataclass(frozen=True)
class NyuMat:
    """The opened file, whose pictures and depths are read one by one."""

    path: Path
    images: Any
    """(N, 3, W, H) uint8 on disk: MATLAB's order."""
    depths: Any
    """(N, W, H) metres on disk."""
    values: str
    """`raw`: the sensor's, with holes; `inpainted`: the holes filled in."""
    splits: Path | None
    """File of the official split, if there is one next to the set."""

    @property
    def conditions(self) -> dict[str, object]:
        """What a measure names: the kind of depths, and the split."""
        return {"depths": self.values, "split": "official" if self.splits else f"a fifth, no splits{MAT}"}

    def pictures(self, split: str, size: int, limit: int, seed: int, counted: Counted) -> DensePictures:
        """Pictures and depths of `train` or `test` at `size`, at most `limit` (0: all); `counted` clears depths.

        Raises InputError for a splits file that cannot be used.
        """
        rows = self._rows(split)
        if limit and limit < len(rows):
            draws = np.random.default_rng(seed_of(seed, "dense choice"))
            rows = np.sort(draws.permutation(rows)[:limit])

        def read(i: int) -> Example:
            row = int(rows[i])
            picture = Image.fromarray(np.ascontiguousarray(self.images[row].transpose(2, 1, 0)))
            depths: Map = self.depths[row].T.astype(np.float32)
            return cut(picture, counted(depths), size)

        return DensePictures([str(row + 1) for row in rows], read, size * size * 7, self.path.name)

    def _rows(self, split: str) -> NDArray[np.int64]:
        count = len(self.depths)
        if self.splits:
            return official_rows(self.splits, split, count)
        return np.array([i for i in range(count) if in_test_share(str(i + 1)) == (split == "test")], int)


def find_mat(path: Path) -> Path | None:
    """The set's file: `path` itself, or the only such file in a folder; `None` for a folder of pairs, or without one.

    Raises InputError for a folder with several, by name.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        return None
    splits = find_splits(path)
    there = sorted(file for file in path.iterdir() if not file.name.startswith(".") and is_matlab(file))
    there = [file for file in there if file != splits]
    labelled = [file for file in there if not _fault(file)] if len(there) > 1 or (path / "train").is_dir() else there
    if len(labelled) == 1:
        return labelled[0]
    if (path / "train").is_dir() and not labelled:
        return None
    if several := labelled or there:
        names = ", ".join(f"'{printable(file.name)}'" for file in several)
        raise InputError(f"'{path}' holds {len(several)} MATLAB files ({names}): give NYUv2's by its own path")
    return None


def open_mat(path: Path, values: Depths = "auto") -> NyuMat:
    """Opens the set with the wanted depths; `auto` prefers raw ones.

    Raises InputError if h5py is not installed, for a file that is not this set, and for depths that it lacks.
    """
    check_inside(path)
    if fault := _fault(path):
        raise InputError(f"'{path}' {fault}")
    import h5py

    file = h5py.File(path, "r")
    kind = values if values != "auto" else "raw" if _good_depths(file, FIELDS["raw"]) else "inpainted"
    if not _good_depths(file, FIELDS[kind]):
        raise InputError(
            f"'{path}' has no {FIELDS[kind]} of the size of its images, which depth.values={kind} reads; {_keys(file)}"
        )
    return NyuMat(path, file["images"], file[FIELDS[kind]], kind, find_splits(path.parent))


def _fault(path: Path) -> str:
    """Why a file is not NYUv2's labelled set, as the rest of a sentence; empty if it is. InputError without h5py."""
    try:
        import h5py
    except ImportError:
        raise InputError(f"reading '{path}' needs the package h5py: pip install h5py") from None
    if not is_hdf5(path):
        return f"cannot be read as NYUv2's labelled set, a MATLAB 7.3 (HDF5) file: {_old_format(path)}"
    try:
        with h5py.File(path, "r") as file:
            images = file.get("images")
            good = isinstance(images, h5py.Dataset) and images.dtype == np.uint8
            if good and images.ndim == 4 and images.shape[1] == 3 and _good_depths(file, FIELDS["inpainted"]):
                return ""
            return f"is not NYUv2's labelled set: expected {EXPECTED}; {_keys(file)}"
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        return f"cannot be read, it is a damaged HDF5 file: {error}"


def _good_depths(file: Any, name: str) -> bool:
    """Whether a field has one number for each pixel of the images."""
    depths, images = file.get(name), file["images"]
    shape = getattr(depths, "shape", None)
    return shape == (images.shape[0], *images.shape[2:]) and depths.dtype.kind in "fiu"


def _keys(file: Any) -> str:
    """Lists the fields of a file with their shapes."""
    names = [name for name in file if not name.startswith("#")]  # MATLAB keeps cells in #refs#
    listed = [f"{printable(name)} {getattr(file.get(name), 'shape', '(a group)')}" for name in names[:LISTED]]
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"it has {', '.join(listed)}{more}" if listed else "it has no fields"


def _old_format(path: Path) -> str:
    """What a file that is not HDF5 is instead."""
    from scipy.io import whosmat

    try:
        with open(path, "rb") as file:
            start = file.read(200)
        if fault := pointer_fault(start):
            return f"it is {fault}"
        if not start:
            return "it is empty"
        listed = whosmat(path, appendmat=False)
    except Exception:  # scipy raises many types for bytes that are no .mat
        return "it is neither HDF5 nor an older .mat"
    names = ", ".join(f"{printable(name)} {shape}" for name, shape, _ in listed[:LISTED]) or "nothing"
    return f"it is a .mat of an older version (5 to 7) with {names}"
