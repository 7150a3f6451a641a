"""State and numbers of a training in the words that pages and notebooks show.

The only file it reads is the end of a job's log.
"""

from typing import Literal, NamedTuple

from dream.console import duration
from workbench.jobs.job import last_message
from workbench.runs.curves import Curves
from workbench.runs.trainings import Training

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
}
"""Sign shown with a state's name, so that colour is never the only cue."""
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
    if state == "killed":
        return "warning", f"Killed: {sentence(training.sentence)}"
    if state == "stopped" and training.run is None:
        return "information", "Removed from the queue before it started: nothing was written."
    if state == "stopped":
        return "information", "Stopped. Resume continues exactly where it stopped."
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
