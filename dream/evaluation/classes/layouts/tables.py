"""Text files next to pictures: which rows they have, and the class that they give to each picture of a flat folder."""

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dream.data.content import read_data
from dream.data.corpora.folders import split_of
from dream.errors import InputError
from dream.evaluation.classes.layouts.homes import class_name, quoted
from dream.evaluation.classes.layouts.tree import SIDE_FOLDERS, Tree
from dream.plain_text import printable, whole_number

WNID = re.compile(r"n\d{8}")
"""A class of WordNet, as ImageNet names its folders."""
_LABEL_HEADERS = """predictionstring label labels class class_name classname class_id classid category breed wnid
species target dx diagnosis"""
LABEL_HEADERS = tuple(_LABEL_HEADERS.split())
"""Headers of the column of classes in a .csv, in lower case; without one of them it is the second column of two."""
SPLIT_HEADERS = frozenset(("partition", "split", "fold", "subset", "set", "usage", "is_train", "is_valid", "is_test"))
"""Headers, in lower case, of columns that say which split a picture is in."""
ORDER_FILES = (
    "synsets",
    "wnids",
    "imagenet_synsets",
    "categories",
    "classes",
    "labels",
    "class_names",
    "categories_places365",
)
"""Names of files, without ending, that list all classes in the order of their numbers."""
_MOST_BYTES = 1 << 28
_MOST_FILES = 100  # more in one folder are captions or boxes, one file per picture


@dataclass(frozen=True)
class LabelTable:
    """Classes of the pictures in a flat folder."""

    labels: dict[str, str]
    """Class by the picture's file name."""
    source: str
    """Names of the files that they come from, in words."""
    says_split: bool = False
    """Whether the files name the split of each picture too, as in `train/1.png`."""


def label_table(flat: Tree, above: Sequence[Tree], known: Collection[str] = ()) -> LabelTable | None:
    """The classes that files in `flat`, in the folders `above` it or next to it give to its pictures; None without any.

    `known` are the classes of the training pictures. Raises InputError for numbers whose order is not known, and
    for files that contradict each other.
    """
    names = {PurePosixPath(name).stem: name for name in flat.pictures} | {name: name for name in flat.pictures}
    here = next((role for tree in (flat, *above[:-1]) if (role := split_of(tree.name))), None)
    of_split = _of_this_split([flat, *above], here)
    tables = {path: table for path in of_split if (table := _labels_in(path, names, known, here))}
    best = sorted(tables, key=lambda path: (-len(set(tables[path].values()) & set(known)), -len(tables[path])))
    if not best:
        _refuse_ground_truth(flat, above)
        return None
    labels: dict[str, str] = {}
    used: list[Path] = []
    for path in best:
        table = tables[path]
        if _are_numbers(table.values()) != _are_numbers(tables[best[0]].values()):
            continue
        if clash := next((name for name, label in table.items() if labels.get(name, label) != label), None):
            files = _words([*used, path])
            raise InputError(
                f"{quoted(flat)}: {files} give two classes to '{printable(clash)}'; keep one of these files"
            )
        used += [path] if table.keys() - labels.keys() else []
        labels |= table
    source = _words(used)
    if known and not set(labels.values()) & set(known) and _are_numbers(labels.values()):
        labels = _numbered(labels, [flat, *above], known, f"{quoted(flat)}: {source}")
    elif not known and _are_numbers(labels.values()):
        labels = _named_by_pictures(labels)
    says_split = all(_roles_in(row[0]) for path in used for row in rows_of(path) if _base(row[0]) in names)
    return LabelTable({name: class_name(label) for name, label in labels.items()}, source, says_split)


def text_files(folders: Sequence[Tree], endings: Collection[str] = (".txt", ".csv", ".tsv")) -> Iterator[Path]:
    """Text files in these folders, and in their subfolders `meta`, `annotations` and others without pictures."""
    for folder in folders:
        for tree in (folder, *(f for f in folder.folders if not f.count or f.name.lower() in SIDE_FOLDERS)):
            names = [name for name in tree.files if name.lower().endswith(tuple(endings))]
            yield from (tree.path / name for name in names if len(names) <= _MOST_FILES)


def text_of(path: Path) -> str:
    """The text of a file; empty if it cannot be read, is far too long, or lies where no data may lie."""
    try:
        return read_data(path, _MOST_BYTES).decode("utf-8-sig", "replace")
    except (OSError, InputError):
        return ""


def rows_of(path: Path) -> list[list[str]]:
    """Cells of each line of a text file, split at commas, tabs, or blanks."""
    lines = [line for line in text_of(path).splitlines() if line.strip()]
    if path.suffix.lower() == ".csv" or (lines and all("," in line for line in lines[:20])):
        return [[cell.strip() for cell in row] for row in csv.reader(lines) if row]
    tabs = bool(lines) and all("\t" in line for line in lines[:20])
    return [[cell.strip() for cell in line.split("\t" if tabs else None)] for line in lines]


