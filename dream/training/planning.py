"""The number of steps of a training: as requested, from minutes and the measured time of a step, or from epochs."""

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from dream.data.batch import Batch, prefetch
from dream.training import budget, run_log
from dream.training.devices import most_of_ranks
from dream.training.request import TrainingStart, TrainRequest, planned_end
from dream.training.state import Run, rehearsal
from dream.training.stopping import StopRequest, StopRequested

TakeStep = Callable[[Run, Batch, int, float], object]
"""(run, batch, step, progress): a whole optimiser step."""
CALIBRATION_LENGTH = 1000
"""Length of the training, in steps, that the data source assumes while step times are measured."""


def plan(run: Run, request: TrainRequest, start: TrainingStart, take_step: TakeStep, stop: StopRequest) -> None:
    """Decides the run's segments and end, and records them; from then on everything is reproducible.

    Raises StopRequested if a rank is asked to stop while steps are measured.
    """
    segments, end = start.segments, None
    if segments:
        minutes = request.minutes
        end = planned_end(request, segments, run.step)
    else:
        minutes, end = run.config.train.minutes, run.config.train.steps
        minutes = minutes if end is None else None
        if end is None and minutes is None:
            end = _steps_of_epochs(run)
    if minutes is not None:
        steps = _steps_in(run, request, minutes, take_step, segments[0] if segments else None, stop)
        end = run.step + steps
    assert end is not None
    run.segments, run.end = budget.extended(segments, end) if segments else (end,), end
    if not segments:
        run.bundle = replace(run.bundle, config=replace(run.config, train=replace(run.config.train, steps=end)))
    if run.log.writes:
        record = run_log.read_record(request.out)
        run.log.record(
            {**record, "config": run.config.to_dict(), "legs": run.segments, "overhead": _overhead(run, request)}
        )
        run.log.event("planned", step=run.step, end=run.end, minutes=minutes)


def _steps_of_epochs(run: Run) -> int:
    """Steps in which `train.epochs` passes through the data are made; rank 0 counts its samples for all."""
    train = run.config.train
    assert train.epochs is not None
    samples = run.fabric.broadcast(run.source.samples() if run.fabric.global_rank == 0 else 0)
    steps = math.ceil(train.epochs * samples / train.batch_size)
    run.console.say(f"{train.epochs:g} epochs of {samples:,} samples are {steps:,} steps of {train.batch_size:,}")
    return steps


def _steps_in(
    run: Run, request: TrainRequest, minutes: float, take_step: TakeStep, total: int | None, stop: StopRequest
) -> int:
    """Steps that fit into `minutes` from the request on, with validations, checkpoints and sample sheets."""
    seconds = 60 * minutes

    def go_on(more: bool) -> bool:
        another, number = most_of_ranks(run.fabric, more, stop.number)
        stop.learn(number)
        if stop:
            raise StopRequested
        return bool(another)

    run.console.say(f"measuring how many steps fit into {minutes:g} min")
    batches = run.source.batches(run.config.train.batch_size, None, CALIBRATION_LENGTH)
    with rehearsal(run), closing(prefetch(batches)) as reading:
        cost = budget.measure_steps(
            lambda number, progress: take_step(run, next(reading)[0], number, progress),
            budget.calibration_seconds(seconds),
            go_on,
        )
    cost, overhead, spent = run.fabric.broadcast(  # rank 0's clock counts for all
        (cost, _overhead(run, request), time.monotonic() - request.started)
    )
    validating, saving, painting = (overhead.get(task, 0.0) for task in ("validate", "save", "paint"))
    train = run.config.train
    if total is None:
        train = replace(
            train,
            evaluations=budget.affordable(train.evaluations, validating + saving, seconds),
            samples=max(min(1, train.samples), budget.affordable(train.samples, painting + saving, seconds)),
        )
        run.bundle = replace(run.bundle, config=replace(run.config, train=train))
    saves = minutes / train.save_every + max(train.evaluations, train.samples) + 1
    reserved = (train.evaluations + 1) * validating + (train.samples + 1) * painting + saves * saving
    steps = budget.steps_within(cost, seconds - spent - reserved, run.step if total else 0, total)
    fastest, slowest = 1000 * min(cost.seconds), 1000 * max(cost.seconds)
    run.console.say(
        f"a step takes {1000 * cost.mean:.0f} ms on average ({fastest:.0f} to {slowest:.0f}): "
        f"{steps} step{'s' * (steps != 1)}"
    )
    return steps


def _overhead(run: Run, request: TrainRequest) -> dict[str, float]:
    """Seconds that validating, saving and painting took: in this process, else when the run began."""
    return run.seconds or run_log.read_record(request.out).get("overhead", {})
