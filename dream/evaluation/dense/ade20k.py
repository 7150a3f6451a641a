"""Folders laid out as ADE20K: pictures, maps of 150 classes, and the table of class names."""

from pathlib import Path

import numpy as np

from dream.data import report as kinds
from dream.data.content import read_data
from dream.data.formats import PICTURES
from dream.data.samples import BadSample
from dream.errors import InputError
from dream.evaluation.dense.crop import Map
from dream.evaluation.dense.data import Pair, matched
from dream.json_text import MOST_BYTES
from dream.plain_text import whole_number

IGNORE = 255
"""Value of pixels without a class."""
ADE_CLASSES = 150
ADE_SPLITS = {"train": "training", "test": "validation"}
NAMES = "objectInfo150.txt"
"""ADE20K's table of class names, which its archive has next to the pictures."""


def ade_pairs(root: Path, split: str) -> list[Pair]:
    """Pictures ROOT/images/SPLIT/*.jpg and maps ROOT/annotations/SPLIT/*.png (SPLIT is training or validation).

    Raises InputError for a folder with another layout.
    """
    name = ADE_SPLITS[split]
    folders = root / "images" / name, root / "annotations" / name
    for folder in folders:
        if not folder.is_dir():
            raise InputError(
                f"there is no folder '{folder}': segmentation reads 'shapes' or a folder laid out as ADE20K, "
                f"with images/training, images/validation, annotations/training and annotations/validation"
            )
    pictures, maps = (
        {
            path.relative_to(folder).with_suffix("").as_posix(): path
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in endings and not path.name.startswith(".")
        }
        for folder, endings in zip(folders, (PICTURES, (".png",)), strict=True)
    )
    if not (pairs := matched(pictures, maps, name)):
        raise InputError(
            f"no picture in '{folders[0]}' has a map of the same name in '{folders[1]}' "
            f"({len(pictures)} pictures, {len(maps)} maps)"
        )
    return pairs


def ade_classes(values: Map) -> Map:
    """Classes from 0, of ADE20K's numbers (1 to 150, and 0 for no class). Raises BadSample for other numbers."""
    if values.max(initial=0) > ADE_CLASSES:
        raise BadSample(kinds.BROKEN_PICTURE, f"its map has class {values.max()}, the last is {ADE_CLASSES}")
    return np.where(values == 0, IGNORE, values.astype(np.int64) - 1).astype(np.uint8)


def ade_names(root: Path) -> tuple[str, ...]:
    """The 150 class names from the set's table, or their numbers if there is no table."""
    names = [str(number) for number in range(1, ADE_CLASSES + 1)]
    if not (root / NAMES).is_file():
        return tuple(names)
    for line in read_data(root / NAMES, MOST_BYTES).decode(errors="replace").splitlines()[1:]:
        fields = line.split("\t")
        if 1 <= (number := whole_number(fields[0].strip()) or 0) <= ADE_CLASSES:
            names[number - 1] = fields[-1].strip()
    return tuple(names)
