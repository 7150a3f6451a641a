"""The built emoji as one Parquet file in the user's cache: written once, read whole."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from dream.errors import InputError, RunError
from dream.files import user_cache

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

VERSION = "1"
"""Version of the table; a table of another one is built again."""
COUNTS = {
    "style": {"glossy": 1562, "flat": 1903, "ink": 1594, "classic": 1983, "blob": 1395, "cartoon": 2244},
    "split": {"train": 9454, "val": 809, "unseen": 418},
}
"""Number of pictures per style and per split that a build gives."""
_VERSION_KEY = b"dream.emoji"


@dataclass(frozen=True)
class Drawing:
    """One emoji as one style draws it."""

    key: str
    """Code points and style, as in `1F34E.ink`."""
    label: str
    style: str
    tags: tuple[str, ...]
    hexcode: str
    group: str
    subgroup: str
    split: str
    picture: bytes
    """64 x 64 pixels on white, as lossless WebP."""

    @property
    def caption(self) -> str:
        """The canonical caption, as in `red apple, ink`."""
        return f"{self.label}, {self.style}"

    @property
    def other_phrasings(self) -> tuple[tuple[str, ...], ...]:
        """Other phrasings by kind: the style first, as in `ink red apple`; a tag for the label, as in `fruit, ink`."""
        tags = tuple(f"{tag}, {self.style}" for tag in self.tags if tag.casefold() != self.label.casefold())
        return ((f"{self.style} {self.label}",), *([tags] if tags else []))


def table_path() -> Path:
    """Where the built emoji lie: DREAM_CACHE, otherwise the user's cache."""
    return user_cache() / f"emoji-{VERSION}.parquet"


def check_counts(drawings: Iterable[Drawing]) -> None:
    """Raises RunError if the numbers of pictures are not those of COUNTS."""
    rows = list(drawings)
    for name, expected in COUNTS.items():
        counts = Counter(getattr(row, name) for row in rows)
        if counts != Counter(expected):
            wrong = ", ".join(f"{each} {counts[each]:,} instead of {expected[each]:,}" for each in expected)
            raise RunError(f"the build gives other pictures than it should, by {name}: {wrong}; nothing was written")


def write_table(path: Path, drawings: Iterable[Drawing]) -> None:
    """Writes the table whole, or not at all."""
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    table = pa.Table.from_pylist([asdict(drawing) for drawing in drawings], _schema())
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(table.replace_schema_metadata({_VERSION_KEY: VERSION}), temporary, compression="zstd")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def built_emoji() -> Sequence[Drawing]:
    """All built drawings, read once per process and version of the file. Raises InputError as `read_table`."""
    path = table_path()
    return _read_once(path, path.stat().st_mtime_ns) if path.is_file() else read_table(path)


@lru_cache(maxsize=1)
def _read_once(path: Path, changed: int) -> Sequence[Drawing]:
    return read_table(path)


def read_table(path: Path) -> list[Drawing]:
    """All drawings, in the order of the build. Raises InputError if they were not built, or if the file is damaged."""
    if not path.is_file():
        raise InputError(
            "the emoji are not built on this machine yet: run 'dream data emoji --build' once (about three minutes, "
            "80 MB from npm)"
        )
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    try:
        table = pq.read_table(path)
        metadata: Mapping[bytes, bytes] = table.schema.metadata or {}
        if metadata.get(_VERSION_KEY) != VERSION.encode():
            raise ValueError("it is of another version")
        _check(table)
        return [Drawing(**{**row, "tags": tuple(row["tags"])}) for row in table.to_pylist()]
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
        raise damaged_table(path, str(error)) from None


def damaged_table(path: Path, reason: str) -> InputError:
    """The error for a table that cannot be used."""
    return InputError(f"{path} is damaged ({' '.join(reason.split())}): run 'dream data emoji --build' again")


def _schema() -> "pa.Schema":
    import pyarrow as pa

    types = {"tags": pa.list_(pa.string()), "picture": pa.binary()}
    return pa.schema([(field.name, types.get(field.name, pa.string())) for field in fields(Drawing)])


def _check(table: "pa.Table") -> None:
    """Raises ValueError for a table that holds anything but whole drawings of known styles and splits."""
    schema = _schema()
    if table.column_names != schema.names:
        raise ValueError(f"its columns are {', '.join(table.column_names)} instead of {', '.join(schema.names)}")
    for name, wanted in zip(schema.names, schema.types, strict=True):
        column = table[name].combine_chunks()
        if column.type != wanted:
            raise ValueError(f"column '{name}' holds {column.type} instead of {wanted}")
        if column.null_count or (name == "tags" and column.flatten().null_count):
            raise ValueError(f"column '{name}' has gaps")
    for name, known in COUNTS.items():
        if strange := set(table[name].to_pylist()) - set(known):
            raise ValueError(f"column '{name}' holds '{min(strange)}'")
