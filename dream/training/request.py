"""The request for a training, checked against the files on disk before anything is written."""

import math
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import nn

from dream.config import DreamConfig
from dream.errors import InputError
from dream.files import check_writable
from dream.training import checkpoint as ckpt
from dream.training import run_log
from dream.training.claim import check_not_held, holds_other_files
from dream.training.live_tensors import copy_averaged_weights
from dream.training.loggers import check_loggers

PRECISIONS = ("32-true", "bf16-mixed")
"""Weights and averages stay float32: anything narrower would not be averaged, nor resumed exactly."""
STRATEGIES = ("auto", "ddp", "fsdp")
NO_SOURCE = "a new run needs a source of pictures: give --data, e.g. --data shapes"
ACCELERATORS = ("auto", "cpu", "cuda", "gpu", "mps")
TOWER, PROJECTION = "text_tower.", "joint."
ANEW = {
    "text.width": (TOWER,),
    "text.depth": (TOWER,),
    "text.heads": (TOWER,),
    "joint.positional_text": (TOWER,),
    "joint.hidden": (TOWER, PROJECTION),
    "joint.width": (TOWER, PROJECTION),
    "joint.pooling_maps": (PROJECTION,),
    "joint.buffer_features": (PROJECTION,),
    "joint.max_logit_scale": (),
}
"""Settings that may differ from those of the model, with the parts (prefixes of names) that then begin anew."""
NAMES = {TOWER: "the text tower", PROJECTION: "the image projection"}


@dataclass(frozen=True)
class TrainRequest:
    """A training to start or to continue."""

    out: Path
    """The run's folder."""
    source: str | None = None
    """The source of pictures; None keeps the run's own."""
    config: DreamConfig | None = None
    """Everything else; None keeps the run's own."""
    preset: str = "custom"
    """Name of the preset, for the record."""
    minutes: float | None = None
    """Wall-clock budget (for a resumed run: further minutes); None takes the configuration's."""
    steps: int | None = None
    """Optimiser steps (for a resumed run: further steps); None takes the configuration's."""
    total_steps: int | None = None
    """Optimiser steps of the whole run, however often it is resumed; instead of `steps`."""
    total_minutes: float | None = None
    """Wall-clock budget that a new run is planned for, and a resumed one keeps; instead of `minutes`."""
    start_from: Path | None = None
    """Model folder whose averaged weights and vocabulary a new run starts from; None starts from drawn weights."""
    resume: bool = False
    """Continue the run in `out`."""
    auto: bool = False
    """With `resume`: start the run if there is none yet; nothing is left to do if it is finished."""
    checkpoint: str | None = None
    """Name of the checkpoint to continue from; None takes the newest."""
    overwrite: bool = False
    """Delete the run in `out` first."""
    devices: str = "auto"
    """Number of devices, their list, or auto."""
    num_nodes: int = 1
    """Number of machines."""
    strategy: str = "auto"
    """auto, ddp or fsdp."""
    accelerator: str = "auto"
    """auto, cpu, cuda, gpu or mps."""
    loggers: tuple[str, ...] = ()
    """Loggers next to the run's own files (`loggers.LOGGERS`)."""
    started: float = field(default_factory=time.monotonic)
    """Time at which the budget began to run (`time.monotonic`)."""


@dataclass(frozen=True)
class StartWeights:
    """The averaged weights of a checkpoint, but for the parts that begin anew."""

    folder: Path
    anew: tuple[str, ...] = ()
    """Prefixes of the names of weights that are not taken."""

    @classmethod
    def of(cls, folder: Path, config: DreamConfig) -> "StartWeights":
        """Those of the checkpoint `folder` for a training of `config`; raises InputError if they do not fit it."""
        stored = ckpt.read_state(folder).config
        ckpt.check_same_model(folder, stored, config, but=ANEW)
        theirs, ours = (ckpt.flatten_tree(each.model_dict()) for each in (stored, config))
        changed = [key for key in ANEW if theirs[key] != ours[key]]
        return cls(folder, tuple(part for part in NAMES if any(part in ANEW[key] for key in changed)))

    @property
    def words(self) -> str:
        """What begins anew, in a sentence; empty if nothing does."""
        if not self.anew:
            return ""
        verb = "begin" if len(self.anew) > 1 else "begins"
        return f"{' and '.join(NAMES[part] for part in self.anew)} {verb} anew: the settings ask for another size"

    def copy_to(self, model: nn.Module) -> None:
        """Gives `model` these weights, in place; raises InputError if names or shapes differ."""
        copy_averaged_weights(self.folder, model, without=self.anew)


