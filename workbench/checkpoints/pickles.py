"""Tensors and plain values in the tree of a torch.save file, as `dream.weights.torch_files` reads it."""

import argparse
import datetime
import itertools
import types
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from dream.errors import InputError
from dream.weights.stand_ins import ArrayInFile, Unread

MAX_VALUES = 200_000
"""A file that describes more values is refused: it is built to exhaust the reader."""
MAX_DEPTH = 32
MAX_FACTS = 400
FIRST_FACTS = ("epoch", "step", "global_step", "args")
"""Values at the top of a file that come first, whatever their place in it."""
WORDS = (str, int, float, bool, complex, datetime.date, datetime.time, datetime.timedelta, torch.dtype, torch.device)
"""Types of values that are shown as text."""
MODULE = ("_parameters", "_buffers", "_modules")
"""Where a pickled module keeps what it consists of; its tensors are named as in its state_dict."""


def tensors_by_path(tree: Any) -> tuple[dict[tuple[str, ...], Tensor], dict[str, str]]:
    """Tensors by their path in nested dicts and lists, and the other values as text.

    Raises InputError for a tree that is nested too deeply or far too large.
    """
    tensors: dict[tuple[str, ...], Tensor] = {}
    kinds: tuple[dict[str, str], ...] = ({}, {}, {})
    for number, (place, value) in enumerate(_leaves(tree, (), 0)):
        if number > MAX_VALUES:
            raise InputError(f"the file describes more than {MAX_VALUES:,} values: it is not a checkpoint")
        if isinstance(value, Tensor):
            tensors[place or ("tensor",)] = value
        elif len(facts := kinds[_rank_of_fact(place)]) < MAX_FACTS and (text := _fact(value)):
            facts[".".join(place) or "value"] = text[:120]
    merged = {name: text for facts in kinds for name, text in facts.items()}
    return tensors, dict(itertools.islice(merged.items(), MAX_FACTS))


def _rank_of_fact(place: tuple[str, ...]) -> int:
    """0 for the length of the training and its settings, 2 for the many values of an optimiser, 1 for all others."""
    first = place[0] if place else ""
    return 0 if first in FIRST_FACTS else 2 if first.startswith("optim") else 1


def piece(tensor: Tensor, start: int, stop: int, most: int) -> Tensor:
    """Values `start` to `stop` of a tensor in row-major order, flat; copies at most about `most` values at once."""
    if tensor.is_contiguous():
        return tensor.reshape(-1)[start:stop]
    row = tensor.numel() // tensor.shape[0]
    first, last = start // row, -(-stop // row)
    if row <= most:
        return tensor[first:last].reshape(-1)[start - first * row : stop - first * row]
    rows = [piece(tensor[i], max(start - i * row, 0), min(stop - i * row, row), most) for i in range(first, last)]
    return torch.cat(rows)


def _leaves(value: Any, place: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    if depth > MAX_DEPTH:
        raise InputError("the file nests its values too deeply: it is not a checkpoint")
    if isinstance(value, (argparse.Namespace, types.SimpleNamespace)):
        value = vars(value)
    if isinstance(value, ArrayInFile):
        yield place, _array(value)
    elif isinstance(value, Unread):
        yield place, value
        for key, inner in _contents(value):
            yield from _leaves(inner, place if key in MODULE else (*place, key), depth + (key not in MODULE))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*place, str(key)), depth + 1)
        yield place, None  # so that empty containers count towards the limit
    elif isinstance(value, (list, tuple, set)) and not isinstance(value, torch.Size):
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*place, str(number)), depth + 1)
        yield place, None
    else:
        yield place, value


def _contents(value: Unread) -> list[tuple[str, Any]]:
    """What an object of an unknown class is made of; of a module its parameters, buffers and modules only."""
    state = value.state if isinstance(value.state, Mapping) else {}
    if all(key in state for key in MODULE):
        return [(key, state[key]) for key in MODULE]
    return [*((str(i), one) for i, one in enumerate(value.args)), *((str(key), one) for key, one in state.items())]


def _array(value: ArrayInFile) -> Any:
    try:
        tensor = value.tensor()
    except (ValueError, TypeError) as error:
        raise InputError(
            f"the file is damaged: a NumPy array does not have the bytes of its shape ({error})"
        ) from error
    return "a NumPy array of a type that torch does not have, not read" if tensor is None else tensor


def _fact(value: Any) -> str:
    """The value as text; empty for what is not shown."""
    if isinstance(value, (*WORDS, Unread)):
        return str(value)
    return str(tuple(value)) if isinstance(value, torch.Size) else ""
