"""A checkpoint's tensors and distances as data frames. Plain data in; it opens no file."""

from collections.abc import Iterable, Mapping

import pandas as pd

from workbench.checkpoints.difference import Distance
from workbench.checkpoints.files import Part
from workbench.checkpoints.statistics import TensorStatistics
from workbench.checkpoints.words import layer_of


def tensor_table(part: Part, measured: Mapping[str, TensorStatistics]) -> pd.DataFrame:
    """A row a tensor: name, layer, shape, dtype, values, bytes.

    Once anything was measured also norm (L2), rms, mean, min, max, zeros, nonfinite (counts) and problems
    (words); NaN for a tensor that was not.
    """
    entries = part.entries
    columns: dict[str, list] = {
        "name": [entry.name for entry in entries],
        "layer": [layer_of(entry.name) for entry in entries],
        "shape": [entry.shape for entry in entries],
        "dtype": [entry.dtype for entry in entries],
        "values": [entry.count for entry in entries],
        "bytes": [entry.bytes for entry in entries],
    }
    if measured:
        rows = [_numbers(measured.get(entry.name)) for entry in entries]
        columns |= {name: [row[name] for row in rows] for name in rows[0]}
    return pd.DataFrame(columns)


def distance_table(distances: Iterable[Distance]) -> pd.DataFrame:
    """A row a layer (or tensor): name, values, relative (L2 norm of the change over that of A), cosine,
    largest (change of one value), equal.
    """
    names = ("name", "count", "relative", "cosine", "largest", "equal")
    rows = [[getattr(distance, name) for name in names] for distance in distances]
    return pd.DataFrame(rows, columns=list(names)).rename(columns={"count": "values"})


def _numbers(one: TensorStatistics | None) -> dict[str, object]:
    """What was measured of a tensor; None for each number where it was not."""
    return {
        "norm": one and one.norm,
        "rms": one and one.rms,
        "mean": one and one.mean,
        "min": one and one.low,
        "max": one and one.high,
        "zeros": one and one.zeros,
        "nonfinite": one and one.nonfinite,
        "problems": ", ".join(one.problems) if one else "",
    }
