"""Reads foreign checkpoints of known families, and says which of our tensors each of theirs is."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from dream.errors import InputError
from dream.official import our_name
from dream.pointer_files import refuse_pointer
from dream.weights.finite import require_finite_weights
from dream.weights.reading import read_weights
from dream.weights.torch_files import read_tree

AUTHORS, MAR, OPEN_CLIP = "authors", "mar", "open_clip"
FAMILIES = {
    AUTHORS: "a checkpoint of DREAM's authors",
    MAR: "MAR's class-conditional weights",
    OPEN_CLIP: "a CLIP of open_clip",
}
ENDINGS = (".pth", ".pt", ".ckpt", ".bin", ".safetensors")
"""Endings of weights in one file."""
_WRAPPERS = ("model", "state_dict", "module")
"""Names under which a file keeps its weights."""
_MAR_DECODER = {"norm1": "norm0", "attn": "self_attn"}
"""MAR's decoder blocks have no cross-attention: their first norm and attention are our first ones."""


@dataclass(frozen=True)
class ForeignWeights:
    """Contents of a foreign checkpoint, under its own names (without `module.`)."""

    family: str
    """A key of FAMILIES."""
    weights: Mapping[str, Tensor]
    """Parameters and buffers."""
    averaged: Mapping[str, Tensor]
    """`model_ema`; empty if there is none."""
    args: Mapping[str, Any]
    """Settings of its training, as far as they are plain values."""
    epoch: int | None


def read_foreign(path: Path) -> ForeignWeights:
    """Reads a file without running anything in it; raises InputError for one of no known family, and damaged ones."""
    refuse_pointer(path)
    if not path.is_file():
        raise InputError(f"there is no file {path} to import")
    tree = read_weights(path) if path.suffix == ".safetensors" else read_tree(path)
    if not isinstance(tree, Mapping):
        raise InputError(f"{path} does not hold tensors by name, as a checkpoint does")
    weights = next((found for name in _WRAPPERS if (found := _tensors(tree.get(name)))), _tensors(tree))
    averaged = _tensors(tree.get("model_ema"))
    for part, place in ((weights, f"{path}"), (averaged, f"{path}, model_ema")):
        require_finite_weights(part, place)
    epoch = tree.get("epoch")
    plain = epoch if isinstance(epoch, int) else None
    return ForeignWeights(_family(path, weights), weights, averaged, _plain_args(tree.get("args")), plain)


def name_here(family: str, name: str) -> str:
    """Our name of a family's tensor; raises InputError, with the reason, for one that has no place here."""
    if family == OPEN_CLIP:
        if name.startswith("visual."):
            raise InputError("CLIP's picture tower; DREAM's encoder takes its place")
        text = name.removeprefix("text.")
        if not text.startswith(
            ("token_embedding", "positional_emb", "transformer.", "ln_final", "text_proj", "logit_s")
        ):
            raise InputError("not a part of the text tower")
        return our_name(text)
    if family == MAR:
        if name.startswith("class_emb"):
            raise InputError("embeddings of classes, which DREAM does not have")
        if name == "fake_latent":  # what MAR's buffer holds without a class
            return "encoder.buffer"
        block, _, rest = name.partition(".")
        if block == "decoder_blocks":
            number, inner, *more = rest.split(".")
            name = ".".join([block, number, _MAR_DECODER.get(inner, inner), *more])
    if name == "fake_latent":
        raise InputError("left over from MAR and never trained; kept for an export")
    return our_name(name)


def _family(path: Path, weights: Mapping[str, Tensor]) -> str:
    if "z_proj.weight" in weights:
        return AUTHORS if "decoder_blocks.0.cross_attn.q.weight" in weights else MAR
    if any(name.removeprefix("text.").startswith("transformer.resblocks.0.") for name in weights):
        return OPEN_CLIP
    known = ", ".join(FAMILIES.values())
    first = f"its first tensor is '{next(iter(weights))}'" if weights else "it holds no tensors by name"
    raise InputError(f"{path} is none of these: {known}; {first}")


def _tensors(tree: Any) -> dict[str, Tensor]:
    """The tensors of a flat map by name; empty for anything else."""
    if not isinstance(tree, Mapping):
        return {}
    named = {str(name).removeprefix("module."): value for name, value in tree.items() if isinstance(value, Tensor)}
    return named if len(named) == len(tree) else {}


def _plain_args(args: Any) -> dict[str, Any]:
    values = vars(args) if isinstance(args, argparse.Namespace) else args if isinstance(args, Mapping) else {}
    plain = {str(key): list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    return {key: value for key, value in plain.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(each) for key, each in value.items())
    return value is None or isinstance(value, (str, int, float, bool))
