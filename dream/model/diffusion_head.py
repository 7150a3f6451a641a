"""The diffusion head: an AdaLN-MLP on single tokens that predicts noise (or the clean token) given a condition."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dream.config import DreamConfig
from dream.diffusion import head_output_dim
from dream.model.blocks import LAYER_NORM_EPS, initialise

TIME_FREQUENCIES = 256
FLOW_TIME_SCALE = 1000.0
"""Flow times in [0, 1] are scaled to the range of the integer steps before they are embedded."""


class HeadBlock(nn.Module):
    """LayerNorm, modulate, Linear, SiLU, Linear, gate; shift, scale and gate come from the condition."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.modulation = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Maps (M, W) to (M, W), given the activated condition (M, W)."""
        shift, scale, gate = self.modulation(condition).chunk(3, dim=-1)  # (M, W) each
        return x + gate * self.mlp(self.norm(x) * (1 + scale) + shift)  # (M, W)


class DiffusionHead(nn.Module):
    """Predicts each token's noise from its noised value, the time and the decoder's condition (MAR, section 3).

    Call as `head(noised (M, D_tok), times (M,) or (), head.project(condition (M, D)))`; the result is (M, out).
    See docs/method.md, One model, two objectives.
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
        """Head output (M, out) for noised tokens (M, D_tok) at times (M,), or at one time () for all rows.

        `projected` (M, W) is `project(condition)`, which stays the same over the denoising steps of a token.
        """
        return self.predict(noised, self.embed_times(times), projected)  # (M, out)

    def embed_times(self, times: Tensor) -> Tensor:
        """Embedding (M, W) of times (M,), or (1, W) of one time (). Decoding steps can share it."""
        waves = time_waves(times.reshape(-1) * self.time_scale)  # (M or 1, 256)
        return self.time_embed(waves.to(self.embed.weight.dtype))  # (M or 1, W)

    def predict(self, noised: Tensor, embedded_times: Tensor, projected: Tensor) -> Tensor:
        """Head output (M, out) as in `forward`, given embedded times (M, W) or (1, W)."""
        condition = F.silu(embedded_times + projected)  # (M, W)
        x = self.embed(noised)  # (M, W)
        for block in self.blocks:
            x = block(x, condition)  # (M, W)
        shift, scale = self.modulation_out(condition).chunk(2, dim=-1)  # (M, W) each
        return self.out(self.norm_out(x) * (1 + scale) + shift)  # (M, out)

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
    """Cosines, then sines (M, 256) of times (M,) at 128 frequencies from 1 down to 1/10000."""
    half = TIME_FREQUENCIES // 2
    frequency = torch.exp(-math.log(10000) * torch.arange(half, device=times.device) / half)  # (128,)
    angles = times.float()[:, None] * frequency  # (M, 128)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)  # (M, 256)
