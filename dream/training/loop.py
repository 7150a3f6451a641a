"""The training loop, top to bottom: batch, tokens, mask, forward, losses, backward, clip, step, EMA, log, save.

The only user of Lightning Fabric, which places the model and its optimisers on devices and ranks. Whatever is drawn at a
step is a function of (seed, step, rank), so weights, optimiser, averages, step and data position are all that a run
needs to go on exactly.
"""

import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from signal import Signals
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies import ModelParallelStrategy
from torch import Tensor, nn

from dream.config import DreamConfig
from dream.data.batch import Batch, prefetch
from dream.data.sources import Source, open_source
from dream.diffusion import sample_draw
from dream.errors import InputError, RunError
from dream.losses import Losses, total_loss
from dream.masking import sample_mask_ratios, sample_masks
from dream.model.dream import generative_rows
from dream.randomness import generator, seed_of
from dream.training import budget, checkpoint, monitor, optim
from dream.training.console import Console, duration
from dream.training.request import Start, TrainRequest, check_request
from dream.training.run_log import RunLog
from dream.training.setup import Parts, build_parts, obtain_tokenizer, write_run
from dream.training.stopping import StopWish, stop_signals
from dream.training.tally import Tally


class TrainResult(NamedTuple):
    """How a training ended."""

    folder: Path
    step: int
    end: int
    stopped_by: Signals | None
    """The signal that asked to stop, if it did not run to its end."""
    rank: int


class StepGradients(NamedTuple):
    """What a step computed, its gradients being in the model; nothing is applied yet."""

    losses: list[Losses]
    """One a micro-batch."""
    masked_share: list[Tensor]
    ratios: list[float]
    """Mask ratios drawn on this rank, one a group."""
    grad_norm: float
    buffers: list[Tensor]
    """The model's buffers before the step: a broken one must leave no trace in BatchNorm."""


@dataclass
class Run:
    """A training in progress."""

    fabric: Fabric
    parts: Parts
    source: Source
    model: nn.Module
    """The model as Fabric wraps it: its forward is the only way in."""
    optimizers: list[torch.optim.Optimizer]
    ema: optim.Ema
    log: RunLog
    console: Console
    start: Start
    legs: tuple[int, ...] = ()
    end: int = 0
    step: int = 0
    position: Any = None
    saved_at: int = -1
    saved_time: float = field(default_factory=time.monotonic)
    fixed: monitor.FixedInputs | None = None
    prompts: tuple[str, ...] = ()

    @property
    def config(self) -> DreamConfig:
        """The resolved configuration."""
        return self.parts.config


def train(request: TrainRequest) -> TrainResult:
    """Trains as asked until the budget is used up or a signal asks to stop, and leaves a run folder that is complete.

    Raises InputError before anything is written, RunError for what fails later (the last good state is saved).
    """
    run = set_up(request)
    try:
        plan(run, request)
        with stop_signals() as wish, closing(read(run)) as reading:
            walk(run, reading, wish)
    except BaseException as error:
        run.log.heartbeat("failed", run.step, run.end, message=str(error) or type(error).__name__)
        raise
    stopped = wish.signal if run.step < run.end else None
    run.log.report(run.source.report.to_dict())
    run.log.heartbeat("stopped" if stopped else "finished", run.step, run.end, 0.0)
    return TrainResult(request.out, run.step, run.end, stopped, run.fabric.global_rank)


def walk(run: Run, reading: Iterator[tuple[Batch, Any]], wish: StopWish) -> None:
    """From the run's step to its end, or to a stop: every line of training in its order."""
    config, tally, clock = run.config.train, Tally(run.fabric.device), Clock()
    while run.step < run.end:
        batch, position = clock.wait_for(reading)
        gradients = take_step(run, batch, run.step, min(1.0, run.step / run.legs[0]))
        stop, broken, save_due = agree(run, bool(wish), is_broken(gradients), save_is_due(run))
        if broken:
            save_and_raise(run, gradients)
        factor = apply_step(run, run.step)
        run.step, run.position = run.step + 1, position
        for losses, shares in zip(gradients.losses, gradients.masked_share, strict=True):
            tally.add(losses, shares)
        clock.step_done()
        if run.step % config.log_every == 0 or run.step == run.end:
            write_row(run, tally, clock, gradients, factor)
        milestone(run, last=run.step == run.end, stop=stop, save=save_due)
        if stop:
            break


