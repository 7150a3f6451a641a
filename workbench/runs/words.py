"""How a training stands, in words and numbers that pages and notebooks show.

Of files it reads the end of a job's log alone.
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
"""A state is said by a sign and a word; colour only repeats it."""
Kind = Literal["information", "success", "warning", "error"]


class RunReading(NamedTuple):
    """A number of a training."""

    name: str
    value: str
    help: str


def sentence(text: str) -> str:
    """A message as a sentence; empty stays empty."""
    text = text.strip()
    text = text[0].upper() + text[1:] if text.split(" ")[0].isalpha() else text
    return text if not text or text.endswith((".", "!", "?")) else text + "."


def state_words(training: Training) -> tuple[Kind, str] | None:
    """What there is to say of its state, with what to do about it; nothing while it simply runs."""
    state, job = training.state, training.job
    if state == "queued":
        before = training.place - 1
        wait = f"{before} before it" if before else "it is the next"
        return "information", f"Waits in the queue: {wait}. It starts by itself."
    if state == "starting":
        said = sentence(last_message(job)) if job is not None else ""
        return "information", f"Starting: model, data and first steps take some seconds. {said}".rstrip()
    if state == "stopping":
        return "information", "Stopping: it finishes its step, saves a checkpoint and ends."
    if state in ("failed", "damaged"):
        return "error", f"{state.capitalize()}: {sentence(training.sentence)}"
    if state == "killed":
        return "warning", f"Killed: {sentence(training.sentence)}"
    if state == "stopped" and training.run is None:
        return "information", "Taken out before it began: nothing was written."
    if state == "stopped":
        return "information", "Stopped. Resume goes on as if it had never stopped."
    return ("success", "Finished. Paint with it, compare it, or let it go on.") if state == "finished" else None


def run_readings(training: Training, curves: Curves) -> list[RunReading]:
    """Its numbers of now."""
    run, speed = training.run, _last(curves, "samples_per_second")
    step, end = (run.step, run.end) if run is not None else (0, 0)
    left = run.seconds_left if run is not None and training.state == "running" else None
    recall = curves.validation.get("text_to_image_r1_at_0.75")
    found = float(recall[-1]) if recall is not None and len(recall) else None
    return [
        RunReading("Step", f"{step:,}", "Optimiser steps done." + (f" Of {end:,}." if end else "")),
        RunReading("Time left", duration(left) if left is not None else "–", "Estimate; validations come on top."),
        RunReading("Pictures / s", _number(speed, "{:,.0f}"), "At the last line of the log."),
        RunReading(
            "A step",
            _number(1000 * curves.batch_size / speed if speed else None, "{:,.0f} ms"),
            "Milliseconds; validations and checkpoints left out.",
        ),
        RunReading("Contrastive", _number(_last(curves, "contrastive_loss"), "{:.3f}"), "Loss in nats."),
        RunReading("Generative", _number(_last(curves, "generative_loss"), "{:.3f}"), "Loss in the head's units."),
        RunReading(
            "R@1 at 75 %",
            _number(found, "{:.2f}"),
            f"Captions that find their picture among {curves.among}, 75 % hidden, at the last validation.",
        ),
    ]


def losses_said(curves: Curves) -> str:
    """What a reader who cannot see the losses should know."""
    ends = [
        f"{key.split('_')[0]} {_number(_last(curves, key), '{:.3f}')}"
        for key in ("contrastive_loss", "generative_loss")
    ]
    return f"Both losses over the training; at the end {' and '.join(ends)}"


def _last(curves: Curves, key: str) -> float | None:
    values = curves.train.get(key)
    return float(values[-1]) if values is not None and len(values) else None


def _number(value: float | None, form: str) -> str:
    return form.format(value) if value is not None and value == value else "–"
