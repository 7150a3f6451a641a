"""Labelled rows of a hub set, or of a folder that `datasets` wrote, by its column of classes.

Rows come as a stream: with a limit the labels are read first, then the chosen pictures.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dream.data import report as kinds
from dream.data.folders import SPLITS
from dream.data.formats import PICTURE_NAMES
from dream.data.hub import HubRow, hub_column, load_splits, name_and_split
from dream.data.report import DataReport
from dream.errors import InputError
from dream.evaluation.classes.pictures import LabelledRow, choose_evenly, in_test_share

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
        return self.share is None or in_test_share(key) == (self.share == "test")


def hub_labels(source: str, split: str) -> HubLabels:
    """The labelled split that `train` or `test` refers to. Raises InputError if the set has none."""
    name, wanted = name_and_split(source.removeprefix("hf:"))
    splits = load_splits(name, source)
    if wanted is not None and wanted not in splits:
        raise InputError(f"'{name}' has no split '{wanted}'; it has {', '.join(splits)}")
    first = next(iter(splits.values()))
    columns = first.column_names or list(next(iter(first), {}))
    picture = hub_column(columns, PICTURE_NAMES, name, "pictures")
    column = hub_column(columns, LABEL_COLUMNS, name, "labels")
    homes = _homes(splits, column) if wanted is None else {"train": wanted, "test": wanted}
    known = {home: splits[home] for home in homes.values()}
    classes, numbers = _classes(known, column)
    share = split if len(known) == 1 else None
    return HubLabels(homes[split], known[homes[split]], picture, column, classes, numbers, share)


def _homes(splits: Mapping[str, Any], column: str) -> dict[str, str]:
    """Names of the training and test splits; the same name twice if only one split is labelled."""
    tests = [n for n in (*SPLITS["test"], *SPLITS["val"]) if n in splits and _labelled(splits[n], column)]
    trains = [n for n in SPLITS["train"] if n in splits] or tests or list(splits)
    return {"train": trains[0], "test": (tests or trains)[0]}


def _labelled(data: Any, column: str) -> bool:
    return any(_value(row, column) is not None for row in data.take(1))


def _value(row: Mapping[str, Any], column: str) -> str | int | None:
    """The cell, or None if it is not a label (-1 marks hidden labels)."""
    cell = row.get(column)
    return cell if isinstance(cell, (str, int)) and cell != -1 else None


def _classes(splits: Mapping[str, Any], column: str) -> tuple[tuple[str, ...], dict[Any, int]]:
    """Class names, and the number of each value; without a ClassLabel the sorted values that occur."""
    features = next(iter(splits.values())).features or {}
    if names := getattr(features.get(column), "names", None):
        return tuple(names), {number: number for number in range(len(names))}
    values = {_value(row, column) for name, data in splits.items() for _, row in _safely(data, name, DataReport())}
    names = sorted(values - {None}, key=lambda value: (isinstance(value, str), value))
    if not names:
        raise InputError(f"column '{column}' has no labels in the splits {', '.join(splits)}")
    return tuple(map(str, names)), {value: number for number, value in enumerate(names)}


def _safely(data: Any, split: str, report: DataReport) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Numbered rows up to the first unreadable one, which is reported."""
    number = -1
    try:
        for number, row in enumerate(data):
            yield number, row
    except Exception as error:  # a damaged or deleted file; `datasets` and its readers raise any type
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        report.add(kinds.UNREADABLE_SHARD, split, f"row {number + 1}", reason)
