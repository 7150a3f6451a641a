"""Turns Ctrl-C, SIGTERM, SIGUSR1 and SIGUSR2 into a stop request that the loop honours after the current step.

SLURM sends the last two some time before a job's limit (`--signal`), and so do submitit and others.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GRACE_SECONDS = 3.0
"""A second Ctrl-C interrupts at once, unless it comes this soon: launchers forward the signals of their group."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class StopRequested(Exception):
    """Raised where a stop request ends something that cannot go on later, e.g. the measuring of steps."""


class StoppedEarly(KeyboardInterrupt):
    """A stop request before there was anything to save; its text is the sentence, and `code` the exit code."""

    def __init__(self, number: int) -> None:
        super().__init__("stopped before the first step: nothing was lost, and the same command begins again")
        self.code = 128 + number


class StopRequest:
    """The signal that asked any rank to stop, if one did; true from then on."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.since = 0.0

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def number(self) -> int:
        """The signal's number; 0 without a request."""
        return 0 if self.signal is None else int(self.signal)

    def learn(self, number: int) -> None:
        """Takes over the request of another rank; 0 is none."""
        if number and self.signal is None:
            self.signal, self.since = signal.Signals(number), time.monotonic()

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: stores the first signal; a Ctrl-C after the grace period raises KeyboardInterrupt."""
        if self.signal is None:
            self.learn(number)
        elif number == signal.SIGINT and time.monotonic() - self.since > GRACE_SECONDS:
            raise KeyboardInterrupt


@contextmanager
def early_stop() -> Iterator[None]:
    """Makes SIGNALS end the block in a sentence, wherever it is; `stop_signals` inside answers them otherwise."""

    def end(number: int, frame: FrameType | None) -> None:
        raise StoppedEarly(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, end) for number in SIGNALS if number != signal.SIGINT}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Catches SIGNALS while the block runs; outside the main thread it catches none, because Python forbids it."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.handle) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
