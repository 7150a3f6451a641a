"""The run monitor: follows a training live in a notebook, with state, curves, sample sheets and actions.

It reads the files of the run in the background. The training runs in its own process, which neither the widget nor the
kernel ends.
"""

import html
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import ipywidgets as w
import pandas as pd

from dream.errors import InputError
from workbench.figures.training import plot_training
from workbench.jobs.job import log_tail
from workbench.palette import MESSAGES
from workbench.runs.feed import RunFeed
from workbench.runs.folders import sheet_step
from workbench.runs.trainings import Training, resume_arguments, resume_training, stop_training
from workbench.runs.words import SIGNS, run_readings, state_words
from workbench.widgets import words
from workbench.widgets.figures import live, redraw
from workbench.widgets.instrument import Instrument
from workbench.widgets.monitor_controls import look_controls, run_controls
from workbench.widgets.monitor_look import RunView, look_at_run, train_frame, training_of, validation_frame
from workbench.work import Work
from workbench.workspace import open_workspace

ABSENT = "No run yet. It is shown as soon as it starts."
LOG_BYTES = 20_000


@dataclass(frozen=True)
class RunShown:
    """State and log of a run."""

    name: str
    path: Path
    state: str
    """`absent`, `queued`, `starting`, `running`, `stopping`, `finished`, `stopped`, `failed`, `killed` or
    `damaged`."""
    sentence: str
    """Why the run failed, or what you can do."""
    step: int
    """Optimiser steps done."""
    end: int
    """Planned optimiser steps (0 = not known yet)."""
    seconds_left: float | None
    train: pd.DataFrame
    """One row per log line: step, minutes, losses, shares, speed, and the generative loss by band of the mask ratio
    (`generative at 0.5-0.6`)."""
    validation: pd.DataFrame
    """One row per validation: step, loss, R@1, both losses by mask ratio."""
    sheets: tuple[Path, ...]
    """Sample sheets, oldest first."""
    command: str
    """The last queued command; empty for a run started elsewhere."""


