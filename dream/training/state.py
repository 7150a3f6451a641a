"""A training in progress: its contents; saving, restoring and validating it; and trying steps without a trace."""

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
from dream.errors import InputError
from dream.model.dream import Dream
from dream.model.pretrained import Pretrained
from dream.training import budget, checkpoint, frozen, monitor
from dream.training.bundle import TrainingBundle
from dream.training.devices import Fabric, sum_over_ranks
from dream.training.live_tensors import copy_tensors, optimizer_tensors, restore_optimizers, save_tensors
from dream.training.optim import Ema, whole
from dream.training.request import TrainingStart
from dream.training.run_log import RunLog


@dataclass
class Run:
    """A training in progress on this rank."""

    fabric: Fabric
    bundle: TrainingBundle
    source: Source
    source_name: str
    model: Any
    """The model as Fabric wraps it; only its forward may be called."""
    optimizers: list[Any]
    """As Fabric wraps them."""
    ema: Ema
    log: RunLog
    console: Console
    segments: tuple[int, ...] = ()
    """Steps at which the training and its extensions end."""
    end: int = 0
    """Step at which this process ends."""
    step: int = 0
    """Optimiser steps done."""
    position: Any = None
    """Position in the data right after the last batch used, the same for all ranks."""
    saved_step: int = -1
    saved_time: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds that the last validation, checkpoint and sample sheet took."""
    said_interval: float = 0.0
    """Minutes between checkpoints that were said last; 0 as long as they are those of the settings."""
    fixed: monitor.FixedInputs | None = None
    prompts: tuple[str, ...] = ()

    @property
    def config(self) -> DreamConfig:
        """The resolved configuration."""
        return self.bundle.config

    @contextmanager
    def timed(self, task: str) -> Iterator[None]:
        """Stores in `seconds` how long the block took."""
        begin = time.monotonic()
        yield
        self.seconds[task] = time.monotonic() - begin


def save_state(run: Run, validation_loss: float | None = None) -> Path:
    """The checkpoint of the current step, written unless it exists. Every rank must call it.

    Of sharded tensors each rank writes its own parts, otherwise rank 0 writes everything.
    """
    folder = checkpoint.checkpoint_folder(run.log.folder, run.step)
    if run.saved_step == run.step:
        return folder
    with run.timed("save"):
        model, log = run.bundle.model, run.log
        tensors = {
            "model": model.state_dict(),
            "ema": dict(zip(run.ema.names, run.ema.averages, strict=True)),
            "optimizer": optimizer_tensors(model, run.optimizers),
        }
        state = checkpoint.TrainingState(run.step, run.config, run.source_name, run.position, validation_loss)
        try:
            save_tensors(log.folder, state, tensors, run.bundle.tokenizer, log.check_claim, writes=log.writes)
        except Exception:
            log.check_claim()  # who took over removes unfinished files: that is why this failed
            raise
        if log.writes:
            checkpoint.prune(log.folder, run.config.train.keep_last)
        run.log.report(run.source.report.to_dict())
    run.saved_step, run.saved_time = run.step, time.monotonic()
    _say_interval(run)
    return folder


def _say_interval(run: Run) -> None:
    """Says, and keeps in the run's history, when checkpoints come more rarely than asked for, as they take long."""
    minutes = budget.save_interval(run.config.train.save_every, run.seconds["save"]) / 60
    if minutes > 2 * (run.said_interval or run.config.train.save_every):
        run.said_interval = minutes
        run.console.say(
            f"a checkpoint took {run.seconds['save']:.0f} s: they come every {minutes:.1f} min, so that they take "
            f"{budget.SAVING_SHARE:.0%} of the time (train.save_every = {run.config.train.save_every:g})"
        )
        run.log.event("saving more rarely", step=run.step, minutes=minutes)


def restore(run: Run, start: TrainingStart) -> None:
    """Puts the run into the state of the checkpoint of `start`.

    Raises InputError, before anything is changed, if the checkpoint is damaged. With another source than before the
    data starts from its beginning, and a message says so; the number of ranks may be any.
    """
    assert start.checkpoint is not None and start.state is not None
    folder, model = start.checkpoint, run.bundle.model
    copy_tensors(folder, "model", model.state_dict())
    copy_tensors(folder, "ema", dict(zip(run.ema.names, run.ema.averages, strict=True)))
    restore_optimizers(folder, model, run.optimizers)
    run.step = run.saved_step = start.step
    if start.source != start.state.source:
        run.console.say("another source than before: the data starts from its beginning")
    elif start.state.position is None and start.step:
        run.console.say("this checkpoint is of a version in which ranks had orders of their own: the data starts anew")
    else:
        run.position = start.state.position


