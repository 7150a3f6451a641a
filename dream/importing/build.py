"""Builds a model of ours from foreign weights and writes it, with a report of every tensor used, unused and missing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dream.config import DreamConfig
from dream.data.text import load_tokenizer
from dream.errors import InputError
from dream.importing.foreign import AUTHORS, FAMILIES, ForeignWeights, name_here, read_foreign
from dream.importing.sizes import Heads, sized_config
from dream.json_text import format_json
from dream.model.dream import Dream
from dream.official import to_our_shape
from dream.overrides import override
from dream.presets import CLIP_BPE, preset
from dream.randomness import seed_of
from dream.training import checkpoint

RECORD = "import.json"
UNTRAINED = "authors"
"""File of a checkpoint with what only the authors' own format has: `<map>/class_emb.weight` and `<map>/fake_latent`."""


@dataclass(frozen=True)
class ImportOptions:
    """What a file of weights does not say."""

    preset: str = "base"
    """Preset of all settings that it leaves open."""
    assignments: Sequence[str] = ()
    heads: Heads = field(default_factory=dict)
    tokenizer: str = CLIP_BPE
    """Folder or hub name of the caption tokenizer."""


@dataclass(frozen=True)
class ImportReport:
    """What became of every tensor."""

    family: str
    used: dict[str, str]
    """Our name by theirs."""
    unused: dict[str, str]
    """Reason by their name."""
    missing: tuple[str, ...]
    """Our tensors that keep their drawn values."""
    epoch: int | None
    args: dict[str, Any]
    averaged: bool
    """Whether averaged weights came along."""
    averaged_buffers: bool
    """Whether these have buffers, too."""


@dataclass(frozen=True)
class Imported:
    """A model made of foreign weights."""

    config: DreamConfig
    tensors: dict[str, dict[str, Tensor]]
    """Files of a checkpoint: `model`, and if they came along `ema` and `authors`."""
    report: ImportReport


def import_weights(path: Path, out: Path, options: ImportOptions, *, whole: bool = False) -> ImportReport:
    """Writes the model of a foreign file as a checkpoint of ours to `out`; returns what became of every tensor.

    With `whole`, a file that has only a part of a model is refused. Raises InputError for a file that does not fit.
    """
    foreign = read_foreign(path)
    if whole and foreign.family != AUTHORS:
        raise InputError(
            f"{path} is {FAMILIES[foreign.family]}, a part of a model: import it, dream import {path} --out FOLDER, "
            "and train with --start-from FOLDER"
        )
    imported = build(foreign, options)
    config = imported.config
    try:
        tokenizer = load_tokenizer(options.tokenizer, config.text.context_length, config.text.cleaning)
    except InputError as error:
        raise InputError(
            f"the weights in {path} were trained with CLIP's BPE, whose files they do not hold: give a folder with "
            f"vocab.json and merges.txt by dream import {path} --out FOLDER --tokenizer FOLDER ({error})"
        ) from error
    if tokenizer.vocab_size != config.text.vocab_size:
        raise InputError(
            f"the tokenizer '{options.tokenizer}' has {tokenizer.vocab_size:,} ids, the text tower in {path} "
            f"{config.text.vocab_size:,}: give the one that it was trained with by --tokenizer"
        )
    state = checkpoint.TrainingState(0, config, f"imported from {path.name}", None)
    report = format_json({"file": path.name, **asdict(imported.report)}, indent=1) + "\n"
    checkpoint.write_checkpoint(out, state, imported.tensors, tokenizer, others={RECORD: report.encode()})
    return imported.report


def build(foreign: ForeignWeights, options: ImportOptions) -> Imported:
    """The model of foreign weights. Raises InputError for weights that do not fit, and if the authors' lack any."""
    named, used, unused = _named(foreign.family, foreign.weights)
    start = override(preset(options.preset), list(options.assignments))
    config = sized_config(named, start, foreign.args, options.heads)
    config = override(
        replace(config, text=replace(config.text, tokenizer=options.tokenizer)), list(options.assignments)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(config.train.seed, "weights"))
        model = Dream(config)
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    for name, ours in list(used.items()):
        if ours not in state or state[ours].shape != named[ours].shape:
            there = tuple(state[ours].shape) if ours in state else "none"
            unused[name] = f"has the shape {tuple(named[ours].shape)}, the model's is {there}"
            del used[name]
    missing = tuple(name for name in state if name not in used.values())
    if foreign.family == AUTHORS and (missing or any("shape" in reason for reason in unused.values())):
        faults = [f"missing {name}" for name in missing]
        faults += [f"{name} {reason}" for name, reason in unused.items() if "shape" in reason]
        more = f" and {len(faults) - 8} more" if len(faults) > 8 else ""
        raise InputError(f"the weights do not make a whole model: {'; '.join(faults[:8])}{more}")
    state |= {ours: _like(named[ours], state[ours]) for ours in used.values()}
    tensors, averaged = {"model": state}, _named(foreign.family, foreign.averaged)[0]
    parameters = dict(model.named_parameters())
    if averaged:
        fitting = {
            name: value for name, value in averaged.items() if name in state and value.shape == state[name].shape
        }
        tensors["ema"] = {name: _like(fitting.get(name, state[name]), state[name]) for name in parameters}
    if foreign.family == AUTHORS:
        tensors[UNTRAINED] = _untrained(foreign)
    report = ImportReport(
        foreign.family,
        used,
        unused,
        missing,
        foreign.epoch,
        dict(foreign.args),
        bool(averaged),
        any(name not in parameters for name in averaged),
    )
    return Imported(config, {name: group for name, group in tensors.items() if group}, report)


def _named(family: str, weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str], dict[str, str]]:
    """Tensors by our names and in our shapes; our names by theirs; and reasons by names that have no place."""
    named, used, unused = {}, {}, {}
    for name, tensor in weights.items():
        try:
            ours = name_here(family, name)
        except InputError as error:
            unused[name] = str(error)
            continue
        named[ours], used[name] = to_our_shape(ours, tensor), ours
    return named, used, unused


def _fits(tensor: Tensor, target: Tensor | None) -> bool:
    return target is not None and tensor.shape == target.shape


def _like(tensor: Tensor, like: Tensor) -> Tensor:
    return tensor.detach().to(like.dtype).clone().contiguous()


def _untrained(foreign: ForeignWeights) -> dict[str, Tensor]:
    """What the authors' format has besides: rows 1 to 999 of `class_emb`, and `fake_latent`."""
    kept = {}
    for part, weights in (("model", foreign.weights), ("model_ema", foreign.averaged)):
        for name in ("class_emb.weight", "fake_latent"):
            if name in weights:
                rest = weights[name][1:] if name == "class_emb.weight" else weights[name]
                kept[f"{part}/{name}"] = rest.detach().clone().contiguous()
    return kept
