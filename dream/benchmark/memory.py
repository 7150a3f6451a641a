"""Peak memory of tensors while a function runs, beside what was there before: exact, and the same on any machine."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torch.profiler import ProfilerActivity, profile

from dream.benchmark.choices import choice_settings
from dream.benchmark.decoding import random_prompts
from dream.decoding.decode import decode_iter
from dream.decoding.settings import DecodeSettings
from dream.model.dream import Dream
from dream.published import published_steps

CANDIDATES = 8
FEW = 4
"""Denoising steps while memory is measured: their number hardly changes it."""


@dataclass(frozen=True)
class DecodeMemory:
    """Peak bytes of tensors beyond the weights: a plain decode, one with candidates, and the latter as published."""

    weights: int
    plain: int
    ours: int
    published: int

    @property
    def ratio(self) -> float:
        """Ours over the published, with candidates and without the weights, which both need; the target is 1."""
        return self.ours / self.published

    @property
    def ratio_with_weights(self) -> float:
        """The same with the weights counted in."""
        return (self.weights + self.ours) / (self.weights + self.published)


def peak_bytes(function: Callable[[], Any]) -> int:
    """Most bytes of tensors on the CPU that `function` holds at once, beyond those that were there before.

    Counts every allocation, temporaries inside kernels included.
    """
    profiler = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
    with _no_stderr():
        profiler.start()
    try:
        function()
    finally:
        with _no_stderr():
            profiler.stop()
    results: Any = profiler.profiler.kineto_results  # type: ignore[union-attr]
    changes = [(event.start_ns(), event.nbytes()) for event in results.events() if event.name() == "[memory]"]
    held = most = 0
    for _, change in sorted(changes, key=lambda pair: pair[0]):
        held += change
        most = max(most, held)
    return most


def decode_memory(model: Dream, settings: DecodeSettings, candidates: int = CANDIDATES) -> DecodeMemory:
    """Measures decoding one prompt, on the CPU."""
    few = replace(settings, sampling_steps=min(FEW, settings.head(model.config.head).sampling_steps))
    chosen = choice_settings(few, "once", candidates, model.config.image.num_tokens)
    prompted = random_prompts(model.config, 1)
    return DecodeMemory(
        sum(p.numel() * p.element_size() for p in model.parameters()),
        *(
            peak_bytes(lambda run=run: deque(run, maxlen=0))  # type: ignore[misc]
            for run in (
                decode_iter(model, prompted, few),
                decode_iter(model, prompted, chosen),
                published_steps(model, prompted, chosen),
            )
        ),
    )


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Drops what is written to the process's stderr: the profiler says there that it starts and ends."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
