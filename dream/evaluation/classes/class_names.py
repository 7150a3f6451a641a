"""Names of classes in words, from a file or from the class folders."""

import json
from collections.abc import Sequence
from pathlib import Path

from dream.errors import InputError


def class_names(classes: Sequence[str], path: str | None = None) -> tuple[str, ...]:
    """Names of the classes: from the file `path` (see `read_names`) if there is one, otherwise their own.

    Of several names ('tench, Tinca tinca') the first one is used. Raises InputError for a file that cannot be read
    or lacks a class.
    """
    known = read_names(Path(path)) if path else {name: name for name in classes}
    missing = [name for name in classes if name not in known]
    if missing:
        raise InputError(f"{path} has no name for {len(missing)} of {len(classes)} classes, e.g. '{missing[0]}'")
    return tuple(known[name].split(",")[0].replace("_", " ").strip() for name in classes)


def read_names(path: Path) -> dict[str, str]:
    """Names by class folder, from JSON {folder: name} or lines 'folder name'. Raises InputError."""
    try:
        text = path.expanduser().read_text(encoding="utf-8")
        if text.lstrip().startswith("{"):
            return {str(folder): str(name) for folder, name in json.loads(text).items()}
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the class names in '{path}': {error}") from None
    pairs = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    if any(len(pair) < 2 for pair in pairs):
        raise InputError(f"'{path}' must be JSON {{folder: name}} or lines 'folder name'")
    return dict(pairs)
