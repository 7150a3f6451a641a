"""Stored decodes and trajectory selections: written, listed, searched, reopened and deleted.

Each has a folder in the workspace with the record (`record.zarr`), its origin (`about.json`) and a thumbnail. The
folder is hidden while it is being written, so that it appears whole or not at all.
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, cast, get_args

from PIL import Image

from dream.data.content import MOST_PICTURE, read_data
from dream.data.transforms import BrokenPicture, read_image
from dream.errors import InputError
from dream.files import check_writable, is_abandoned
from dream.json_text import as_record, format_json, read_printable
from dream.plain_text import require_text
from workbench.workspace import Workspace

Kind = Literal["decode", "trajectories"]

ABOUT, RECORD, THUMBNAIL = "about.json", "record.zarr", "thumbnail.png"
FORMAT = 1
THUMBNAIL_SIDE = 144
"""Smaller pictures are enlarged by a whole factor to at least this side in pixels; larger ones are shrunk."""
LATEST = 2.0**37
"""Seconds since 1970 that are still a date (about the year 6300)."""
MOST_REMEMBERED = 20_000
"""Decodes whose description is kept in memory, until its file changes."""
HIDDEN = "."
"""Name prefix of folders that are still being written."""


@dataclass(frozen=True)
class StoredDecode:
    """One stored decode or trajectory selection, as listed."""

    id: str
    path: Path
    kind: Kind
    prompt: str
    created: float
    """Seconds since 1970."""
    about: dict[str, Any]
    """Its origin: model, model_id, settings, seed; for a fork also parent and fork_step."""
    thumbnail: Path | None

    @property
    def record_path(self) -> Path:
        """Path of the record, for `dream.decoding.record.load_record`."""
        return self.path / RECORD

    @property
    def when(self) -> str:
        """Date and time of creation, formatted."""
        return f"{datetime.fromtimestamp(self.created):%Y-%m-%d %H:%M}"

    @cached_property
    def text(self) -> str:
        """Searchable text in lower case, with names before their values, as in `seed 5`."""
        about = dict(self.about)
        settings = about.pop("settings", {})
        pairs = {**about, **(settings if isinstance(settings, dict) else {})}
        plain = (f"{name} {value}" for name, value in pairs.items() if isinstance(value, (str, int, float)))
        return " ".join([self.prompt, self.id, self.kind, *plain]).lower()


@dataclass(frozen=True)
class _StoredAbout:
    format: int
    kind: Kind
    prompt: str
    created: float
    about: dict[str, Any]


class Draft:
    """A decode being stored, as a context manager that removes it again unless `finish` was called."""

    def __init__(self, folder: Path, kind: Kind, prompt: str, about: dict[str, Any]) -> None:
        self.folder, self.kind, self.prompt, self.about = folder, kind, require_text(prompt, "the prompt"), about
        moment = datetime.now()
        self.id = f"{moment:%Y%m%d-%H%M%S}-{_slug(prompt)}-{secrets.token_hex(3)}"
        self.created = moment.timestamp()
        self.path = folder / f"{HIDDEN}{self.id}"
        self.path.mkdir(parents=True)

    @property
    def record_path(self) -> Path:
        """Path to write the record to."""
        return self.path / RECORD

    def __enter__(self) -> "Draft":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.path, ignore_errors=True)  # `finish` has renamed it

    def finish(self, thumbnail: Image.Image) -> StoredDecode:
        """Adds the decode to the list, with its thumbnail."""
        _fitted(thumbnail).save(self.path / THUMBNAIL)
        tree = {
            "format": FORMAT,
            "kind": self.kind,
            "prompt": self.prompt,
            "created": self.created,
            "about": self.about,
        }
        (self.path / ABOUT).write_text(format_json(tree, indent=1), encoding="utf-8")
        self.path.rename(self.folder / self.id)
        return open_folder(self.folder / self.id)


def begin(workspace: Workspace, kind: str, prompt: str, about: Mapping[str, Any]) -> Draft:
    """Creates the hidden folder for a record of kind `decode` or `trajectories`; `about` must be JSON-serializable.

    Raises InputError if the workspace is not writable.
    """
    assert kind in get_args(Kind), kind
    check_writable(workspace.decodes, "workspace")
    _sweep(workspace.decodes)
    return Draft(workspace.decodes, cast(Kind, kind), prompt, dict(about))


def list_stored(workspace: Workspace, kind: str | None = None, query: str = "") -> list[StoredDecode]:
    """Lists the stored decodes, newest first.

    Every word of `query` must occur in the prompt, model, seed or settings. Damaged folders are left out;
    `count_damaged` counts them.
    """
    readable = [stored for stored in map(_try, _folders(workspace)) if stored is not None]
    words = query.lower().split()
    matches = [s for s in readable if kind in (None, s.kind) and all(word in s.text for word in words)]
    return sorted(matches, key=lambda stored: stored.created, reverse=True)


def count_damaged(workspace: Workspace) -> int:
    """Counts the stored folders that cannot be read."""
    return sum(_try(folder) is None for folder in _folders(workspace))


def open_stored(workspace: Workspace, id: str) -> StoredDecode:
    """Opens the stored decode with this id; raises InputError if it is missing or damaged."""
    return open_folder(_folder_of(workspace, id))


def open_folder(folder: Path) -> StoredDecode:
    """Opens the stored decode in any folder; raises InputError if it is damaged. What is wanted again is remembered."""
    return _open(str(folder))


def _open(folder: str) -> StoredDecode:
    try:
        found = os.stat(f"{folder}/{ABOUT}")
    except OSError as error:
        raise InputError(f"the stored decode {folder} is damaged ({error}); delete the folder") from error
    whole, shown = os.path.isdir(f"{folder}/{RECORD}"), os.path.isfile(f"{folder}/{THUMBNAIL}")
    return _opened(folder, (found.st_mtime_ns, found.st_size, found.st_ino), whole, shown)


@lru_cache(MOST_REMEMBERED)
def _opened(place: str, _stamp: tuple[int, int, int], whole: bool, shown: bool) -> StoredDecode:
    folder, about = Path(place), Path(f"{place}/{ABOUT}")
    try:
        if not whole:
            raise InputError(f"it has no {RECORD}")
        stored = as_record(read_printable(about), _StoredAbout, about)
        if stored.format != FORMAT:
            raise InputError(f"it has format {stored.format}, and this version reads {FORMAT}")
        if abs(stored.created) > LATEST:
            raise InputError(f"'created' is no time: {stored.created:g}")
    except (OSError, InputError) as error:
        raise InputError(f"the stored decode {folder} is damaged ({error}); delete the folder") from error
    thumbnail = folder / THUMBNAIL if shown else None
    return StoredDecode(folder.name, folder, stored.kind, stored.prompt, stored.created, stored.about, thumbnail)


def read_thumbnail(path: Path) -> bytes:
    """The content of a thumbnail, which is a whole PNG. Raises InputError if it is damaged."""
    try:
        content = read_data(path, MOST_PICTURE)
        read_image(content, ("PNG",))
    except (OSError, BrokenPicture) as error:
        raise InputError(f"the small picture {path} is damaged ({error})") from error
    return content


def delete_stored(workspace: Workspace, id: str) -> None:
    """Removes a stored decode from the list and the disk; raises InputError if it is missing."""
    folder = _folder_of(workspace, id)
    hidden = folder.with_name(f"{HIDDEN}{folder.name}")  # leaves the list at once, however large it is
    try:
        folder.rename(hidden)
    except OSError as error:
        raise InputError(f"{folder} cannot be deleted ({error.strerror}); check its permissions") from error
    shutil.rmtree(hidden, ignore_errors=True)


def _folders(workspace: Workspace) -> Iterator[str]:
    if workspace.decodes.is_dir():
        with os.scandir(workspace.decodes) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(HIDDEN) and entry.is_dir()]
        yield from (f"{workspace.decodes}/{name}" for name in names)


def _folder_of(workspace: Workspace, id: str) -> Path:
    folder = workspace.decodes / id
    if not id or Path(id).name != id or id.startswith(HIDDEN) or not folder.is_dir():
        raise InputError(f"no stored decode '{id}' in {workspace.decodes}; it may have been deleted")
    return folder


def _try(folder: str) -> StoredDecode | None:
    try:
        return _open(folder)
    except InputError:
        return None


def _slug(prompt: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:40].strip("-") or "picture"


def _fitted(image: Image.Image) -> Image.Image:
    image = image.convert("RGB")
    factor = -(-THUMBNAIL_SIDE // min(image.size))
    if factor > 1:
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    image.thumbnail((4 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE))
    return image


def _sweep(folder: Path) -> None:
    """Removes folders that killed processes left half-written."""
    for hidden in folder.glob(f"{HIDDEN}*"):
        try:
            old = is_abandoned(hidden)
        except OSError:
            continue  # another tab has finished it meanwhile
        if old and hidden.is_dir():
            shutil.rmtree(hidden, ignore_errors=True)
