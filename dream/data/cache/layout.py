"""Layout of a cache on disk: its description, its parts, and which of them are missing.

`cache.zarr/<split>/<shard>-<part>/` is a zarr group with the rows of a part of a shard of the source, at most
`part_rows` of them; those that are broken there are left out and named in the group's attributes. A part appears whole
or not at all. Nothing here reads a picture or imports torch.
"""

import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dream.console import counted, few_of
from dream.errors import InputError
from dream.fields import as_dataclass
from dream.files import ABANDONED_SECONDS, WRITING, remove_leftovers, replace_text
from dream.json_text import read_json_object

FORMAT, VERSION = "dream cache", 1
ATTRIBUTES, INDEX = "zarr.json", "index.json"
BYTES_PER_PART = 2**28
"""A part has about so many bytes: it is written in one piece, and what a kill loses."""
MOST_PART_ROWS = 8192
"""Largest `part_rows`."""
MOMENTS, T5_IDS, T5_STATES, CAPTION_IDS, TEXT = "moments", "t5_ids", "t5_states", "caption_ids", "text"
"""Names of the arrays of a part: (n, F, 2, C, h, w) mean and deviation, plain and (F = 2) mirrored; (n, T) ids of T5;
(n, T, W) its states; (n, T) ids of the caption tokenizer; keys and captions as lines of bytes.
"""


@dataclass(frozen=True)
class CacheAbout:
    """Description of a cache: what it was made of, and by which frozen models."""

    source: str
    """Source string of the pictures."""
    vae: str
    """Hash of the VAE's weights."""
    t5: str | None
    """Hash of the T5 encoder's weights; None if it holds neither ids nor states of T5."""
    caption_tokenizer: str | None
    """Hash of the caption tokenizer; None if that is trained on the captions."""
    scale: float
    """`image.scale`; stored moments are not scaled."""
    size: int
    """Side of the pictures, in pixels."""
    latent_shape: tuple[int, ...]
    """(C, h, w)."""
    flipped: bool
    """Whether the moments of mirrored pictures are there, too."""
    dtype: str
    """Type of the moments, float16 or float32."""
    states: bool
    """Whether T5's states are stored, instead of its ids."""
    splits: dict[str, tuple[str, ...]]
    """Names of the source's shards by split."""
    sample_bytes: int
    """Bytes of a sample."""
    part_rows: int
    """Rows of the source per part."""


@dataclass(frozen=True)
class CachePart:
    """A part of a shard, as its attributes or the index describe it."""

    rows: int
    """Samples in it."""
    last: bool
    """Whether the shard ends with it."""
    skipped: tuple[tuple[str, str, str], ...] = ()
    """Broken samples of the source: kind, key, detail."""


