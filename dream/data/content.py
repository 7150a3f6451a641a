"""Reads files of data: regular ones, within bounds, and inside one folder if the process is confined to it."""

import os
from pathlib import Path

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


def check_inside(path: Path) -> None:
    """Raises InputError if the process is confined to a folder and `path` leads out of it."""
    inside = os.environ.get(INSIDE)
    if inside and not Path(os.path.realpath(path)).is_relative_to(inside):
        raise InputError(f"{path.name} leads out of {inside}, which only the setting 'outside' of the workspace allows")
