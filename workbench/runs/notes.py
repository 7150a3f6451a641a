"""Tags and notes on runs, stored in the workbench's own folder.

Each run has its own JSON file, replaced whole under a lock, so that tabs that edit the same run lose nothing.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from dream.errors import InputError
from dream.files import ABANDONED_SECONDS, locked, remove_leftovers, replace_text
from dream.json_text import as_record, printable_tree, read_json_object
from dream.plain_text import require_text
from workbench.workspace import Workspace

MOST_TEXT = 20_000
"""Longest note in characters; the rest is cut off."""


@dataclass(frozen=True)
class Note:
    """A user's tags and text on a run."""

    tags: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class _StoredNote:
    tags: tuple[str, ...]
    text: str


def read_note(workspace: Workspace, run: str) -> Note:
    """Reads the note on a run; empty if there is none or its file is damaged."""
    return _read(_file(workspace, run)) or Note()


def change_note(workspace: Workspace, run: str, before: Note, wanted: Note) -> Note:
    """Stores what was changed from `before` to `wanted`, and returns the note with what others changed meanwhile.

    Tags that others added or removed stay so; if both wrote text, both are kept. Raises as `write_note`.
    """
    with locked(_folder(workspace)):
        there = read_note(workspace, run)
        removed, added = set(before.tags) - set(wanted.tags), [tag for tag in wanted.tags if tag not in before.tags]
        tags = (*(tag for tag in there.tags if tag not in removed), *added)
        text = there.text if wanted.text == before.text else wanted.text
        if there.text not in (before.text, wanted.text) and wanted.text != before.text:
            text = f"{there.text}\n{wanted.text}"
        return _write(workspace, run, Note(tags, text))


def write_note(workspace: Workspace, run: str, note: Note) -> Note:
    """Stores a note and returns it as stored, with tags stripped and unique; an empty note is removed.

    Raises InputError for a tag or a text that is not plain text.
    """
    with locked(_folder(workspace)):
        return _write(workspace, run, note)


def forget_notes(workspace: Workspace, run: str) -> None:
    """Removes the note on a run."""
    _file(workspace, run).unlink(missing_ok=True)


def all_tags(workspace: Workspace) -> list[str]:
    """All tags in use, in alphabetical order."""
    notes = (_read(file) for file in _folder(workspace).glob("*.json"))
    return sorted({tag for note in notes if note is not None for tag in note.tags})


def _write(workspace: Workspace, run: str, note: Note) -> Note:
    for tag in note.tags:
        require_text(tag, "a tag")
    require_text(note.text, "the note")
    tags = tuple(dict.fromkeys(tag.strip() for tag in note.tags if tag.strip()))
    kept = Note(tags, note.text.strip()[:MOST_TEXT])
    if kept == Note():
        forget_notes(workspace, run)
        return kept
    file = _file(workspace, run)
    file.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(file.parent, ABANDONED_SECONDS)
    replace_text(file, json.dumps({"run": run, "tags": list(tags), "text": kept.text}, indent=1))
    return kept


def _read(file: Path) -> Note | None:
    """The note in a file; None if there is none or it is damaged."""
    try:
        stored = as_record(printable_tree(read_json_object(file)), _StoredNote, file)
        return Note(stored.tags, stored.text)
    except (OSError, InputError):
        return None


def _folder(workspace: Workspace) -> Path:
    return workspace.own / "notes"


def _file(workspace: Workspace, run: str) -> Path:
    """Path of a run's note; the name is hashed, because it may contain slashes."""
    name = hashlib.blake2b(run.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    return _folder(workspace) / f"{name}.json"