@dataclass(frozen=True)
class TrainingStart:
    """The point where a training begins."""

    config: DreamConfig
    source: str
    state: ckpt.TrainingState | None = None
    """State of the checkpoint that it continues from."""
    checkpoint: Path | None = None
    weights: StartWeights | None = None
    """What a training at step 0 takes from a model, with its vocabulary."""
    segments: tuple[int, ...] = ()
    """Steps at which the training and its extensions were planned to end; empty if not planned yet."""
    resumed: bool = False
    """Whether the folder's run continues."""
    finished: bool = False
    """Whether nothing is left to do (only if the request says `auto`)."""

    @property
    def step(self) -> int:
        """Optimiser steps done."""
        return self.state.step if self.state else 0


def check_train_request(request: TrainRequest) -> TrainingStart:
    """The point where the training begins; raises InputError for a request that does not fit. Leaves nothing behind.

    What it says holds while nobody else trains in the folder: who has claimed it calls `find_start` again.
    """
    _check_numbers(request)
    check_not_held(request.out, run_log.find_training(request.out, exact=True))
    return find_start(request)


def config_to_launch(request: TrainRequest) -> DreamConfig:
    """The configuration by which devices are set up; raises InputError.

    Every rank calls it, while rank 0 may already write: it does not look at the folder, unless for a lacking `config`.
    """
    _check_numbers(request)
    if request.config is None and (not request.resume or (request.auto and not run_log.holds_run(request.out))):
        raise InputError(NO_SOURCE)
    return stored_config(request.out) if request.config is None else request.config


def find_start(request: TrainRequest) -> TrainingStart:
    """The point where the training begins, by the files in its folder; raises InputError for a request that differs."""
    if run_log.holds_run(request.out):
        if request.resume:
            return _resumed(request)
        if not request.overwrite:
            raise InputError(
                f"{request.out} holds a run: continue it with --resume, replace it with --overwrite, "
                "or choose another --out"
            )
    elif request.resume and not request.auto:
        stored_config(request.out)  # raises, because there is none
    _check_place(request.out)
    if request.config is None or not request.source:
        raise InputError(NO_SOURCE)
    config = with_budget(request.config, request)
    weights = None if request.start_from is None else StartWeights.of(request.start_from, config)
    return TrainingStart(config, request.source, weights=weights)


def _check_numbers(request: TrainRequest) -> None:
    budgets = {"--minutes": request.minutes, "--steps": request.steps}
    totals = {"--total-minutes": request.total_minutes, "--total-steps": request.total_steps}
    given = [name for name, value in (budgets | totals).items() if value is not None]
    if len(given) > 1:
        raise InputError(f"give {' or '.join(given)}, not both")
    for option, number in (budgets | totals).items():
        if number is not None and option.endswith("minutes") and not 0 < number < math.inf:
            raise InputError(f"{option} must be a finite number above 0, got {number}")
        if number is not None and option.endswith("steps") and number < 1:
            raise InputError(f"{option} must be at least 1, got {number}")
    if request.auto and given and given[0] in budgets:
        raise InputError(
            f"with --resume auto, {given[0]} would be added each time: say the whole with "
            f"{given[0].replace('--', '--total-')}"
        )
    check_loggers(request.loggers)
    if request.resume and request.overwrite:
        raise InputError("give --resume or --overwrite, not both")
    if request.resume and request.start_from and not request.auto:
        raise InputError("give --resume or --start-from, not both: a resumed run has its own weights")
    precision = request.config.train.precision if request.config else PRECISIONS[0]
    for name, value, known in (
        ("--strategy", request.strategy, STRATEGIES),
        ("--accelerator", request.accelerator, ACCELERATORS),
        ("--precision (train.precision)", precision, PRECISIONS),
    ):
        if value not in known:
            raise InputError(f"{name} must be one of {', '.join(known)}, got '{value}'")


def _check_place(out: Path) -> None:
    if holds_other_files(out) and not run_log.holds_run(out):
        raise InputError(f"{out} is a folder with other files in it: choose an empty or a new one as --out")
    check_writable(out)


def with_budget(config: DreamConfig, request: TrainRequest) -> DreamConfig:
    """The configuration with the budget that a new run is requested to have."""
    steps = request.total_steps if request.steps is None else request.steps
    minutes = request.total_minutes if request.minutes is None else request.minutes
    if steps is not None:
        return replace(config, train=replace(config.train, steps=steps, minutes=None, epochs=None))
    if minutes is not None:
        return replace(config, train=replace(config.train, steps=None, minutes=minutes, epochs=None))
    if request.source == "shapes" and config.train.steps is None and config.train.minutes is None:
        raise InputError("'shapes' has no end, so that epochs say nothing: give --steps N or --minutes M")
    return config


