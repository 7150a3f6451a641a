"""Losses and logit scale over the training that a checkpoint belongs to."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dream.errors import InputError
from dream.training import checkpoint, run_log
from workbench.checkpoints.files import AVERAGED, Checkpoint, TensorEntry, open_checkpoint
from workbench.checkpoints.reader import Reader

SCALE = "logit_scale"
"""Name of the parameter, which is the logarithm of the factor on the cosines."""


@dataclass(frozen=True)
class Scale:
    """The factor on the cosines in one checkpoint."""

    step: int
    part: str
    """`raw` or `averaged`; for a foreign file the part's own name."""
    factor: float


@dataclass(frozen=True)
class History:
    """Logged losses and logit scales of a training, for one of its checkpoints."""

    step: int
    """Optimiser steps of the checkpoint."""
    train: list[dict[str, Any]]
    """Rows of `metrics.jsonl`, oldest first."""
    validation: list[dict[str, Any]]
    scales: list[Scale]
    """Logit scales of every checkpoint that the run still has."""


def history(found: Checkpoint) -> History | None:
    """History of the training of a checkpoint; None for a foreign file."""
    if not found.paintable:
        return None
    run = run_of(found.path)
    folder = run or found.path
    siblings = checkpoint.list_checkpoints(run) if run else []
    scales: list[Scale] = []
    for path in siblings if found.path in siblings else [*siblings, found.path]:
        try:
            scales += logit_scales(found if path == found.path else open_checkpoint(path))
        except InputError:
            continue  # a damaged sibling must not hide the rest
    return History(
        step=checkpoint.read_state(found.path).step,
        train=run_log.read_metrics(folder, "train"),
        validation=run_log.read_metrics(folder, "validation"),
        scales=sorted(scales, key=lambda scale: scale.step),
    )


def run_of(folder: Path) -> Path | None:
    """The run that contains a checkpoint folder, or None."""
    run = folder.parent.parent
    return run if folder.parent.name == "checkpoints" and run_log.holds_run(run) else None


def before(folder: Path) -> Path | None:
    """The previous checkpoint of the same run, otherwise its last other one; None if there is none."""
    run = run_of(folder)
    others = [path for path in checkpoint.list_checkpoints(run) if path != folder] if run else []
    earlier = [path for path in others if path.name < folder.name]
    candidates = earlier or others
    return candidates[-1] if candidates else None


def logit_scales(found: Checkpoint) -> list[Scale]:
    """Factor on the cosines in each part of a checkpoint that has a logit scale; reads only that value."""
    step = checkpoint.read_state(found.path).step if found.paintable else 0
    scales = []
    with Reader() as reader:
        for part in found.parts:
            entry = None if part.is_optimizer else part.entry(SCALE) or part.entry(f"module.{SCALE}")
            if entry is not None and entry.readable and entry.count == 1:
                scales.append(Scale(step, _label(found, part.name), _factor(entry, reader)))
    return scales


def _label(found: Checkpoint, part: str) -> str:
    if not found.paintable:
        return part
    return "averaged" if part in AVERAGED or not found.raw else "raw"


def _factor(entry: TensorEntry, reader: Reader) -> float:
    value = float(reader.piece(entry, 0, 1).double())
    return math.exp(value) if value < 700 else math.inf
