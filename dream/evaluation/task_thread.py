"""A call in a thread of its own, whose progress a generator can yield while the call runs."""

import ctypes
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from dream.evaluation.progress import Progress

T = TypeVar("T")


class TaskThread(Generic[T]):
    """Runs `function(progress)` from the start of a `with` block; leaving the block early stops it.

    Stopping raises SystemExit in the thread: at its next bytecode, as Ctrl-C does in the main thread, and again
    at its next progress report in case it was swallowed. The block is left once the thread has ended.
    """

    def __init__(self, function: Callable[[Progress], T]) -> None:
        self.progress = (0.0, "")
        """Share that is done and current activity, as reported last."""
        self._function = function
        self._values: list[T] = []
        self._error: BaseException | None = None
        self._stopped, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="task", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            ident = ctypes.c_ulong(self._thread.ident or 0)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(SystemExit))
        while self._thread.is_alive():
            self._ended.wait(0.05)

    def runs_after(self, seconds: float) -> bool:
        """Waits until the call has ended, at most `seconds`; returns whether it still runs."""
        return not self._ended.wait(seconds)  # a `join` that Ctrl-C interrupts takes the thread for ended (bpo-45274)

    def result(self) -> T:
        """Returns what the call returned, or raises what it raised. Call it after the end only."""
        if self._error is not None:
            raise self._error
        return self._values[0]

    def _run(self) -> None:
        try:
            self._values.append(self._function(self._report))
        except BaseException as error:  # raised again by `result`, in the thread that asks
            self._error = error
        finally:
            self._ended.set()

    def _report(self, share: float, doing: str) -> None:
        if self._stopped.is_set():
            raise SystemExit
        self.progress = (share, doing)