def _of_this_split(folders: Sequence[Tree], here: str | None) -> Iterator[Path]:
    """Text files that may be about the split `here`: pictures of `train` and `test` often have the same names.

    `trainLabels.csv` is not about `test`, and a sample of a submission is about nothing.
    """
    for path in text_files(folders):
        words = re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", path.stem).lower())
        roles = {role for word in words if (role := split_of(word))}
        of_other = here is not None and len(roles) == 1 and (here == "train") != (roles == {"train"})
        if not of_other and "submission" not in path.stem.lower():
            yield path


def _labels_in(path: Path, names: dict[str, str], known: Collection[str], here: str | None) -> dict[str, str]:
    """Class by picture, for the rows that begin with one of the `names`; empty if these are no classes."""
    rows = rows_of(path)
    header = [cell.lower() for cell in rows[0]] if rows else []
    column = next((header.index(word) for word in LABEL_HEADERS if word in header[1:]), 0)
    if not column and ((path.suffix.lower() == ".csv" and len(header) > 2) or SPLIT_HEADERS & set(header[1:2])):
        return {}  # attributes, coordinates or splits; the second column would be any of them
    column = column or 1
    labels = {}
    for row in rows:
        name = names.get(_base(row[0]))
        if name and here and _roles_in(row[0]) - {here}:
            continue  # train/1.png is not test/1.png
        if name and len(row) > column and row[column]:
            if path.suffix.lower() != ".csv" and not _are_numbers(row[column + 1 :]):
                return {}  # a caption
            labels[name] = row[column].split()[0] if header[column:][:1] == ["predictionstring"] else row[column]
    different = {class_name(label) for label in labels.values()}
    if _are_numbers(different) or (different & set(known) if known else 2 * len(different) <= len(labels)):
        return labels
    return {}


def _base(entry: str) -> str:
    return entry.replace("\\", "/").rpartition("/")[2]


def _roles_in(entry: str) -> set[str]:
    """The splits that the folders of a picture's path speak of."""
    return {role for part in entry.replace("\\", "/").split("/")[:-1] if (role := split_of(part))}


def _are_numbers(labels: Iterable[str]) -> bool:
    return all(whole_number(label) is not None for label in labels)


def _numbered(labels: dict[str, str], folders: Sequence[Tree], known: Collection[str], where: str) -> dict[str, str]:
    """The classes that numbers stand for: in the order of a file of classes, or, for WNIDs from 0, sorted."""
    numbers = {int(label) for label in labels.values()}
    order = _order(folders, known)
    if order is None and all(map(WNID.fullmatch, known)) and 0 in numbers:
        order = dict(enumerate(sorted(known)))  # as Caffe's val.txt
    if order is None or not numbers <= order.keys():
        raise InputError(
            f"{where} numbers the classes from {min(numbers)} to {max(numbers)}, and nothing says which "
            f"number is which of the {len(known)} class folders: expected lines 'picture class' with the names of "
            f"the folders, or a file synsets.txt with the classes in the order of the numbers"
        )
    return {name: order[int(label)] for name, label in labels.items()}


def _order(folders: Sequence[Tree], known: Collection[str]) -> dict[int, str] | None:
    """Classes by number, from a file that lists all of them, with their numbers or in order."""
    for path in text_files(folders):
        order: dict[int, str] = {}
        for place, row in enumerate(rows_of(path) if path.stem.lower() in ORDER_FILES else []):
            words = [class_name(word) for cell in row for word in (cell, cell.strip("/").partition("/")[2])]
            number = next((n for cell in row if (n := whole_number(cell)) is not None), place)
            order |= [(number, word) for word in words if word in known][:1]
        if order and set(order.values()) == set(known):
            return order
    return None


def _named_by_pictures(labels: dict[str, str]) -> dict[str, str]:
    """Names for numbers, if each number goes with one beginning of the pictures' names (`Abyssinian_12.jpg`)."""
    pairs = {(label, PurePosixPath(name).stem.rpartition("_")[0]) for name, label in labels.items()}
    numbers, words = (set(column) for column in zip(*pairs, strict=True))
    if "" in words or not len(pairs) == len(numbers) == len(words):
        return labels
    by_number = dict(pairs)
    return {name: by_number[label] for name, label in labels.items()}


def _refuse_ground_truth(flat: Tree, above: Sequence[Tree]) -> None:
    """Raises InputError for the devkit's file, which has a number per picture and no names."""
    for path in text_files([flat, *above]):
        if "ground_truth" in path.name.lower() and _are_numbers([cell for row in rows_of(path)[:100] for cell in row]):
            raise InputError(
                f"{quoted(flat)}: '{path.name}' numbers the classes in the order of the devkit's meta.mat, which is "
                f"not that of the folders: put LOC_val_solution.csv there instead, or a file of lines "
                f"'ILSVRC2012_val_00000001.JPEG n01751748'"
            )


def _words(paths: Sequence[Path]) -> str:
    return " and ".join(dict.fromkeys(f"{path.parent.name}/{path.name}" for path in paths))
