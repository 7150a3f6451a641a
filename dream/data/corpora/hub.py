"""A data set on the Hugging Face hub (or a local folder of `datasets`) as Corpora, one per split.

Each file of the set is a shard, read in order without decoding the pictures. The shuffle of `datasets` loses its buffer
on resume, so this file only skips rows, and `order.py` shuffles them. Only this file uses `datasets`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dream.data import report as kinds
from dream.data.captions import USUAL, Names, any_of, caption_in, first_usable, listed, present_names
from dream.data.content import is_confined, read_sample
from dream.data.corpora.folders import SPLITS
from dream.data.report import DataReport
from dream.data.samples import BadSample, Row
from dream.errors import InputError

_JSON = "json"
_OF_HUB = re.compile(r"(?:(?:zip|tar|gzip)://[^:]*::)*hf://.*")
"""An address on the hub, or in an archive there."""


@dataclass(frozen=True, slots=True)
class HubRow:
    """A row whose cells are in memory; the picture is still encoded, or a path."""

    shard: str
    key: str
    cell: Any
    """Content of the picture column."""
    written: dict[str, Any]
    """Content of the columns that may hold the caption, by name."""
    names: Names = USUAL
    folder: Path | None = None
    """Folder of the set, if it is local."""

    def picture(self) -> bytes:
        """The bytes of the picture's file, read from its path if the row has only that."""
        cell = self.cell
        path = cell.get("path") if isinstance(cell, dict) else cell if isinstance(cell, str) else None
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        if isinstance(content, bytes):
            return content
        if not path:
            raise BadSample(kinds.MISSING_MEMBER, "no picture in the row")
        return _read_path(path if self.folder is None or "://" in path else str(self.folder / path))

    def caption(self) -> str:
        """The cleaned caption: the first usable text, bytes, list or JSON object."""
        direct = {column: cell for column, cell in self.written.items() if column.casefold() != _JSON}
        records = [cell for column, cell in self.written.items() if column.casefold() == _JSON]  # of a webdataset
        readers = [partial(caption_in, direct, self.names)] if direct else []
        return first_usable([*readers, *(partial(caption_in, record, self.names) for record in records)])


class HubCorpus:
    """The Corpus of one split."""

    def __init__(self, name: str, split: str, data: Any, window_rows: int, names: Names = USUAL) -> None:
        """Raises InputError without a column of pictures or without a column of captions."""
        self.name = name
        self.window_rows = window_rows
        columns = data.column_names or list(next(iter(data), {}))
        self._picture = hub_column(columns, names.columns, name, "pictures")
        hub_column(columns, (*names.fields, _JSON), name, "captions")
        self._captions = present_names(columns, (*names.fields, _JSON))
        self._data, self._names = data, names
        self._folder = Path(name).expanduser() if Path(name).expanduser().is_dir() else None
        files = max(1, data.num_shards)
        digits = len(str(files - 1))
        self.shards = [f"{Path(name).name}:{split}:{index:0{digits}d}" for index in range(files)]

    def rows(self, shard: int, start: int, report: DataReport) -> Iterator[Row]:
        """Rows from `start` on; a file that cannot be read goes to `report`."""
        data = self._data.shard(num_shards=len(self.shards), index=shard) if len(self.shards) > 1 else self._data
        number = start
        try:
            for number, row in enumerate(data.skip(start) if start else data, start=start):
                key = str(row.get("__key__") or f"{number:08d}")
                written = {column: row.get(column) for column in self._captions}
                yield HubRow(self.shards[shard], key, row.get(self._picture), written, self._names, self._folder)
        except Exception as error:  # a damaged or missing file; `datasets` and its readers raise many types
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            report.add(kinds.UNREADABLE_SHARD, self.shards[shard], f"row {number + 1}", reason)

    def count(self, shard: int) -> int | None:
        """Always `None`: the hub does not say how many rows a file has."""
        return None

    def hint(self) -> str:
        """Says that the split is empty."""
        return "it holds no rows"


