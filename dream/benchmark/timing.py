"""Measures seconds: of one call, of calls that take turns, and of the machine's own matrix product."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

MATMUL_ROWS = 4096


def seconds_of(function: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that one call takes by `clock`."""
    started = clock()
    function()
    return clock() - started


def matmul_rate(width: int, repeats: int = 5, clock: Callable[[], float] = time.perf_counter) -> float:
    """FLOP/s of a plain float32 product (MATMUL_ROWS, width) @ (width, width): the median of `repeats`.

    By time.process_time it is the rate of one core.
    """
    left, right = torch.ones(MATMUL_ROWS, width), torch.ones(width, width)
    torch.mm(left, right)  # the first call sets up threads and memory
    seconds = [seconds_of(lambda: torch.mm(left, right), clock) for _ in range(repeats)]
    return 2 * MATMUL_ROWS * width**2 / statistics.median(seconds)


def step_by_step(
    runs: Mapping[str, Iterator[Any]], clock: Callable[[], float] = time.perf_counter
) -> tuple[dict[str, float], dict[str, Any]]:
    """Seconds by `clock` that each iterator takes when they advance in turn, and the last item of each."""
    seconds, last, going = dict.fromkeys(runs, 0.0), dict.fromkeys(runs), dict(runs)
    while going:
        for name, run in list(going.items()):
            started = clock()
            item = next(run, None)
            seconds[name] += clock() - started
            if item is None:
                del going[name]
            else:
                last[name] = item
    return seconds, last


def rounds(runs: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """CPU seconds of each function in each round; every round calls all of them, after one call that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, function in runs.items():
            spent = seconds_of(function, time.process_time)
            if turn:
                seconds[name].append(spent)
    return seconds
