"""Speed of reading a cache, next to one file per sample, in one run."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dream.config import DreamConfig
from dream.data.cache.corpus import open_cache
from dream.data.cache.layout import (
    MOMENTS,
    T5_IDS,
    CacheAbout,
    CachePart,
    find_parts,
    part_folder,
    write_about,
    write_index,
)
from dream.data.cache.source import open_cached
from dream.data.cache.writing import save_part
from dream.data.report import DataReport

BATCH = 256
NAMES = (MOMENTS, T5_IDS)


class ReadingRates(NamedTuple):
    """Samples per second of files that were written just before, so that they are in memory."""

    sample_bytes: int
    batches: float
    """Shuffled training batches of a cache."""
    rows: float
    """Rows of the cache alone, in random order."""
    files: float
    """One .npz per sample, in random order."""
    opening: float
    """Seconds to open the cache and to read its first batch."""


def reading_rates(config: DreamConfig, folder: Path, samples: int = 4096, shards: int = 64) -> ReadingRates:
    """Writes random latents of the configuration's shape both ways into `folder`, and reads them."""
    cache, files = folder / "cache.zarr", folder / "files"
    about, arrays = write_random_cache(config, cache, samples, shards)
    files.mkdir()
    for i in range(samples):
        np.savez(files / f"{i}.npz", **{name: values[i] for name, values in arrays.items()})
    order = np.random.default_rng(0).permutation(samples).tolist()
    began = time.monotonic()
    batches = open_cached(cache, config, 0, 0, 1).batches(BATCH)
    next(batches)
    opening, few = time.monotonic() - began, samples // BATCH // 2
    corpus = open_cache(cache)[0]["train"]
    rows = [row for shard in range(shards) for row in corpus.cached_rows(shard, DataReport())]
    return ReadingRates(
        about.sample_bytes,
        few * BATCH / _seconds(lambda: [next(batches) for _ in range(few)]),
        samples / _seconds(lambda: [rows[i].content(NAMES) for i in order]),
        samples / _seconds(lambda: _read_files(files, order)),
        opening,
    )


def write_random_cache(
    config: DreamConfig, cache: Path, samples: int, shards: int
) -> tuple[CacheAbout, dict[str, np.ndarray]]:
    """Writes a cache of random latents and T5 ids of the configuration's shapes; returns what it is and its arrays."""
    rng, image, each = np.random.default_rng(0), config.image, samples // shards
    arrays = {
        MOMENTS: rng.standard_normal((samples, 2, 2, *image.latent_shape), np.float32).astype(np.float16),
        T5_IDS: rng.integers(0, 30_000, (samples, config.text.conditioning_length), np.int32),
    }
    about = CacheAbout(
        source="random latents",
        vae="",
        t5="",
        caption_tokenizer=None,
        scale=image.scale,
        size=image.size,
        latent_shape=image.latent_shape,
        flipped=True,
        dtype="float16",
        states=False,
        splits={"train": tuple(f"{shard:06d}.tar" for shard in range(shards))},
        sample_bytes=sum(values[0].nbytes for values in arrays.values()),
        part_rows=each,
    )
    write_about(cache, about)
    for shard in range(shards):
        cut = slice(shard * each, (shard + 1) * each)
        texts = [(f"{i:09d}", f"caption {i} of a picture") for i in range(cut.start, cut.stop)]
        part = {name: values[cut] for name, values in arrays.items()}
        save_part(part_folder(cache, "train", shard, 0), CachePart(each, True), part, texts)
    write_index(cache, find_parts(cache))
    return about, arrays


def _read_files(folder: Path, order: list[int]) -> None:
    for i in order:
        with np.load(folder / f"{i}.npz") as file:
            for name in NAMES:
                file[name]


def _seconds(read: Callable[[], object]) -> float:
    began = time.monotonic()
    read()
    return time.monotonic() - began
