"""Sets of stored pictures with classes: which kind of source a name means, and its pictures or class names.

Sources are a folder of class folders, `hf:owner/name[:split]`, or a folder that `datasets` wrote. Test pictures are
those of the set's own labelled test (or validation) split, otherwise a fifth of its pictures by a hash of their names.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dream.data.emoji.corpus import is_emoji
from dream.data.report import DataReport
from dream.errors import InputError
from dream.evaluation.classes.few_shot_sets import resolve
from dream.evaluation.classes.folders import folder_rows
from dream.evaluation.classes.hub import checked_hub_labels, hub_labels
from dream.evaluation.classes.layouts.reading import read_classes
from dream.evaluation.classes.pictures import LabelledPictures, choose_rows, read_rows

SPLITS = ("train", "test")
READING_VERSION = 1
"""Increased when the same hub set is read as other classes or splits."""


def labelled_chunks(
    source: str, size: int, *, split: str, limit: int | None = None, seed: int = 0
) -> Iterator[LabelledPictures]:
    """Pictures (3, size, size) of a source's `train` or `test` split, by chunks, so that large sets need no memory.

    At most `limit` pictures are read, drawn from `seed` evenly over the classes. Raises InputError for an unknown
    source or split, and for one without labels.
    """
    if split not in SPLITS:
        raise InputError(f"labelled pictures have the splits train and test, not '{split}'")
    if limit is not None and limit < 1:
        raise InputError(f"the limit of labelled pictures must be at least 1, got {limit}")
    if not of_datasets(source):
        rows, classes = folder_rows(existing_folder(source), split)
        if split == "train" and limit is not None and limit < len(classes):
            raise InputError(
                f"{limit:,} training pictures are fewer than the {len(classes):,} classes of '{source}', and a class "
                f"without one is never recognised: expected train_count of {len(classes)} at least"
            )
        return read_rows(choose_rows(rows, limit, seed), classes, size)
    labels, report = checked_hub_labels(source)[split], DataReport()
    return read_rows(labels.rows(report, labels.chosen(limit, seed, report)), labels.classes, size, report=report)


def stored_classes(source: str, split: str) -> tuple[str, ...]:
    """All class names of a set; reads no picture. Raises InputError as `labelled_chunks` does."""
    if of_datasets(source):
        return hub_labels(source)[split].classes
    return folder_rows(existing_folder(source), split)[1]


def readings_of(data: str) -> dict[str, dict[str, Any]]:
    """How each set that `data` refers to is read, as JSON values: results of another reading answer another question.

    A folder has its layout, and the numbers of its classes and pictures; a set that cannot be read has the reason.
    """
    readings: dict[str, dict[str, Any]] = {}
    for name, source in resolve(data):
        if of_datasets(source) or is_emoji(source):
            readings[name] = {"version": READING_VERSION}
        elif source != "shapes":
            try:
                reading = read_classes(existing_folder(source))
            except InputError as error:
                readings[name] = {"refused": str(error)}
            else:
                numbers: dict[str, Any] = {
                    "classes": len(reading.classes),
                    "train": len(reading.train),
                    "test": len(reading.test),
                }
                numbers["hash"] = reading.digest
                readings[name] = {"layout": reading.layout, **numbers, "sentence": reading.sentence}
    return readings


def of_datasets(source: str) -> bool:
    """Whether a source is a hub set, or a folder that `datasets` wrote."""
    path = Path(source).expanduser()
    return source.startswith("hf:") or (path.is_dir() and written_by_datasets(path))


def written_by_datasets(folder: Path) -> bool:
    """Whether a folder holds a set that `datasets` wrote rather than class folders."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json")) or any(
        next(folder.glob(pattern), None) for pattern in ("*.parquet", "data/*.parquet")
    )


def existing_folder(source: str) -> Path:
    """The folder of a source. Raises InputError if it does not exist."""
    path = Path(source).expanduser()
    if not path.is_dir():
        raise InputError(
            f"there is no folder '{source}': labelled pictures come from 'shapes', a folder of class folders "
            f"(ROOT/CLASS/*.jpg), or 'hf:owner/name'"
        )
    return path
