"""Training of a head on the encoder's maps, shared by segmentation and depth.

DREAM's authors publish only results. Heads are trained in the usual way: AdamW, a linear warm-up and a cosine decay.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from dream.errors import InputError
from dream.evaluation.dense.blocks import BlockMaps
from dream.evaluation.dense.data import DensePictures, DenseSplits
from dream.evaluation.progress import Progress
from dream.evaluation.settings import FROM_0, TaskSettings, at_least
from dream.fields import Count, NotNegative, Positive
from dream.model.pretrained import Pretrained
from dream.randomness import seed_of
from dream.weights.finite import require_finite

CHUNK = 64
"""Pictures that go through the encoder at once if nothing is trained."""
FEATURE_BYTES = 1 << 30
"""Maps of a frozen encoder are kept if those of the whole training set fit into this."""
DIVERGED = "the model overflows, or the training diverged: try a smaller lr"
Loss = Callable[[Tensor, Tensor], Tensor]
"""Loss of outputs (B, C, H, W) and targets (B, H, W)."""


@dataclass(frozen=True)
class HeadSettings(TaskSettings):
    """A head and its training."""

    upsampling: Literal["auto", "bilinear", "pixels"] = "auto"
    """From tokens to pixels: one output per token with `bilinear` interpolation (usual), or one output per pixel
    (`pixels`); auto: pixels for pictures of up to 64 pixels, which have too few tokens to interpolate.
    """
    frozen: bool = True
    """Train the head alone; false: also train a copy of the encoder."""
    channels: Count = 64
    """Width of the non-linear heads (UPerNet on real pictures: 512)."""
    epochs: Count = 20
    """Passes over the training pictures (ADE20K usually has 160,000 steps of 16: 127)."""
    batch_size: Annotated[int, at_least(2)] = 32
    """Pictures per step."""
    lr: Positive = 5e-3
    """Peak learning rate of the head (usual on real pictures, 16 per step: 1e-3 linear, 1e-4 UPerNet)."""
    encoder_lr: Positive = 1e-4
    """Peak learning rate of the encoder if it is not frozen."""
    weight_decay: NotNegative = 0.01
    """AdamW's weight decay."""
    warmup: Annotated[float, FROM_0] = 0.05
    """Fraction of the steps with a linearly rising learning rate."""
    pictures: Annotated[int, at_least(2)] = 2000
    """Training pictures drawn for `shapes`."""
    test_pictures: Annotated[int, at_least(2)] = 500
    """Test pictures drawn for `shapes`, half of them unseen combinations."""
    limit: Annotated[int, at_least(0)] = 0
    """At most this many pictures of each split of a real set, drawn at random; 0: all."""


@dataclass(frozen=True)
class HeadPlan:
    """Settings of a head that a task trains on the maps."""

    blocks: tuple[int, ...]
    """Encoder blocks that the head reads (1 is the first)."""
    make: Callable[[int], nn.Module]
    """Makes the head for maps of a width D; its `forward(maps, size)` returns (B, C, size, size)."""
    loss: Loss


def head_outputs(
    pretrained: Pretrained, splits: DenseSplits, plan: HeadPlan, settings: HeadSettings, seed: int, progress: Progress
) -> Iterator[tuple[Tensor, Tensor]]:
    """Outputs (B, C, H, W) of a head trained on the training pictures, and maps (B, H, W), for the test pictures.

    The model is left as it was. Raises InputError if fewer than two training pictures can be read, and for maps, losses
    and outputs that are not finite.
    """
    maps, size = BlockMaps(pretrained, plan.blocks, frozen=settings.frozen), pretrained.config.image.size
    with _seeded(maps.device, seed, settings.task):
        head = plan.make(maps.width).to(maps.device)
        _train(maps, head, splits.train, plan.loss, settings, size, seed, progress)
    return _predictions(maps, head, splits.test, size)


