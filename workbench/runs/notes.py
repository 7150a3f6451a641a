"""Tags and notes on runs, stored in the workbench's own folder.

Each run has its own JSON file, replaced whole, so that tabs editing different runs do not overwrite each other.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from dream.files import replace_text
from dream.json_text import parse_json, printable_tree
from dream.plain_text import require_text
from workbench.workspace import Workspace

MOST_TEXT = 20_000
"""Longest note in characters; the rest is cut off."""


@dataclass(frozen=True)
class Note:
    """A user's tags and text on a run."""

    tags: tuple[str, ...] = ()
    text: str = ""


def read_note(workspace: Workspace, run: str) -> Note:
    """Reads the note on a run; empty if there is none or its file is damaged."""
    try:
        tree = printable_tree(parse_json(_file(workspace, run).read_bytes()))
        return Note(tuple(map(str, tree["tags"])), str(tree["text"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Note()


def write_note(workspace: Workspace, run: str, note: Note) -> Note:
    """Stores a note and returns it as stored, with tags stripped and unique; an empty note is removed.

    Raises InputError for a tag or a text that is not plain text.
    """
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
    replace_text(file, json.dumps({"run": run, "tags": list(tags), "text": kept.text}, indent=1))
    return kept


def forget_notes(workspace: Workspace, run: str) -> None:
    """Removes the note on a run."""
    _file(workspace, run).unlink(missing_ok=True)


def all_tags(workspace: Workspace) -> list[str]:
    """All tags in use, in alphabetical order."""
    tags: set[str] = set()
    for file in (workspace.own / "notes").glob("*.json"):
        try:
            tags.update(map(str, printable_tree(parse_json(file.read_bytes()))["tags"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(tags)


def _file(workspace: Workspace, run: str) -> Path:
    """Path of a run's note; the name is hashed, because it may contain slashes."""
    return (
        workspace.own
        / "notes"
        / f"{hashlib.blake2b(run.encode('utf-8', 'surrogatepass'), digest_size=12).hexdigest()}.json"
    )
