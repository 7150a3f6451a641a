"""What segmentation and depth share: the encoder's blocks as maps, and the training of a head on them.

Nothing is masked, and a square picture of the model's size goes through the encoder once. DREAM's authors
publish only results: heads are trained as is usual, with AdamW, a linear warm-up and a cosine decay.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from dream.errors import InputError
from dream.evaluation.dense.data import DensePictures
from dream.evaluation.limits import at_least
from dream.evaluation.progress import Progress
from dream.model.encoder import equal_groups
from dream.randomness import seed_of

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

CHUNK = 64
"""Pictures that go through the encoder at once where nothing is trained."""
FEATURE_BYTES = 1 << 30
"""A frozen encoder's maps are kept when all of a training set's fit into this."""
Loss = Callable[[Tensor, Tensor], Tensor]
"""Of outputs (B, C, H, W) and targets (B, H, W)."""


@dataclass(frozen=True)
class HeadSettings:
    """How a head is made and trained."""

    upsampling: Literal["auto", "bilinear", "pixels"] = "auto"
    """How tokens become pixels: one output a token and `bilinear` in between (usual), or an output for each
    of the token's `pixels`; auto takes these for pictures of at most 64 pixels, whose tokens are too few.
    """
    frozen: bool = True
    """Train the head alone; false trains a copy of the encoder with it."""
    channels: int = 64
    """Width of the heads that are not linear (UPerNet on real pictures: 512)."""
    epochs: int = 20
    """Passes over the training pictures (ADE20K usually has 160,000 steps of 16: 127)."""
    batch_size: int = 32
    """Pictures a step."""
    lr: float = 5e-3
    """Peak learning rate of the head (usual on real pictures, 16 a step: 1e-3 linear, 1e-4 UPerNet)."""
    encoder_lr: float = 1e-4
    """Peak learning rate of the encoder where it is not frozen."""
    weight_decay: float = 0.01
    """AdamW's weight decay."""
    warmup: float = 0.05
    """Fraction of the steps with a linearly rising learning rate."""
    pictures: int = 2000
    """Training pictures drawn for `shapes`."""
    test_pictures: int = 500
    """Test pictures drawn for `shapes`, half of unseen combinations."""
    limit: int = 0
    """At most so many pictures of each split of a real set, drawn at random; 0 takes all."""


def check_settings(task: str, settings: HeadSettings) -> None:
    """Raises InputError for a field out of range."""
    at_least(task, settings, channels=1, batch_size=2, epochs=1, pictures=2, test_pictures=2, limit=0)
    for name in ("lr", "encoder_lr"):
        if not getattr(settings, name) > 0:
            raise InputError(f"{task}.{name} must be above 0, got {getattr(settings, name)}")
    if settings.weight_decay < 0 or not 0 <= settings.warmup < 1:
        raise InputError(f"{task}.weight_decay must be at least 0 and {task}.warmup in [0, 1)")
    if settings.upsampling not in ("auto", "bilinear", "pixels"):
        raise InputError(f"{task}.upsampling must be auto, bilinear or pixels, got '{settings.upsampling}'")


