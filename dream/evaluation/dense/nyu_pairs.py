"""Folders of NYUv2 pairs: RGB pictures, and depth maps in millimetres."""

from pathlib import Path

import numpy as np

from dream.data.formats import PICTURES
from dream.errors import InputError
from dream.evaluation.dense.crop import Map
from dream.evaluation.dense.data import Pair, matched

MILLIMETRES = 1000.0
"""Units of the PNG files per metre."""


def metres(values: Map) -> Map:
    """Converts millimetres to metres."""
    return values.astype(np.float32) / np.float32(MILLIMETRES)


def nyu_pairs(root: Path, split: str) -> list[Pair]:
    """Pairs ROOT/{train,test}/**/rgb_NAME.jpg (or .png) and sync_depth_NAME.png, or depth_NAME.png, next to it.

    Depths are 16-bit PNG files in millimetres. Raises InputError for a folder with another layout.
    """
    folder = root / split
    if not folder.is_dir():
        raise InputError(
            f"there is no folder '{folder}': depth reads 'shapes', NYUv2's nyu_depth_v2_labeled.mat, or a folder with "
            f"train and test, each with rgb_NAME.jpg and sync_depth_NAME.png or depth_NAME.png"
        )
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    pictures = _by_name(files, folder, "rgb_", PICTURES)
    maps = _by_name(files, folder, "depth_", (".png",)) | _by_name(files, folder, "sync_depth_", (".png",))
    if not (pairs := matched(pictures, maps, split)):
        raise InputError(
            f"'{folder}' has no pair of rgb_NAME.jpg and sync_depth_NAME.png or depth_NAME.png "
            f"({len(pictures)} pictures, {len(maps)} depth files)"
        )
    return pairs


def _by_name(files: list[Path], folder: Path, prefix: str, endings: tuple[str, ...]) -> dict[str, Path]:
    """Files with a prefix, by their place in the folder and the rest of their name."""
    return {
        (path.parent.relative_to(folder) / path.stem.removeprefix(prefix)).as_posix(): path
        for path in files
        if path.name.startswith(prefix) and path.suffix.lower() in endings
    }
