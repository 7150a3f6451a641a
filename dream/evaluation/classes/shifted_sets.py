"""Stored sets that share classes with a training set: the pictures that count, and their right answers.

ImageNet-A, -R and -Sketch have the same folder names as the training set (wnids). ObjectNet has its own names and files
that map them. As in these benchmarks, only pictures of classes that both sets have are shown, and only these classes
can be answered.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dream.data.content import check_inside, read_data
from dream.data.report import DataReport
from dream.data.transforms import Pixels, center_crop, load_pixels, open_picture
from dream.errors import InputError
from dream.evaluation.classes.class_names import read_names
from dream.evaluation.classes.hub import hub_labels
from dream.evaluation.classes.layouts.reading import read_all_classes
from dream.evaluation.classes.pictures import LabelledPictures, choose_rows, read_rows
from dream.evaluation.classes.sources import of_datasets
from dream.json_text import MOST_BYTES, read_json_object

MAPPINGS = "mappings"
"""ObjectNet's folder of class maps."""
BORDER = 2
"""Pixels of ObjectNet's red border."""

Answers = tuple[tuple[int, ...], ...]
"""For each class of a shifted set, the numbers of the trained classes that are right; empty if not shared."""


@dataclass(frozen=True)
class ShiftedSet:
    """Pictures of a set's shared classes; their labels index `answers`."""

    name: str
    answers: Answers
    chunks: Iterator[LabelledPictures]

    @property
    def shared(self) -> list[int]:
        """Numbers of the trained classes that can be answered."""
        return sorted({number for numbers in self.answers for number in numbers})


def open_shifted(
    source: str, trained: Sequence[str], size: int, *, names: str | None = None, limit: int | None = None, seed: int = 0
) -> ShiftedSet:
    """Opens a folder of class folders, ObjectNet's folder (it has `mappings`), or a hub set.

    `trained` are the classifier's classes, and `names` is a file with their names in words (ObjectNet only). At most
    `limit` pictures are read, spread evenly over the classes. Raises InputError if no class is shared.
    """
    path = Path(source).expanduser()
    if of_datasets(source):
        return _of_hub(source, trained, size, limit, seed)
    if not path.is_dir():
        raise InputError(f"there is no folder '{source}': robustness.shifted takes folders and hub sets")
    mapped = (path / MAPPINGS).is_dir()
    rows, folders = read_all_classes(path / "images" if mapped else path)
    mapping = objectnet_answers(path / MAPPINGS, folders, trained, names) if mapped else _equal_names(folders, trained)
    answers = _checked(source, folders, trained, mapping)
    chosen = choose_rows([row for row in rows if answers[row.label]], limit, seed)
    load = _without_border if mapped else load_pixels
    return ShiftedSet(path.resolve().name, answers, read_rows(chosen, folders, size, load))


def objectnet_answers(
    mappings: Path, folders: Sequence[str], trained: Sequence[str], names: str | None = None
) -> Answers:
    """Answers of ObjectNet's folders, from its own files. Raises InputError if one of them is missing."""
    labels = _json(mappings / "folder_to_objectnet_label.json")
    imagenet = _json(mappings / "objectnet_to_imagenet_1k.json")
    numbers = _numbers(mappings, trained, names)
    wanted = [map(_plain, imagenet.get(labels.get(folder, ""), "").split(";")) for folder in folders]
    return tuple(tuple(sorted({numbers[n] for n in names if n in numbers})) for names in wanted)


def _numbers(mappings: Path, trained: Sequence[str], names: str | None) -> dict[str, int]:
    """Number of each trained class by its ImageNet name: all its names joined, or the first one alone.

    Names come from the file `names`, otherwise from ObjectNet's own list (in the order of a thousand wnids), otherwise
    from the class folders.
    """
    known = read_names(Path(names)) if names else {}
    called = {number: known.get(name, name) for number, name in enumerate(trained)}
    listed = mappings / "imagenet_to_label_2012_v2"
    if not names and len(trained) == 1000 and listed.is_file():
        places = _json(mappings / "pytorch_to_imagenet_2012_id.json")  # our number by the line of the list
        ours = {int(line): int(number) for number, line in places.items()}
        lines = read_data(listed, MOST_BYTES).decode("utf-8", "replace").splitlines()
        called = {ours[number]: line for number, line in enumerate(lines) if number in ours}
    first = {_plain(name.split(",")[0]): number for number, name in called.items()}
    return first | {_plain(name): number for number, name in called.items()}


def _plain(name: str) -> str:
    return name.strip().replace("_", " ").casefold()


def _equal_names(names: Sequence[str], trained: Sequence[str]) -> Answers:
    numbers = {name: number for number, name in enumerate(trained)}
    return tuple((numbers[name],) if name in numbers else () for name in names)


def _checked(source: str, names: Sequence[str], trained: Sequence[str], answers: Answers) -> Answers:
    """The answers. Raises InputError if there are none, or if all are the same class."""
    if not any(answers):
        theirs, ours = (", ".join(classes[:3]) or "none" for classes in (names, trained))
        raise InputError(
            f"'{source}' shares no class with the training set: its classes are {theirs}, ..., the trained ones "
            f"{ours}, ...; for ObjectNet and wnids set robustness.names to a file of lines 'wnid name'"
        )
    if len(shared := {number for numbers in answers for number in numbers}) == 1:
        raise InputError(
            f"'{source}' shares only the class '{trained[shared.pop()]}' with the training set, which any answer gets "
            f"right: expected two shared classes at least"
        )
    return answers


def _of_hub(source: str, trained: Sequence[str], size: int, limit: int | None, seed: int) -> ShiftedSet:
    labels = replace(hub_labels(source)["test"], share=None)
    answers = _checked(source, labels.classes, trained, _equal_names(labels.classes, trained))
    kept = {value: number for value, number in labels.numbers.items() if answers[number]}
    labels, report = replace(labels, numbers=kept), DataReport()
    rows = labels.rows(report, labels.chosen(limit, seed, report))
    return ShiftedSet(source, answers, read_rows(rows, labels.classes, size, report=report))


def _without_border(content: bytes, size: int) -> Pixels:
    """`load_pixels` after cropping ObjectNet's border."""
    image = open_picture(content).rgb
    inner = image.crop((BORDER, BORDER, max(image.width - BORDER, 3), max(image.height - BORDER, 3)))
    return np.ascontiguousarray(np.asarray(center_crop(inner, size), np.uint8).transpose(2, 0, 1))


def _json(path: Path) -> dict[str, Any]:
    try:
        check_inside(path)
        return read_json_object(path)
    except (OSError, InputError) as error:
        raise InputError(f"cannot read ObjectNet's file {path}: {error}") from None
