"""The loop of a distillation: rounds of trajectories, each learned from several times; stop, resume, and the result.

A round's pictures, decoding steps and noise are drawn for (seed, round), so that a resumed distillation equals one that
never stopped. The result is a checkpoint folder as every command opens, with the state to go on in it.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dream.data.batch import Batch
from dream.data.emoji.corpus import is_emoji
from dream.data.emoji.packages import NOTICE_FILE
from dream.data.sources import open_source
from dream.decoding.settings import DecodeSettings
from dream.distilling.student import FewSteps, build_student, student_config
from dream.distilling.teacher import Conditions, HeadTeacher
from dream.errors import InputError
from dream.json_text import read_json_object
from dream.model.pretrained import Pretrained
from dream.randomness import generator
from dream.training import checkpoint
from dream.training.devices import Fabric
from dream.training.live_tensors import model_tensors
from dream.training.optim import Ema

ABOUT, STATE = "distillation.json", "distil"
"""Files of a result besides the model: what it was made of, and tensors to go on with."""
PICTURES, ROWS, BATCH, PASSES = 128, 2048, 256, 2
"""Per round: pictures and tokens; tokens per optimiser step, and passes over the round's tokens. More passes over fewer
pictures fit these and are no better on held-out ones (docs/log.md)."""
STEPS_PER_ROUND = ROWS // BATCH * PASSES
AVERAGE = 0.998
"""Decay of the averaged head, which is the result."""
WARMUP = 0.02
"""Share of the steps in which the learning rate rises."""
CALIBRATION = 2
"""Rounds from whose time a budget in minutes becomes one in rounds."""
SAVE_SECONDS = 120.0


@dataclass(frozen=True)
class DistilRequest:
    """What to distil into what."""

    model: str
    data: str
    sampling_steps: int
    teacher_steps: int = 16
    """Least number of the teacher's Euler steps on a trajectory."""
    folded: bool = True
    """Learn guided tokens from the condition with the caption alone; else from both, and decode with guidance."""
    lr: float = 3e-4
    """Peak learning rate of AdamW; it falls to zero as a cosine."""
    seed: int = 0


