"""A training followed live in a notebook: state, curves, sample sheets, and what can be done with it.

It reads the run's files off the kernel's thread, as the Train page does; the training itself runs in a
process of its own that neither the widget nor the kernel ends.
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

ABSENT = "No run there yet. It is shown as soon as one begins."
LOG_BYTES = 20_000


@dataclass(frozen=True)
class RunShown:
    """What the monitor knows of a run."""

    name: str
    path: Path
    state: str
    """`absent`, `queued`, `starting`, `running`, `stopping`, `finished`, `stopped`, `failed`, `killed` or
    `damaged`."""
    sentence: str
    """Why it failed, or what can be done."""
    step: int
    """Optimiser steps done."""
    end: int
    """Optimiser steps at which it ends (0 = not known yet)."""
    seconds_left: float | None
    train: pd.DataFrame
    """A row a line of the log: step, minutes, losses, shares, speed, and the generative loss by band of the
    mask ratio (`generative at 0.5-0.6`)."""
    validation: pd.DataFrame
    """A row a validation: step, loss, R@1, both losses by mask ratio."""
    sheets: tuple[Path, ...]
    """Sample sheets, oldest first."""
    command: str
    """The command line that was queued last; empty for a run that was started elsewhere."""


class RunMonitor(Instrument[RunShown]):
    """A training as it goes; `result` is a `RunShown`, read anew every `every` seconds while it is followed.

    `controls`: `figure`, `axis`, `smoothing`, `log`, `sheet`; buttons `stop`, `resume`, `extend` (with `kind`
    and `amount`: so many minutes or steps more) and `follow`. `cancel()` stops following, never the training.
    """

    def __init__(self, run: Training | str | Path, *, every: float = 1.0, theme: str = "light") -> None:
        """Raises InputError for a time that is not above 0 and a path that must not be read."""
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
        self._strip.button.tooltip = "The training goes on; only this stops looking."
        self._strip.bar.layout.display = "none"
        self.controls = look_controls() | run_controls()
        self.figure = live(plot_training("losses", self._feed.curves()[1]), theme)
        self._state, self._bar = w.HTML(), w.FloatProgress(min=0.0, max=1.0, layout={"width": "100%"})
        self._numbers, self._sheet, self._told, self._more = w.HTML(), w.HTML(), w.HTML(), w.HTML()
        self.body.children = self._placed()
        self._listen()
        self._follow_run()

    def cancel(self) -> None:
        """Stops following; the training goes on."""
        super().cancel()
        self._following = False
        self.controls["follow"].layout.display = None

    def wait(self, seconds: float | None = None, *, step: int | None = None) -> Self:
        """Itself, once the training has ended, the time is up, or it has done `step` steps.

        Raises what following raised; that a training failed is said by `result`, and is no failure of this.
        """
        if step is None:
            return super().wait(seconds)
        until = None if seconds is None else time.monotonic() + seconds
        with self._moved:
            while self.running and self._look.step < step:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._moved.wait(min(1.0, left or 1.0))
        return super().wait(0)

    # parts

    def _placed(self) -> list[w.Widget]:
        named = self.controls
        row = {"flex_flow": "row wrap", "align_items": "center"}
        details = w.Accordion([self._told])
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
        self.press(self.controls["resume"], lambda: self._go_on(False))
        self.press(self.controls["extend"], lambda: self._go_on(True))
        self.press(self.controls["follow"], self._follow_run)

    # following

    def _follow_run(self) -> None:
        self._show(self._now())
        self.begin(self._watch, show=self._show, done=self._show)
        self._following = True
        self.controls["follow"].layout.display = "none"

    def _watch(self, work: Work[RunView]) -> RunView:
        """Looks again and again until the training has ended."""
        work.tell(0.0, f"following {self._workspace.shown(self._path)}, read every {self._every:g} s")
        while True:
            found = self._now()
            if not found.goes_on:
                return found
            work.show(found)
            until = time.monotonic() + self._every
            while (left := until - time.monotonic()) > 0:
                time.sleep(min(0.1, left))
                work.check()

    def _show(self, found: RunView) -> None:
        """Everything as it is now; what has not changed is not sent again."""
        self._look = found
        self._show_state(found)
        self._show_buttons(found)
        self._set_sheets()
        self._draw()
        log = log_tail(found.job, LOG_BYTES).replace("\r", "\n").strip() if found.job else ""
        self._told.value = words.text(found.command or "Started elsewhere.") + words.text(log, height="220px")
        with self._moved:
            self._moved.notify_all()

    def _show_state(self, found: RunView) -> None:
        said = state_words(found.training) if found.training else ("information", ABSENT)
        sign = f"{SIGNS.get(found.state, '')} " if found.training else ""
        kind, text = said or ("success", f"Step {found.step:,} of {found.end or '?'}.")
        self._state.value = (
            f"<b>{html.escape(found.name)}</b> &nbsp; {sign}<b>{found.state}</b> &nbsp; "
            f'<span style="color:{MESSAGES[kind]}">{html.escape(text)}</span>'
        )
        self._bar.value = found.step / found.end if found.end else 0.0
        numbers = run_readings(found.training, found.curves) if found.training else []
        self._numbers.value = words.reading_cards((each.name, each.value) for each in numbers)

    def _show_buttons(self, found: RunView) -> None:
        known = found.training is not None and found.state != "damaged"
        self.controls["stop"].disabled = found.state not in ("queued", "starting", "running")
        rests = known and not found.active and found.training.run is not None  # type: ignore[union-attr]
        self.controls["resume"].disabled = not rests or found.state == "finished"
        for name in ("kind", "amount", "extend"):
            self.controls[name].disabled = not rests
        followed = self._following and found.goes_on
        self.controls["follow"].layout.display = "none" if followed else None
        self._show_more()

    def _show_more(self) -> None:
        """The command that going on stands for, while that can be done."""
        training, kind = self._look.training, self.controls["kind"].value
        possible = training is not None and not self.controls["extend"].disabled
        self._more.value = ""
        if training is not None and possible:
            arguments = resume_arguments(self._workspace, training, kind, self.controls["amount"].value)
            self._more.value = f"<small><code>dream {html.escape(' '.join(arguments))}</code></small>"

    def _draw(self) -> None:
        """The chosen figure, where it or the numbers are others than those that are shown."""
        look = [self.controls[name].value for name in ("figure", "axis", "smoothing", "log")]
        wanted = (*look, self._look.version)
        if wanted != self._drawn:
            name, axis, smoothing, log = look
            figure = plot_training(name, self._look.curves, self._feed.config, axis, smoothing, log)
            with self.figure.batch_update():
                redraw(self.figure, figure)
                self.figure.layout.uirevision = f"{name} {axis}"  # a zoom stays while the figure is the same
            self._drawn = wanted
        self._tell()

    def _set_sheets(self) -> None:
        """Whoever looks at the newest sheet goes on to the next."""
        slider, steps = self.controls["sheet"], [sheet_step(path) for path in self._look.sheets]
        before, at = list(slider.options), slider.value
        if steps and steps != before:
            with self._quietly():  # other options move it to the first
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
        path = next((path for path in self._look.sheets if sheet_step(path) == step), None)
        self._sheet.value = words.sheet(path, self._look.name, step)

    def _tell(self) -> None:
        found = self._look
        self.result = RunShown(
            found.name,
            self._path,
            found.state,
            found.sentence,
            found.step,
            found.end,
            found.seconds_left,
            train_frame(found.curves),
            validation_frame(found.curves),
            found.sheets,
            found.command,
        )

    # what can be done with the training

    def _stop(self) -> None:
        if (training := self._now().training) is not None:
            stop_training(self._workspace, training)
            self._follow_run()

    def _go_on(self, further: bool) -> None:
        """Resumes it: to its planned end, or for so much more."""
        if (training := self._now().training) is None:
            raise InputError("there is no run to go on with yet")
        budget = self.controls["kind"].value if further else None
        resume_training(self._workspace, training, budget, self.controls["amount"].value)
        self._follow_run()

    def _now(self) -> RunView:
        """How the run stands now: what is shown may be a moment old."""
        return look_at_run(self._workspace, self._path, self._feed)
