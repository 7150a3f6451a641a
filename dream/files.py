"""Where something may be written, asked before any work is done for it, and files replaced at once."""

import os
from pathlib import Path

from dream.errors import InputError


def check_writable(folder: Path, option: str = "--out") -> None:
    """InputError where `folder`, of that option, can neither be written into nor made."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise InputError(f"{there} is a file, so nothing can be written to {folder}: choose another {option}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"no permission to write to {there}: choose another {option}, or change its rights")


def replace_text(path: Path, text: str) -> None:
    """Makes `text` the content of a file; a reader sees the old or the new one, never half of either."""
    temporary = path.with_name(f".{path.name}.writing")
    temporary.write_text(text)
    temporary.replace(path)
