"""Trainings small enough for a test: 16 x 16 pictures, 16 tokens, two blocks."""

import multiprocessing
import os
import socket
import subprocess
import sys
from dataclasses import replace
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from dream.config import DreamConfig
from dream.exit_codes import exit_code
from dream.presets import tiny
from dream.training.checkpoint import latest_checkpoint, read_tensors
from dream.training.loop import TrainResult, train
from dream.training.request import TrainRequest


def small_config(**changes: object) -> DreamConfig:
    """`tiny` at the smallest size that still learns; `changes` are fields of `train`."""
    config = tiny()
    train_defaults = {
        "steps": 8,
        "minutes": None,
        "batch_size": 16,
        "log_every": 2,
        "samples": 0,
        "evaluations": 0,
        "save_every": 60.0,
        "warmup": 0.1,
    }
    return replace(
        config,
        image=replace(config.image, size=16, patch_size=4),
        text=replace(config.text, vocab_size=320, context_length=16, width=16, depth=1, conditioning_width=16),
        encoder=replace(config.encoder, width=32, depth=2, heads=2, buffer_tokens=2, dropout=0.1),
        decoder=replace(config.decoder, width=32, depth=2, heads=2, dropout=0.1),
        head=replace(config.head, width=32, depth=1, sampling_steps=4, draws=2),
        joint=replace(config.joint, width=16, hidden=32),
        masking=replace(config.masking, groups=4),
        decode=replace(config.decode, steps=4),
        train=replace(config.train, **{**train_defaults, **changes}),
    )


def without_dropout(config: DreamConfig) -> DreamConfig:
    """Without dropout, the one thing that is drawn per micro-batch."""
    parts = {name: replace(getattr(config, name), dropout=0.0) for name in ("encoder", "decoder")}
    return replace(config, **parts)


def run_training(out: Path, config: DreamConfig | None = None, **request: object) -> TrainResult:
    """A training on drawn shapes, in this process."""
    request = {"source": "shapes", "accelerator": "cpu", "devices": "1", **request}
    return train(TrainRequest(out=out, config=config, **request))


def train_on_ranks(world: int, **request: Any) -> None:
    """A training on `world` gloo ranks, in forks of this process, which start faster than new ones."""
    processes = start_ranks(world, **request)
    for process in processes:
        process.join(240)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    assert codes == [0] * world


def start_ranks(world: int, **request: Any) -> list[ForkProcess]:
    """The processes of such a training, as an outer launcher starts them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    request = {"accelerator": "cpu", "devices": str(world), "strategy": "ddp", **request}
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_one_rank, args=(rank, world, port, request)) for rank in range(world)]
    for process in processes:
        process.start()
    return processes


def _one_rank(rank: int, world: int, port: int, request: dict[str, Any]) -> None:
    names = {"LOCAL_RANK": rank, "NODE_RANK": 0, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in names.items()})
    code = exit_code("dream", lambda: train(TrainRequest(**request)) and None)
    sys.stderr.flush()
    os._exit(code)  # not through what the tests have registered


def weights(run: Path, name: str = "model") -> dict[str, Tensor]:
    """Tensors of the run's newest checkpoint."""
    return read_tensors(latest_checkpoint(run), name)


def spoil(path: Path, damage: str) -> None:
    """A bit of a file `flipped`, its end cut off (`short`), or the file `gone`; any other damage leaves it."""
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    path.write_bytes(content[:-8] if damage == "short" else content)
    if damage == "gone":
        path.unlink()


def command(*arguments: str) -> list[str]:
    """`dream ARGUMENTS` as a process's command line."""
    return [sys.executable, "-m", "dream", *arguments]


def start(arguments: list[str], log: Path, **environment: str) -> "subprocess.Popen[bytes]":
    """A process of its own group that writes what it says to `log`."""
    with log.open("wb") as file:
        return subprocess.Popen(
            arguments,
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **environment},
        )


def settings(config: DreamConfig) -> list[str]:
    """The `--set` arguments that turn `tiny` into `config`."""
    ours, theirs = config.to_dict(), tiny().to_dict()
    changed = [
        f"{section}.{key}={value}"
        for section, fields in ours.items()
        for key, value in fields.items()
        if value != theirs[section][key]
    ]
    return ["--set", *changed]


def write_pictures(folder: Path, count: int, size: int = 16) -> Path:
    """A source of `count` different pictures with captions that all differ."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        pixels = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03d}.png")
        (folder / f"{i:03d}.txt").write_text(f"picture number {i} of noise")
    return folder
