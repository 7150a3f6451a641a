"""Folders of labelled pictures as rows, in any of the `layouts`."""

from pathlib import Path

from dream.evaluation.classes.layouts.reading import read_classes
from dream.evaluation.classes.pictures import LabelledRow


def folder_rows(root: Path, split: str) -> tuple[list[LabelledRow], tuple[str, ...]]:
    """Pictures of the split `train` or `test`, and all class names. Raises InputError as `read_classes` does."""
    reading = read_classes(root)
    return list(reading.train if split == "train" else reading.test), reading.classes
