"""The training loop, top to bottom: batch, tokens, mask, forward, losses, backward, clip, step, EMA, log, save.

Everything drawn at a step is a function of (seed, step, picture), so a run continues exactly from weights, optimiser,
averages, step and data position, on any number of ranks. Devices, schedule, budget and file formats are elsewhere.
"""

import math
import os
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from signal import Signals
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dream.console import Console, duration
from dream.data.batch import Batch, prefetch
from dream.errors import RunError
from dream.losses import Losses, total_loss
from dream.model.joint import CachedRows
from dream.training import budget, frozen, optim, run_log
from dream.training.data_watch import DataWatch
from dream.training.devices import Fabric, build_fabric, most_of_ranks, started_ranks, sum_over_ranks
from dream.training.draws import StepDraws, drop_captions
from dream.training.lost_ranks import RankWatch, lost_ranks_in_words
from dream.training.micro_batches import micro_batches, prepare, whole_batch_rows
from dream.training.planning import plan
from dream.training.request import TrainingStart, TrainRequest, config_to_launch
from dream.training.setup import claimed, set_up
from dream.training.state import Run, paint_samples, save_state, validate
from dream.training.stopping import StopRequest, StopRequested, stop_signals
from dream.training.tally import Clock, Tally


class TrainResult(NamedTuple):
    """How a training ended."""

    folder: Path
    step: int
    end: int
    stopped_by: Signals | None
    """The signal that asked to stop before the end, if one did."""
    rank: int


class StepGradients(NamedTuple):
    """Result of a step's backward pass; the gradients are in the model, clipped and not applied yet."""

    losses: list[Losses]
    """One per micro-batch."""
    masked_shares: list[Tensor]
    """(B,) per micro-batch."""
    ratios: list[float]
    """Mask ratios of the global batch, one per group."""
    norm: float
    """Norm of the gradients before clipping."""
    buffers: list[Tensor]
    """The model's buffers before the step, to restore BatchNorm if the step fails."""


def train(request: TrainRequest) -> TrainResult:
    """Trains until the budget is used up or a signal asks to stop, and leaves a complete run folder.

    Raises InputError before anything is written, and RunError for a later failure, once the last good state is
    saved.
    """
    config = config_to_launch(request)
    fabric = build_fabric(request, config)
    waiting = lost_ranks_in_words(lambda: fabric.world_size, config.train.rank_timeout)
    with waiting, claimed(fabric, request) as (start, claim):
        if start.finished:
            return TrainResult(request.out, start.step, start.step, None, fabric.global_rank)
        with RankWatch(started_ranks(fabric), lambda sentence: end_of_lost(request.out, fabric, sentence)):
            try:
                run = set_up(fabric, request, start, claim)
            except BaseException as error:
                beat = run_log.read_heartbeat(request.out)
                if beat is not None and beat.status == "starting" and beat.pid == os.getpid():
                    run_log.RunLog(request.out, fabric.global_rank, claim).ending(error, beat.step, beat.end)
                raise
            return train_run(run, request, start)


def train_run(run: Run, request: TrainRequest, start: TrainingStart) -> TrainResult:
    """Trains a run that is set up, and writes how it ended; raises RunError for a failure."""
    waiting = lost_ranks_in_words(lambda: run.fabric.world_size, run.config.train.rank_timeout)
    try:
        with stop_signals() as stop_request, waiting:
            if run.saved_step < 0:
                milestone(run, last=False, stop=False, save=True)  # its cost is part of the budget
            with suppress(StopRequested):
                plan(run, request, start, _whole_step, stop_request)
                source = run.source.batches(run.config.train.batch_size, run.position, run.segments[0])
                with closing(prefetch(source)) as reading:
                    train_steps(run, reading, stop_request)
    except BaseException as error:
        run.log.ending(error, run.step, run.end)
        if run.log.mirrors is not None:
            run.log.mirrors.end("failed")
        raise
    stopped = stop_request.signal if run.step < run.end or not run.segments else None
    run.log.heartbeat("stopped" if stopped else "finished", run.step, run.end, 0.0)
    if run.log.mirrors is not None:
        run.log.mirrors.end("success")
    return TrainResult(request.out, run.step, run.end, stopped, run.fabric.global_rank)