def planned_end(request: TrainRequest, segments: tuple[int, ...], step: int) -> int:
    """Step at which a run that is planned, and is at `step`, ends by its plan and the request."""
    if request.total_steps is not None:
        return request.total_steps
    return segments[-1] if request.steps is None else step + request.steps


def _resumed(request: TrainRequest) -> TrainingStart:
    record, stored = run_log.read_record(request.out), stored_config(request.out)
    config = stored if request.config is None else check_continues(request.out, stored, request.config)
    segments, folder = tuple(record.get("legs") or ()), _chosen(request)
    _check_place(request.out)
    source = request.source or record.get("source")
    if not source:
        raise InputError(f"the record of {request.out} does not say what the run was trained on: give --data as then")
    if segments and request.total_minutes not in (None, stored.train.minutes):
        raise InputError(
            f"{request.out} is planned to end at step {segments[-1]}, which --total-minutes {request.total_minutes:g} "
            "does not change: use --total-steps N, or --resume with --minutes M for M minutes more"
        )
    config = config if segments else with_budget(config, request)  # it was killed before its budget became steps
    if folder is None:  # it was killed before anything was saved: it starts again, with the same result
        weights = StartWeights.of(Path(record["start_from"]), config) if record.get("start_from") else None
        return TrainingStart(config, source, weights=weights, segments=segments, resumed=True)
    state = ckpt.read_state(folder)
    ckpt.check_same_model(folder, state.config, config)
    ckpt.check_room(folder, config)
    finished = bool(segments) and request.minutes is None and state.step >= planned_end(request, segments, state.step)
    if finished and not request.auto:
        raise InputError(
            f"{request.out} is finished at step {state.step}: give --minutes M or --steps N to continue for that long"
        )
    return TrainingStart(config, source, state, folder, segments=segments, resumed=True, finished=finished)


def stored_config(out: Path) -> DreamConfig:
    """The configuration of the run in `out`; raises InputError if there is none."""
    if not run_log.holds_run(out):
        raise InputError(f"{out} holds no run to resume: there is no {out / 'config.json'}")
    return DreamConfig.from_dict(run_log.read_record(out)["config"])


def check_continues(out: Path, stored: DreamConfig, wanted: DreamConfig) -> DreamConfig:
    """`wanted` with the run's own budget and vocabulary; raises InputError if it is another training."""
    if stored.text.tokenizer == wanted.text.tokenizer:  # a trained vocabulary may be smaller than requested
        wanted = replace(wanted, text=replace(wanted.text, vocab_size=stored.text.vocab_size))
    ckpt.check_same_model(out, stored, wanted)
    for key in ("seed", "optimizer"):
        before, now = getattr(stored.train, key), getattr(wanted.train, key)
        if before != now:
            raise InputError(f"train.{key} of the run in {out} is {before} and cannot become {now}: use another --out")
    budget = {name: getattr(stored.train, name) for name in ("steps", "minutes", "epochs")}
    return replace(wanted, train=replace(wanted.train, **budget))


def _chosen(request: TrainRequest) -> Path | None:
    if request.checkpoint is None:
        _require_listed(request.out)
    folders = ckpt.list_checkpoints(request.out)
    if request.checkpoint is None:
        if not folders and (steps := [row["step"] for row in run_log.read_metrics(request.out, "train")]):
            raise InputError(
                f"{request.out} has logged {max(steps)} steps, but its checkpoints are gone: put them back into "
                f"{ckpt.checkpoints_folder(request.out)}, or begin anew with --overwrite"
            )
        return folders[-1] if folders else None
    for path in folders:
        if path.name == Path(request.checkpoint).name:
            return path
    names = ", ".join(path.name for path in folders) or "none"
    raise InputError(f"{request.out} has no checkpoint '{request.checkpoint}'; it has {names}")


def _require_listed(run: Path) -> None:
    """Raises InputError if checkpoints may be there that `list_checkpoints` cannot see.

    The folder cannot be listed, or the newest checkpoint in it has lost its `state.json`.
    """
    folder = ckpt.checkpoints_folder(run)
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith("step-"))
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(
            f"{folder} cannot be listed ({error.strerror}), so it is not known where the training stands: mend the "
            "folder or its permissions, or begin anew with --overwrite"
        ) from error
    listed = [path.name for path in ckpt.list_checkpoints(run)]
    if names and names[-1] not in listed:
        instead = f"continue with --resume {listed[-1]}" if listed else "there is no other: begin anew with --overwrite"
        raise InputError(f"{folder / names[-1]} is damaged: it lost its state.json; put it back, or {instead}")
