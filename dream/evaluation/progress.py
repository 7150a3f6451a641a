"""Progress of a measurement: a callback that takes the share done and a word on the work at hand."""

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Told the share that is done, and what is being done."""


def quiet(done: float, what: str) -> None:
    """Progress that nobody hears of."""


def within(progress: Progress, low: float, high: float) -> Progress:
    """Progress of the part between two shares of the whole."""
    return lambda done, what: progress(low + (high - low) * done, what)