def train_steps(run: Run, reading: Iterator[tuple[Batch, Any]], request: StopRequest) -> None:
    """Trains from the run's step to its end, or until a stop is requested."""
    config, tally, clock, data = run.config.train, Tally(run.fabric.device), Clock(), DataWatch(run)
    while run.step < run.end:
        with data.saved_if_gone():
            batch, position = clock.wait_for(reading)
        data.look()
        gradients = take_step(run, batch, run.step, min(1.0, run.step / run.segments[0]))
        signal, broken, save, lost = most_of_ranks(
            run.fabric, request.number, is_broken(gradients), save_is_due(run), run.log.is_lost
        )
        request.learn(signal)
        stop = bool(signal)
        if lost:
            run.log.check_claim()  # raises on the rank that claimed
            raise RunError(f"{run.log.folder} was taken over by another training: this one stops")
        if broken:
            raise non_finite_error(run, gradients)
        factor = optim.lr_factor(run.step, run.segments, config)
        apply_step(run, run.step, factor)
        run.step, run.position = run.step + 1, position
        for losses, shares in zip(gradients.losses, gradients.masked_shares, strict=True):
            tally.add(losses, shares)
        clock.step_done()
        if run.step % config.log_every == 0 or run.step == run.end or stop:
            write_row(run, tally, clock, gradients, factor, data.message)
        milestone(run, last=run.step == run.end, stop=stop, save=bool(save))
        if stop:
            return


def take_step(run: Run, batch: Batch, step: int, progress: float) -> StepGradients:
    """Computes and clips the gradients of one optimiser step on this rank's share of the batch; does not apply them."""
    fabric, config, bundle = run.fabric, run.config, run.bundle
    count, drawn = config.train.accumulate, StepDraws.at(config, step, progress)
    buffers = [buffer.clone() for buffer in bundle.model.buffers()]
    micros = [prepare(run, micro, drawn, places) for micro, places in micro_batches(batch, count, fabric.global_rank)]
    rows = whole_batch_rows(run, micros, drawn) if count > 1 and config.objective.contrastive_weight else None
    losses, shares = [], []
    for number, micro in enumerate(micros):
        captions = drop_captions(micro.batch.captions, micro.draws.chance, config)
        conditioning = fabric.to_device(frozen.conditioning_of(bundle, micro.batch, captions))
        teacher = bundle.teacher.features(micro.images) if bundle.teacher else None
        cached = CachedRows(rows, micro.places.start, fabric.world_size * count, number == 0) if rows else None
        drawn.seed_dropout(micro.places)
        with fabric.no_backward_sync(run.model, enabled=number + 1 < count):
            output = run.model(micro.tokens, micro.mask, micro.text_ids, conditioning, micro.draws.noise, cached)
            losses.append(total_loss(output, config, teacher, drawn.mean_visible()))
            fabric.backward(losses[-1].total / count)
        shares.append(output.masked_share)
    optim.fill_missing_gradients(bundle.model)
    return StepGradients(losses, shares, drawn.ratios, clip_gradients(run), buffers)


def clip_gradients(run: Run) -> float:
    """Scales all gradients down to the norm `train.clip`; returns their norm before, one for all optimisers."""
    clipped = [
        run.fabric.clip_gradients(run.model, each, max_norm=math.inf, error_if_nonfinite=False)
        for each in run.optimizers
    ]
    norm = math.hypot(*(float(optim.whole(each)) for each in clipped if each is not None))
    if norm > run.config.train.clip:
        optim.scale_gradients(run.bundle.model, run.config.train.clip / norm)
    return norm


def apply_step(run: Run, step: int, factor: float) -> None:
    """Applies the gradients at `factor` times the peak learning rate, and updates the averages."""
    optim.set_lr(run.optimizers, factor)
    for optimizer in run.optimizers:
        optimizer.step()
        optimizer.zero_grad()
    run.ema.update(step)


