"""State and numbers of a training in the words that pages and notebooks show.

The only file it reads is the end of a job's log.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from dream.console import duration
from dream.overrides import override
from dream.plain_text import whole_number
from workbench.jobs.job import last_message
from workbench.runs.curves import Curves
from workbench.runs.feed import RunFeed
from workbench.runs.trainings import Budget, TrainForm, Training, form_config

SIGNS = {
    "queued": "…",
    "starting": "▷",
    "running": "▶",
    "stopping": "◼",
    "finished": "✓",
    "stopped": "◼",
    "failed": "✕",
    "killed": "✕",
    "damaged": "⚠",
    "deleted": "✕",
}
"""Sign shown with a state's name, so that colour is never the only cue."""
CHANCE_STEPS, CHANCE_ROWS = 100, 5
"""Steps and logged rows at chance from which on it is said: every training begins there."""
SPEED_ROWS = 20
"""Latest rows whose median speed counts for an estimate."""
TRAINING_SHARE = 0.85
"""Usual share of a budget in minutes that is left for steps, next to validations, checkpoints and sample sheets."""
Kind = Literal["information", "success", "warning", "error"]


class RunReading(NamedTuple):
    """A number of a training with its name and explanation."""

    name: str
    value: str
    help: str


def sentence(text: str) -> str:
    """Capitalises a message and ends it with a full stop; empty stays empty."""
    text = text.strip()
    text = text[0].upper() + text[1:] if text.split(" ")[0].isalpha() else text
    return text if not text or text.endswith((".", "!", "?")) else text + "."


def state_words(training: Training) -> tuple[Kind, str] | None:
    """A message on the training's state and what to do about it; None while it runs normally."""
    state, job = training.state, training.job
    if training.elsewhere:
        return "information", f"Training {training.elsewhere}. It can be stopped there only."
    if state == "queued":
        before = training.place - 1
        place = f"{before} ahead of it" if before else "it is next"
        return "information", f"Queued: {place}. It starts automatically."
    if state == "starting":
        message = sentence(last_message(job)) if job is not None else ""
        return "information", f"Starting: loading the model and data takes a few seconds. {message}".rstrip()
    if state == "stopping":
        return "information", "Stopping: it finishes the current step, saves a checkpoint and ends."
    if state in ("failed", "damaged"):
        return "error", f"{state.capitalize()}: {sentence(training.sentence)}"
    if state == "deleted":
        return (
            "warning",
            "Deleted: its folder is no longer there. Its command and log are below; delete clears them too.",
        )
    if state == "killed":
        return "warning", f"Killed: {sentence(training.sentence)}"
    if state == "stopped" and training.run is None:
        return "information", "Removed from the queue before it started: nothing was written."
    if state == "stopped":
        return "information", "Stopped. Resume continues exactly where it stopped."
    if state == "running" and training.run is not None and training.run.message:
        return "warning", sentence(training.run.message)
    return ("success", "Finished. Decode with it, compare it, or train it further.") if state == "finished" else None


def run_readings(training: Training, curves: Curves) -> list[RunReading]:
    """The training's current numbers."""
    run, speed = training.run, _last(curves, "samples_per_second")
    step, end = (run.step, run.end) if run is not None else (0, 0)
    left = run.seconds_left if run is not None and training.state == "running" else None
    recall = curves.validation.get("text_to_image_r1_at_0.75")
    latest = float(recall[-1]) if recall is not None and len(recall) else None
    return [
        RunReading("Step", f"{step:,}", "Optimiser steps done." + (f" Planned: {end:,}." if end else "")),
        RunReading("Time left", duration(left) if left is not None else "–", "Estimate, without validations."),
        RunReading("Pictures / s", _number(speed, "{:,.0f}"), "At the last logged step."),
        RunReading(
            "Time per step",
            _number(1000 * curves.batch_size / speed if speed else None, "{:,.0f} ms"),
            "Without validations and checkpoints.",
        ),
        RunReading("Contrastive", _number(_last(curves, "contrastive_loss"), "{:.3f}"), "Loss in nats."),
        RunReading("Generative", _number(_last(curves, "generative_loss"), "{:.3f}"), "Loss in the head's units."),
        RunReading(
            "R@1 at 75 %",
            _number(latest, "{:.2f}"),
            f"Share of captions that find their picture among {curves.among} with 75 % hidden, at the last validation.",
        ),
    ]


