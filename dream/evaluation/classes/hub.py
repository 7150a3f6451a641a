"""Labelled rows of a hub set, or of a folder that `datasets` wrote, by its column of classes.

Rows come as a stream: with a limit the labels are read first, then the chosen pictures.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dream.data import report as kinds
from dream.data.corpora.hub import HubRow, hub_column, hub_splits, load_splits, name_and_split
from dream.data.formats import PICTURE_NAMES
from dream.data.report import DataReport
from dream.errors import InputError
from dream.evaluation.classes.layouts.checks import check_classes
from dream.evaluation.classes.pictures import LabelledRow, choose_evenly, in_test_share, test_keys

COUNTED, COUNTED_REMOTELY = 200_000, 2_000
"""Rows of a split whose labels are counted before anything is measured: on disk, and on the hub."""
LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "cls", "category", "target")


@dataclass(frozen=True)
class HubLabels:
    """One split of a set, and the labels of its rows."""

    split: str
    data: Any
    picture: str
    """Column of pictures."""
    column: str
    """Column of labels."""
    classes: tuple[str, ...]
    numbers: Mapping[Any, int]
    """Class number of each value of the column."""
    share: str | None
    """`train` or `test`: only that share of the rows, by hash; None: all rows."""
    source: str
    """The set, as given to `--data`."""
    tests: frozenset[str] | None = None
    """Keys of the share `test`; None: by the hash alone."""

    def rows(self, report: DataReport, wanted: set[int] | None = None) -> Iterator[LabelledRow]:
        """Labelled rows of the share (only those with `wanted` numbers), in the set's order."""
        for number, row in _safely(self.data, self.split, report):
            label, key = self._label(row), self._key(number)
            if label >= 0 and self._belongs(key) and (wanted is None or number in wanted):
                read = HubRow(self.split, key, row.get(self.picture), {}).picture
                yield LabelledRow(self.split, key, label, read)

    def chosen(self, limit: int | None, seed: int, report: DataReport) -> set[int] | None:
        """Numbers of at most `limit` rows, spread evenly over the classes; None for all rows."""
        if limit is None:
            return None
        data = self.data.select_columns([self.column]) if self.data.column_names else self.data
        pairs = [
            (number, label)
            for number, row in _safely(data, self.split, report)
            if (label := self._label(row)) >= 0 and self._belongs(self._key(number))
        ]
        numbers, labels = np.array(pairs, np.int64).reshape(-1, 2).T
        return set(numbers[choose_evenly(labels, limit, seed)].tolist())

    def _label(self, row: Mapping[str, Any]) -> int:
        return self.numbers.get(_value(row, self.column), -1)

    def _key(self, number: int) -> str:
        return f"{self.split}/{number:08d}"

    def _belongs(self, key: str) -> bool:
        testing = in_test_share(key) if self.tests is None else key in self.tests
        return self.share is None or testing == (self.share == "test")

    def counts(self) -> dict[str, int] | None:
        """Number of rows per class; None if the split is too long to be counted in moments."""
        pairs = self.pairs()
        return None if pairs is None else Counter(self.classes[label] for label, key in pairs if self._belongs(key))

    def pairs(self) -> list[tuple[int, str]] | None:
        """Class and key of each labelled row of the split; None if it is too long to be read in moments."""
        data = self.data.select_columns([self.column]) if self.data.column_names else self.data
        most = COUNTED if Path(self.source.removeprefix("hf:")).expanduser().is_dir() else COUNTED_REMOTELY
        found = []
        for number, row in _safely(data, self.split, DataReport()):
            if number == most:
                return None
            if (label := self._label(row)) >= 0:
                found.append((label, self._key(number)))
        return found


