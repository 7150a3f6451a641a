"""Heads that predict a value for every pixel from the encoder's maps.

DREAM's heads are not published; these are the usual ones for ViTs: a BatchNorm and a linear layer on tokens, as in
DINOv2; the same after convolutions; and UPerNet on four blocks, as in BEiT and MAE.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dream.config import ImageConfig

POOLS = (1, 2, 3, 6)
"""Side lengths of UPerNet's pooled maps."""
SMALL = 64
"""Up to this picture size, heads have one output per pixel by default."""


class LinearHead(nn.Module):
    """BatchNorm and a linear layer on the last block's tokens; with `cell`, one output per pixel of a token."""

    def __init__(self, width: int, outputs: int, cell: int | None) -> None:
        super().__init__()
        self.cell = cell
        self.norm = nn.BatchNorm2d(width)
        self.project = nn.Conv2d(width, outputs * (cell or 1) ** 2, 1)

    def forward(self, maps: list[Tensor], size: int) -> Tensor:
        """(B, outputs, size, size) from maps (B, D, g, g)."""
        x = self.project(self.norm(maps[-1]))
        return resized(x, size) if self.cell is None else F.pixel_shuffle(x, self.cell)


class ConvHead(nn.Module):
    """Two 3 x 3 convolutions on the last block's tokens, then a linear head."""

    def __init__(self, width: int, outputs: int, cell: int | None, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(convolution(width, channels, 3), convolution(channels, channels, 3))
        self.linear = LinearHead(channels, outputs, cell)

    def forward(self, maps: list[Tensor], size: int) -> Tensor:
        """(B, outputs, size, size) from maps (B, D, g, g)."""
        return self.linear([self.convolutions(maps[-1])], size)


class UPerHead(nn.Module):
    """UPerNet (arXiv 1807.10221): a pyramid of four blocks, pooled at the top, summed downwards and fused.

    A ViT's maps all have one size; they are resized to 4, 2, 1 and 1/2 times the grid, here without parameters.
    """

    SCALES = (4, 2, 1)

    def __init__(self, width: int, outputs: int, channels: int) -> None:
        super().__init__()
        levels = range(len(self.SCALES))
        self.pooled = nn.ModuleList(convolution(width, channels, 1) for _ in POOLS)
        self.top = convolution(width + len(POOLS) * channels, channels, 3)
        self.lateral = nn.ModuleList(convolution(width, channels, 1) for _ in levels)
        self.smooth = nn.ModuleList(convolution(channels, channels, 3) for _ in levels)
        self.fuse = convolution((len(self.SCALES) + 1) * channels, channels, 3)
        self.classify = nn.Conv2d(channels, outputs, 1)

    def forward(self, maps: list[Tensor], size: int) -> Tensor:
        """(B, outputs, size, size) from the maps (B, D, g, g) of four blocks."""
        *finer, coarsest = maps
        coarse = F.max_pool2d(coarsest, 2, ceil_mode=True)
        side = coarse.shape[-1]
        pools = [resized(c(F.adaptive_avg_pool2d(coarse, k)), side) for c, k in zip(self.pooled, POOLS, strict=True)]
        above = self.top(torch.cat([coarse, *pools], 1))  # (B, channels, side, side)
        levels = [above]
        for lateral, smooth, scale, level in zip(
            *(list(reversed(each)) for each in (self.lateral, self.smooth, self.SCALES, finer)), strict=True
        ):
            side = scale * level.shape[-1]
            above = resized(lateral(level), side) + resized(above, side)
            levels.append(smooth(above))
        return resized(self.classify(self.fuse(torch.cat([resized(x, side) for x in levels], 1))), size)


def convolution(inputs: int, outputs: int, side: int) -> nn.Sequential:
    """A convolution that keeps the size, BatchNorm and ReLU."""
    layer = nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


def resized(x: Tensor, side: int) -> Tensor:
    """(B, C, side, side), bilinearly interpolated between pixel centres."""
    return F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)


def pixels_per_token(config: ImageConfig, upsampling: str) -> int | None:
    """Side of a token in pixels if a head has one output per pixel; None if outputs are interpolated."""
    wanted = upsampling == "pixels" or (upsampling == "auto" and config.size <= SMALL)
    return config.stride * config.patch_size if wanted else None
