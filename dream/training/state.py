"""A training in progress: what it consists of; saving and restoring it, and trying something that leaves
no trace.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from dream.config import DreamConfig
from dream.console import Console
from dream.data.sources import Source
from dream.training import checkpoint, monitor
from dream.training.devices import Fabric, gather_objects, sum_over_ranks
from dream.training.optim import Ema
from dream.training.parts import Parts
from dream.training.request import TrainingStart
from dream.training.run_log import RunLog


@dataclass
class Run:
    """A training in progress on this rank."""

    fabric: Fabric
    parts: Parts
    source: Source
    source_name: str
    model: Any
    """The model as Fabric wraps it; its forward is the only way in."""
    optimizers: list[Any]
    """As Fabric wraps them."""
    ema: Ema
    log: RunLog
    console: Console
    legs: tuple[int, ...] = ()
    """Steps at which the training and its extensions end."""
    end: int = 0
    """Step at which this process ends."""
    step: int = 0
    """Optimiser steps done."""
    position: Any = None
    """Place in the data right after the last batch used."""
    saved_step: int = -1
    saved_time: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)
    """What validating, saving and painting last took."""
    fixed: monitor.FixedInputs | None = None
    prompts: tuple[str, ...] = ()

    @property
    def config(self) -> DreamConfig:
        """The resolved configuration."""
        return self.parts.config

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Notes in `seconds` how long the block took."""
        begin = time.monotonic()
        yield
        self.seconds[what] = time.monotonic() - begin


def save_state(run: Run, validation_loss: float | None = None) -> Path:
    """The checkpoint of this moment, written by rank 0 (all ranks must call it); none is written twice."""
    folder = checkpoint.checkpoint_folder(run.log.folder, run.step)
    if run.saved_step == run.step:
        return folder
    with run.timed("save"):
        model = run.parts.model
        tensors = {
            "model": checkpoint.model_tensors(model),
            "ema": checkpoint.named_tensors(run.ema.names, run.ema.averages),
            "optimizer": checkpoint.optimizer_tensors(model, run.optimizers),
        }
        positions = tuple(gather_objects(run.fabric, run.position))
        if run.log.writes:
            state = checkpoint.TrainingState(run.step, run.config, run.source_name, positions, validation_loss)
            checkpoint.save_checkpoint(run.log.folder, state, tensors, run.parts.tokenizer)
            checkpoint.prune(run.log.folder, run.config.train.keep_last)
        run.log.report(run.source.report.to_dict())
    run.saved_step, run.saved_time = run.step, time.monotonic()
    return folder


def restore(run: Run, start: TrainingStart) -> None:
    """Puts the run where the checkpoint of `start` was; InputError, before anything is changed, if that is
    damaged.

    With another source or number of ranks than before the data starts from its beginning, and the run says
    so.
    """
    assert start.checkpoint is not None and start.state is not None
    folder, model = start.checkpoint, run.parts.model
    checkpoint.copy_tensors(folder, "model", model.state_dict())
    checkpoint.copy_tensors(folder, "ema", dict(zip(run.ema.names, run.ema.averages, strict=True)))
    checkpoint.restore_optimizers(folder, model, run.optimizers)
    run.step = run.saved_step = start.step
    positions = start.state.positions
    if start.source == start.state.source and len(positions) == run.fabric.world_size:
        run.position = positions[run.fabric.global_rank]
    else:
        run.console.say("another source or number of ranks than before: the data starts from its beginning")


@contextmanager
def rehearsal(run: Run) -> Iterator[None]:
    """Whatever is trained inside is undone to the bit on leaving."""
    tensors = [*run.parts.model.parameters(), *run.parts.model.buffers(), *run.ema.averages]
    kept = [tensor.detach().clone() for tensor in tensors]
    states = [_cloned(optimizer) for optimizer in run.optimizers]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, kept, strict=True):
                tensor.copy_(value)
        for optimizer, state in zip(run.optimizers, states, strict=True):
            optimizer.state.clear()
            optimizer.state.update(state)


def _cloned(optimizer: Optimizer) -> dict[Tensor, dict[str, Tensor]]:
    return {p: {key: value.clone() for key, value in state.items()} for p, state in optimizer.state.items()}


def validate(run: Run) -> float:
    """The validation loss of the averaged weights; a log row tells the rest. Every rank must call it."""
    fabric = run.fabric
    with run.timed("validate"), run.ema.swapped():
        if run.fixed is None:
            prepare_validation(run)
        assert run.fixed is not None
        run.model.eval()
        result = monitor.validation_losses(
            run.model,
            run.fixed,
            run.config,
            fabric.global_rank,
            lambda tensor: sum_over_ranks(fabric, tensor) / fabric.world_size,
        )
        run.model.train()
    run.log.row("validation", run.step, **result.row)
    return result.loss


def prepare_validation(run: Run) -> None:
    """Reads the validation pictures, this rank's share and the sheets' prompts."""
    fabric, parts = run.fabric, run.parts
    batch = run.source.fixed(monitor.PICTURES)
    run.prompts = batch.captions[: monitor.SHEET_PROMPTS]
    share = monitor.share_of(batch, fabric.global_rank, fabric.world_size)
    images = fabric.to_device(share.images)
    captions = share.captions if run.config.objective.text else ("",) * len(share)
    run.fixed = fabric.to_device(
        monitor.FixedInputs(
            parts.image_tokenizer.tokenize(images),
            parts.tokenizer.token_ids(share.captions),
            parts.conditioning.condition(captions),
            parts.teacher.features(images) if parts.teacher else None,
        )
    )
