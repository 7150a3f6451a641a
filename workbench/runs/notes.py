"""Tags and notes on runs, kept beside the workbench's own files: a JSON a run, replaced whole.

A file a run, so that two tabs that write about two runs lose nothing. It knows nothing of runs themselves.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from dream.files import replace_text
from workbench.workspace import Workspace

MOST_TEXT = 20_000
"""Characters of a note that are kept."""


@dataclass(frozen=True)
class Note:
    """What a user wrote about a run."""

    tags: tuple[str, ...] = ()
    text: str = ""


def read_note(workspace: Workspace, run: str) -> Note:
    """What was written about the run of this name; an empty note if nothing was, or its file is damaged."""
    try:
        tree = json.loads(_file(workspace, run).read_text())
        return Note(tuple(map(str, tree["tags"])), str(tree["text"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Note()


def write_note(workspace: Workspace, run: str, note: Note) -> Note:
    """The note as it was kept: tags without blanks around them, each once; of an empty one nothing is."""
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
    """Removes what was written about a run."""
    _file(workspace, run).unlink(missing_ok=True)


def all_tags(workspace: Workspace) -> list[str]:
    """Every tag that any run has, in the order of the alphabet."""
    found: set[str] = set()
    for file in (workspace.own / "notes").glob("*.json"):
        try:
            found.update(map(str, json.loads(file.read_text())["tags"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(found)


def _file(workspace: Workspace, run: str) -> Path:
    """Where a run's note is: names may hold slashes, file names may not."""
    return workspace.own / "notes" / f"{hashlib.blake2b(run.encode(), digest_size=12).hexdigest()}.json"
