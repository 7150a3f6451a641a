"""The official split of NYUv2's labelled set (795 pictures for training, 654 for testing), read from splits.mat."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dream.data.content import check_inside
from dream.errors import InputError

SPLITS = "splits.mat"
FIELDS = {"train": "trainNdxs", "test": "testNdxs"}
"""Numbers from 1."""


def find_splits(folder: Path) -> Path | None:
    """The file `splits.mat` in a folder, in any case; `None` if there is none."""
    there = sorted(file for file in folder.iterdir() if file.name.lower() == SPLITS and file.is_file())
    return there[0] if there else None


def official_rows(path: Path, split: str, count: int) -> NDArray[np.int64]:
    """Rows (from 0) of `train` or `test` among `count` pictures. Raises InputError for a file without any."""
    check_inside(path)
    try:
        numbers = np.asarray(_fields(path)[FIELDS[split]], float).ravel()
    except Exception as error:  # scipy raises many types for bytes that are no .mat
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"'{path}' cannot be read as NYUv2's {SPLITS} (trainNdxs, testNdxs): {reason}") from None
    rows = np.unique(numbers[np.isfinite(numbers)].astype(int) - 1)
    rows = rows[(rows >= 0) & (rows < count)]
    if not len(rows):
        raise InputError(f"{FIELDS[split]} of '{path}' names none of the {count} pictures: expected numbers from 1")
    return rows


def _fields(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    return loadmat(path, appendmat=False, variable_names=list(FIELDS.values()))