def _train(
    maps: BlockMaps,
    head: nn.Module,
    pictures: DensePictures,
    loss_of: Loss,
    settings: HeadSettings,
    size: int,
    seed: int,
    progress: Progress,
) -> None:
    """Trains `head` (and the encoder unless frozen) on the loss."""
    examples = _TrainingMaps(maps, pictures)
    steps = settings.epochs * len(_batch_sizes(len(examples), settings.batch_size))
    groups: list[dict[str, Any]] = [
        {"params": list(head.parameters())},
        {"params": maps.parameters(), "lr": settings.encoder_lr},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.lr, weight_decay=settings.weight_decay)
    peaks = [group["lr"] for group in optimizer.param_groups]
    head.train()
    maps.train(True)
    trained = 0
    for step, rows in enumerate(_batches(len(examples), settings, seed)):
        inputs, targets = examples.load(rows)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * _rate(step / steps, settings.warmup)
        if len(targets) > 1:  # BatchNorm needs two examples; others of the batch may be broken
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(head(inputs, size), targets.to(maps.device))
            require_finite(loss, f"the values of the loss of the head at step {step}", DIVERGED)
            loss.backward()
            optimizer.step()
            trained += 1
        progress((step + 1) / steps, "training the head")
    head.eval()
    maps.train(False)
    if not trained:
        reasons = pictures.report.summary(3).replace("\n", "; ")
        raise InputError(f"fewer than two training pictures and their maps can be read ({reasons})")


@torch.no_grad()
def _predictions(
    maps: BlockMaps, head: nn.Module, pictures: DensePictures, size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The head's outputs (B, C, H, W) and the maps (B, H, W) of all readable pictures, on the CPU."""
    for images, targets in pictures.chunks(CHUNK):
        yield require_finite(head(maps(images), size).float().cpu(), "the outputs of the head"), targets


@contextmanager
def _seeded(device: torch.device, *key: int | str) -> Iterator[None]:
    """Seeds torch's global generators (initial weights, dropout) from `key`, and restores them after the block."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed_of(*key))
        yield


class _TrainingMaps:
    """Training examples as the head sees them; maps of a frozen encoder are kept if they fit in memory."""

    def __init__(self, maps: BlockMaps, pictures: DensePictures) -> None:
        self._maps, self._pictures = maps, pictures
        self._kept: tuple[list[Tensor], Tensor] | None = None
        if maps.frozen and len(pictures) * maps.bytes_per_picture <= FEATURE_BYTES:
            chunks = [(maps(images), targets) for images, targets in pictures.chunks(CHUNK)]
            if chunks:
                levels = [torch.cat(level) for level in zip(*(chunk for chunk, _ in chunks), strict=True)]
                self._kept = levels, torch.cat([targets for _, targets in chunks])

    def __len__(self) -> int:
        return len(self._pictures) if self._kept is None else len(self._kept[1])

    def load(self, rows: Tensor) -> tuple[list[Tensor], Tensor]:
        if self._kept is not None:
            levels, targets = self._kept
            return [level[rows.to(level.device)] for level in levels], targets[rows]
        images, targets = self._pictures.load(rows.tolist())
        return (self._maps(images) if len(images) else []), targets


def _batches(count: int, settings: HeadSettings, seed: int) -> Iterator[Tensor]:
    draws = np.random.default_rng(seed_of(seed, "dense order"))
    for _ in range(settings.epochs):
        yield from torch.from_numpy(draws.permutation(count)).split(_batch_sizes(count, settings.batch_size))


def _batch_sizes(count: int, batch_size: int) -> list[int]:
    """Pictures per batch; a last one of one picture, too few for BatchNorm, joins the batch before it."""
    sizes = [min(batch_size, count - start) for start in range(0, count, batch_size)]
    return [*sizes[:-2], sizes[-2] + 1] if len(sizes) > 1 and sizes[-1] == 1 else sizes


def _rate(done: float, warmup: float) -> float:
    """Learning rate over its peak after a fraction `done` of the steps."""
    if done < warmup:
        return (done + 1e-3) / (warmup + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - warmup) / (1 - warmup))))
