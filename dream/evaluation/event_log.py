"""An evaluation's events in a file, one JSON record per line: written while it runs, read by whoever follows it.

Each start of an evaluation begins a new session in the file; readers see the last session only.
"""

import json
import time
from pathlib import Path

from dream.evaluation.events import EvaluationEvent, event_from_dict, event_to_dict
from dream.json_text import parse_json

EVENT_FORMAT = 1
"""Version of the records; a session of another version reads as empty."""
SESSION = "session"
"""`event` of the line that begins a session."""


class EventLog:
    """Appends events to a file, each as soon as it happens."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("a") as file:
            file.write("\n")  # the line before may be torn
        self._append({"event": SESSION, "format": EVENT_FORMAT, "time": time.time()})

    def write(self, event: EvaluationEvent) -> None:
        """Appends one event."""
        self._append(event_to_dict(event))

    def _append(self, tree: dict[str, object]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(tree, allow_nan=False) + "\n")


def read_events(path: Path) -> list[EvaluationEvent]:
    """Returns the events of the file's last session; empty if there is no file.

    Skips unknown events, and lines that are damaged or not complete yet.
    """
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return []
    events: list[EvaluationEvent] = []
    readable = False
    for line in lines:
        try:
            tree = parse_json(line)
            if tree["event"] == SESSION:
                events, readable = [], tree["format"] == EVENT_FORMAT
            elif readable and (event := event_from_dict(tree)) is not None:
                events.append(event)
        except (ValueError, KeyError, TypeError):
            continue
    return events
