"""A checkpoint made small: averaged weights in few bits, and the record of their training. Trains nothing."""

import json
from pathlib import Path

import torch

from dream.data.text import load_tokenizer
from dream.training import checkpoint, run_log

RECORD, LOG = "recipe.json", "metrics.jsonl"
"""Configuration, versions and machine of the training, and its log, beside an exported model."""


def export(source: Path, out: Path, dtype: torch.dtype) -> int:
    """Makes `out` a checkpoint of the averaged weights of `source` in `dtype`; how many numbers they are.

    The logit scale and whatever is no matrix or vector stays in full. Where `source` belongs to a run, its
    record and log are copied, so that the model can be made again.
    """
    state = checkpoint.read_state(source)
    weights = {
        name: tensor.to(dtype) if tensor.is_floating_point() and tensor.ndim else tensor
        for name, tensor in checkpoint.averaged_weights(source).items()
    }
    tokenizer = load_tokenizer(source / "tokenizer", state.config.text.context_length)
    checkpoint.write_checkpoint(out, state, {"model": weights}, tokenizer)
    run = source.resolve().parents[1]
    if run_log.holds_run(run):
        (out / RECORD).write_text(json.dumps(run_log.read_record(run), indent=1) + "\n")
        (out / LOG).write_text((run / "metrics.jsonl").read_text())
    return sum(tensor.numel() for tensor in weights.values())