@contextmanager
def rehearsal(run: Run) -> Iterator[None]:
    """Undoes to the bit, on leaving, all training done inside the block."""
    tensors = [*run.bundle.model.parameters(), *run.bundle.model.buffers(), *run.ema.averages]
    before = [tensor.detach().clone() for tensor in tensors]
    states = [_cloned(optimizer) for optimizer in run.optimizers]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
        for optimizer, state in zip(run.optimizers, states, strict=True):
            optimizer.state.clear()
            optimizer.state.update(state)


def _cloned(optimizer: Optimizer) -> dict[Tensor, dict[str, Tensor]]:
    return {p: {key: value.clone() for key, value in state.items()} for p, state in optimizer.state.items()}


def validate(run: Run) -> float:
    """The validation loss of the averaged weights; logs it with the other measures. Every rank must call it."""
    fabric = run.fabric
    with run.timed("validate"), run.ema.swapped():
        if run.fixed is None:
            prepare_validation(run)
        assert run.fixed is not None
        run.model.eval()
        result = monitor.validation_losses(
            run.model, run.fixed, run.config, lambda tensor: sum_over_ranks(fabric, tensor) / fabric.world_size
        )
        run.model.train()
    run.log.row("validation", run.step, **result.row)
    return result.loss


def prepare_validation(run: Run) -> None:
    """Reads this rank's share of the validation pictures, and the prompts of the sample sheets."""
    fabric, bundle = run.fabric, run.bundle
    batch = run.source.fixed(monitor.PICTURES)
    run.prompts = batch.captions[: monitor.SHEET_PROMPTS]
    share, places = monitor.share_of(batch, fabric.global_rank, fabric.world_size)
    images = fabric.to_device(share.images)
    captions = share.captions if run.config.objective.text else ("",) * len(share)
    inputs = (
        frozen.batch_tokens(bundle, share, images, None),
        frozen.caption_ids(bundle, share),
        frozen.conditioning_of(bundle, share, captions),
        bundle.teacher.features(images) if bundle.teacher else None,
    )
    run.fixed = monitor.FixedInputs(places, len(share) * fabric.world_size, *fabric.to_device(inputs))


def paint_samples(run: Run, folder: Path) -> None:
    """Writes the sample sheet of the current step, whose checkpoint is `folder`. Every rank must call it.

    While the average is young, the sheet shows the weights as they are as well.
    """
    if run.fixed is None:
        prepare_validation(run)
    with run.timed("paint"):
        averaged = _copied_model(run, folder, ema=True)
        raw = _copied_model(run, folder, ema=False) if run.ema.is_young(run.step) else None
        if averaged is not None:
            run.log.check_claim()
            sheet = run.log.folder / "samples" / f"step-{run.step:08d}.png"
            try:
                monitor.draw_samples(averaged, run.prompts, sheet, raw)
            except InputError as error:  # an early model may overflow; the training is not at fault
                run.console.say(f"no sample sheet of step {run.step:,}: {error}")


@torch.no_grad()
def _copied_model(run: Run, folder: Path, *, ema: bool) -> Pretrained | None:
    """A copy of the model with the averaged (`ema`) or the raw weights, in eval mode, on rank 0; None on other ranks.

    A copy, because the run's own model may be sharded or compiled. Every rank must call it: it gathers shards.
    """
    model, copies = None, {}
    if run.log.writes:
        with torch.random.fork_rng(devices=[]):
            model = Dream(run.config).to(run.fabric.device).eval()
        copies = model.state_dict()
    averages = dict(zip(run.ema.names, run.ema.averages, strict=True)) if ema else {}
    for name, tensor in (run.bundle.model.state_dict() | averages).items():
        gathered = whole(tensor)
        if copies:
            copies[name].copy_(gathered)
    if model is None:
        return None
    bundle, name = run.bundle, checkpoint.weights_id(folder, "ema" if ema else "model")
    return Pretrained(
        run.config, model, bundle.tokenizer, bundle.conditioning, bundle.image_tokenizer, name, folder, run.step
    )
