"""Reads a whole cache and names its holes: parts that are missing, and samples whose bytes are not those written."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dream.data.cache.corpus import CachedRow, PartText, array_names
from dream.data.cache.layout import CacheParts, part_folder, read_part
from dream.data.samples import BadSample
from dream.errors import InputError

THREADS = 4


def cache_holes(cache: Path, shelf: CacheParts, progress: Callable[[int], object] = lambda _: None) -> Iterator[str]:
    """A line for every hole; `progress` hears the number of samples read so far."""
    yield from (f"missing part {hole}" for hole in shelf.holes())
    read, names = 0, array_names(shelf.about)
    with ThreadPoolExecutor(THREADS) as pool:
        for split, shards in shelf.about.splits.items():
            for shard, name in enumerate(shards):
                for number in sorted(shelf.of(split, shard)):
                    folder = part_folder(cache, split, shard, number)
                    rows, fault = _rows(folder, name)
                    yield from [f"damaged part {split}/{folder.name} ({name}): {fault}"] if fault else []
                    for row, problem in zip(rows, pool.map(lambda row: _problem(row, names), rows), strict=True):
                        if problem:
                            yield f"damaged sample {name}/{row.key}: {problem}"
                    read += len(rows)
                    progress(read)


def _rows(folder: Path, shard: str) -> tuple[list[CachedRow], str]:
    """The rows of a part, or why it has none."""
    try:
        part, text = read_part(folder), PartText(folder, shard)
        if part is None:
            return [], "it is missing"
        rows = [CachedRow(text, row) for row in range(part.rows)]
        if rows:
            text.fields(part.rows - 1)
        return rows, ""
    except (InputError, IndexError) as error:
        return [], str(error) or "it has fewer captions than samples"


def _problem(row: CachedRow, names: tuple[str, ...]) -> str:
    try:
        row.content(names)
    except BadSample as error:
        return error.detail
    return ""
