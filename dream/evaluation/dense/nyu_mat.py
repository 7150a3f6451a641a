"""NYUv2's labelled set as one MATLAB 7.3 file (nyu_depth_v2_labeled.mat), read by h5py."""

from pathlib import Path

import numpy as np
from PIL import Image

from dream.errors import InputError
from dream.evaluation.classes.pictures import in_test_share
from dream.evaluation.dense.crop import cut
from dream.evaluation.dense.data import DensePictures, Example
from dream.randomness import seed_of

SPLITS = "splits.mat"
"""File with the official split (795 for training, 654 for testing)."""


def mat_pictures(path: Path, split: str, size: int, limit: int, seed: int) -> DensePictures:
    """Pictures and depths (metres) of a split, by splits.mat next to the file, otherwise with a fifth to test on.

    Raises InputError if h5py is not installed, and for a file that is not this set.
    """
    try:
        import h5py
    except ImportError:
        raise InputError(f"reading '{path}' needs the package h5py: pip install h5py") from None
    try:
        file = h5py.File(path, "r")
        images, depths = file["images"], file["depths"]  # (N, 3, W, H) uint8 and (N, W, H): MATLAB's order
        count = len(depths)
        if images.shape[0] != count or images.shape[2:] != depths.shape[1:]:
            raise KeyError("images and depths of equal sizes")
    except (OSError, KeyError) as error:
        raise InputError(f"'{path}' cannot be read as NYUv2's {path.name}: {error}") from None
    rows = _split_rows(path.parent / SPLITS, split, count)
    if limit and limit < len(rows):
        draws = np.random.default_rng(seed_of(seed, "dense choice"))
        rows = np.sort(draws.permutation(rows)[:limit])

    def read(i: int) -> Example:
        row = int(rows[i])
        picture = Image.fromarray(np.ascontiguousarray(images[row].transpose(2, 1, 0)))
        return cut(picture, depths[row].T.astype(np.float32), size)

    return DensePictures([str(row + 1) for row in rows], read, size * size * 7, path.name)


def _split_rows(path: Path, split: str, count: int) -> np.ndarray:
    if not path.is_file():
        return np.array([i for i in range(count) if in_test_share(str(i + 1)) == (split == "test")])
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        rows = loadmat(path)[{"train": "trainNdxs", "test": "testNdxs"}[split]].ravel().astype(int) - 1
    except (ValueError, KeyError, OSError, NotImplementedError, MatReadError) as error:
        raise InputError(f"'{path}' cannot be read as NYUv2's {SPLITS} (trainNdxs, testNdxs): {error}") from None
    return rows[(rows >= 0) & (rows < count)]
