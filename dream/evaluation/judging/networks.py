"""What the networks of all judges share: the pictures they read, a step of their training, and how they are stored."""

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dream.files import replace_text

Network = TypeVar("Network", bound=nn.Module)


def to_read(images: Tensor, side: int) -> Tensor:
    """(B, 3, side, side) float: square pictures (B, 3, H, W) of any size, uint8 or float, which are cut to [0, 1]."""
    return rescaled(images.float() / 255 if images.dtype == torch.uint8 else images.float().clamp(0, 1), side)


def rescaled(pictures: Tensor, side: int) -> Tensor:
    """Float pictures (B, 3, side, side) of pictures of any size."""
    if pictures.shape[-2:] == (side, side):
        return pictures
    return F.interpolate(pictures, (side, side), mode="bilinear", antialias=True, align_corners=False)


def descend(loss: Tensor, optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler) -> None:
    """One step of a training down the gradient of `loss`."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()


def load_network(network: Network, path: Path) -> Network:
    """The network with the stored weights, in eval mode."""
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()}, strict=True)
    return network.eval().requires_grad_(False)


def fused(network: Network) -> Network:
    """The network, in eval mode, with each batch norm folded into the convolution before it."""
    for layers in [part for part in network.modules() if isinstance(part, nn.Sequential)]:
        for i, (conv, norm) in enumerate(pairwise(list(layers))):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                layers[i], layers[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return network.requires_grad_(False)


def halved(network: nn.Module) -> dict[str, Tensor]:
    """Weights in half precision, ready to be stored; the network takes these values, so that it is what is stored."""
    weights = {name: t.half().contiguous() if t.is_floating_point() else t for name, t in network.state_dict().items()}
    network.load_state_dict({name: t.float() for name, t in weights.items()})
    return weights


def write_network(out: Path, weights: dict[str, Tensor], about: Mapping[str, Any], indent: int = 2) -> None:
    """Writes the weights and, next to them, a JSON about them."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(save(weights))
    replace_text(out.with_suffix(".json"), json.dumps(about, indent=indent, ensure_ascii=False) + "\n")
