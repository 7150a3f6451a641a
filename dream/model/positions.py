"""Position tables: learned, sine-cosine and rotary. Buffer tokens come before the grid."""

import torch
from torch import Tensor, nn


def position_table(kind: str, grid: int, buffer_tokens: int, width: int) -> nn.Parameter:
    """Learned table (R + N, D), drawn from N(0, 0.02); with `sincos` the grid starts at 2-D sine-cosine waves."""
    table = torch.randn(buffer_tokens + grid**2, width) * 0.02
    if kind == "sincos":
        table[buffer_tokens:] = sine_cosine_table(grid, width)
    return nn.Parameter(table)


def sine_cosine_table(grid: int, width: int) -> Tensor:
    """Sines and cosines (N, D) of row and column at D // 4 frequencies each; any remaining columns are zero."""
    waves = width // 4
    frequency = _frequencies(waves)
    row, column = _cells(grid)  # (N,) each
    angles = torch.cat([row[:, None] * frequency, column[:, None] * frequency], dim=1)  # (N, 2 * waves)
    table = torch.zeros(grid**2, width)
    table[:, : 4 * waves] = torch.cat([angles.sin(), angles.cos()], dim=1)  # (N, 4 * waves)
    return table


def text_position_table(kind: str, length: int, width: int) -> nn.Parameter:
    """Learned table (T, D) of the text aligner: zeros, or with `sincos` sine-cosine waves.

    A small model that starts from zeros learns word order late: it paints the right things in the wrong positions.
    """
    table = torch.zeros(length, width)
    if kind == "sincos":
        angles = torch.arange(length)[:, None] * _frequencies(width // 2)  # (T, D // 2)
        table[:, : 2 * (width // 2)] = torch.cat([angles.sin(), angles.cos()], dim=1)
    return nn.Parameter(table)


def rotary_table(grid: int, buffer_tokens: int, head_width: int) -> Tensor:
    """Sines, then cosines (R + N, 2 d) of 2-D rotary angles in the two-halves layout; buffer tokens have angle zero."""
    waves = head_width // 4
    # wavelengths run from about 4 cells to beyond the grid: a small grid needs no slower ones
    frequency = torch.pi / 2 / (4.0 * grid) ** (torch.arange(waves) / max(waves, 1))
    row, column = _cells(grid)  # (N,) each
    angles = torch.cat([row[:, None] * frequency, column[:, None] * frequency], dim=1)  # (N, d / 2)
    angles = torch.cat([torch.zeros(buffer_tokens, head_width // 2), angles]).repeat(1, 2)  # (R + N, d)
    return torch.cat([angles.sin(), angles.cos()], dim=1)  # (R + N, 2 d)


def half_maps(grid: int, count: int) -> Tensor:
    """Logits (count, N) of weight maps over the grid: left, right, top, bottom, then flat ones."""
    row, column = _cells(grid)  # (N,) each
    slope = 2.0 / max((grid - 1) / 2, 1)
    column, row = (column - (grid - 1) / 2) * slope, (row - (grid - 1) / 2) * slope
    maps = torch.stack([-column, column, -row, row])[:count]
    return torch.cat([maps, torch.zeros(max(0, count - 4), grid**2)])


def _frequencies(waves: int) -> Tensor:
    """Angular frequencies (waves,), from 1 down towards 1/10000."""
    return 1.0 / 10000 ** (torch.arange(waves) / max(waves, 1))


def _cells(grid: int) -> tuple[Tensor, Tensor]:
    """Row and column (N,) float of each position in raster order."""
    index = torch.arange(grid**2)
    return (index // grid).float(), (index % grid).float()
