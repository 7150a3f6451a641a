"""Reads a folder of labelled pictures: its classes, and which pictures are for training and which for testing."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dream.console import counted
from dream.data import report as kinds
from dream.data.content import read_sample
from dream.data.formats import is_hidden
from dream.errors import InputError
from dream.evaluation.classes.layouts.checks import check_classes
from dream.evaluation.classes.layouts.homes import EXPECTED, class_home, class_name, entered, quoted, split_trees
from dream.evaluation.classes.layouts.lists import listed_splits
from dream.evaluation.classes.layouts.tables import label_table
from dream.evaluation.classes.layouts.tree import Tree, tree_of
from dream.evaluation.classes.pictures import LabelledRow, test_keys
from dream.plain_text import printable

_Row = tuple[str, str, Path]  # class, name within the class, path
BACKGROUND = "BACKGROUND_Google"
"""Caltech-101's folder of pictures of nothing in particular."""


@dataclass(frozen=True)
class ClassReading:
    """How a folder was read."""

    layout: str
    """Where its classes and splits are, in words."""
    classes: tuple[str, ...]
    """Names of all classes, sorted."""
    train: tuple[LabelledRow, ...]
    test: tuple[LabelledRow, ...]
    notes: tuple[str, ...] = ()
    """What was left out or assumed, in words."""

    @property
    def digest(self) -> str:
        """A hash of the classes of all training and test pictures."""
        lines = (f"{part}\0{row.key}\0{row.shard}\n" for part in ("train", "test") for row in getattr(self, part))
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    @property
    def sentence(self) -> str:
        """One line: layout, numbers of classes and pictures, notes."""
        counts = f"{len(self.classes):,} classes, {len(self.train):,} train and {len(self.test):,} test pictures"
        return "; ".join([f"{self.layout}: {counts}", *self.notes])


@dataclass(frozen=True)
class _Labelled:
    """Pictures with the names of their classes."""

    rows: list[_Row]
    form: str
    """Where the classes are, in words."""
    home: Tree
    notes: tuple[str, ...] = ()
    by_name: bool = False
    """Whether a file gives the classes by names that pictures of another split may have too."""

    @property
    def classes(self) -> set[str]:
        return {name for name, _, _ in self.rows}


def read_classes(root: Path) -> ClassReading:
    """How the folder is laid out. Raises InputError if that is ambiguous, or if no accuracy could be measured on it."""
    tree = _with_pictures(root)
    outer = entered(tree)
    splits = split_trees(outer)
    train, test, layout = _own_splits(tree, outer, splits) if splits else _one_set(tree, outer)
    notes = [*train.notes, *test.notes]
    if BACKGROUND in train.classes:
        notes.append(f"{BACKGROUND} counts as a class, as in the published protocols")
    counts = [Counter(name for name, _, _ in part.rows) for part in (train, test)]
    check_classes(printable(str(root)), counts[0], counts[1])
    names = tuple(sorted(counts[0]))
    train_rows, test_rows = (tuple(_rows(part.rows, names)) for part in (train, test))
    return ClassReading(layout, names, train_rows, test_rows, tuple(dict.fromkeys(notes)))


def read_all_classes(root: Path) -> tuple[list[LabelledRow], tuple[str, ...]]:
    """The test pictures of a folder, or all of them if it has no splits, and their classes.

    For sets that nothing is trained on, where one class is enough. Raises InputError as `read_classes` does.
    """
    tree = _with_pictures(root)
    outer = entered(tree)
    splits = split_trees(outer)
    home = entered(next((splits[role] for role in ("test", "val", "train") if role in splits), outer), (), bool(splits))
    labelled = _labelled(tree, home)
    if labelled is None and home.pictures and home is not tree:
        labelled = _Labelled([(class_name(home.name), name, path) for name, path in home.below()], "one class", home)
    if labelled is None:
        raise _flat(home)
    names = tuple(sorted(labelled.classes))
    return _rows(labelled.rows, names), names


def _with_pictures(root: Path) -> Tree:
    tree = tree_of(root)
    if not tree.count:
        ending = tree.undecoded()
        found = f"only pictures of a format that is not decoded ({ending})" if ending else "no pictures"
        raise InputError(f"{quoted(tree)} has no class folders: there are {found} in it; {EXPECTED}")
    return tree


def _own_splits(root: Tree, outer: Tree, splits: dict[str, Tree]) -> tuple[_Labelled, _Labelled, str]:
    """Training and test pictures of a folder with splits, and the layout."""
    if "train" not in splits:
        there = " and ".join(f"'{folder.name}'" for folder in splits.values())
        raise InputError(
            f"{quoted(outer)} has {there}, but no training pictures: {EXPECTED}; add 'train', or give one of these "
            f"folders alone, whose pictures are then divided"
        )
    notes = [f"{counted(len(outer.pictures), 'picture')} next to the splits left out"] if outer.pictures else []
    home = entered(splits["train"], (), in_split=True)
    train = _labelled(root, home)
    if train is None:
        raise _flat(home)
    for role in ("test", "val"):
        if role in splits:
            home = entered(splits[role], train.classes, in_split=True)
            if test := _labelled(root, home, train.classes):
                _refuse_shared_names(train, test)
                ours, theirs = (f"{printable(folder.name)}/" for folder in (splits["train"], splits[role]))
                same = train.form == test.form
                where = f"{train.form} in {ours} and {theirs}"
                layout = where if same else f"{train.form} in {ours}, {test.form} in {theirs}"
                layout = f"{_known_as(layout)}{layout}"
                return replace(train, notes=(*notes, *train.notes)), test, layout
            notes.append(f"{printable(splits[role].name)}/ has no classes and is left out")
    raise InputError(
        f"{quoted(home)} has {home.count:,} pictures without classes, neither in class folders nor listed in a file: "
        f"{EXPECTED}, or a file of lines 'picture class'; add one, or give {quoted(splits['train'])} alone, of whose "
        f"pictures a fifth is then for testing"
    )


