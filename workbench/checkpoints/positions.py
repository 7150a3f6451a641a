"""Position tables: how to find them, place them on the grid, and turn them into pictures and similarity maps.

It works on arrays and opens no file.
"""

import math
import re
from dataclasses import dataclass

import numpy as np

from workbench.checkpoints.files import Part, TensorEntry

NAMED = re.compile(r"(^|[._])(pos|positions?|positional|wpe)([._]|$)|pos_emb|position_embed|positional_embed")
"""Names of position tables in this and other projects."""
MOST_ROWS = 2048
"""Longest table offered, because every pair of rows is compared."""


@dataclass(frozen=True)
class Table:
    """Rows of a position table arranged on a grid."""

    values: np.ndarray
    """(rows * columns, D) float32, in raster order."""
    rows: int
    columns: int
    before: int
    """Number of rows before the grid (buffer tokens), which are left out."""

    def place(self, position: int) -> tuple[int, int]:
        """Row and column of a position."""
        return divmod(position, self.columns)


def position_tables(part: Part) -> list[TensorEntry]:
    """The part's position tables: matrices whose name matches."""
    return [entry for entry in part.entries if _is_table(entry)]


def length(entry: TensorEntry) -> int:
    """Number of positions in a table."""
    return entry.shape[-2]


def guess_side(entry: TensorEntry, part: Part, grid: int | None) -> int:
    """Guesses the side of the grid that the table's last rows fill; 0 for positions on a line, as in text tables.

    In order of precedence: the known `grid` if it fits, the largest fitting side among the part's tables with a square
    number of rows, and the largest square.
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
    """Arranges the last side² rows of a table (T, D) or (1, T, D) on a grid; with side 0, all rows on a line."""
    values = np.asarray(values, dtype=np.float32).reshape(-1, values.shape[-1])
    if side == 0:
        return Table(values, 1, len(values), 0)
    if side**2 > len(values):
        raise ValueError(f"a grid of {side} x {side} needs {side**2} positions, the table has {len(values)}")
    return Table(values[len(values) - side**2 :], side, side, len(values) - side**2)


def components(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Principal components (rows * columns, C), largest first, and their shares of the variance (C,).

    Non-finite values count as zero.
    """
    values = np.nan_to_num(table.values.astype(np.float64), posinf=0.0, neginf=0.0)
    centred = values - values.mean(axis=0)
    wide = len(centred) <= centred.shape[1]  # the smaller of the two products is sufficient
    variance, axes = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    variance, axes = variance[::-1].clip(min=0.0), axes[:, ::-1]
    scores = axes * np.sqrt(variance) if wide else centred @ axes
    return scores, variance / max(variance.sum(), np.finfo(float).tiny)


def as_colours(scores: np.ndarray, table: Table) -> np.ndarray:
    """The first three components as red, green and blue (rows, columns, 3) uint8, each scaled to its range."""
    three = np.zeros((len(scores), 3))
    count = min(3, scores.shape[1])
    three[:, :count] = scores[:, :count]
    low, high = np.percentile(three, 2, axis=0), np.percentile(three, 98, axis=0)
    span = np.where(high > low, high - low, 1.0)
    shades = np.where(high > low, (three - low) / span, 0.5).clip(0, 1)
    return np.rint(shades * 255).astype(np.uint8).reshape(table.rows, table.columns, 3)


def similarities(table: Table, centred: bool = False) -> np.ndarray:
    """Cosines (N, N) between positions, after subtracting their mean if `centred`; 0 for all-zero positions."""
    values = np.nan_to_num(table.values.astype(np.float64), posinf=0.0, neginf=0.0)
    if centred:
        values -= values.mean(axis=0)
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    unit = values / np.where(norms > 0, norms, 1.0)
    return (unit @ unit.T).clip(-1, 1)


def similarity_map(cosines: np.ndarray, table: Table, position: int) -> np.ndarray:
    """Cosines (rows, columns) of one position to all others."""
    return cosines[position].reshape(table.rows, table.columns)


def mosaic(cosines: np.ndarray, table: Table) -> np.ndarray:
    """All similarity maps, each at the place of its position and separated by lines of NaN."""
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