def take_step(run: Run, batch: Batch, step: int, progress: float) -> StepGradients:
    """Gradients of one optimiser step on this rank's `batch`, clipped: everything but their application."""
    fabric, config, parts, rank = run.fabric, run.config, run.parts, run.fabric.global_rank
    buffers = [buffer.clone() for buffer in parts.model.buffers()]
    losses, shares, ratios = [], [], []
    for number, part in enumerate(micro_batches(batch, config.train.accumulate)):
        seed = (config.train.seed, step, rank, number)
        tokens = parts.images.encode(fabric.to_device(part.images), generator("latents", *seed))
        ratios += (drawn := sample_mask_ratios(progress, config.masking, config.objective, generator("ratios", *seed)))
        mask = sample_masks(drawn, len(part), config.image.num_tokens, generator("orders", *seed))
        read = drop_captions(part.captions, config, generator("captions", *seed))
        rows = generative_rows(mask, config)
        draw = sample_draw(config.head, rows, config.image.token_dim, generator("noise", *seed))
        inputs = (tokens, mask, parts.tokenizer.encode(part.captions), parts.conditioning.encode(read), draw)
        teacher = parts.teacher.features(fabric.to_device(part.images)) if parts.teacher else None
        torch.manual_seed(seed_of("dropout", *seed))
        with fabric.no_backward_sync(run.model, enabled=number + 1 < config.train.accumulate):
            output = run.model(*fabric.to_device(inputs))
            losses.append(total_loss(output, config, teacher))
            fabric.backward(losses[-1].total / config.train.accumulate)
        shares.append(output.masked_share)
    optim.fill_missing_gradients(parts.model)
    norms = [fabric.clip_gradients(run.model, each, max_norm=config.train.clip, error_if_nonfinite=False) for each in run.optimizers]
    return StepGradients(losses, shares, ratios, total_norm(norms), buffers)


def apply_step(run: Run, step: int) -> float:
    """Learning rate, optimisers, averages; the learning rate over its peak comes back."""
    factor = optim.lr_factor(step, run.legs, run.config.train)
    optim.set_lr(run.optimizers, factor, run.config.train)
    for optimizer in run.optimizers:
        optimizer.step()
        optimizer.zero_grad()
    run.ema.update(step)
    return factor


def milestone(run: Run, last: bool, stop: bool, save: bool) -> None:
    """Validates, saves and paints whatever is due at this step; a stop only saves."""
    config = run.config.train
    validating = not stop and config.evaluations > 0 and (last or budget.is_due(run.step, run.legs, config.evaluations))
    painting = not stop and can_paint(run) and (last or budget.is_due(run.step, run.legs, config.samples))
    loss = validate(run) if validating else None
    if validating or painting or save or last or stop:
        folder = save_state(run, loss)
        if painting and run.log.writes:
            sheet = run.log.folder / "samples" / f"step-{run.step:08d}.png"
            monitor.draw_sheet(folder, run.prompts, sheet, run.fabric.device)
        run.fabric.barrier()


# Set-up


def set_up(request: TrainRequest) -> Run:
    """Checks, then ranks, data, model and folder, in that order: until the folder is written nothing is."""
    start = check_request(request)
    fabric = make_fabric(request, start.config)
    rank, ranks, config = fabric.global_rank, fabric.world_size, start.config
    check_batch(config, ranks)
    console, log = Console(rank == 0), RunLog(request.out, rank)
    source = open_source(start.source, config, seed=config.train.seed, rank=rank, world_size=ranks)
    saved = request.out / "tokenizer" if request.resume or rank > 0 else None
    if rank > 0:
        fabric.barrier()  # rank 0 has written the tokenizer
    parts = build_parts(config, obtain_tokenizer(config, source, saved))
    if rank == 0:
        facts = {"device": str(fabric.device), "ranks": ranks, "strategy": type(fabric.strategy).__name__}
        write_run(log, request, start, parts, facts)
        fabric.barrier()
    run = place(fabric, parts, source, log, console, start)
    if start.checkpoint is not None:
        restore(run, start)
    return run


def make_fabric(request: TrainRequest, config: DreamConfig) -> Fabric:
    """The launched Fabric; InputError where devices, strategy or accelerator are not to be had."""
    strategy: Any = request.strategy
    if strategy == "fsdp":
        if config.train.optimizer == "muon":
            raise InputError("fsdp shards the matrices that Muon needs whole: use --strategy ddp or train.optimizer=adamw")
        strategy = ModelParallelStrategy(shard, data_parallel_size="auto", tensor_parallel_size=1)
    try:
        fabric = Fabric(
            accelerator=request.accelerator, devices=request.devices, num_nodes=request.num_nodes, strategy=strategy,
            precision=config.train.precision,
        )  # type: ignore[arg-type]  # fmt: skip
    except Exception as error:  # Fabric raises whatever it likes
        raise InputError(
            f"cannot train with --accelerator {request.accelerator} --devices {request.devices} "
            f"--strategy {request.strategy}: {str(error).splitlines()[0]}"
        ) from error
    if "LT_CLI_USED" not in os.environ:  # under `fabric run` the processes are there already
        fabric.launch()
    return fabric
