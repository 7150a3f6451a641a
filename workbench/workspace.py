"""The workspace: the folder that holds everything the workbench writes, and the paths a user may name.

A path typed by a user must stay inside, unless the workspace's settings file allows other places.
"""

import os
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

from dream.data.content import INSIDE
from dream.data.emoji.corpus import is_emoji
from dream.errors import InputError
from dream.json_text import read_as
from dream.plain_text import require_text
from dream.weights.hub import LOCAL_ONLY

VARIABLE = "DREAM_WORKSPACE"
"""Environment variable that names the folder; the default is the working directory."""
SETTINGS = "settings.json"
LOG_BYTES = 2_000_000
"""Above this size the log is cut to its newer half."""
PATTERN = "*?[{"
"""Characters that turn a path into a shard pattern."""


@dataclass(frozen=True)
class _Settings:
    outside: bool = False
    token: bool = True
    hub: bool = False


@dataclass(frozen=True)
class Workspace:
    """The folder and its settings."""

    root: Path
    outside: bool = False
    """Whether paths outside the folder may be read."""
    token: bool = True
    """Whether a browser needs the workspace's token."""
    hub: bool = False
    """Whether the app may fetch models that a configuration names from a hub."""

    @property
    def runs(self) -> Path:
        """Folder of training runs, one subfolder per run."""
        return self.root / "runs"

    @property
    def decodes(self) -> Path:
        """Folder of stored decodes and trajectory selections."""
        return self.root / "decodes"

    @property
    def results(self) -> Path:
        """Folder of `dream evaluate` results."""
        return self.root / "results"

    @property
    def own(self) -> Path:
        """The workbench's own files: queue, notes, log."""
        return self.root / ".workbench"

    @property
    def log(self) -> Path:
        """File that records the details of failures."""
        return self.own / "log.txt"

    def path(self, text: str) -> Path:
        """Resolves a path typed by a user, relative to the workspace.

        Raises InputError for an empty path, and for a path outside the workspace unless that is allowed.
        """
        if not require_text(text, "the path").strip():
            raise InputError("no path given: name a file or folder in the workspace")
        try:
            path = (self.root / Path(text.strip()).expanduser()).resolve()
            path.exists()
        except OSError as error:
            raise InputError(f"{text.strip():.80} is no path: {error.strerror}") from error
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{text.strip():.80} is no path: {error}") from error
        if not self.outside and not path.is_relative_to(self.root.resolve()):
            raise InputError(
                f"{text.strip()} is outside of the workspace {self.root}: move it there, or allow "
                f'other places by writing {{"outside": true}} into {self.own / SETTINGS}'
            )
        return path

    def model(self, text: str) -> str:
        """Resolves a model named by a user into what `load_pretrained` takes: a shipped model's name, or a path."""
        from dream.pretrained import SHIPPED  # imports torch, which the queue's supervisor does not need

        name = text.strip()
        return name if name in SHIPPED and not (self.root / name).exists() else str(self.path(name))

    def source(self, text: str) -> str:
        """Resolves a data source named by a user: `shapes`, `emoji`, `hf:...`, a path or a shard pattern."""
        name = text.strip()
        if name == "shapes" or is_emoji(name) or name.startswith("hf:"):
            return name
        first = min((at for at in map(name.find, PATTERN) if at >= 0), default=None)
        if first is None:
            return str(self.path(name))
        if ".." in Path(name[first:]).parts:
            raise InputError(f"a shard pattern must not contain '..', got '{name}'")
        fixed, _, pattern = name[:first].rpartition("/")
        return f"{self.path(fixed or ('/' if name.startswith('/') else '.'))}/{pattern}{name[first:]}"

    def shown(self, path: str | Path) -> str:
        """A path for display, relative to the workspace if it is inside."""
        path = Path(path)
        inside = path.is_absolute() and path.is_relative_to(self.root)
        return str(path.relative_to(self.root)) if inside else str(path)

    def note_failure(self, error: BaseException) -> str:
        """Appends the traceback of a failure to the log and returns it."""
        details = "".join(traceback.format_exception(error))
        try:
            self.own.mkdir(parents=True, exist_ok=True)
            if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
                newer = self.log.read_text(encoding="utf-8", errors="replace")[-LOG_BYTES // 2 :]
                self.log.write_text(newer, encoding="utf-8")
            with self.log.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{details}\n")
        except OSError:
            pass  # a full or read-only disk must not hide the failure itself
        return details


def confine(workspace: Workspace) -> None:
    """Confines data and models of this process and its children to the workspace's settings.

    Data lie in the workspace unless it allows other places; models are asked of no hub unless it says so.
    """
    if not workspace.outside:
        os.environ[INSIDE] = str(workspace.root.resolve())
    if not workspace.hub:
        os.environ[LOCAL_ONLY] = "1"


def open_workspace(root: Path | None = None) -> Workspace:
    """Opens the workspace at `root`, by default `DREAM_WORKSPACE` or the working directory.

    Raises InputError if that is not a folder, or its settings are damaged.
    """
    root = (root or Path(os.environ.get(VARIABLE) or ".")).expanduser().absolute()
    if not root.is_dir():
        raise InputError(f"the workspace {root} is not a folder: create it, or set {VARIABLE} to another one")
    settings = Workspace(root).own / SETTINGS
    if not settings.is_file():
        return Workspace(root)
    try:
        return Workspace(root, **asdict(read_as(settings, _Settings)))
    except InputError as error:
        expected = '{"outside": true, "token": true, "hub": true}, each true or false'
        raise InputError(f"{error}; expected {expected}: fix or delete the file") from error