class Distillation:
    """A distillation at some step, from its start or from a stored state."""

    def __init__(self, teacher: Pretrained, request: DistilRequest, fabric: Fabric) -> None:
        config = teacher.config
        if config.head.objective == "energy":
            raise InputError("an energy head paints in one step already: there is nothing to distil")
        if not config.objective.generative_weight:
            raise InputError("this model was trained to tell captions apart only and cannot paint: distil another one")
        self.request, self.fabric, self.pretrained = request, fabric, teacher
        self.teacher = HeadTeacher(teacher, DecodeSettings.of(config.decode))
        self.config = student_config(config, request.sampling_steps, request.folded)
        self.student = build_student(teacher, self.config)
        few = FewSteps(self.student.head, request.sampling_steps)
        for parameter in self.student.parameters():
            parameter.requires_grad_(False)
        few.requires_grad_(True)
        self.student.to(fabric.device)
        optimizer = torch.optim.AdamW(few.parameters(), lr=request.lr, betas=(0.9, 0.99), weight_decay=0.0)
        self.few, self.optimizer = fabric.setup(few, optimizer)
        self.plain = few
        self.ema = Ema(few, replace(config.train, ema=AVERAGE, ema_ramp=True))
        self.round, self.rounds, self.seconds = 0, 0, 0.0
        self.position: dict[str, Any] | None = None

    @property
    def steps(self) -> int:
        """Optimiser steps done."""
        return self.round * STEPS_PER_ROUND

    def pictures(self) -> Iterator[tuple[Batch, dict[str, Any]]]:
        """Batches of training pictures with canonical captions, from the stored position on."""
        data = replace(self.config.data, near_misses=0.0, other_phrasings=0.0)
        source = open_source(self.request.data, replace(self.config, data=data), split="train", seed=self.request.seed)
        return source.batches(PICTURES, self.position)

    def drawn(self, batch: Batch, *name: int | str) -> tuple[Conditions, Tensor]:
        """Conditions of the pictures, and trajectories (S+1, M, D_tok), drawn for (seed, name)."""
        draws = generator("distil", self.request.seed, *name)
        given = self.teacher.conditions(batch, ROWS, draws)
        noise = torch.randn(len(given.guidance), self.config.image.token_dim, generator=draws).to(given.condition)
        start = self.teacher.temperature * noise
        states = self.teacher.trajectories(given, start, self.request.sampling_steps, self.request.teacher_steps)
        return (given._replace(condition=given.condition[:1]) if self.request.folded else given), states

    def learn(self, batch: Batch) -> float:
        """One round: PASSES over its tokens; returns the mean loss."""
        given, states = self.drawn(batch, self.round)
        order, total, count = generator("distil order", self.request.seed, self.round), 0.0, 0
        for _ in range(PASSES):
            shuffled = torch.randperm(states.shape[1], generator=order).to(states.device)
            for number in range(ROWS // BATCH):
                rows = shuffled.roll(-number * BATCH)[:BATCH]  # a small source gives fewer rows than a round has
                self._set_lr(self.steps + count)
                loss = self.few(given.take(rows), states[:, rows])
                self.optimizer.zero_grad()
                self.fabric.backward(loss)
                self.optimizer.step()
                self.ema.update(self.steps + count)
                total, count = total + float(loss.detach()), count + 1
        self.round += 1
        return total / count

    def error(self, batch: Batch) -> float:
        """Of pictures: mean square error of the averaged head's tokens, over the variance of the teacher's."""
        given, states = self.drawn(batch, "held out")
        with self.ema.swapped():
            ends = self.plain.ends(given, states[0])
        return float((ends - states[-1]).square().mean() / states[-1].var(0).mean())

    def _set_lr(self, step: int) -> None:
        progress = step / (self.rounds * STEPS_PER_ROUND) if self.rounds else WARMUP / 2
        factor = min(1.0, progress / WARMUP + 1e-2, 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * progress)))))
        for group in self.optimizer.param_groups:
            group["lr"] = self.request.lr * max(0.0, factor)

    def save(self, out: Path, about: dict[str, Any]) -> None:
        """Writes the model with the averaged head, and the state to go on with, to `out`."""
        with self.ema.swapped():
            model = {name: tensor.detach().clone() for name, tensor in model_tensors(self.student).items()}
        live = dict(self.plain.named_parameters())
        tensors = {f"weights/{name}": parameter.detach().clone() for name, parameter in live.items()}
        tensors |= {f"average/{n}": a for n, a in zip(self.ema.names, self.ema.averages, strict=True)}
        for number, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam/{number}/{name}": torch.as_tensor(value).clone() for name, value in values.items()}
        state = checkpoint.TrainingState(self.steps, self.config, self.request.data, self.position)
        others = {ABOUT: (json.dumps(about, indent=1) + "\n").encode()}
        if is_emoji(self.request.data):  # made from the works of others
            others[NOTICE_FILE.name] = NOTICE_FILE.read_bytes()
        groups = {"model": model, STATE: tensors}
        checkpoint.write_checkpoint(out, state, groups, self.pretrained.tokenizer, others=others)

    def restore(self, out: Path) -> None:
        """Goes on from what `save` wrote."""
        about, tensors = read_distillation(out), checkpoint.read_tensors(out, STATE)
        with torch.no_grad():
            for name, parameter in self.plain.named_parameters():
                parameter.copy_(tensors[f"weights/{name}"])
            for name, average in zip(self.ema.names, self.ema.averages, strict=True):
                average.copy_(tensors[f"average/{name}"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("adam/"):
                _, number, key = name.split("/")
                moments.setdefault(int(number), {})[key] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        self.round, self.rounds, self.seconds = about["round"], about["rounds"], about["seconds"]
        self.position = checkpoint.read_state(out).position


def read_distillation(out: Path) -> dict[str, Any]:
    """What a result says of its distillation. Raises InputError for a folder that holds none, or a damaged one."""
    if not (out / ABOUT).is_file():
        raise InputError(f"{out} holds no distillation to resume (no {ABOUT}): leave --resume out")
    about = read_json_object(out / ABOUT)
    for name in ("round", "rounds", "seconds"):
        if not isinstance(about.get(name), int | float):
            raise InputError(f"{out / ABOUT} is damaged: '{name}' must be a number, got {about.get(name)!r}")
    return about


def distil(
    run: Distillation,
    out: Path,
    rounds: int | None,
    minutes: float | None,
    until: Callable[[], bool],
    progress: Callable[[float, str], None],
) -> dict[str, Any]:
    """Runs to the end of `rounds`, or of `minutes` if None, or until a stop request; returns what it says of itself.

    The rounds of a stored distillation hold unless others are given: more of them extend it.
    """
    begun, saved, before = time.monotonic(), time.monotonic(), run.seconds
    test = open_source(run.request.data, run.config, split="train", seed=run.request.seed).fixed(PICTURES)
    start, loss = run.error(test), float("nan")
    about = {**asdict(run.request), "teacher_id": run.pretrained.model_id, "error_at_start": start}
    if run.round:
        about["error_at_start"] = read_distillation(out).get("error_at_start", start)
    run.rounds = rounds or run.rounds

    def write() -> None:
        run.seconds = before + time.monotonic() - begun
        about.update(round=run.round, rounds=run.rounds, seconds=round(run.seconds, 1), steps=run.steps)
        about.update(loss=loss, error=run.error(test))
        run.save(out, about)

    calibrated = time.monotonic()
    for batch, position in run.pictures():
        if run.rounds and run.round >= run.rounds:
            break
        loss = run.learn(batch)
        run.position = position
        if not run.rounds and run.round == CALIBRATION:
            own = (time.monotonic() - calibrated) / CALIBRATION
            run.rounds = max(CALIBRATION, int(60 * (minutes or 0) / own))
        progress(run.round / max(run.rounds, run.round), f"round {run.round} of {run.rounds or '?'}, loss {loss:.4g}")
        if until():
            break
        if time.monotonic() - saved > SAVE_SECONDS:
            write()
            saved = time.monotonic()
    write()
    return about
