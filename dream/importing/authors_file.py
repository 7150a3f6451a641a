"""Writes a model as a checkpoint of the authors: `{model, model_ema, epoch, args}`, exact for one that was imported."""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dream.config import DreamConfig
from dream.errors import InputError
from dream.files import WRITING
from dream.importing.build import RECORD, UNTRAINED
from dream.json_text import read_json_object
from dream.official import to_their_shapes
from dream.training import checkpoint

CLASSES = 1000
"""Rows of the authors' `class_emb`, of which the first is trained."""


def export_authors(source: Path, out: Path) -> int:
    """Writes the checkpoint `source` to the file `out` for the authors' code; returns the number of values.

    What the authors never train is zero, unless it was imported with the model. Raises InputError for a model that has
    parts which their architecture lacks.
    """
    _check_published(checkpoint.read_state(source).config)
    tensors = {"model": checkpoint.read_tensors(source, "model")}
    if checkpoint.holds(source, "ema"):
        tensors["model_ema"] = checkpoint.read_tensors(source, "ema")
    untrained = checkpoint.read_tensors(source, UNTRAINED) if checkpoint.holds(source, UNTRAINED) else {}
    about = read_json_object(source / RECORD) if (source / RECORD).is_file() else {}
    if "model_ema" in tensors and about.get("averaged_buffers", True):
        tensors["model_ema"] = tensors["model"] | tensors["model_ema"]
    tree: dict[str, Any] = {}
    for part, weights in tensors.items():
        theirs = to_their_shapes(weights)
        row = theirs["class_emb.weight"]
        rest = untrained.get(f"{part}/class_emb.weight", torch.zeros(CLASSES - 1, row.shape[1], dtype=row.dtype))
        theirs["class_emb.weight"] = torch.cat([row, rest])
        fake = untrained.get(f"{part}/fake_latent")
        if fake is not None or not untrained:
            theirs["fake_latent"] = torch.zeros_like(row) if fake is None else fake
        tree[part] = theirs
    tree["model_ema"] = tree.get("model_ema", tree["model"])  # an exported model has averaged weights alone
    tree["epoch"] = about.get("epoch")
    tree["args"] = argparse.Namespace(**about.get("args", {}))
    temporary = out.with_name(f".{out.name}{WRITING}")
    try:
        torch.save(tree, temporary)
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return sum(value.numel() for value in tree["model"].values() if isinstance(value, Tensor))


def _check_published(config: DreamConfig) -> None:
    """Raises InputError, naming the settings, for a model that the authors' architecture has no place for."""
    departures = {
        "image.tokenizer": config.image.tokenizer == "pixels",
        "text.conditioning": config.text.conditioning != "t5",
        "encoder.rotary": config.encoder.rotary,
        "head.objective": config.head.objective != "noise",
        "joint.pooling_maps": config.joint.pooling_maps > 0,
        "joint.buffer_features": config.joint.buffer_features,
        "joint.positional_text": config.joint.positional_text,
        "objective.alignment_weight": config.objective.alignment_weight > 0,
    }
    if found := [name for name, departs in departures.items() if departs]:
        raise InputError(f"the authors' architecture has no place for this model: it departs in {', '.join(found)}")
