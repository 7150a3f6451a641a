"""Names of classes in words, from a file, from a file next to the pictures, or from the class folders."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dream.data.content import read_data
from dream.data.corpora.folders import subfolders
from dream.errors import InputError
from dream.evaluation.classes.layouts.tables import WNID, rows_of
from dream.json_text import MOST_BYTES, parse_json

NAME_FILES = (
    "words.txt",
    "LOC_synset_mapping.txt",
    "synset_words.txt",
    "imagenet_class_index.json",
    "class_names.txt",
    "class_names.json",
    "classes.txt",
    "names.txt",
)
"""Files next to the data that may name its classes: Tiny-ImageNet's, Kaggle's, Caffe's, Keras's, CUB's."""
_NUMBER = re.compile(r"(?:n\d{8}[-_ ]|\d{1,5}[.])(?=.*[^\W\d])")  # n02085620-Chihuahua, 001.Black_footed_Albatross


def class_names(classes: Sequence[str], path: str | None = None, beside: Path | None = None) -> tuple[str, ...]:
    """Names of the classes: from the file `path` (see `read_names`) if there is one, otherwise their own.

    Classes that are no words (WNIDs and numbers) take their names from a file of NAME_FILES in the folder `beside`
    or directly below it. Of several names ('tench, Tinca tinca') the first one is used. Raises InputError for a file
    that cannot be read or lacks a class, and for classes without words.
    """
    known = read_names(Path(path)) if path else {name: _own_words(name) for name in classes}
    if not path and (wordless := wordless_classes(classes)):
        if not (found := _names_beside(classes, beside)):
            raise InputError(
                f"{len(wordless):,} of the {len(classes):,} classes have no name in words (e.g. '{wordless[0]}'), "
                f"which captions need: --set zero_shot.names=FILE with lines 'folder name' (as in ImageNet's "
                f"LOC_synset_mapping.txt), or put such a file as {NAME_FILES[0]} into the folder of the data"
            )
        known = found
    missing = [name for name in classes if name not in known]
    if missing:
        raise InputError(f"{path} has no name for {len(missing)} of {len(classes)} classes, e.g. '{missing[0]}'")
    return tuple(_spoken(known[name]) for name in classes)


def wordless_classes(classes: Sequence[str]) -> list[str]:
    """Those of the classes that are no words: WNIDs, and numbers if there are more than the ten digits."""
    numbers = len(classes) > 10 and all(name.isdigit() for name in classes)
    return [name for name in classes if WNID.fullmatch(name) or numbers]


def read_names(path: Path) -> dict[str, str]:
    """Names by class folder, from JSON {folder: name} or lines 'folder name'. Raises InputError."""
    try:
        text = read_data(path.expanduser(), MOST_BYTES).decode("utf-8-sig")
        if text.lstrip().startswith("{"):
            return _named_in(parse_json(text))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the class names in '{path}': {error}") from None
    pairs = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    if any(len(pair) < 2 for pair in pairs):
        raise InputError(f"'{path}' must be JSON {{folder: name}} or lines 'folder name'")
    return dict(pairs)


def _names_beside(classes: Sequence[str], folder: Path | None) -> dict[str, str]:
    """Names of all classes from a file in the folder or in one directly below; empty without one."""
    for place in [folder, *subfolders(folder)] if folder else []:
        for name in NAME_FILES:
            if (place / name).is_file():
                try:
                    known = read_names(place / name)
                except InputError:
                    known = {row[0]: " ".join(row[1:]) for row in rows_of(place / name) if len(row) > 1}
                if set(classes) <= known.keys():
                    return {each: known[each] for each in classes}
    return {}


def _named_in(tree: dict[str, Any]) -> dict[str, str]:
    """Names by folder, from {folder: name} or Keras's {number: [folder, name]}."""
    pairs = [value if isinstance(value, list) and len(value) == 2 else (key, value) for key, value in tree.items()]
    return {str(folder): str(name) for folder, name in pairs}


def _own_words(name: str) -> str:
    return _NUMBER.sub("", name, count=1) if _NUMBER.match(name) else name


def _spoken(name: str) -> str:
    return " ".join(name.split(",")[0].replace("_", " ").replace("/", " ").split())
