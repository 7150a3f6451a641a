"""Lists of training and test pictures next to the data, as food-101, SUN397, DTD, Oxford Pets and CUB have them."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dream.data.formats import PICTURES, ending_of
from dream.errors import InputError
from dream.evaluation.classes.layouts.tables import rows_of, text_files, text_of
from dream.evaluation.classes.layouts.tree import Tree
from dream.json_text import parse_json

_NAME = re.compile(
    r"(list_)?(?P<role>trainval|train|training|test|testing|val|valid|validation)_?(?P<number>\d*)"
    r"(_?(list|files|images|split))?"
)
_ROLES = {"training": "train", "testing": "test", "valid": "val", "validation": "val"}
_ENDINGS = (".txt", ".csv", ".lst", ".json")  # in order of preference


@dataclass(frozen=True)
class ListedSplits:
    """Names of the training and test pictures."""

    train: frozenset[str]
    test: frozenset[str]
    source: str
    """Where that stands, in words."""
    notes: tuple[str, ...] = ()


class PictureNames:
    """Finds pictures by what lists call them: with or without ending, and from any folder above."""

    def __init__(self, names: Sequence[str]) -> None:
        """`names` are relative to one folder."""
        keys = {name: _key(name) for name in names}
        self._known = {str(PurePosixPath(key).with_suffix("")): name for name, key in keys.items()}
        self._known |= {key: name for name, key in keys.items()}

    def find(self, entry: str) -> str | None:
        """The picture that a line of a list names, or None."""
        for text in dict.fromkeys((entry, entry.rpartition(" ")[0], *entry.split(maxsplit=1)[:1])):
            parts = [part for part in _key(text).split("/") if part not in ("", ".")]
            for start in range(len(parts)):
                if found := self._known.get("/".join(parts[start:])):
                    return found
        return None


def listed_splits(names: Sequence[str], folders: Sequence[Tree]) -> tuple[ListedSplits | None, tuple[str, ...]]:
    """The training and test pictures that files in these `folders` list; None with a note if there are no two lists.

    `names` are the pictures, relative to the folder of the classes. Raises InputError if a picture is in both lists.
    """
    known = PictureNames(names)
    if ids := _by_ids(folders):
        return _found(known, *ids), ()
    groups = _groups(folders)
    single = ""
    for (folder, number, _), roles in groups.items():
        train = roles.get("trainval") or roles.get("train")
        test = roles.get("test") or roles.get("val")
        of_these = any(known.find(entry) for path in (train, test) if path for entry in _entries(path))
        if train and test and of_these:
            several = len({key[1] for key in groups if key[0] == folder})
            source = f"{folder.name}/{train.name} and {test.name}" + (
                f" (split {number} of {several})" if number else ""
            )
            return _found(known, _entries(train), _entries(test), source), ()
        if (path := train or test) and of_these:
            single = f"{folder.name}/{path.name} is not used, as the {'test' if train else 'training'} list is missing"
    return None, (single,) if single else ()


def _found(known: PictureNames, train: Sequence[str], test: Sequence[str], source: str) -> ListedSplits:
    """The pictures of both lists. Raises InputError if one has none, or if both have the same."""
    found = [[known.find(entry) for entry in entries] for entries in (train, test)]
    ours, theirs = (frozenset(name for name in names if name is not None) for names in found)
    if not ours or not theirs:
        which, count = ("training", len(train)) if not ours else ("test", len(test))
        raise InputError(
            f"{source} list the pictures, but none of the {count:,} {which} pictures is there: complete the folder, or "
            f"remove the lists to test on a fifth of the pictures"
        )
    if both := ours & theirs:
        raise InputError(
            f"{source} list {len(both):,} pictures both for training and for testing, e.g. '{min(both)}': expected "
            f"lists without common pictures; correct them, or remove them"
        )
    missing = sum(name is None for names in found for name in names)
    return ListedSplits(ours, theirs, source, (f"{missing:,} of the listed pictures not there",) if missing else ())


def _groups(folders: Sequence[Tree]) -> dict[tuple[Path, int, int], dict[str, Path]]:
    """Files named as lists, by folder, number and ending; within that by role."""
    groups: dict[tuple[Path, int, int], dict[str, Path]] = {}
    for path in text_files(folders, _ENDINGS):
        if match := _NAME.fullmatch(path.stem.lower()):
            role = match["role"]
            key = path.parent, int(match["number"] or 0), _ENDINGS.index(path.suffix.lower())
            groups.setdefault(key, {})[_ROLES.get(role, role)] = path
    return dict(sorted(groups.items(), key=lambda item: item[0][1:]))


def _entries(path: Path) -> list[str]:
    """The pictures that a list names, one per line, or in JSON by class or as a list."""
    if path.suffix.lower() == ".json":
        try:
            return list(_texts(parse_json(text_of(path))))
        except ValueError:
            return []
    if path.suffix.lower() == ".csv":
        named = [[cell for cell in row if "/" in cell or ending_of(cell) in PICTURES][:1] for row in rows_of(path)]
        if any(named) and not named[0]:
            return [cell for cells in named for cell in cells]  # below a header
        return [(cells or row)[0] for cells, row in zip(named, rows_of(path), strict=True)]
    lines = (line.strip() for line in text_of(path).splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _texts(tree: Any) -> list[str]:
    if isinstance(tree, dict):
        tree = [entry for entries in tree.values() if isinstance(entries, list) for entry in entries]
    return [entry for entry in tree if isinstance(entry, str)] if isinstance(tree, list) else []


def _by_ids(folders: Sequence[Tree]) -> tuple[list[str], list[str], str] | None:
    """CUB's lists: `images.txt` with lines 'id picture', `train_test_split.txt` with lines 'id 1' for training."""
    files = {path.name.lower(): path for path in text_files(folders)}
    if not {"images.txt", "train_test_split.txt"} <= files.keys():
        return None
    pictures = dict(row[:2] for row in rows_of(files["images.txt"]) if len(row) > 1)
    chosen = dict(row[:2] for row in rows_of(files["train_test_split.txt"]) if len(row) > 1)
    train, test = ([name for number, name in pictures.items() if chosen.get(number) == flag] for flag in ("1", "0"))
    return train, test, "images.txt and train_test_split.txt"


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/"))