def hub_labels(source: str) -> dict[str, HubLabels]:
    """The labelled splits that `train` and `test` refer to. Raises InputError if the set has none."""
    name, wanted = name_and_split(source.removeprefix("hf:"))
    splits = load_splits(name, source)
    if wanted is not None and wanted not in splits:
        raise InputError(f"'{name}' has no split '{wanted}'; it has {', '.join(splits)}")
    first = next(iter(splits.values()))
    columns = first.column_names or list(next(iter(first), {}))
    picture = hub_column(columns, PICTURE_NAMES, name, "pictures")
    column = hub_column(columns, LABEL_COLUMNS, name, "labels")
    homes = _homes(splits, column, name) if wanted is None else {"train": wanted, "test": wanted}
    known = {home: splits[home] for home in homes.values()}
    classes, numbers = _classes(known, column, name)
    labels = {
        split: HubLabels(home, known[home], picture, column, classes, numbers, None, source)
        for split, home in homes.items()
    }
    if len(known) == 1:
        pairs = labels["test"].pairs()
        tests = None if pairs is None else test_keys(pairs)
        labels = {split: replace(each, share=split, tests=tests) for split, each in labels.items()}
    return labels


def checked_hub_labels(source: str) -> dict[str, HubLabels]:
    """`hub_labels` whose classes `check_classes` accepts; splits that are too long to be counted pass."""
    labels = hub_labels(source)
    train, test = (labels[split].counts() for split in ("train", "test"))
    if train is not None and test is not None:
        check_classes(source, train, test)
    return labels


def _homes(splits: Mapping[str, Any], column: str, name: str) -> dict[str, str]:
    """Names of the training and test splits; the same name twice if there is only one. Raises InputError."""
    own = hub_splits(splits)
    held = [own[role] for role in ("test", "val") if role in own]
    tests = [split for split in held if _labelled(splits[split], column)]
    if "train" in own and held and not tests:
        raise InputError(
            f"'{name}' has no label in the column '{column}' of {' and '.join(held)} (-1 marks hidden "
            f"labels): expected a labelled test or validation split; give 'hf:{name}:{own['train']}' to test on a "
            f"fifth of its rows"
        )
    train = own.get("train") or next(iter([*tests, *splits]))
    return {"train": train, "test": tests[0] if tests else train}


def _labelled(data: Any, column: str) -> bool:
    rows = data.select_columns([column]) if data.column_names else data
    return any(_value(row, column) is not None for row in rows.take(COUNTED_REMOTELY))


def _value(row: Mapping[str, Any], column: str) -> str | int | None:
    """The cell, or None if it is not a label (-1 marks hidden labels)."""
    cell = row.get(column)
    return cell if isinstance(cell, (str, int)) and cell != -1 else None


def _classes(splits: Mapping[str, Any], column: str, name: str) -> tuple[tuple[str, ...], dict[Any, int]]:
    """Class names, and the number of each value; without a ClassLabel the sorted values that occur.

    Raises InputError for splits whose numbers mean different classes.
    """
    named = {split: getattr((data.features or {}).get(column), "names", None) for split, data in splits.items()}
    if len(set(map(repr, named.values()))) > 1:
        lists = "; ".join(f"{split}: {', '.join(names[:3]) if names else 'no names'}" for split, names in named.items())
        raise InputError(
            f"the splits of '{name}' name the classes of column '{column}' differently ({lists}), so that their "
            f"numbers cannot be compared: expected the same names in the same order in all splits"
        )
    if names := next(iter(named.values())):
        return tuple(names), {number: number for number in range(len(names))}
    values = {_value(row, column) for split, data in splits.items() for _, row in _safely(data, split, DataReport())}
    found = sorted(values - {None}, key=lambda value: (isinstance(value, str), value))
    if not found:
        raise InputError(f"column '{column}' of '{name}' has no labels in the splits {', '.join(splits)}")
    return tuple(map(str, found)), {value: number for number, value in enumerate(found)}


def _safely(data: Any, split: str, report: DataReport) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Numbered rows up to the first unreadable one, which is reported."""
    number = -1
    try:
        for number, row in enumerate(data):
            yield number, row
    except Exception as error:  # a damaged or deleted file; `datasets` and its readers raise any type
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        report.add(kinds.UNREADABLE_SHARD, split, f"row {number + 1}", reason)
