"""`open_source`: what one source string means, everywhere. It reads nothing itself."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from dream.config import DreamConfig
from dream.data.batch import Batch
from dream.data.folders import FolderCorpus, split_folders
from dream.data.paths import KNOWN, shard_paths
from dream.data.report import DataReport
from dream.data.samples import Corpus
from dream.data.shards import TarShards
from dream.data.stored import StoredSource
from dream.errors import InputError


class Source(Protocol):
    """Batches of captioned pictures."""

    name: str
    """The source string, or what it stands for."""
    report: DataReport
    """What was broken so far, and how many samples were seen."""

    def batches(
        self, batch_size: int, position: dict[str, Any] | None = None, total_steps: int | None = None
    ) -> Iterator[tuple[Batch, dict[str, Any]]]:
        """Endless batches of this rank's `batch_size`, each with the JSON-able position right after it."""

    def fixed(self, count: int) -> Batch:
        """The first `count` validation samples of different captions, always the same; fewer if there are."""

    def captions(self, limit: int = 20000) -> list[str]:
        """Up to `limit` captions of this split, the same every time."""


def open_source(
    source: str, config: DreamConfig, *, split: str = "train", seed: int = 0, rank: int = 0, world_size: int = 1
) -> Source:
    """The source that a string means: `shapes`, a folder, tar shards (path, glob, braces), `hf:owner/name`.

    `split`: train, val, test (only where the source has one) or all (of a stored source, nothing held out).
    Raises InputError when there is nothing of that name, or not one captioned picture in it.
    """
    if not 0 <= rank < world_size:
        raise ValueError(f"rank must be in [0, {world_size - 1}], got {rank}")
    if source == "shapes":
        from dream.data.shapes import ShapesSource

        return ShapesSource(config, split=split, seed=seed, rank=rank, world_size=world_size)
    return StoredSource(open_corpora(source, config), config, split=split, seed=seed, rank=rank, world_size=world_size)


def open_corpora(source: str, config: DreamConfig) -> dict[str, Corpus]:
    """The stored splits of a source: `train`, and `val` and `test` if it has its own. Raises InputError."""
    if source.startswith("hf:"):
        from dream.data.hub import open_hub

        return {**open_hub(source, config.data.shuffle_buffer)}
    if "://" in source:
        raise InputError(f"'{source}' is an address: download it first, and give the folder or the tar shards")
    if not source.strip():
        raise InputError(f"the data source is empty: expected {KNOWN}")
    path = os.path.expanduser(source)
    if os.path.isdir(path):
        return {split: FolderCorpus(str(root), root) for split, root in split_folders(Path(path)).items()}
    return {"train": TarShards(source, shard_paths(path))}
