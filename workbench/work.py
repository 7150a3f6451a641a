"""Long work off the page's thread: with progress, partial results, the time left, and cancel.

`Work` runs one function in a thread of its own. Whoever started it looks at its fields whenever it likes;
nobody has to wait. It knows nothing of what the work is, nor of pages and cells.
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
"""How long the interpreter's end waits for work that was asked to stop."""
_alive: "weakref.WeakSet[Work[Any]]" = weakref.WeakSet()


class Cancelled(Exception):
    """The work was asked to stop."""


class Work(Generic[T]):
    """A function that is being run, is done, has failed or was cancelled.

    The function gets the work itself: it calls `tell` often, which also ends it once `cancel` was called, and
    `show` with whatever can be looked at already.
    """

    def __init__(self, function: "Callable[[Work[T]], T]", name: str = "work") -> None:
        self.name = name
        self.state = "running"
        """`running`, `done`, `failed` or `cancelled`."""
        self.share = 0.0
        """How far it is, 0 to 1."""
        self.text = ""
        """What it does at the moment."""
        self.partial: Any = None
        """What `show` was given last; replaced, never changed, so that a reader sees one state of it."""
        self.result: T | None = None
        self.error: BaseException | None = None
        self.started = time.monotonic()
        self.ended: float | None = None
        self._cancel = threading.Event()
        self._function = function
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        _alive.add(self)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.state == "running"

    @property
    def expected(self) -> bool:
        """Whether it failed with a sentence meant for the user (InputError, RunError)."""
        return isinstance(self.error, (InputError, RunError))

    @property
    def seconds(self) -> float:
        """How long it has taken so far, or took."""
        return (self.ended or time.monotonic()) - self.started

    @property
    def seconds_left(self) -> float | None:
        """Estimate of what is left; None while too little is known."""
        if not self.running or self.share < 0.02:
            return None
        return self.seconds * (1 - self.share) / self.share

    def tell(self, share: float, text: str = "") -> None:
        """How far it is; raises Cancelled in the work's thread once it was asked to stop."""
        self.share, self.text = min(1.0, max(self.share, share)), text or self.text
        self.check()

    def show(self, partial: Any) -> None:
        """What can be looked at already."""
        self.partial = partial
        self.check()

    def check(self) -> None:
        """Raises Cancelled once the work was asked to stop."""
        if self._cancel.is_set():
            raise Cancelled

    def cancel(self) -> None:
        """Asks it to stop; it ends at its next `tell`, `show` or `check`."""
        self._cancel.set()

    def wait(self, seconds: float | None = None) -> "Work[T]":
        """Itself, once it has ended or the time is up."""
        self._thread.join(seconds)
        return self

    def _run(self) -> None:
        try:
            self.result = self._function(self)
            self.share, state = 1.0, "done"
        except Cancelled:
            state = "cancelled"
        except BaseException as error:  # shown by whoever looks
            self.error, state = error, "failed"
        self.ended = time.monotonic()
        self.state = state  # last: who sees an end also sees its result


def run(function: "Callable[..., T]", *arguments: Any) -> T:
    """What `function(work, *arguments)` returns, waited for here; interrupted, it is asked to stop.

    Raises what it raised.
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
    """Asks all work to stop and waits a little: a thread inside torch would abort the interpreter's end."""
    running = [work for work in list(_alive) if work.running]
    for work in running:
        work.cancel()
    end = time.monotonic() + END_SECONDS
    for work in running:
        work.wait(max(0.0, end - time.monotonic()))
