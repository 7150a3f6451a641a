"""Runs long work in a thread of its own, with progress, partial results, time left and cancel.

The caller reads the fields of `Work` whenever it likes and never has to wait.
"""

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from dream.errors import InputError, RunError

T = TypeVar("T")

END_SECONDS = 5.0
"""How long the interpreter waits at exit for work that was asked to stop."""
_alive: "weakref.WeakSet[Work[Any]]" = weakref.WeakSet()


class Cancelled(Exception):
    """Raised in the work's thread after a stop request."""


class Work(Generic[T]):
    """One function running in a thread, and its outcome.

    The function receives this object. It calls `tell` often to report progress, which also ends it after `cancel`,
    and `show` to publish partial results.
    """

    def __init__(self, function: "Callable[[Work[T]], T]", name: str = "work") -> None:
        self.name = name
        self.state = "running"
        """`running`, `done`, `failed` or `cancelled`."""
        self.share = 0.0
        """Fraction done, 0 to 1."""
        self.text = ""
        """Current activity, in a few words."""
        self.partial: Any = None
        """Latest value given to `show`; replaced, never mutated, so that a reader always sees one consistent state."""
        self.result: T | None = None
        self.error: BaseException | None = None
        self.started = time.monotonic()
        self.ended: float | None = None
        self._cancel = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(function,), name=name, daemon=True)
        _alive.add(self)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the function is still running."""
        return self.state == "running"

    @property
    def expected(self) -> bool:
        """Whether it failed with a message meant for the user (InputError, RunError)."""
        return isinstance(self.error, (InputError, RunError))

    @property
    def seconds(self) -> float:
        """Seconds since the start, up to the end if it has ended."""
        return (self.ended or time.monotonic()) - self.started

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds left; None while too little is known."""
        if not self.running or self.share < 0.02:
            return None
        return self.seconds * (1 - self.share) / self.share

    def tell(self, share: float, text: str = "") -> None:
        """Reports the fraction done, which never goes back; raises Cancelled after a stop request."""
        self.share, self.text = min(1.0, max(self.share, share)), text or self.text
        self.check()

    def show(self, partial: Any) -> None:
        """Publishes a partial result; raises Cancelled after a stop request."""
        self.partial = partial
        self.check()

    def check(self) -> None:
        """Raises Cancelled after a stop request."""
        if self._cancel.is_set():
            raise Cancelled

    def cancel(self) -> None:
        """Requests a stop, which takes effect at the next `tell`, `show` or `check`."""
        self._cancel.set()

    def wait(self, seconds: float | None = None) -> "Work[T]":
        """Waits until the work has ended or `seconds` have passed; returns itself."""
        self._thread.join(seconds)
        return self

    def _run(self, function: "Callable[[Work[T]], T]") -> None:
        try:
            self.result = function(self)
            self.share, state = 1.0, "done"
        except Cancelled:
            state = "cancelled"
        except BaseException as error:  # the reader of `error` shows it
            self.error, state = error, "failed"
        self.ended = time.monotonic()
        self.state = state  # last, so that a reader who sees the end also sees the result


def run(function: "Callable[..., T]", *arguments: Any) -> T:
    """Runs `function(work, *arguments)` and waits for its result; Ctrl-C requests a stop.

    Raises whatever the function raised.
    """
    work: Work[T] = Work(lambda work: function(work, *arguments), function.__name__)
    try:
        work.wait()
    except KeyboardInterrupt:
        work.cancel()
        raise
    if work.error is not None:
        raise work.error
    assert work.result is not None, work.state
    return work.result


@atexit.register
def _stop_all() -> None:
    """Stops all work and waits a little: a thread still inside torch would abort the interpreter at exit."""
    running = [work for work in list(_alive) if work.running]
    for work in running:
        work.cancel()
    end = time.monotonic() + END_SECONDS
    for work in running:
        work.wait(max(0.0, end - time.monotonic()))