class BlockMaps:
    """The outputs of some encoder blocks as maps; the last block's behind the encoder's last LayerNorm."""

    def __init__(self, pretrained: "Pretrained", blocks: Sequence[int], *, frozen: bool) -> None:
        """`blocks` count from 1 and rise. Unless frozen, the encoder is a copy, which can be trained."""
        self.blocks, self.frozen = tuple(blocks), frozen
        self.encoder = pretrained.model.encoder if frozen else copy.deepcopy(pretrained.model.encoder)
        self.grid, self.width = pretrained.config.image.grid, pretrained.config.encoder.width
        self._image_tokenizer = pretrained.image_tokenizer

    @property
    def device(self) -> torch.device:
        return next(self.encoder.parameters()).device

    @property
    def bytes_a_picture(self) -> int:
        return 4 * len(self.blocks) * self.width * self.grid**2

    def parameters(self) -> list[nn.Parameter]:
        """What is trained of it."""
        return [] if self.frozen else list(self.encoder.requires_grad_().parameters())

    def train(self, training: bool) -> None:
        """Dropout on or off; a frozen encoder stays as it is."""
        if not self.frozen:
            self.encoder.train(training)

    def __call__(self, images: Tensor) -> list[Tensor]:
        """(B, D, g, g) of each of the blocks, from pictures (B, 3, H, W) uint8."""
        tokens = self._image_tokenizer.tokenize(images).to(self.device)
        groups = equal_groups(torch.zeros(tokens.shape[:2], dtype=torch.bool, device=self.device))
        outputs: dict[int, Tensor] = {}
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen), self._watched(outputs):
            outputs[len(self.encoder.blocks)] = self.encoder(tokens, groups).tokens
        return [self._as_map(outputs[number], len(images)) for number in self.blocks]

    @contextmanager
    def _watched(self, outputs: dict[int, Tensor]) -> Iterator[None]:
        """Fills `outputs` with the wanted blocks' outputs while the encoder runs."""

        def keep(number: int) -> Callable[..., None]:
            return lambda module, given, output: outputs.__setitem__(number, output)

        blocks = self.encoder.blocks
        hooks = [blocks[n - 1].register_forward_hook(keep(n)) for n in set(self.blocks) if n < len(blocks)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _as_map(self, packed: Tensor, count: int) -> Tensor:
        tokens = packed.view(count, -1, self.width)[:, self.encoder.buffer_tokens :]  # (B, N, D)
        return tokens.transpose(1, 2).reshape(count, self.width, self.grid, self.grid)


def train_head(
    maps: BlockMaps,
    head: nn.Module,
    pictures: DensePictures,
    loss_of: Loss,
    settings: HeadSettings,
    size: int,
    seed: int,
    progress: Progress,
) -> None:
    """Trains `head` (and what is not frozen) on the loss.

    Raises InputError if there are not two pictures that can be read.
    """
    examples = _Examples(maps, pictures)
    steps = settings.epochs * math.ceil(len(examples) / settings.batch_size)
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
        if len(targets) > 1:  # BatchNorm has no variance of one
            optimizer.zero_grad(set_to_none=True)
            loss_of(head(inputs, size), targets.to(maps.device)).backward()
            optimizer.step()
            trained += 1
        progress((step + 1) / steps, "training the head")
    head.eval()
    maps.train(False)
    if not trained:
        reasons = pictures.report.summary(3).replace("\n", "; ")
        raise InputError(f"not two training pictures with their maps can be read ({reasons})")


@torch.no_grad()
def predictions(
    maps: BlockMaps, head: nn.Module, pictures: DensePictures, size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The head's outputs (B, C, H, W) and the maps (B, H, W) of everything that can be read, on the CPU."""
    for images, targets in pictures.parts(CHUNK):
        yield head(maps(images), size).float().cpu(), targets


@contextmanager
def seeded(device: torch.device, *parts: int | str) -> Iterator[None]:
    """Torch's own generators (initial weights, dropout) seeded from `parts`, and restored after the block."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed_of(*parts))
        yield


class _Examples:
    """Training examples as the head sees them: maps of a frozen encoder are kept where they fit."""

    def __init__(self, maps: BlockMaps, pictures: DensePictures) -> None:
        self._maps, self._pictures = maps, pictures
        self._kept: tuple[list[Tensor], Tensor] | None = None
        if maps.frozen and len(pictures) * maps.bytes_a_picture <= FEATURE_BYTES:
            parts = [(maps(images), targets) for images, targets in pictures.parts(CHUNK)]
            if parts:
                levels = [torch.cat(level) for level in zip(*(found for found, _ in parts), strict=True)]
                self._kept = levels, torch.cat([targets for _, targets in parts])

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
        yield from torch.from_numpy(draws.permutation(count)).split(settings.batch_size)


def _rate(done: float, warmup: float) -> float:
    """Share of the peak learning rate when `done` of the steps are."""
    if done < warmup:
        return (done + 1e-3) / (warmup + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - warmup) / (1 - warmup))))
