"""Files of JSON that others may have damaged or made up: read with bounds, and checked against what they become.

Every fault is one sentence that names the file. A missing file stays FileNotFoundError: callers know what it means.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from dream.errors import InputError
from dream.fields import as_dataclass
from dream.json_text import parse_json

MOST_BYTES = 64 * 2**20
"""Largest file of JSON that is read whole."""
KINDS_OF_FILES = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
T = TypeVar("T")


def read_bounded(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file of at most `most` bytes.

    Raises InputError for anything else that has a name (a pipe would wait for ever), and OSError as `open`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            kind = next((words for is_kind, words in KINDS_OF_FILES if is_kind(about.st_mode)), "something else")
            raise InputError(f"{path} is {kind}, where a file was expected: move it away")
        content = file.read(most + 1)
    if len(content) > most:
        raise InputError(f"{path} has more than {most:,} bytes, which is more than such a file can have: move it away")
    return content


def read_json(path: Path) -> Any:
    """The value in a JSON file; raises InputError if it is damaged, and OSError as `open`."""
    content = read_bounded(path)
    try:
        return parse_json(content)
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from error


def read_json_object(path: Path) -> dict[str, Any]:
    """As `read_json`, for a file that holds an object."""
    tree = read_json(path)
    if not isinstance(tree, dict):
        raise InputError(f"{path} is damaged: it does not hold an object, as {{...}}")
    return tree


def read_as(path: Path, kind: type[T]) -> T:
    """The dataclass `kind` that a JSON file describes; raises as `read_json_object`, and for a field of another type.

    Fields that it does not know are left out: a newer version may have written them.
    """
    return as_record(read_json_object(path), kind, path)


def as_record(tree: Mapping[str, Any], kind: type[T], path: Path) -> T:
    """The dataclass `kind` that `tree`, read from `path`, describes; raises InputError if it describes none."""
    try:
        return as_dataclass(tree, kind)
    except InputError as error:
        raise InputError(f"{path} is damaged: {error}") from error
