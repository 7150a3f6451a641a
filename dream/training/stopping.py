"""Ctrl-C and SIGTERM as a wish that the loop grants after the step it is in."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GRACE_SECONDS = 3.0
"""A second Ctrl-C interrupts at once, unless it comes this soon: launchers forward what their whole group
received."""


class StopWish:
    """Which signal asked to stop, if one did."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.since = 0.0

    def __bool__(self) -> bool:
        return self.signal is not None

    def take(self, number: int, frame: FrameType | None) -> None:
        """A signal handler: notes the first wish."""
        if self.signal is None:
            self.signal, self.since = signal.Signals(number), time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self.since > GRACE_SECONDS:
            raise KeyboardInterrupt


@contextmanager
def stop_signals() -> Iterator[StopWish]:
    """Signals noted while the block runs. Outside the main thread none are: Python forbids it."""
    wish = StopWish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = {number: signal.signal(number, wish.take) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
