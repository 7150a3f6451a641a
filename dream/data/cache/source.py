"""Batches from a cache, in the same order and with the same held-out samples as from the source that it was made of."""

import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dream.config import DreamConfig
from dream.data.batch import Batch
from dream.data.cache.corpus import CachedRow, array_names, open_cache
from dream.data.cache.layout import MOMENTS, CacheAbout
from dream.data.samples import Corpus, Row
from dream.data.stored import THREADS, StoredSample, StoredSource, batch_of
from dream.errors import InputError


class CachedSource(StoredSource):
    """A Source (see `sources.py`) whose batches hold latents and text ids; it draws as the cache's own source would."""

    def __init__(
        self,
        corpora: Mapping[str, Corpus],
        config: DreamConfig,
        about: CacheAbout,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Raises InputError if the cache does not fit the configuration, or holds no sample that can be used."""
        check_fits(about, config)
        self.about = about
        self._names = array_names(about)
        super().__init__(corpora, config, split="train", seed=seed, rank=rank, world_size=world_size)

    def bytes_per_sample(self) -> int:
        """Bytes of a sample in memory."""
        return self.about.sample_bytes

    def content(self, row: Row) -> dict[str, np.ndarray]:
        """The arrays of a sample. Raises BadSample if its bytes are not those that were written."""
        assert isinstance(row, CachedRow)
        return row.content(self._names)

    def load_rows(self, rows: Sequence[Row], pool: ThreadPoolExecutor) -> list[StoredSample | None]:
        """As in the base class, with one task per thread: a row takes less time than a task."""
        size = -(-len(rows) // THREADS)
        runs = [rows[start : start + size] for start in range(0, len(rows), size)]
        return list(itertools.chain.from_iterable(pool.map(lambda run: [self._load(row) for row in run], runs)))

    def variety_of(self, sample: StoredSample) -> int:
        """A hash by which pictures are told apart."""
        return hash(sample.content[MOMENTS].tobytes())

    def batch(self, samples: Sequence[StoredSample], flips: np.ndarray) -> Batch:
        """A batch without pictures; moments are those of the mirrored picture where `flips` (B,) is True."""
        cached: dict[str, Any] = {}
        for name in self._names:
            values = [sample.content[name] for sample in samples]
            if name == MOMENTS:
                values = [value[int(flip)] for value, flip in zip(values, flips, strict=True)]
            cached[name] = torch.from_numpy(np.stack(values))
        return batch_of(samples, torch.empty(len(samples), 3, 0, 0, dtype=torch.uint8), cached)


def open_cached(cache: Path, config: DreamConfig, seed: int, rank: int, world_size: int) -> CachedSource:
    """The training batches of a cache. Raises InputError if it is not whole, or does not fit the configuration."""
    corpora, about = open_cache(cache)
    return CachedSource(corpora, config, about, seed=seed, rank=rank, world_size=world_size)


def check_fits(about: CacheAbout, config: DreamConfig) -> None:
    """Raises InputError, in one sentence, if a training of this configuration cannot use the cache.

    Whether its frozen models are the cache's is seen once they are loaded (`training/frozen.py`).
    """
    image, problems = config.image, []
    if image.tokenizer == "pixels":
        problems.append("image.tokenizer is pixels, and it holds latents of a VAE")
    if (image.size, image.latent_shape) != (about.size, about.latent_shape):
        problems.append(f"it holds latents {about.latent_shape} of pictures of {about.size} pixels (image.size)")
    if image.scale != about.scale:
        problems.append(f"it was made for image.scale={about.scale}")
    if config.data.flip and not about.flipped:
        problems.append("it holds no mirrored pictures (data.flip=false goes without)")
    if config.objective.alignment_weight:
        problems.append("REPA's teacher needs the pictures (objective.alignment_weight), which it does not hold")
    if problems:
        raise InputError(f"the cache of '{about.source}' does not fit this training: {'; '.join(problems)}")