def milestone(run: Run, *, last: bool, stop: bool, save: bool) -> None:
    """Validates, saves and paints whatever is due at this step; a stop only saves."""
    train, outer = run.config.train, last or run.step == 0
    validating, painting = (
        not stop and count > 0 and (outer or budget.is_due(run.step, run.segments, count))
        for count in (train.evaluations, train.samples)
    )
    if not (validating or painting or save or last or stop):
        return
    loss = validate(run) if validating else None
    folder = save_state(run, loss)
    if painting and run.config.objective.generative_weight:
        paint_samples(run, folder)
    run.fabric.barrier()


def write_row(run: Run, tally: Tally, clock: Clock, gradients: StepGradients, factor: float, remark: str) -> None:
    """Writes a row of the log, the progress line and a heartbeat, which says `remark`."""
    train = run.config.train
    seconds, wait = clock.take()
    means = tally.take(lambda sums: sum_over_ranks(run.fabric, sums))
    speed = train.batch_size / seconds
    left = (run.end - run.step) * seconds
    run.log.row(
        "train",
        run.step,
        progress=min(1.0, run.step / run.segments[0]),
        **means,
        mask_ratios=gradients.ratios,
        grad_norm=gradients.norm,
        lr=factor * train.lr,
        lr_factor=factor,
        samples_per_second=speed,
        data_wait=wait,
    )
    run.log.heartbeat("running", run.step, run.end, left, remark)
    values = {"generative": means["generative_loss"], "contrastive": means["contrastive_loss"]}
    losses = "  ".join(f"{name} {value:.3f}" for name, value in values.items() if isinstance(value, float))
    text = f"step {run.step}/{run.end}  {losses}  {speed:.0f} pictures/s  {duration(left)} left"
    run.console.progress(text, last=run.step == run.end)


def end_of_lost(out: Path, fabric: Fabric, sentence: str) -> None:
    """Says why a rank ends that cannot go on, and leaves it in the run's record if it is the one that writes."""
    Console(True).say(f"dream: {sentence}")
    beat = run_log.read_heartbeat(out)
    if fabric.global_rank == 0 and beat is not None:
        run_log.RunLog(out).heartbeat("failed", beat.step, beat.end, message=sentence)


def is_broken(gradients: StepGradients) -> bool:
    """Whether a loss or the gradients are not finite."""
    totals = torch.stack([losses.total.detach() for losses in gradients.losses])
    return not (math.isfinite(gradients.norm) and bool(totals.isfinite().all()))


def non_finite_error(run: Run, gradients: StepGradients) -> RunError:
    """Saves the state before the step, and returns the error that names the term that is not finite."""
    for buffer, before in zip(run.bundle.model.buffers(), gradients.buffers, strict=True):
        buffer.copy_(before)
    folder = save_state(run)
    terms = [
        (term, float(getattr(losses, term).detach()))
        for losses in gradients.losses
        for term in ("generative", "contrastive", "alignment")
    ]
    broken = [f"the {term} loss is {value:g}" for term, value in terms if not math.isfinite(value)]
    cause = ", ".join(dict.fromkeys(broken)) or f"the gradient norm is {gradients.norm:g} while the losses are finite"
    return RunError(
        f"step {run.step + 1}: {cause}; the state before it is saved in {folder}: continue with --resume and gentler "
        f"settings, or start again with them: --set {' '.join(optim.gentler(run.config.train))}"
    )


def save_is_due(run: Run) -> bool:
    """Whether the last checkpoint is older than the interval; rank 0, which writes them, decides for all."""
    interval = budget.save_interval(run.config.train.save_every, run.seconds.get("save", 0.0))
    return run.log.writes and time.monotonic() - run.saved_time > interval


def _whole_step(run: Run, batch: Batch, step: int, progress: float) -> None:
    """A whole optimiser step, to measure its duration."""
    take_step(run, batch, step, progress)
    apply_step(run, step, 1.0)
