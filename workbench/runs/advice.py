"""What to do about a training that diverged: settings that its own message names, as a form to start again with."""

import re
from typing import Any

from dream.presets import OBJECTIVES, SIZES, preset
from workbench.field_docs import shown_value
from workbench.runs.feed import RunFeed
from workbench.runs.fields import config_fields
from workbench.runs.trainings import Training

PLANNED = ("train.steps", "train.minutes", "train.evaluations", "train.samples", "text.vocab_size")
"""Fields that a training fills in by itself, so that they say nothing about how it was asked for."""
_ADVISED = re.compile(r"--set((?: train\.\w+=[\w.+-]+)+)\s*\.?$")


def advised_settings(training: Training) -> tuple[str, ...]:
    """Settings that the message of a failed training advises, as assignments; empty if it advises none."""
    found = _ADVISED.search(training.sentence) if training.state == "failed" else None
    return tuple(found[1].rstrip(".").split()) if found else ()


def form_again(training: Training, changes: tuple[str, ...]) -> dict[str, Any]:
    """Values of the Train form for the same training with these changes: source, preset, objective, settings."""
    feed = RunFeed(training.path)
    size, _, objective = str(feed.record.get("preset") or "").partition("-")
    objective = objective or "dream"
    settings: dict[str, str] = {}
    if feed.config is not None and size in SIZES and objective in OBJECTIVES:
        for field in config_fields(feed.config, preset(size, objective)):
            if field.changed and field.key not in PLANNED:
                settings[field.key] = shown_value(field.value)
    settings |= dict(change.split("=", 1) for change in changes)
    return {
        "source": str(feed.record.get("source") or ""),
        "preset": size if size in SIZES else "",
        "objective": objective if objective in OBJECTIVES else "",
        "assignments": [f"{key}={value}" for key, value in settings.items()],
    }