def _refuse_shared_names(train: _Labelled, test: _Labelled) -> None:
    """Raises InputError if one file gives its classes to pictures of both splits, as they have the same names."""
    ours, theirs = ({key: label for label, key, _ in part.rows} for part in (train, test))
    shared = ours.keys() & theirs.keys()
    if shared and train.by_name and train.form == test.form and all(ours[key] == theirs[key] for key in shared):
        raise InputError(
            f"{quoted(train.home)} and {quoted(test.home)} take their {train.form}, which does not say of which of the "
            f"two its '{printable(min(shared))}' is: expected a file of lines 'picture class' in each of these "
            f"folders, or lines that begin with the folder, as 'train/{printable(min(shared))}'"
        )


def _one_set(root: Tree, outer: Tree) -> tuple[_Labelled, _Labelled, str]:
    """Training and test pictures of a folder without splits, by lists or by a hash of the names, and the layout."""
    every = _labelled(root, outer)
    if every is None:
        raise _flat(outer)
    names = {_within(path, outer): (label, key, path) for label, key, path in every.rows}
    lists, notes = listed_splits(list(names), _above(root, outer))
    layout = f"{every.form} in {printable(outer.name)}/" if outer is not root else every.form
    if lists is None:
        train, test = _divided(every.rows)
        layout = f"{layout}, a fifth of the pictures for testing"
    else:
        train, test = ([names[name] for name in sorted(part)] for part in (lists.train, lists.test))
        unlisted = len(names) - len(train) - len(test)
        notes = (*lists.notes, f"{counted(unlisted, 'picture')} in neither list left out") if unlisted else lists.notes
        layout = f"{layout}, split by {lists.source}"
    notes = (*every.notes, *notes)
    return (replace(every, rows=train, notes=notes), replace(every, rows=test), f"{_known_as(layout)}{layout}")


def _labelled(root: Tree, home: Tree, known: set[str] | None = None) -> _Labelled | None:
    """The pictures of a folder with their classes, by folders or by a file; None if nothing gives them one."""
    found = class_home(home)
    if found.classes:
        folders = [(class_name(name), folder) for name, folder in found.classes.items()]
        rows = [(label, name, path) for label, folder in folders for name, path in folder.below()]
        return _Labelled(rows, found.form, home)
    table = label_table(home, [*_above(root, home)[1:], _files_above(root)], known or ())
    if table is None:
        return None
    rows = [(table.labels[name], name, path) for name, path in home.below() if name in table.labels]
    rest = home.count - len(rows)
    left = f"{counted(rest, 'picture')} of {printable(home.name)}/ without a class in {table.source} left out"
    notes = (left,) if rest else ()
    return _Labelled(sorted(rows), f"classes from {table.source}", home, notes, not table.says_split)


def _divided(rows: Sequence[_Row]) -> tuple[list[_Row], list[_Row]]:
    """Four fifths for training and a fifth for testing."""
    testing = test_keys((row[0], _row_key(row)) for row in rows)
    return [row for row in rows if _row_key(row) not in testing], [row for row in rows if _row_key(row) in testing]


def _row_key(row: _Row) -> str:
    return f"{row[0]}/{row[1]}"


def _rows(rows: Sequence[_Row], classes: Sequence[str]) -> list[LabelledRow]:
    numbers = {name: number for number, name in enumerate(classes)}
    return [
        LabelledRow(row[0], _row_key(row), numbers[row[0]], partial(read_sample, row[2], kinds.BROKEN_PICTURE))
        for row in rows
    ]


def _above(root: Tree, home: Tree) -> list[Tree]:
    """`home` and the folders above it up to `root`, from the inside."""
    chain = [root]
    while chain[0] is not home:
        chain.insert(0, next(f for f in chain[0].folders if f is home or home.path.is_relative_to(f.path)))
    return chain


def _files_above(root: Tree) -> Tree:
    """The files of the folder that the data lies in, where the labels of a single split often are."""
    parent = root.path.absolute().parent
    try:
        names = [entry.name for entry in os.scandir(parent) if entry.is_file() and not is_hidden(entry.name)]
    except OSError:
        names = []
    return Tree(parent, (), (), tuple(sorted(names)))


def _within(path: Path, home: Tree) -> str:
    return path.relative_to(home.path).as_posix()


def _known_as(layout: str) -> str:
    """`food-101's layout, `: the set that made a layout known; empty for others."""
    for mark, name in (
        ("val_annotations.txt", "Tiny-ImageNet's"),
        ("LOC_val_solution.csv", "ImageNet's"),
        ("meta/train", "food-101's"),
        ("labels/train1.txt", "DTD's"),
        ("annotations/trainval.txt", "Oxford Pets'"),
        ("train_test_split.txt", "CUB's"),
        ("by first letter", "SUN397's"),
    ):
        if mark in layout:
            return f"{name} layout, "
    return ""


def _flat(home: Tree) -> InputError:
    return InputError(
        f"{quoted(home)} holds all {home.count:,} pictures, and nothing says of which class they are: expected two "
        f"classes at least, as ROOT/CLASS/*.jpg or ROOT/train/CLASS/*.jpg and ROOT/test/CLASS/*.jpg, or a file next to "
        f"the pictures with lines 'picture class'"
    )