def chance_words(training: Training, curves: Curves) -> str:
    """Says that the contrastive loss has been no better than guessing for many steps, and what to try; else empty."""
    steps = curves.steps_at_chance
    if steps < CHANCE_STEPS or len(curves.steps) < CHANCE_ROWS:
        return ""
    chance = float(curves.chance[np.isfinite(curves.chance)][-1])
    return (
        f"The contrastive loss has been at chance for {steps:,} steps: guessing among the compared pictures costs "
        f"{chance:.2f} nats. Check that captions tell pictures apart, then try a lower learning rate."
    )


def plan_words(form: TrainForm, trainings: Sequence[Training]) -> str:
    """Says in a sentence what a form trains, on what, for how long, and with how many steps.

    Steps or minutes are estimated from the newest run of the same preset and objective, if its speed is known. Raises
    InputError for settings that are not valid.
    """
    what = f"Trains {form.preset} ({form.objective}) on {form.source.strip() or 'no data yet'}"
    seconds, batch = None, form_config(form).train.batch_size
    for training in trainings:
        feed = RunFeed(training.path)
        if training.run is not None and str(feed.record.get("preset")) in _names_of(form):
            seconds = _seconds_per_step(feed.curves()[1], batch)
        if seconds:
            break
    if form.budget == "steps":
        takes = f", about {duration(form.amount * seconds)} at the speed of {training.name}" if seconds else ""
        return f"{what} for {form.amount:,.0f} steps{takes}."
    if not seconds:
        return f"{what} for {form.amount:g} min; how many steps fit is measured first, in a few seconds."
    steps = max(1, round(60 * form.amount * TRAINING_SHARE / seconds))
    return f"{what} for {form.amount:g} min: about {steps:,} steps at the speed of {training.name}."


def form_needs(form: TrainForm) -> str:
    """Says what a form's training needs in memory, arithmetic and disk; raises InputError as `plan_words`."""
    from dream.forecast.training import needs_words

    config = override(form_config(form), [f"train.precision={form.precision}"])
    return needs_words(config, whole_number(form.devices) or 1)


def _names_of(form: TrainForm) -> tuple[str, ...]:
    """How a run's record may name the form's preset."""
    full = f"{form.preset}-{form.objective}"
    return (form.preset, full) if form.objective == "dream" else (full,)


def _seconds_per_step(curves: Curves, batch: int) -> float | None:
    """Seconds that a step of so many pictures takes at the run's latest speed; None if that is not known."""
    speeds = curves.train.get("samples_per_second", np.zeros(0))[-SPEED_ROWS:]
    speeds = speeds[np.isfinite(speeds) & (speeds > 0)]
    return batch / float(np.median(speeds)) if len(speeds) else None


def extension_words(training: Training, curves: Curves, kind: Budget, amount: float) -> str:
    """Says from which step to which, and for how long, an extension would train; without a measured speed less."""
    step = training.run.step if training.run is not None else 0
    seconds = _seconds_per_step(curves, curves.batch_size)
    if kind == "steps":
        takes = f", about {duration(amount * seconds)}" if seconds else ""
        return f"Trains from step {step:,} to step {step + int(amount):,}{takes}."
    if not seconds:
        return f"Trains from step {step:,} on for {amount:g} min; the number of steps is measured first."
    steps = max(1, round(60 * amount * TRAINING_SHARE / seconds))
    return f"Trains from step {step:,} to about step {step + steps:,}, for {amount:g} min."


def losses_alt(curves: Curves) -> str:
    """Text alternative of the loss curves."""
    ends = [
        f"{key.split('_')[0]} {_number(_last(curves, key), '{:.3f}')}"
        for key in ("contrastive_loss", "generative_loss")
    ]
    return f"Both losses over the training, ending at {' and '.join(ends)}"


def _last(curves: Curves, key: str) -> float | None:
    values = curves.train.get(key)
    return float(values[-1]) if values is not None and len(values) else None


def _number(value: float | None, form: str) -> str:
    return form.format(value) if value is not None and value == value else "–"
