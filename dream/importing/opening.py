"""Opens a foreign checkpoint as if it were a model of ours: imports it once, into the user's cache."""

import hashlib
from pathlib import Path

from dream.files import user_cache
from dream.importing.build import ImportOptions, import_weights
from dream.importing.foreign import ENDINGS


def is_foreign_file(path: Path) -> bool:
    """Whether a path is a file that may be imported."""
    return path.suffix in ENDINGS and path.is_file()


def imported_folder(path: Path) -> Path:
    """The checkpoint folder of a foreign file, imported now if it or its content is new.

    Raises InputError if it is not a whole model, or if something has to be given that it does not say.
    """
    about = path.stat()
    name = f"{path.resolve()} {about.st_size} {about.st_mtime_ns}"
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    folder = user_cache() / "imports" / f"{path.stem[:80]}-{digest}"
    if not (folder / "state.json").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        import_weights(path, folder, ImportOptions(), whole=True)
    return folder