def is_cache(path: str | Path) -> bool:
    """Whether a folder is a cache, or one that is being written."""
    try:
        tree = json.loads((Path(path) / ATTRIBUTES).read_text(encoding="utf-8"))
        return tree["attributes"]["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_about(folder: Path, about: CacheAbout) -> None:
    """Creates a cache, or joins one that others have begun; raises InputError if that was made of other things."""
    others = folder.exists() and any(not path.name.endswith(WRITING) for path in folder.iterdir())
    if is_cache(folder):  # after the look: another worker may be beginning it, too
        check_same(folder, read_cache_about(folder), about)
    elif others:
        raise InputError(f"{folder} is a folder with other files in it: choose another --out")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        replace_text(folder / ATTRIBUTES, _group({"format": FORMAT, "version": VERSION, "about": asdict(about)}))
    remove_leftovers(folder, ABANDONED_SECONDS)
    for split in about.splits:
        (folder / split).mkdir(exist_ok=True)
        remove_leftovers(folder / split, ABANDONED_SECONDS)
        if not (folder / split / ATTRIBUTES).exists():
            replace_text(folder / split / ATTRIBUTES, _group({}))


def read_cache_about(folder: Path) -> CacheAbout:
    """The description of a cache; raises InputError if it is damaged or of another version."""
    attributes = read_json_object(folder / ATTRIBUTES).get("attributes", {})
    if attributes.get("version") != VERSION:
        raise InputError(f"{folder} is a cache of version {attributes.get('version')}; this version reads {VERSION}")
    try:
        return as_dataclass(attributes.get("about", {}), CacheAbout)
    except InputError as error:
        raise InputError(f"{folder / ATTRIBUTES} is damaged: {error}") from error


def check_same(folder: Path, stored: CacheAbout, wanted: CacheAbout) -> None:
    """Raises InputError, naming each difference, if a cache was not made of the same things."""
    before, now = asdict(stored), asdict(wanted)
    differing = [key for key in before if before[key] != now[key]]
    if differing:
        words = ", ".join(f"{key} ({_short(before[key])} there, {_short(now[key])} here)" for key in differing)
        raise InputError(f"{folder} was made with other things: {words}; choose another --out, or delete it")


def part_folder(cache: Path, split: str, shard: int, part: int) -> Path:
    """The folder of a part."""
    return cache / split / f"{shard:06d}-{part:06d}"


def read_part(folder: Path) -> CachePart | None:
    """What a part's attributes say; None if it is not there. Raises InputError if they are damaged."""
    try:
        attributes = read_json_object(folder / ATTRIBUTES).get("attributes", {})
    except FileNotFoundError:
        return None
    try:
        return as_dataclass(attributes, CachePart)
    except InputError as error:
        raise InputError(
            f"{folder / ATTRIBUTES} is damaged: {error}; delete the folder and make the part again"
        ) from error


@dataclass(frozen=True)
class CacheParts:
    """The parts of a cache that are there, by split, shard and number."""

    parts: Mapping[str, Mapping[int, Mapping[int, CachePart]]]
    """By split and shard number, the parts by number."""
    about: CacheAbout

    def of(self, split: str, shard: int) -> Mapping[int, CachePart]:
        """The parts of a shard."""
        return self.parts.get(split, {}).get(shard, {})

    def holes(self) -> list[str]:
        """Names of what is missing, e.g. `train/000003-000001 (cc12m-3.tar, rows 8,192 to 16,383)`."""
        return [hole for split, names in self.about.splits.items() for hole in self._holes(split, names)]

    def _holes(self, split: str, names: tuple[str, ...]) -> Iterator[str]:
        rows = self.about.part_rows
        for shard, name in enumerate(names):
            parts = self.of(split, shard)
            ends = [number for number, part in parts.items() if part.last]
            count = ends[0] + 1 if ends else max(parts, default=-1) + 2
            for number in range(count):
                if number not in parts:
                    more = "" if ends else " and perhaps more"
                    first, last = number * rows, (number + 1) * rows - 1
                    yield f"{split}/{shard:06d}-{number:06d} ({name}, rows {first:,} to {last:,}{more})"


def find_parts(cache: Path, *, indexed: bool = True) -> CacheParts:
    """The parts of a cache, from its index if it has one and `indexed`. Raises InputError for damaged files."""
    about = read_cache_about(cache)
    if indexed and (cache / INDEX).is_file():
        return CacheParts(_indexed(read_json_object(cache / INDEX), cache), about)
    names = [(split, entry.name) for split in about.splits for entry in _entries(cache / split)]
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda name: read_part(cache / name[0] / name[1]), names))
    found: dict[str, dict[int, dict[int, CachePart]]] = {}
    for (split, name), part in zip(names, parts, strict=True):
        if part is not None:
            shard, _, number = name.partition("-")
            found.setdefault(split, {}).setdefault(int(shard), {})[int(number)] = part
    return CacheParts(found, about)


def write_index(cache: Path, shelf: CacheParts) -> None:
    """Keeps the numbers of a whole cache in one file, so that it opens at once."""
    tree = {
        split: {str(shard): [part.rows for _, part in sorted(parts.items())] for shard, parts in shards.items()}
        for split, shards in shelf.parts.items()
    }
    replace_text(cache / INDEX, json.dumps(tree))


def require_whole(cache: Path, shelf: CacheParts) -> None:
    """Raises InputError, naming the first holes, if parts are missing."""
    if holes := shelf.holes():
        raise InputError(
            f"the cache {cache} is not whole: {counted(len(holes), 'part')} missing, {few_of(holes)}; "
            f"finish it: dream cache --data {shelf.about.source} --out {cache}, with the settings it was begun with"
        )


def attributes_of(part: CachePart) -> dict[str, Any]:
    """A part's attributes, ready for JSON."""
    return asdict(part)


def _indexed(tree: dict[str, Any], cache: Path) -> dict[str, dict[int, dict[int, CachePart]]]:
    try:
        return {
            split: {
                int(shard): {i: CachePart(int(count), i + 1 == len(rows)) for i, count in enumerate(rows)}
                for shard, rows in shards.items()
            }
            for split, shards in tree.items()
        }
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{cache / INDEX} is damaged ({error}): delete it, it is made again") from error


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    """Folders of finished parts."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [entry for entry in entries if entry.name[0].isdigit() and entry.is_dir()]


def _group(attributes: Mapping[str, Any]) -> str:
    return json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes})


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
