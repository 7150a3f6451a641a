"""Exports a checkpoint: averaged weights in fewer bits, and the record of their training."""

import json
from dataclasses import replace
from pathlib import Path

import torch

from dream.data.emoji.corpus import is_emoji
from dream.data.emoji.packages import NOTICE_FILE
from dream.data.text import load_tokenizer
from dream.training import checkpoint, run_log
from dream.weights.finite import require_finite_weights

RECORD, LOG = "recipe.json", "metrics.jsonl"
"""Files next to an exported model: configuration, versions and machine of its training, and the log."""


def export(source: Path, out: Path, dtype: torch.dtype) -> int:
    """Writes the averaged weights of `source` in `dtype` to the checkpoint `out`; returns their number of values.

    Scalars, such as the logit scale, keep their type. If `source` belongs to a run, its record and log are copied,
    so that the training can be repeated; a model of the emoji takes the notice of their licences along. Raises
    InputError for weights that are not finite, as stored or in `dtype`.
    """
    state = checkpoint.read_state(source)
    weights = {
        name: tensor.to(dtype) if tensor.is_floating_point() and tensor.ndim else tensor
        for name, tensor in checkpoint.averaged_weights(source).items()
    }
    narrow = str(dtype).removeprefix("torch.")
    require_finite_weights(weights, f"{source} as {narrow}", f"they are too large for {narrow}: use --dtype float32")
    tokenizer = load_tokenizer(source / "tokenizer", state.config.text.context_length)
    shared = replace(state, source=without_place(state.source))
    others = {}
    run = source.resolve().parents[1]
    if run_log.holds_run(run):
        record = run_log.read_record(run)
        places = {name: without_place(record[name]) for name in ("source", "start_from") if record.get(name)}
        others[RECORD] = (json.dumps({**record, **places}, indent=1) + "\n").encode()
        others[LOG] = (run / run_log.METRICS).read_bytes()
    if is_emoji(state.source):  # made from the works of others
        others[NOTICE_FILE.name] = NOTICE_FILE.read_bytes()
    checkpoint.write_checkpoint(out, shared, {"model": weights}, tokenizer, others=others)
    return sum(tensor.numel() for tensor in weights.values())


def without_place(source: str) -> str:
    """A source or model without the folder in which the maker keeps it: an export goes to others.

    A checkpoint of a run has the run's name.
    """
    path = Path(source)
    if path.parent.name == checkpoint.CHECKPOINTS:
        return path.parents[1].name
    return path.name if source.startswith(("/", "~")) else source
