r"""JSON that others may have written, damaged or made up: read with bounds, and checked against what it becomes.

Whatever is wrong with a text is a ValueError of one line; with a file, an InputError that names it. A missing file
stays FileNotFoundError: callers know what it means. JSON may hold halves of characters (as `\udce9`), like a name of
bytes: files keep them, pages cannot show them.
"""

import errno
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from dream.errors import InputError
from dream.fields import as_dataclass
from dream.plain_text import fault_in, printable

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


def format_json(tree: Any, indent: int | None = None) -> str:
    """JSON with every character as it is, but escapes if there are halves of characters."""
    text = json.dumps(tree, indent=indent, ensure_ascii=False)
    return json.dumps(tree, indent=indent) if fault_in(text) else text


def printable_tree(tree: Any) -> Any:
    """A value of JSON whose texts a page can show: `?` for halves of characters."""
    if isinstance(tree, str):
        return printable(tree) if fault_in(tree) else tree
    if isinstance(tree, dict):
        return {printable_tree(key): printable_tree(value) for key, value in tree.items()}
    return [printable_tree(value) for value in tree] if isinstance(tree, list) else tree


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError with a reason for text that is not JSON, and for endless nesting."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply to be read") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    except ValueError as error:
        if "sys.set_int_max_str_digits" in str(error):
            raise ValueError("it has a number with thousands of digits") from None
        raise ValueError(" ".join(str(error).split())) from None


def read_bounded(path: Path, most: int | None = MOST_BYTES, start: int | None = None) -> bytes:
    """The content of a regular file of at most `most` bytes, or its first `start` bytes.

    Raises InputError for anything else that has a name (a pipe would wait for ever), and OSError as `open`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise InputError(f"{path} is a socket, where a file was expected: move it away") from error
        raise
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = next((words for is_kind, words in KINDS_OF_FILES if is_kind(mode)), "something else")
            raise InputError(f"{path} is {kind}, where a file was expected: move it away")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(start if start is not None else -1 if most is None else most + 1)
    finally:
        os.close(descriptor)
    if most is not None and len(content) > most:
        raise InputError(f"{path} has more than {most:,} bytes, which is more than such a file can have: move it away")
    return content


def read_json(path: Path, most: int = MOST_BYTES) -> Any:
    """The value in a JSON file of at most `most` bytes; raises InputError if it is damaged, and OSError as `open`."""
    return _value(read_bounded(path, most), path)


def read_json_object(path: Path) -> dict[str, Any]:
    """As `read_json`, for a file that holds an object."""
    return _object(read_bounded(path), path)


def read_printable(path: Path) -> dict[str, Any]:
    """As `read_json_object`, with the texts that a page can show (see `printable_tree`)."""
    content = read_bounded(path)
    tree = _object(content, path)
    # UTF-8 has no halves of characters, so that only escapes can make them
    return printable_tree(tree) if b"\\ud" in content or b"\\uD" in content else tree


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


def _value(content: bytes, path: Path) -> Any:
    try:
        return parse_json(content)
    except ValueError as error:
        raise InputError(f"{path} is damaged: it is not JSON that can be read ({error})") from error


def _object(content: bytes, path: Path) -> dict[str, Any]:
    tree = _value(content, path)
    if not isinstance(tree, dict):
        raise InputError(f"{path} is damaged: it does not hold an object, as {{...}}")
    return tree
