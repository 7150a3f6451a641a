"""Checkpoint files small enough for a test, sound and damaged."""

import argparse
import json
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dream.config import DreamConfig
from dream.data.text import CaptionTokenizer
from dream.model.dream import Dream
from dream.training.checkpoint import TrainingState, save_checkpoint
from dream.training.live_tensors import model_tensors
from dream.training.run_log import RunLog
from workbench.work import Work


def done(function) -> object:
    """What a function of a Work returns; its error is raised."""
    work = Work(function).wait(60)
    if work.error is not None:
        raise work.error
    return work.result


def weights(seed: int = 0) -> dict[str, Tensor]:
    """A few tensors named like a model's."""
    draw = torch.Generator().manual_seed(seed)
    return {
        "encoder.blocks.0.attn.qkv.weight": torch.randn(12, 4, generator=draw),
        "encoder.blocks.0.attn.qkv.bias": torch.randn(12, generator=draw),
        "encoder.blocks.10.mlp.weight": torch.randn(4, 4, generator=draw),
        "encoder.blocks.2.mlp.weight": torch.randn(4, 4, generator=draw),
        "encoder.positions": torch.randn(2 + 9, 6, generator=draw),
        "logit_scale": torch.tensor(2.0),
    }


def write_safetensors(path: Path, tensors: dict[str, Tensor] | None = None) -> Path:
    """A safetensors file."""
    save_file(weights() if tensors is None else tensors, path, metadata={"format": "pt"})
    return path


def write_pth(path: Path, seed: int = 0) -> Path:
    """A file as the authors' training leaves it: weights, averages, optimiser, settings."""
    model = {f"module.{name}": value for name, value in weights(seed).items()}
    state = {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(4), "exp_avg_sq": torch.full((4,), 4.0)}}
    torch.save(
        {
            "model": model,
            "model_ema": {name: value * 2 for name, value in model.items()},
            "optimizer": {"state": state, "param_groups": [{"lr": 0.1, "params": [0]}]},
            "epoch": 7,
            "scaler": {"scale": 65536.0},
            "args": argparse.Namespace(lr=0.1, name="dream"),
        },
        path,
    )
    return path


def write_run(folder: Path, config: DreamConfig, tokenizer: CaptionTokenizer, steps: tuple[int, ...] = (3, 5)) -> Path:
    """A run with checkpoints of random weights at these steps; no training."""
    folder.mkdir(parents=True)
    log = RunLog(folder)
    log.record({"config": config.to_dict(), "history": []})
    for step in steps:
        log.row("train", step, loss=1.0 / step, generative_loss=0.5 / step, contrastive_loss=0.5)
        torch.manual_seed(step)
        model = Dream(config)
        tensors = {
            "model": model_tensors(model),
            "ema": {name: (p + 0.01).detach() for name, p in model.named_parameters()},
            "optimizer": _moments(model, step),
        }
        state = TrainingState(step, config, "shapes", None, validation_loss=0.25)
        save_checkpoint(folder, state, tensors, tokenizer)
    log.heartbeat("finished", step=steps[-1], end=steps[-1])
    return folder


def _moments(model: nn.Module, step: int) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        found[f"{name}/step"] = torch.tensor(float(step))
        found[f"{name}/exp_avg"] = torch.full_like(parameter, 0.5).detach()
        found[f"{name}/exp_avg_sq"] = torch.ones_like(parameter).detach()
    return found


def write_header(path: Path, tree: object, data: bytes = b"") -> Path:
    """A file with a safetensors header of one's own."""
    text = json.dumps(tree).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def packed_again(path: Path, out: Path) -> Path:
    """The same zip archive, but compressed, as a bomb would be."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for record in old.infolist():
            new.writestr(record.filename, old.read(record))
    return out
