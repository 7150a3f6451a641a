"""The one check that values are numbers: what is NaN or infinite is refused by name, never used.

A NaN loses every comparison, so ranks, classes and clamps made of it look like good ones.
"""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from dream.errors import InputError

NAMED = 3
"""Tensors named in a message."""

Values = TypeVar("Values", Tensor, np.ndarray)


def require_finite(values: Values, what: str, remedy: str = "") -> Values:
    """Returns `values`; raises InputError if any is NaN or infinite.

    `what` is the plural subject of the sentence ("the features of the pictures"), `remedy` what to do.
    """
    tensor = torch.as_tensor(values)
    bad = count_nonfinite(tensor)
    if bad:
        advice = remedy or "the model overflows or was damaged: try float32, the raw weights or an earlier checkpoint"
        raise InputError(f"{what} are not all numbers: {bad:,} of {tensor.numel():,} are NaN or infinite; {advice}")
    return values


def require_lengths(features: Tensor, what: str) -> Tensor:
    """Returns features (B, D); raises InputError if a value is not finite, or a vector's square is too large for it.

    The length of such a vector is infinite, so that normalising makes zeros of it.
    """
    require_finite(features, what)
    require_finite(features.float().square().sum(dim=-1), f"the lengths of {what}")
    return features


def require_unit(features: Tensor, what: str) -> Tensor:
    """Returns normalised features (B, E); raises InputError for NaN, and for vectors that overflow made zeros of."""
    require_finite(features, what)
    lost = int((features.float().square().sum(dim=-1) < 0.25).sum())
    if lost:
        raise InputError(
            f"{what} cannot be compared: {lost:,} of {len(features):,} have no direction, because they overflowed or "
            "are zero; the model overflows or was damaged: try float32, the raw weights or an earlier checkpoint"
        )
    return features


def require_logits(logits: Tensor, what: str) -> Tensor:
    """Returns logits; raises InputError for NaN and plus infinity. Minus infinity is a class that is ruled out."""
    require_finite(logits.masked_fill(logits == -torch.inf, 0), what)
    return logits


def count_nonfinite(values: Tensor) -> int:
    """Number of NaN and infinite values; 0 for whole numbers."""
    if not (values.is_floating_point() or values.is_complex()) or not values.numel():
        return 0
    if values.element_size() == 1:  # the 8-bit types have no arithmetic
        values = values.float()
    if bool(values.sum().isfinite()):  # no sum with NaN or infinity in it is finite; this is ten times as fast
        return 0
    return values.numel() - int(values.isfinite().sum())


def nonfinite_tensors(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Number of NaN and infinite values of each tensor that has any, in order."""
    counts = {name: count_nonfinite(tensor) for name, tensor in tensors.items()}
    return {name: count for name, count in counts.items() if count}


def require_finite_weights(tensors: Mapping[str, Tensor], place: str, remedy: str = "") -> None:
    """Raises InputError, naming the first tensors with NaN or infinite values and their numbers.

    `place` is the file or model they are of. Takes about 40 ms per GB in memory.
    """
    bad = nonfinite_tensors(tensors)
    if bad:
        raise InputError(
            f"the weights in {place} are not all numbers: {nonfinite_words(bad, tensors)}; "
            + (remedy or "the training that wrote them diverged, or the file was damaged: use other weights")
        )


def nonfinite_words(bad: Mapping[str, int], tensors: Mapping[str, Tensor]) -> str:
    """`'a.weight' holds 3 NaN or infinite values of 64, 'b.bias' 1 of 8, and 2 more tensors have some`."""
    words = [f"'{name}' {count:,} of {tensors[name].numel():,}" for name, count in list(bad.items())[:NAMED]]
    more = f" and {len(bad) - NAMED:,} more tensors" if len(bad) > NAMED else ""
    return f"NaN or infinite are in {', '.join(words)}{more}"
