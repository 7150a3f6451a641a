"""Base of all notebook widgets: controls and figures, background work with progress, errors as text, result as data.

Work reports from its own thread, so figures move while a cell runs and between cells; a lock keeps these updates apart
from those by controls.
"""

import html
import math
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, Self, TypeVar

import ipywidgets
import traitlets

from dream.errors import InputError, RunError
from workbench.palette import MESSAGES
from workbench.widgets.fit import Fit
from workbench.work import Work

R = TypeVar("R")
T = TypeVar("T")

EVERY = 0.15
"""Seconds between two updates from the work."""


class Instrument(ipywidgets.VBox, Generic[R]):
    """A box for a notebook, with a `result`.

    Subclasses put their contents into `body` and their controls by name into `controls`, set `self.result` for each
    new result, connect controls to functions with `react`, and start long work with `begin`.
    """

    def __init__(self) -> None:
        self.body = ipywidgets.VBox()
        self.controls: dict[str, ipywidgets.Widget] = {}
        self._strip, self._note = _Strip(), ipywidgets.HTML()
        super().__init__([self.body, self._strip, self._note, Fit()])
        self._strip.button.on_click(lambda _: self.cancel())
        self._lock = threading.RLock()
        self._result: R | None = None
        self._work: Work[Any] | None = None
        self._follower: threading.Thread | None = None
        self._failure: BaseException | None = None

    @property
    def result(self) -> R | None:
        """The data shown; None if there is none yet."""
        return self._result

    @result.setter
    def result(self, value: R) -> None:
        self._result = value

    @property
    def running(self) -> bool:
        """Whether work is running, or its end has not been shown yet."""
        return self._follower is not None and self._follower.is_alive()

    def cancel(self) -> None:
        """Asks the work to stop; everything shown so far stays."""
        if self._work is not None:
            self._work.cancel()

    def wait(self, seconds: float | None = None) -> Self:
        """Waits until the work has ended and is shown, or the time is up, and returns itself.

        Interrupting the cell cancels the work. Raises the exception that the work raised.
        """
        until = math.inf if seconds is None else time.monotonic() + seconds
        try:
            while self.running and time.monotonic() < until:  # one work may begin another
                assert self._follower is not None
                self._follower.join(min(until - time.monotonic(), threading.TIMEOUT_MAX))
        except KeyboardInterrupt:
            self.cancel()
            raise
        if self._failure is not None and not self.running:
            raise self._failure
        return self

    def close(self) -> None:
        """Stops the work and removes the box from the page."""
        self.cancel()
        super().close()

    # for subclasses

    def begin(
        self,
        function: Callable[[Work[T]], T],
        *,
        show: Callable[[Any], None] = lambda shown: None,
        done: Callable[[T], None] = lambda result: None,
    ) -> None:
        """Runs `function` in the background; `show` gets its partial results, `done` its result.

        Earlier work is asked to stop, and its results are ignored.
        """
        with self._lock:
            self.cancel()
            self._failure = None
            self.say("")
            work = self._work = Work(function, type(self).__name__)
            follower = threading.Thread(target=self._follow, args=(work, show, done), daemon=True)
            follower.start()
            self._follower = follower  # once it is alive, so that `running` never misses it
            self._strip.show(work)

    def react(self, control: ipywidgets.Widget, function: Callable[[Any], None], name: str = "value") -> None:
        """Calls `function` with each new value of the control; errors are shown below the figures."""
        this = weakref.ref(self)  # lets a closed box be freed although its controls live on

        def changed(change: traitlets.Bunch) -> None:
            if (box := this()) is not None:
                box.guard(lambda: function(change["new"]))

        control.observe(changed, name)

    def press(self, button: ipywidgets.Button, function: Callable[[], None]) -> None:
        """Calls `function` when the button is clicked; errors are shown as in `react`."""
        button.on_click(lambda _: self.guard(function))

    def guard(self, function: Callable[[], None]) -> None:
        """Calls `function` under the lock; errors are shown below the figures."""
        with self._lock:
            try:
                function()
            except Exception as error:
                self._say_failure(error)
                return
            if not self.running:
                self.say("")

    def say(self, text: str, kind: str = "problem") -> None:
        """Shows a sentence below the figures, a `problem` or a `remark`; an empty text removes it."""
        colour = MESSAGES[{"problem": "error", "remark": "information"}[kind]]
        self._note.value = f'<p style="color:{colour}">{html.escape(text)}</p>' if text else ""

    def _follow(self, work: Work[T], show: Callable[[Any], None], done: Callable[[T], None]) -> None:
        shown = None
        while True:
            ended = not work.wait(EVERY).running
            with self._lock:
                if self._work is not work:
                    return
                if work.partial is not None and work.partial is not shown:
                    shown = work.partial
                    self._attempt(partial(show, shown))
                if ended:
                    self._end(work, done)
                    return
                self._strip.show(work)

    def _end(self, work: Work[Any], done: Callable[[Any], None]) -> None:
        if work.state == "done":
            self._attempt(partial(done, work.result))
        elif work.state == "cancelled":
            self.say("Cancelled. The figures show the results up to then.", "remark")
        elif work.error is not None:
            self._failure = work.error
            self._say_failure(work.error)
        self._strip.hide()

    def _attempt(self, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception as error:  # nothing else would report an error in this thread
            self._failure = error
            self._say_failure(error)

    def _say_failure(self, error: BaseException) -> None:
        text = str(error).strip() or type(error).__name__
        if not isinstance(error, (InputError, RunError)):
            text = f"Unexpected error ({type(error).__name__}): {text}"
        self.say(text)


class _Strip(ipywidgets.HBox):
    """Progress bar with the current activity, the time left and a Cancel button; hidden while nothing runs."""

    def __init__(self) -> None:
        self.bar = ipywidgets.FloatProgress(min=0.0, max=1.0, layout={"width": "220px"})
        self.text = ipywidgets.Label()
        self.button = ipywidgets.Button(
            description="Cancel", tooltip="Stops this work. Results so far are kept.", layout={"width": "80px"}
        )
        super().__init__([self.bar, self.button, self.text], layout={"display": "none"})

    def show(self, work: Work[Any]) -> None:
        """Shows the progress of the work."""
        left = work.seconds_left
        self.bar.value = work.share
        self.text.value = (work.text or "starting") + (f" · {left:.0f} s left" if left is not None else "")
        self.layout.display = "flex"

    def hide(self) -> None:
        """Hides the bar."""
        self.layout.display = "none"
