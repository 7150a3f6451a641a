"""Painting of `dream decode`: a plan with its model, painted into a gallery and, on request, a record."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dream.console import Console, duration
from dream.data.reading import PromptReading, shortened
from dream.decoding.decode import Scored
from dream.decoding.gallery import Gallery
from dream.decoding.paint import PaintPlan, paint_batches
from dream.decoding.previews import previews
from dream.decoding.record import About
from dream.decoding.record_writer import RecordWriter
from dream.decoding.selection import plan_steps
from dream.decoding.state import Given, StepRecord
from dream.model.pretrained import Pretrained

MOST_REMARKS = 20
"""Most prompts that are remarked upon in the terminal."""


@dataclass(frozen=True)
class PaintJob:
    """A plan, the model that paints it, and the part of a picture that is kept."""

    pretrained: Pretrained
    plan: PaintPlan
    given: Given | None

    @property
    def num_kept(self) -> int:
        """Number of tokens that are given."""
        return 0 if self.given is None else int(self.given.kept.sum())

    @cached_property
    def readings(self) -> dict[str, PromptReading]:
        """The different prompts as the model reads them."""
        return {prompt: self.pretrained.reader.read(prompt) for prompt in dict.fromkeys(self.plan.prompts)}

    def about(self) -> dict[str, Any]:
        """Origin of the pictures, stored in every file."""
        return {
            "seed": self.plan.settings.seed,
            "settings": self.plan.settings.to_dict(),
            "model": str(self.pretrained.path),
            "model_id": self.pretrained.model_id,
        }


def say_readings(job: PaintJob) -> None:
    """Prints a line for each prompt that the model does not read to its end, or that has words it never saw."""
    console = Console(True)
    remarks = [(prompt, reading.remark) for prompt, reading in job.readings.items() if reading.remark]
    for prompt, remark in remarks[:MOST_REMARKS]:
        console.say(f"'{shortened(prompt, 60)}': {remark}")
    if len(remarks) > MOST_REMARKS:
        console.say(f"and {len(remarks) - MOST_REMARKS} more prompts with remarks; the files of the pictures have them")


def paint_job(job: PaintJob, *, every_step: bool, record: Path | None, overwrite: bool) -> Gallery:
    """Paints the plan and prints progress; the gallery keeps `every_step` or what a sheet shows.

    `record` is where the whole decode is stored too.
    """
    gallery, progress = Gallery(job.plan.prompts, job.plan.settings, keep_steps=every_step), _Progress(job)
    scored: Scored = "all" if record else "finished" if job.plan.settings.candidates > 1 else "choices"
    with ExitStack() as stack:
        writer = None
        if record:
            writer = stack.enter_context(RecordWriter(record, About.of(job.pretrained, job.plan), overwrite=overwrite))
        for first, step in paint_batches(job.pretrained, job.plan, given=job.given, scored=scored):
            if writer or gallery.wants(step):
                shown = previews(job.pretrained.image_tokenizer, job.pretrained.config.image, step)
                gallery.add(step, shown, first)
                if writer:
                    writer.add(step, shown, first)
            progress.add(step)
    if record:
        progress.console.say(f"wrote {record}")
    return gallery


class _Progress:
    """Prints the time left, from the rows and tokens that are still to come."""

    def __init__(self, job: PaintJob) -> None:
        num_tokens = job.pretrained.config.image.num_tokens
        plans = plan_steps(job.plan.settings, num_tokens - job.num_kept)
        alive, self.work = 1, {}
        for plan in plans:
            # a decoder pass costs the same in every step, the head in proportion to the tokens it reveals
            self.work[plan.step] = alive * plan.draws * (plan.reveals + num_tokens / len(plans))
            alive = plan.keep
        self.total = sum(self.work.values()) * len(job.plan.prompts)
        self.finished, self.started, self.console = 0.0, time.monotonic(), Console(True)

    def add(self, record: "StepRecord") -> None:
        """Adds a step of a batch."""
        self.finished += self.work[record.step] * record.num_pictures
        share = min(1.0, self.finished / self.total)
        left = (time.monotonic() - self.started) * (1 - share) / share
        self.console.progress(f"painting: {share:.0%}, {duration(left)} left")
        if share > 1 - 1e-9:
            self.console.say(f"painted in {duration(time.monotonic() - self.started)}")
