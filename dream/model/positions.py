"""Tables that tell a token where it is: learned, sine-cosine, and rotary. Buffer tokens stand before the
grid.
"""

import torch
from torch import Tensor, nn


def position_table(kind: str, grid: int, buffer_tokens: int, width: int) -> nn.Parameter:
    """(R + N, D) learned table; it starts at N(0, 0.02), or on the grid at 2-D sine-cosine waves
    (`sincos`).
    """
    table = torch.randn(buffer_tokens + grid**2, width) * 0.02
    if kind == "sincos":
        table[buffer_tokens:] = sine_cosine_table(grid, width)
    return nn.Parameter(table)


def sine_cosine_table(grid: int, width: int) -> Tensor:
    """(N, D): sines and cosines of row and column over D/4 frequencies each; what is left of D stays zero."""
    waves = width // 4
    frequency = _frequencies(waves)
    row, column = _cells(grid)
    angles = torch.cat([row[:, None] * frequency, column[:, None] * frequency], dim=1)
    table = torch.zeros(grid**2, width)
    table[:, : 4 * waves] = torch.cat([angles.sin(), angles.cos()], dim=1)
    return table


def text_position_table(kind: str, length: int, width: int) -> nn.Parameter:
    """(T, D) learned table of the text aligner: it starts at zero, or (`sincos`) at sine-cosine waves.

    From zero, word order stays invisible for long: a small model paints the right things in the wrong places.
    """
    table = torch.zeros(length, width)
    if kind == "sincos":
        angles = torch.arange(length)[:, None] * _frequencies(width // 2)
        table[:, : 2 * (width // 2)] = torch.cat([angles.sin(), angles.cos()], dim=1)
    return nn.Parameter(table)


def rotary_table(grid: int, buffer_tokens: int, head_width: int) -> Tensor:
    """(R + N, 2 d): sines, then cosines, of 2-D rotary angles in the two-halves layout; buffer tokens are
    not turned.
    """
    waves = head_width // 4
    # lengths from about 2 cells to the whole grid and beyond: a small grid needs no slow waves
    frequency = torch.pi / 2 / (4.0 * grid) ** (torch.arange(waves) / max(waves, 1))
    row, column = _cells(grid)
    angles = torch.cat([row[:, None] * frequency, column[:, None] * frequency], dim=1)  # (N, d / 2)
    angles = torch.cat([torch.zeros(buffer_tokens, head_width // 2), angles]).repeat(1, 2)  # (R + N, d)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def half_maps(grid: int, count: int) -> Tensor:
    """(count, N) logits of weight maps over the grid: left, right, top, bottom, then level ones."""
    row, column = _cells(grid)
    slope = 2.0 / max((grid - 1) / 2, 1)
    column, row = (column - (grid - 1) / 2) * slope, (row - (grid - 1) / 2) * slope
    maps = torch.stack([-column, column, -row, row])[:count]
    return torch.cat([maps, torch.zeros(max(0, count - 4), grid**2)])


def _frequencies(waves: int) -> Tensor:
    """(waves,) angular frequencies, from 1 down towards 1/10000."""
    return 1.0 / 10000 ** (torch.arange(waves) / max(waves, 1))


def _cells(grid: int) -> tuple[Tensor, Tensor]:
    """Row and column (N,) float of every position in raster order."""
    index = torch.arange(grid**2)
    return (index // grid).float(), (index % grid).float()
