"""Checks that a place can be written to before any work is done for it, and that a file is what it stands for.

Also replaces text files at once.
"""

import os
from pathlib import Path

from dream.errors import InputError

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def check_writable(folder: Path, option: str = "--out") -> None:
    """Raises InputError if `folder`, given by `option`, can neither be written into nor created."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise InputError(f"{existing} is a file, so nothing can be written to {folder}: choose another {option}")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"no permission to write to {existing}: choose another {option}, or change its permissions")


def replace_text(path: Path, text: str) -> None:
    """Makes `text` the content of a file; a reader sees the old content or the new, never a mixture."""
    temporary = path.with_name(f".{path.name}.writing")
    temporary.write_text(text)
    temporary.replace(path)


def refuse_pointer(path: Path) -> None:
    """Raises InputError if `path` is the pointer that git-lfs leaves in the place of a file that was not fetched."""
    if is_pointer_file(path):
        raise InputError(f"{path} is a git-lfs pointer, not the file itself: run `git lfs pull` in its folder")


def is_pointer_file(path: Path) -> bool:
    """Whether the file at `path` is a pointer of git-lfs; no other place is."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_LFS_POINTER)) == _LFS_POINTER
