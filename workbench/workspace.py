"""The folder that the workbench works in: where its things are, and which paths a user may name.

Everything a page writes lies under it. A path that a user types is kept inside, unless the workspace's own
settings file says otherwise. It knows nothing of what lies in it.
"""

import json
import os
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from dream.errors import InputError

VARIABLE = "DREAM_WORKSPACE"
"""Environment variable that names the folder; without it the working directory is it."""
SETTINGS = "settings.json"
LOG_BYTES = 2_000_000
"""The log is cut to its younger half above this size."""
PATTERN = "*?[{"
"""Characters that make a path a pattern of shards."""


@dataclass(frozen=True)
class Workspace:
    """The folder and its one setting."""

    root: Path
    outside: bool = False
    """Whether paths outside of the folder may be read."""

    @property
    def runs(self) -> Path:
        """Trainings, a folder each."""
        return self.root / "runs"

    @property
    def decodes(self) -> Path:
        """Stored decodes and choices."""
        return self.root / "decodes"

    @property
    def results(self) -> Path:
        """What `dream evaluate` found."""
        return self.root / "results"

    @property
    def own(self) -> Path:
        """What the workbench itself keeps: queue, notes, log."""
        return self.root / ".workbench"

    @property
    def log(self) -> Path:
        """Where the details of failures go."""
        return self.own / "log.txt"

    def path(self, text: str) -> Path:
        """The path that a user typed, taken from the workspace if it is not absolute.

        Raises InputError for an empty one, and for one outside while that is not allowed.
        """
        if not text.strip():
            raise InputError("no path was given; name a file or folder of the workspace")
        path = (self.root / Path(text.strip()).expanduser()).resolve()
        if not self.outside and not path.is_relative_to(self.root.resolve()):
            raise InputError(
                f"{text.strip()} lies outside of the workspace {self.root}: move it there, or allow "
                f'other places by writing {{"outside": true}} into {self.own / SETTINGS}'
            )
        return path

    def model(self, text: str) -> str:
        """What `load_pretrained` takes for the model that a user named: a shipped one's name, or a path."""
        from dream.pretrained import SHIPPED  # brings torch, which the queue's supervisor does without

        name = text.strip()
        return name if name in SHIPPED and not (self.root / name).exists() else str(self.path(name))

    def source(self, text: str) -> str:
        """The data source that a user named (`shapes`, `hf:...`, a path, a pattern of shards), as it is
        opened.
        """
        name = text.strip()
        if name == "shapes" or name.startswith("hf:"):
            return name
        first = min((at for at in map(name.find, PATTERN) if at >= 0), default=None)
        if first is None:
            return str(self.path(name))
        if ".." in Path(name[first:]).parts:
            raise InputError(f"a pattern of shards must not go back with '..', got '{name}'")
        fixed, _, pattern = name[:first].rpartition("/")
        return f"{self.path(fixed or ('/' if name.startswith('/') else '.'))}/{pattern}{name[first:]}"

    def shown(self, path: str | Path) -> str:
        """A path as pages show it: from the workspace on where it lies inside."""
        path = Path(path)
        inside = path.is_absolute() and path.is_relative_to(self.root)
        return str(path.relative_to(self.root)) if inside else str(path)

    def note_failure(self, error: BaseException) -> str:
        """Writes the details of a failure to the log; they are returned."""
        details = "".join(traceback.format_exception(error))
        try:
            self.own.mkdir(parents=True, exist_ok=True)
            if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
                self.log.write_text(self.log.read_text(errors="replace")[-LOG_BYTES // 2 :])
            with self.log.open("a") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{details}\n")
        except OSError:
            pass  # a full or read-only disk must not hide the failure itself
        return details


def open_workspace(root: Path | None = None) -> Workspace:
    """The workspace at `root`, else where DREAM_WORKSPACE says, else the working directory.

    Raises InputError where that is no folder, or its settings are damaged.
    """
    root = (root or Path(os.environ.get(VARIABLE) or ".")).expanduser().absolute()
    if not root.is_dir():
        raise InputError(f"the workspace {root} is no folder: make it, or name another with {VARIABLE}")
    settings = Workspace(root).own / SETTINGS
    if not settings.is_file():
        return Workspace(root)
    try:
        tree = json.loads(settings.read_text())
        outside = tree.get("outside", False)
    except (ValueError, AttributeError):
        outside = None
    if not isinstance(outside, bool):
        raise InputError(f'{settings} is damaged: expected {{"outside": true}} or false; mend or delete it')
    return Workspace(root, outside)
