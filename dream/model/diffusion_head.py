"""The diffusion head: an AdaLN-MLP on single tokens that predicts noise (or the clean token) given a
condition.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dream.config import DreamConfig
from dream.diffusion import head_output_dim
from dream.model.blocks import LAYER_NORM_EPS, initialise

TIME_FREQUENCIES = 256
FLOW_TIME_SCALE = 1000.0
"""Flow times in [0, 1] are stretched to the range of the integer steps before they are embedded."""


class HeadBlock(nn.Module):
    """LayerNorm, modulate, Linear, SiLU, Linear, gate; the modulation comes from the condition."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.modulation = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(M, W), activated condition (M, W) -> (M, W)."""
        shift, scale, gate = self.modulation(condition).chunk(3, dim=-1)
        return x + gate * self.mlp(self.norm(x) * (1 + scale) + shift)


class DiffusionHead(nn.Module):
    """`head(noised (M, D_tok), times (M,) or (), head.project(condition)) -> (M, out)` (MAR, section 3;
    spec section 1).
    """

    def __init__(self, config: DreamConfig) -> None:
        super().__init__()
        c, token_dim = config.head, config.image.token_dim
        self.time_scale = FLOW_TIME_SCALE if c.objective == "flow" else 1.0
        self.time_embed = nn.Sequential(nn.Linear(TIME_FREQUENCIES, c.width), nn.SiLU(), nn.Linear(c.width, c.width))
        self.project = nn.Linear(config.decoder.width, c.width)
        self.embed = nn.Linear(token_dim, c.width)
        self.blocks = nn.ModuleList(HeadBlock(c.width) for _ in range(c.depth))
        self.norm_out = nn.LayerNorm(c.width, eps=LAYER_NORM_EPS, elementwise_affine=False)
        self.modulation_out = nn.Linear(c.width, 2 * c.width)
        self.out = nn.Linear(c.width, head_output_dim(c, token_dim))
        self._initialise()

    def forward(self, noised: Tensor, times: Tensor, projected: Tensor) -> Tensor:
        """Head output (M, out) of noised tokens (M, D_tok) at `times` (M,), or () for one time of all rows.

        `projected` (M, W) is `project(condition)`, which does not change over the denoising steps of a token.
        """
        return self.predict(noised, self.embed_times(times), projected)

    def embed_times(self, times: Tensor) -> Tensor:
        """(M, W) embedding of times (M,), or (1, W) of one time (); the same in every step of a decode."""
        waves = time_waves(times.reshape(-1) * self.time_scale)  # (M or 1, 256)
        return self.time_embed(waves.to(self.embed.weight.dtype))

    def predict(self, noised: Tensor, embedded_times: Tensor, projected: Tensor) -> Tensor:
        """`forward` with the times embedded already, (M, W) or (1, W)."""
        condition = F.silu(embedded_times + projected)  # (M, W)
        x = self.embed(noised)
        for block in self.blocks:
            x = block(x, condition)
        shift, scale = self.modulation_out(condition).chunk(2, dim=-1)
        return self.out(self.norm_out(x) * (1 + scale) + shift)

    def _initialise(self) -> None:
        self.apply(initialise)
        for layer in self.time_embed:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.02)
        modulations = [block.modulation for block in self.blocks if isinstance(block, HeadBlock)]
        for layer in (*modulations, self.modulation_out, self.out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)


def time_waves(times: Tensor) -> Tensor:
    """(M, 256): cosines, then sines, of times (M,) at 128 frequencies from 1 down to 1/10000."""
    half = TIME_FREQUENCIES // 2
    frequency = torch.exp(-math.log(10000) * torch.arange(half, device=times.device) / half)
    angles = times.float()[:, None] * frequency
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
