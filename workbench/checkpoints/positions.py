"""Position tables as pictures and as maps of similarity: which parameters they are, how they lie on the grid.

Arrays in and out; it opens no file.
"""

import math
import re
from dataclasses import dataclass

import numpy as np

from workbench.checkpoints.files import Part, TensorEntry

NAMED = re.compile(r"(^|[._])(pos|positions?|positional|wpe)([._]|$)|pos_emb|position_embed|positional_embed")
"""How position tables are named, ours and others'."""
MOST_ROWS = 2048
"""Longer tables are not offered: every pair of rows is compared."""


@dataclass(frozen=True)
class Table:
    """Rows of a position table that lie on a grid."""

    values: np.ndarray
    """(rows * columns, D) float32, in raster order."""
    rows: int
    columns: int
    before: int
    """Rows of the table that stand before the grid (buffer tokens) and are left out."""

    def place(self, position: int) -> tuple[int, int]:
        """Row and column of a position."""
        return divmod(position, self.columns)


def position_tables(part: Part) -> list[TensorEntry]:
    """The part's position tables: matrices that are named like one."""
    return [entry for entry in part.entries if _is_table(entry)]


def length(entry: TensorEntry) -> int:
    """Positions in a table."""
    return entry.shape[-2]


def guess_side(entry: TensorEntry, part: Part, grid: int | None) -> int:
    """Cells a side of the grid that the table's last rows fill; 0 where its positions lie on a line.

    A known `grid` wins where it fits; then tables of the part that are a square without anything before it;
    then the largest square. Tables of texts lie on a line.
    """
    count = length(entry)
    if re.search(r"text|aligner|^positional_embedding|wpe", entry.name):
        return 0
    if grid is not None and grid**2 <= count:
        return grid
    sides = [math.isqrt(length(other)) for other in position_tables(part) if _square(length(other))]
    fitting = [side for side in sides if side**2 <= count]
    return max(fitting) if fitting else math.isqrt(count)


def on_grid(values: np.ndarray, side: int) -> Table:
    """The last side² rows of a table (T, D) or (1, T, D) as a grid; with side 0 all rows on a line."""
    values = np.asarray(values, dtype=np.float32).reshape(-1, values.shape[-1])
    if side == 0:
        return Table(values, 1, len(values), 0)
    if side**2 > len(values):
        raise ValueError(f"a grid of {side} x {side} needs {side**2} positions, the table has {len(values)}")
    return Table(values[len(values) - side**2 :], side, side, len(values) - side**2)


def components(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Principal components (rows * columns, C) of the positions, largest first, and their shares of variance
    (C,); values that are not finite count as zero.
    """
    values = np.nan_to_num(table.values.astype(np.float64), posinf=0.0, neginf=0.0)
    centred = values - values.mean(axis=0)
    wide = len(centred) <= centred.shape[1]  # the smaller of the two products has all that is needed
    variance, axes = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    variance, axes = variance[::-1].clip(min=0.0), axes[:, ::-1]
    scores = axes * np.sqrt(variance) if wide else centred @ axes
    return scores, variance / max(variance.sum(), np.finfo(float).tiny)


def as_colours(scores: np.ndarray, table: Table) -> np.ndarray:
    """(rows, columns, 3) uint8: the first three components as red, green and blue, each over its range."""
    three = np.zeros((len(scores), 3))
    count = min(3, scores.shape[1])
    three[:, :count] = scores[:, :count]
    low, high = np.percentile(three, 2, axis=0), np.percentile(three, 98, axis=0)
    span = np.where(high > low, high - low, 1.0)
    shades = np.where(high > low, (three - low) / span, 0.5).clip(0, 1)
    return np.rint(shades * 255).astype(np.uint8).reshape(table.rows, table.columns, 3)


def similarities(table: Table, centred: bool = False) -> np.ndarray:
    """(N, N) cosine between the positions, `centred`: less their mean; 0 for one that is zero throughout."""
    values = np.nan_to_num(table.values.astype(np.float64), posinf=0.0, neginf=0.0)
    if centred:
        values -= values.mean(axis=0)
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    unit = values / np.where(norms > 0, norms, 1.0)
    return (unit @ unit.T).clip(-1, 1)


def similarity_map(cosines: np.ndarray, table: Table, position: int) -> np.ndarray:
    """(rows, columns): cosine of one position to all."""
    return cosines[position].reshape(table.rows, table.columns)


def mosaic(cosines: np.ndarray, table: Table) -> np.ndarray:
    """All similarity maps, each at the place of its position, with an empty line (NaN) between two."""
    rows, columns = table.rows, table.columns
    tiles = np.full((rows * (rows + 1) - 1, columns * (columns + 1) - 1), np.nan)
    for position in range(len(cosines)):
        row, column = table.place(position)
        top, left = row * (rows + 1), column * (columns + 1)
        tiles[top : top + rows, left : left + columns] = similarity_map(cosines, table, position)
    return tiles


def _is_table(entry: TensorEntry) -> bool:
    shape = entry.shape[1:] if len(entry.shape) == 3 and entry.shape[0] == 1 else entry.shape
    fits = len(shape) == 2 and 1 < shape[0] <= MOST_ROWS and shape[1] > 1
    return fits and entry.readable and bool(NAMED.search(entry.name))


def _square(count: int) -> bool:
    return math.isqrt(count) ** 2 == count and count > 1
