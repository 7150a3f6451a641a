"""Reads files of data: regular ones, within bounds, and inside one folder if the process is confined to it."""

import os
from pathlib import Path

from dream.data.samples import BadSample
from dream.errors import InputError
from dream.json_text import read_bounded

INSIDE = "DREAM_INSIDE"
"""Environment variable with a folder that data must lie in, links followed; without it they may lie anywhere."""
MOST_CAPTION = 2**20
"""Bytes of the largest file of captions of one picture."""
MOST_PICTURE = 256 * 2**20
"""Bytes of the largest picture's file."""
MOST_LINE = 16 * 2**20
"""Characters of the longest line of metadata."""


def read_data(path: Path, most: int) -> bytes:
    """The content of a data file. Raises InputError for what is no regular file, too large or not allowed; OSError."""
    check_inside(path)
    return read_bounded(path, most)


def read_sample(path: Path, kind: str, most: int = MOST_PICTURE) -> bytes:
    """As `read_data`, of a sample's file: whatever is wrong with it is a BadSample of this kind."""
    try:
        return read_data(path, most)
    except OSError as error:
        raise BadSample(kind, f"cannot be read: {error.strerror or error}") from error
    except InputError as error:
        raise BadSample(kind, str(error)) from error


def is_confined() -> bool:
    """Whether data must lie in one folder."""
    return bool(os.environ.get(INSIDE))


def leads_out(path: str | Path) -> bool:
    """Whether the process is confined to a folder and `path` leads out of it."""
    inside = os.environ.get(INSIDE)
    return bool(inside) and not Path(os.path.realpath(path)).is_relative_to(str(inside))


def check_inside(path: Path) -> None:
    """Raises InputError if the process is confined to a folder and `path` leads out of it."""
    if leads_out(path):
        inside = os.environ[INSIDE]
        raise InputError(f"{path.name} leads out of {inside}, which only the setting 'outside' of the workspace allows")
