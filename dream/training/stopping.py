"""Turns Ctrl-C and SIGTERM into a stop request that the loop honours after the current step."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GRACE_SECONDS = 3.0
"""A second Ctrl-C interrupts at once, unless it comes this soon: launchers forward the signals of their group."""


class StopRequest:
    """The signal that asked to stop, if one did; true from then on."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.since = 0.0

    def __bool__(self) -> bool:
        return self.signal is not None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: stores the first signal; a Ctrl-C after the grace period raises KeyboardInterrupt."""
        if self.signal is None:
            self.signal, self.since = signal.Signals(number), time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self.since > GRACE_SECONDS:
            raise KeyboardInterrupt


@contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Catches signals while the block runs; outside the main thread it catches none, because Python forbids it."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
