"""Progress callback of a measurement: takes the share that is done and the current activity in words."""

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and the current activity."""


def quiet(done: float, what: str) -> None:
    """A progress callback that does nothing."""


def within(progress: Progress, low: float, high: float) -> Progress:
    """Returns a callback for a part of the work, which reports shares between `low` and `high` of the whole."""
    return lambda done, what: progress(low + (high - low) * done, what)
