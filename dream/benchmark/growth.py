"""How time and memory grow with tokens, candidates, pictures and cached samples: log-log exponents.

Models are small copies with random weights. Every size of an axis is measured in turn, in several rounds, in CPU
seconds; memory is the peak of the tensors (`peak_bytes`), of cached samples that of Python's own allocations.
"""

import statistics
import tempfile
import tracemalloc
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dream.benchmark.choices import choice_settings
from dream.benchmark.decoding import Say, random_model, random_prompts, small_copy
from dream.benchmark.memory import peak_bytes
from dream.benchmark.timing import rounds
from dream.config import DreamConfig
from dream.data.cache.source import open_cached
from dream.data.cache.speed import write_random_cache
from dream.decoding.decode import decode_iter
from dream.decoding.settings import DecodeSettings
from dream.presets import base

WIDTH, DEPTH = 128, 2
STEPS, DENOISING = 16, 4
ROUNDS = 3
GRIDS = (8, 12, 16, 24, 32)
"""Sides of the grids of tokens: 64 to 1,024 tokens."""
CANDIDATES = (2, 4, 8, 16)
PICTURES = (1, 2, 4, 8)
SAMPLES, BATCH, SHARDS = (512, 1024, 2048, 4096, 8192), 64, 8


@dataclass(frozen=True)
class Growth:
    """Measures at the sizes of one axis, and the exponents p of the power laws size^p that fit them best."""

    axis: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    """CPU seconds: the median of the rounds."""
    bytes: tuple[int, ...]
    expected_time: tuple[float, float]
    """Bounds between which the exponent of the time is expected."""
    expected_memory: tuple[float, float]

    @property
    def time_exponent(self) -> float:
        """Slope of log(seconds) over log(size), by least squares."""
        return exponent(self.sizes, self.seconds)

    @property
    def memory_exponent(self) -> float:
        """Slope of log(bytes) over log(size)."""
        return exponent(self.sizes, self.bytes)


def exponent(sizes: tuple[int, ...], values: tuple[float, ...]) -> float:
    """Slope of log(values) over log(sizes), by least squares. Values must be above 0."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


class Axis(NamedTuple):
    """What grows, and the bounds between which the exponents of time and memory are expected."""

    name: str
    time: tuple[float, float]
    memory: tuple[float, float]


def growth(say: Say, repeats: int = ROUNDS) -> list[Growth]:
    """All axes; `say` is told which size of which axis is measured."""
    plain = DecodeSettings(steps=STEPS, sampling_steps=DENOISING)
    whole = _config(16)
    choices = {k: choice_settings(plain, "once", k, whole.image.num_tokens) for k in CANDIDATES}
    return [
        # linear layers grow with the tokens, attention with their square, calls of small tensors hardly
        _decodes(Axis("tokens", (0.6, 2), (0.8, 1.2)), {g**2: (_config(g), plain, 1) for g in GRIDS}, say, repeats),
        # only the second of 16 steps has all candidates in the decoder: (15 + K) / 16 of a plain decode
        _decodes(
            Axis("candidates", (0, 0.6), (0, 0.1)), {k: (whole, own, 1) for k, own in choices.items()}, say, repeats
        ),
        _decodes(Axis("pictures", (0.8, 1.1), (0.7, 1.1)), {b: (whole, plain, b) for b in PICTURES}, say, repeats),
        *_cached(say, repeats),
    ]


def _config(grid: int) -> DreamConfig:
    """A small copy of the published model for grid x grid tokens, with a buffer in proportion."""
    config = small_copy(base(), WIDTH, DEPTH)
    image = replace(config.image, size=config.image.size * grid // config.image.grid)
    return replace(config, image=image, encoder=replace(config.encoder, buffer_tokens=grid**2 // 4))


def _decodes(axis: Axis, cases: dict[int, tuple[DreamConfig, DecodeSettings, int]], say: Say, repeats: int) -> Growth:
    """Measures decodes of (configuration, settings, pictures) by size."""
    models: dict[DreamConfig, Any] = {}
    runs: dict[str, Callable[[], object]] = {}
    for size, (config, settings, count) in cases.items():
        model = models.setdefault(config, random_model(config))
        prompted = random_prompts(config, count)

        def run(model: Any = model, prompted: Any = prompted, settings: DecodeSettings = settings) -> None:
            deque(decode_iter(model, prompted, settings), maxlen=0)

        runs[str(size)] = run
    return _measured(axis, runs, peak_bytes, say, repeats)


def _cached(say: Say, repeats: int) -> list[Growth]:
    """Opening a cache of latents, and reading a shuffled batch of it."""
    config = _config(8)
    with tempfile.TemporaryDirectory(prefix="dream-bench-") as folder:
        opens: dict[str, Callable[[], object]] = {}
        reads: dict[str, Callable[[], object]] = {}
        for size in SAMPLES:
            cache = Path(folder) / f"{size}.zarr"
            write_random_cache(config, cache, size, SHARDS)
            opens[str(size)] = lambda cache=cache: open_cached(cache, config, 0, 0, 1)  # type: ignore[misc]
            batches = open_cached(cache, config, 0, 0, 1).batches(BATCH)
            reads[str(size)] = lambda batches=batches: next(batches)  # type: ignore[misc]
        return [
            _measured(Axis("cached samples, opening", (0, 1), (0, 1)), opens, _python_bytes, say, repeats),
            _measured(Axis("cached samples, a batch", (-0.2, 0.2), (-0.2, 0.2)), reads, _python_bytes, say, repeats),
        ]


def _measured(
    axis: Axis,
    runs: dict[str, Callable[[], object]],
    memory: Callable[[Callable[[], object]], int],
    say: Say,
    repeats: int,
) -> Growth:
    def told(name: str) -> Callable[[], object]:
        def run() -> object:
            say(f"{axis.name}: {name}")
            return runs[name]()

        return run

    seconds = rounds({name: told(name) for name in runs}, repeats)
    held = [memory(told(name)) for name in runs]
    medians = tuple(statistics.median(each) for each in seconds.values())
    return Growth(axis.name, tuple(map(int, runs)), medians, tuple(held), axis.time, axis.memory)


def _python_bytes(function: Callable[[], object]) -> int:
    """Peak bytes that Python and NumPy allocate while `function` runs."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
