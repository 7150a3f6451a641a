"""Checks that a place can be written to, atomic replacement of text files, and where the user's cache is."""

import os
from pathlib import Path

from dream.errors import InputError


def user_cache() -> Path:
    """Folder of what is kept on this machine for all projects: in DREAM_CACHE, otherwise in the user's cache."""
    cache = os.environ.get("DREAM_CACHE") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "dream-workbench"


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
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
