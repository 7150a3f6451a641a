"""A set on the Hugging Face hub (or a local folder of `datasets`) as Corpora. The only user of `datasets`.

Each of the set's files is a shard, read in order without decoding anything. `datasets` has its own shuffle,
but loses its buffer on resume, so rows are only ever skipped here, and shuffled by `order.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.data import report as kinds
from dream.data.folders import SPLITS
from dream.data.report import DataReport
from dream.data.samples import CAPTION_KEYS, BadSample, Row, caption_in, decode_caption
from dream.errors import InputError

PICTURE_COLUMNS = ("image", "jpg", "png", "jpeg", "webp", "img", "picture")
CAPTION_COLUMNS = (*CAPTION_KEYS, "txt", "captions", "sentences")


@dataclass(frozen=True, slots=True)
class HubRow:
    """A row whose cells are in memory, the picture still as its file's bytes (or a path to them)."""

    shard: str
    key: str
    cell: Any
    written: Any

    def picture(self) -> bytes:
        cell = self.cell
        path = cell.get("path") if isinstance(cell, dict) else cell if isinstance(cell, str) else None
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if isinstance(content, bytes):
            return content
        if not path:
            raise BadSample(kinds.MISSING_MEMBER, "no picture in the row")
        return _fetched(path)

    def caption(self) -> str:
        if isinstance(self.written, bytes):
            return decode_caption(self.written)
        if isinstance(self.written, dict):  # webdataset's .json member
            return caption_in(self.written)
        return caption_in({"caption": self.written})


class HubCorpus:
    """The Corpus of one split."""

    def __init__(self, name: str, split: str, data: Any, window_rows: int) -> None:
        """Raises InputError if no column holds pictures, or none captions."""
        self.name = name
        self.window_rows = window_rows
        columns = data.column_names or list(next(iter(data), {}))
        self._picture = hub_column(columns, PICTURE_COLUMNS, name, "pictures")
        self._caption = hub_column(columns, (*CAPTION_COLUMNS, "json"), name, "captions")
        self._data = data
        files = max(1, data.num_shards)
        digits = len(str(files - 1))
        self.shards = [f"{Path(name).name}:{split}:{index:0{digits}d}" for index in range(files)]

    def rows(self, shard: int, start: int, report: DataReport) -> Iterator[Row]:
        part = self._data.shard(num_shards=len(self.shards), index=shard) if len(self.shards) > 1 else self._data
        number = start
        try:
            for number, row in enumerate(part.skip(start) if start else part, start=start):
                key = str(row.get("__key__") or f"{number:08d}")
                yield HubRow(self.shards[shard], key, row.get(self._picture), row.get(self._caption))
        except Exception as error:  # a damaged or vanished file; `datasets` and its readers raise anything
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            report.add(kinds.UNREADABLE_SHARD, self.shards[shard], f"row {number + 1}", reason)

    def count(self, shard: int) -> int | None:
        return None

    def hint(self) -> str:
        return "it holds no rows"


def open_hub(source: str, window_rows: int) -> dict[str, HubCorpus]:
    """The splits of `hf:owner/name`, or the one that `hf:owner/name:split` names. Raises InputError."""
    name, wanted = name_and_split(source.removeprefix("hf:"))
    splits = load_splits(name, source)
    if wanted is not None:
        if wanted not in splits:
            raise InputError(f"'{name}' has no split '{wanted}'; it has {', '.join(map(str, splits))}")
        return {"train": HubCorpus(name, wanted, splits[wanted], window_rows)}
    found = {split: next((n for n in names if n in splits), None) for split, names in SPLITS.items()}
    if found["train"] is None:
        if len(splits) != 1:
            raise InputError(
                f"'{name}' has no split 'train'; name one of {', '.join(map(str, splits))}: '{source}:SPLIT'"
            )
        found = {"train": next(iter(splits))}
    return {
        split: HubCorpus(name, known, splits[known], window_rows) for split, known in found.items() if known is not None
    }


def name_and_split(text: str) -> tuple[str, str | None]:
    """Data set and split (None if it names none) of `owner/name[:split]`."""
    name, colon, split = text.rpartition(":")
    if colon and name and split and "/" not in split:
        return name, split
    if not text:
        raise InputError("hf: needs a name: 'hf:owner/name' or 'hf:owner/name:split'")
    return text, None


def load_splits(name: str, source: str) -> Mapping[str, Any]:
    """Streams of a set's splits that leave pictures undecoded."""
    try:
        import datasets
    except ImportError as error:
        raise InputError(f"'{source}' needs the package datasets: pip install datasets ({error})") from None
    if name.startswith((".", "/", "~")) and not Path(name).expanduser().is_dir():
        raise InputError(f"there is no folder '{name}' (from '{source}')")
    try:
        found = _opened(datasets, str(Path(name).expanduser()) if Path(name).expanduser().is_dir() else name)
    except Exception as error:  # no network, no such set, no permission: each its own type, of several packages
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"cannot open '{source}' ({reason}); check the name, the network, and access to it") from None
    return {str(split): data.decode(False) for split, data in found.items()}


def _opened(datasets: Any, name: str) -> Mapping[str, Any]:
    saved = Path(name)
    if (saved / "dataset_dict.json").is_file() or (saved / "state.json").is_file():  # written by `save_to_disk`
        stored = datasets.load_from_disk(name)
        tables = stored if isinstance(stored, dict) else {"train": stored}
        return {split: table.to_iterable_dataset() for split, table in tables.items()}
    return datasets.load_dataset(name, streaming=True)


def hub_column(columns: Sequence[str], known: Sequence[str], name: str, what: str) -> str:
    """The first of `known` that the data set `name` has; raises InputError if it has no column for `what`."""
    found = next((column for column in known if column in columns), None)
    if found is None:
        there = ", ".join(columns) or "none"
        raise InputError(f"'{name}' has no column for {what}: expected {', '.join(known)}; it has {there}")
    return found


def _fetched(path: str) -> bytes:
    try:
        import fsspec  # type: ignore[import-untyped]

        with fsspec.open(path, "rb") as file:
            return file.read()
    except Exception as error:  # each file system raises its own
        raise BadSample(kinds.BROKEN_PICTURE, f"cannot be read: {error}") from error