def open_hub(source: str, window_rows: int, names: Names = USUAL) -> dict[str, HubCorpus]:
    """Opens the splits of `hf:owner/name`, or the one split of `hf:owner/name:split`. Raises InputError."""
    name, wanted = name_and_split(source.removeprefix("hf:"))
    available = load_splits(name, source)
    if wanted is not None:
        if wanted not in available:
            raise InputError(f"'{name}' has no split '{wanted}'; it has {', '.join(map(str, available))}")
        return {"train": HubCorpus(name, wanted, available[wanted], window_rows, names)}
    chosen = hub_splits(available)
    if "train" not in chosen:
        if len(available) != 1:
            raise InputError(
                f"'{name}' has no split 'train'; name one of {', '.join(map(str, available))}: '{source}:SPLIT'"
            )
        chosen = {"train": next(iter(available))}
    corpora = {"train": HubCorpus(name, chosen["train"], available[chosen["train"]], window_rows, names)}
    for split, hub_split in chosen.items():
        with suppress(InputError):  # e.g. a test split without captions
            corpora.setdefault(split, HubCorpus(name, hub_split, available[hub_split], window_rows, names))
    return corpora


def hub_splits(available: Iterable[str]) -> dict[str, str]:
    """Names of the set's own splits, in any case, by what they are: train, val, test."""
    found = {split: present_names(available, words) for split, words in SPLITS.items()}
    return {split: names[0] for split, names in found.items() if names}


def name_and_split(text: str) -> tuple[str, str | None]:
    """Data set and split of `owner/name[:split]`; the split is `None` if it is not given."""
    name, colon, split = text.rpartition(":")
    if colon and name and split and "/" not in split:
        return name, split
    if not text:
        raise InputError("hf: needs a name: 'hf:owner/name' or 'hf:owner/name:split'")
    return text, None


def load_splits(name: str, source: str) -> Mapping[str, Any]:
    """Streams of a data set's splits, with pictures left encoded. Raises InputError if it cannot be opened."""
    try:
        import datasets
    except ImportError as error:
        raise InputError(f"'{source}' needs the package datasets: pip install datasets ({error})") from None
    if name.startswith((".", "/", "~")) and not Path(name).expanduser().is_dir():
        raise InputError(f"there is no folder '{name}' (from '{source}')")
    try:
        splits = _open_splits(datasets, str(Path(name).expanduser()) if Path(name).expanduser().is_dir() else name)
    except Exception as error:  # no network, no such set, no permission: types of several packages
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"cannot open '{source}' ({reason}); check the name, the network, and your access") from None
    return {str(split): data.decode(False) for split, data in splits.items()}


def _open_splits(datasets: Any, name: str) -> Mapping[str, Any]:
    saved = Path(name)
    if (saved / "dataset_dict.json").is_file() or (saved / "state.json").is_file():  # written by `save_to_disk`
        stored = datasets.load_from_disk(name)
        tables = stored if isinstance(stored, dict) else {"train": stored}
        return {split: table.to_iterable_dataset() for split, table in tables.items()}
    return datasets.load_dataset(name, streaming=True)


def hub_column(columns: Sequence[str], known: Sequence[str], name: str, what: str) -> str:
    """The first of `known` (in any case) among the set's `columns`. Raises InputError if it has no column of `what`."""
    found = present_names(columns, known)
    if not found:
        field = f"; name it with --set data.{what.removesuffix('s')}=COLUMN" if what in ("pictures", "captions") else ""
        raise InputError(f"'{name}' has no column of {what}: expected {any_of(known)}; it has {listed(columns)}{field}")
    return found[0]


def _read_path(path: str) -> bytes:
    """The picture that a table names instead of holding it; no address, if the process may read one folder alone."""
    if "://" not in path:
        return read_sample(Path(path), kinds.BROKEN_PICTURE)
    if is_confined() and not _OF_HUB.fullmatch(path):
        raise BadSample(kinds.BROKEN_PICTURE, f"its table names an address, which is not asked: {path:.80}")
    try:
        import fsspec  # type: ignore[import-untyped]

        with fsspec.open(path, "rb") as file:
            return file.read()
    except Exception as error:  # each file system raises its own types
        raise BadSample(kinds.BROKEN_PICTURE, f"cannot be read: {error}") from error
