"""Opens data sources: `open_source` is the one place that interprets a source string."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from dream.config import DreamConfig
from dream.data.batch import Batch
from dream.data.cache.layout import is_cache
from dream.data.cache.source import open_cached
from dream.data.captions import Names
from dream.data.corpora.folder_splits import folder_corpora, usable_splits
from dream.data.corpora.hub import open_hub
from dream.data.corpora.shards import TarShards
from dream.data.drawn.shapes import ShapesSource
from dream.data.emoji.corpus import is_emoji, open_emoji
from dream.data.paths import KNOWN, is_there, shard_paths
from dream.data.report import DataReport
from dream.data.samples import Corpus
from dream.data.stored import StoredSource
from dream.errors import InputError


class Source(Protocol):
    """Batches of captioned pictures."""

    name: str
    """The source string, or the path that it resolved to."""
    report: DataReport
    """Problems found so far, and the number of samples seen."""
    notes: tuple[str, ...]
    """Sentences for the user on how the source is used."""
    contrast_fault: str
    """Sentence on why the contrastive objective learns nothing from the source; empty if it does."""

    def facts(self) -> dict[str, Any]:
        """JSON-able numbers, by split, that change when the data do; `changes_between` compares them."""

    def batches(
        self, batch_size: int, position: dict[str, Any] | None = None, total_steps: int | None = None
    ) -> Iterator[tuple[Batch, dict[str, Any]]]:
        """This rank's shares of endless batches of `batch_size` over all ranks.

        Each comes with the JSON-able position right after it, which is the same for every number of ranks.
        """

    def samples(self) -> int:
        """Number of samples in this split. Raises InputError if there is no end to them."""

    def fixed(self, count: int) -> Batch:
        """The first `count` validation samples with different captions, always the same; fewer if there are fewer."""

    def captions(self, limit: int = 20000) -> list[str]:
        """Up to `limit` captions of this split, always the same."""


def open_source(
    source: str,
    config: DreamConfig,
    *,
    split: str = "train",
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
    cached: bool = False,
) -> Source:
    """Opens `shapes`, `emoji`, a folder, tar shards (path, glob, braces) or `hf:owner/name`.

    `split` is train, val, test (if the source has one) or all (stored sources only: nothing is held out). Raises
    InputError if nothing has that name, or if it holds no captioned picture. A cache, whose batches have no pictures,
    is opened only if `cached` (for training).
    """
    if not 0 <= rank < world_size:
        raise ValueError(f"rank must be in [0, {world_size - 1}], got {rank}")
    if source == "shapes":
        return ShapesSource(config, split=split, seed=seed, rank=rank, world_size=world_size)
    if cached and (cache := cache_at(source)) is not None:
        return open_cached(cache, config, seed, rank, world_size)
    return StoredSource(open_corpora(source, config), config, split=split, seed=seed, rank=rank, world_size=world_size)


def open_corpora(source: str, config: DreamConfig) -> dict[str, Corpus]:
    """Opens the stored splits of a source: `train`, and its own `val` and `test` if they have a usable sample.

    `data.caption` and `data.picture` name its captions and pictures. Raises InputError.
    """
    names = Names(config.data.caption.strip(), config.data.picture.strip())
    if is_emoji(source):
        return {**open_emoji(source)}
    if source.startswith("hf:"):
        return usable_splits(open_hub(source, config.data.shuffle_buffer, names))
    if "://" in source:
        raise InputError(f"'{source}' is an address: download it first, then give the folder or the tar shards")
    if not source.strip():
        raise InputError(f"the data source is empty: expected {KNOWN}")
    path = os.path.expanduser(source)
    if cache_at(source) is not None:
        raise InputError(
            f"'{source}' is a cache: it holds no pictures, and serves `dream train` alone; "
            "give the source that it was made of"
        )
    if os.path.isdir(path):
        return usable_splits(folder_corpora(Path(path), names))
    return {"train": TarShards(source, shard_paths(path), names=names)}


def cache_at(source: str) -> Path | None:
    """The folder of the cache that a source string names, if it names one."""
    path = Path(os.path.expanduser(source))
    return path if is_there(path) and is_cache(path) else None