class RunMonitor(Instrument[RunShown]):
    """A live training; `result` is a `RunShown`, updated every `every` seconds while it is followed.

    `controls`: `figure`, `axis`, `smoothing`, `log`, `sheet`; buttons `stop`, `resume`, `extend` (with `kind` and
    `amount`: minutes or steps to add) and `follow`. `cancel()` stops following, not the training.
    """

    def __init__(self, run: Training | str | Path, *, every: float = 1.0, theme: str = "light") -> None:
        """Raises InputError if `every` is not above 0 or the path may not be read."""
        super().__init__()
        if not every > 0:
            raise InputError(f"every must be above 0 seconds, got {every}")
        self._workspace, self._every = open_workspace(), every
        self._path = training_of(self._workspace, run)
        self._feed = RunFeed(self._path)
        self._moved = threading.Condition()
        self._drawn: tuple[Any, ...] = ()
        self._following = self._quiet = False
        self._strip.button.description, self._strip.button.layout.width = "Stop following", "120px"
        self._strip.button.tooltip = "Stops only the updates; the training continues."
        self._strip.bar.layout.display = "none"
        self.controls = look_controls() | run_controls()
        self.figure = live(plot_training("losses", self._feed.curves()[1]), theme)
        self._state, self._bar = w.HTML(), w.FloatProgress(min=0.0, max=1.0, layout={"width": "100%"})
        self._numbers, self._sheet, self._details, self._more = w.HTML(), w.HTML(), w.HTML(), w.HTML()
        self.body.children = self._placed()
        self._listen()
        self._follow_run()

    def cancel(self) -> None:
        """Stops following; the training continues."""
        super().cancel()
        self._following = False
        self.controls["follow"].layout.display = None

    def wait(self, seconds: float | None = None, *, step: int | None = None) -> Self:
        """Waits until the training has ended, the time is up, or it has done `step` steps, and returns itself.

        Raises errors of following only; `result` says if the training failed.
        """
        if step is None:
            return super().wait(seconds)
        until = None if seconds is None else time.monotonic() + seconds
        with self._moved:
            while self.running and self._view.step < step:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._moved.wait(min(1.0, left or 1.0))
        return super().wait(0)

    # parts

    def _placed(self) -> list[w.Widget]:
        named = self.controls
        row = {"flex_flow": "row wrap", "align_items": "center"}
        details = w.Accordion([self._details])
        details.set_title(0, "Command and log")
        buttons = [named[name] for name in ("stop", "resume", "kind", "amount", "extend", "follow")]
        return [
            self._state,
            self._bar,
            w.HBox(buttons, layout=row),
            self._more,
            self._numbers,
            w.HBox([named[name] for name in ("figure", "axis", "smoothing", "log")], layout=row),
            w.VBox([self.figure], layout={"width": "100%", "overflow": "hidden"}),
            named["sheet"],
            self._sheet,
            details,
        ]

    def _listen(self) -> None:
        for name in ("figure", "axis", "smoothing", "log"):
            self.react(self.controls[name], lambda _: self._draw())
        self.react(self.controls["sheet"], lambda _: self._show_sheet())
        for name in ("kind", "amount"):
            self.react(self.controls[name], lambda _: self._show_more())
        self.press(self.controls["stop"], self._stop)
        self.press(self.controls["resume"], lambda: self._resume(False))
        self.press(self.controls["extend"], lambda: self._resume(True))
        self.press(self.controls["follow"], self._follow_run)

    # following

    def _follow_run(self) -> None:
        self._show(self._now())
        self.begin(self._watch, show=self._show, done=self._show)
        self._following = True
        self.controls["follow"].layout.display = "none"

    def _watch(self, work: Work[RunView]) -> RunView:
        """Reads the run repeatedly until the training has ended."""
        work.tell(0.0, f"following {self._workspace.shown(self._path)}, updated every {self._every:g} s")
        while True:
            view = self._now()
            if not view.goes_on:
                return view
            work.show(view)
            until = time.monotonic() + self._every
            while (left := until - time.monotonic()) > 0:
                time.sleep(min(0.1, left))
                work.check()

    def _show(self, view: RunView) -> None:
        """Shows the current state; unchanged parts are not sent again."""
        self._view = view
        self._show_state(view)
        self._show_buttons(view)
        self._set_sheets()
        self._draw()
        log = log_tail(view.job, LOG_BYTES).replace("\r", "\n").strip() if view.job else ""
        command = view.command or "This run was started elsewhere."
        self._details.value = words.text(command) + words.text(log, height="220px")
        with self._moved:
            self._moved.notify_all()

    def _show_state(self, view: RunView) -> None:
        message = state_words(view.training) if view.training else ("information", ABSENT)
        sign = f"{SIGNS.get(view.state, '')} " if view.training else ""
        kind, text = message or ("success", f"Step {view.step:,} of {view.end or '?'}.")
        self._state.value = (
            f"<b>{html.escape(view.name)}</b> &nbsp; {sign}<b>{view.state}</b> &nbsp; "
            f'<span style="color:{MESSAGES[kind]}">{html.escape(text)}</span>'
        )
        self._bar.value = view.step / view.end if view.end else 0.0
        numbers = run_readings(view.training, view.curves) if view.training else []
        self._numbers.value = words.reading_cards((each.name, each.value) for each in numbers)

    def _show_buttons(self, view: RunView) -> None:
        known = view.training is not None and view.state != "damaged"
        self.controls["stop"].disabled = view.state not in ("queued", "starting", "running")
        rests = known and not view.active and view.training.run is not None  # type: ignore[union-attr]
        self.controls["resume"].disabled = not rests or view.state == "finished"
        for name in ("kind", "amount", "extend"):
            self.controls[name].disabled = not rests
        followed = self._following and view.goes_on
        self.controls["follow"].layout.display = "none" if followed else None
        self._show_more()

    def _show_more(self) -> None:
        """Shows the command that Extend would run, while that is possible."""
        training, kind = self._view.training, self.controls["kind"].value
        possible = training is not None and not self.controls["extend"].disabled
        self._more.value = ""
        if training is not None and possible:
            arguments = resume_arguments(self._workspace, training, kind, self.controls["amount"].value)
            self._more.value = f"<small><code>dream {html.escape(' '.join(arguments))}</code></small>"

    def _draw(self) -> None:
        """Draws the chosen figure if it or its numbers changed."""
        settings = [self.controls[name].value for name in ("figure", "axis", "smoothing", "log")]
        wanted = (*settings, self._view.version)
        if wanted != self._drawn:
            name, axis, smoothing, log = settings
            figure = plot_training(name, self._view.curves, self._feed.config, axis, smoothing, log)
            with self.figure.batch_update():
                redraw(self.figure, figure)
                self.figure.layout.uirevision = f"{name} {axis}"  # keeps the zoom while the figure is the same
            self._drawn = wanted
        self._update_result()

    def _set_sheets(self) -> None:
        """Updates the slider of sheets; a reader at the newest sheet moves on to the next."""
        slider, steps = self.controls["sheet"], [sheet_step(path) for path in self._view.sheets]
        before, at = list(slider.options), slider.value
        if steps and steps != before:
            with self._quietly():  # setting options moves it to the first
                slider.options = steps
                slider.value = at if at in steps and at != before[-1] else steps[-1]
        slider.layout.display = None if len(steps) > 1 else "none"
        self._show_sheet()

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False

    def _show_sheet(self) -> None:
        if self._quiet:
            return
        step = self.controls["sheet"].value
        path = next((path for path in self._view.sheets if sheet_step(path) == step), None)
        self._sheet.value = words.sheet(path, self._view.name, step)

    def _update_result(self) -> None:
        view = self._view
        self.result = RunShown(
            view.name,
            self._path,
            view.state,
            view.sentence,
            view.step,
            view.end,
            view.seconds_left,
            train_frame(view.curves),
            validation_frame(view.curves),
            view.sheets,
            view.command,
        )

    # actions

    def _stop(self) -> None:
        if (training := self._now().training) is not None:
            stop_training(self._workspace, training)
            self._follow_run()

    def _resume(self, extend: bool) -> None:
        """Resumes the training to its planned end, or extends it."""
        if (training := self._now().training) is None:
            raise InputError("there is no run to resume yet")
        budget = self.controls["kind"].value if extend else None
        resume_training(self._workspace, training, budget, self.controls["amount"].value)
        self._follow_run()

    def _now(self) -> RunView:
        """Returns the current state of the run, which may be newer than the one shown."""
        return look_at_run(self._workspace, self._path, self._feed)
