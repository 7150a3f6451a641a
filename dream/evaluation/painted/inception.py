"""Inception network of FID and Inception Score, read from a weights file that the user has; downloads nothing.

This is TensorFlow's Inception of 2015-12-05 with 2,048 features and 1,008 classes, as in torch-fidelity and
pytorch-fid. Unlike torchvision's InceptionV3, average pooling excludes the padding from its mean, the last block uses
maximum pooling, and pictures are resized as in TensorFlow 1.

It is our own code because torch-fidelity 0.4 gives bit-identical features but unpickles the weights file with
`weights_only=False` (which can run code), reads no .safetensors, and takes 2 to 4 s to import with torchvision.
"""

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dream.console import few_of
from dream.errors import InputError
from dream.weights.finite import require_finite
from dream.weights.reading import read_weights

SIDE = 299
"""Side length that pictures are resized to."""
CLASSES = 1008
FEATURES = 2048
BATCH = 32
"""Pictures that go through the network at once."""
WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
"""Usual name of the file, which torch-fidelity publishes."""
NAMED = 5
"""Keys listed in an error message."""


class InceptionOutput(NamedTuple):
    """Features and class probabilities of B pictures."""

    features: Tensor
    """(B, 2048), for FID."""
    probabilities: Tensor
    """(B, 1008) without the classifier's bias, for the Inception Score."""


def resize_tf1(images: Tensor, side: int = SIDE) -> Tensor:
    """(B, C, side, side) from float pictures (B, C, H, W), bilinearly as in TensorFlow 1 by default.

    Pixel i is read at i * H / side, measured from pixel corners rather than centres, without antialiasing.
    """
    return _resize_lines(_resize_lines(images, side, -1), side, -2)


def _resize_lines(images: Tensor, side: int, dim: int) -> Tensor:
    length = images.shape[dim]
    position = torch.arange(side, dtype=torch.float32, device=images.device) * (length / side)
    before = position.long().clamp(max=length - 1)
    after = (before + 1).clamp(max=length - 1)
    share = (position - before).to(images.dtype)
    share = share if dim == -1 else share[:, None]
    low, high = images.index_select(dim, before), images.index_select(dim, after)
    return low + (high - low) * share


class Convolution(nn.Module):
    """Convolution, BatchNorm and ReLU; `size` and `pad` are (height, width)."""

    def __init__(
        self,
        inside: int,
        outside: int,
        size: tuple[int, int] = (1, 1),
        *,
        stride: int = 1,
        pad: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, size, stride, pad, bias=False)
        self.bn = nn.BatchNorm2d(outside, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """(B, outside, H', W') from (B, inside, H, W)."""
        return F.relu(self.bn(self.conv(x)))


def _same(inside: int, outside: int, height: int, width: int) -> Convolution:
    """A convolution that keeps the size."""
    return Convolution(inside, outside, (height, width), pad=(height // 2, width // 2))


def _halving(inside: int, outside: int) -> Convolution:
    return Convolution(inside, outside, (3, 3), stride=2)


def _mean_pool(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class Block35(nn.Module):
    """Mixed_5 at 35 x 35: 224 channels and those of the pooled branch."""

    def __init__(self, inside: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(inside, 64)
        self.branch5x5_1, self.branch5x5_2 = Convolution(inside, 48), _same(48, 64, 5, 5)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Convolution(inside, 64), _same(64, 96, 3, 3)
        self.branch3x3dbl_3 = _same(96, 96, 3, 3)
        self.branch_pool = Convolution(inside, pooled)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 224 + pooled, 35, 35) from (B, inside, 35, 35)."""
        fives = self.branch5x5_2(self.branch5x5_1(x))
        threes = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), fives, threes, self.branch_pool(_mean_pool(x))], 1)


class Halving35(nn.Module):
    """Mixed_6a: from 35 x 35 to 17 x 17, 768 channels."""

    def __init__(self, inside: int) -> None:
        super().__init__()
        self.branch3x3 = _halving(inside, 384)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Convolution(inside, 64), _same(64, 96, 3, 3)
        self.branch3x3dbl_3 = _halving(96, 96)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 768, 17, 17) from (B, 288, 35, 35)."""
        threes = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), threes, F.max_pool2d(x, 3, 2)], 1)


class Block17(nn.Module):
    """Mixed_6b to 6e: 768 channels at 17 x 17, `middle` channels within the branches."""

    def __init__(self, middle: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(768, 192)
        self.branch7x7_1, self.branch7x7_2 = Convolution(768, middle), _same(middle, middle, 1, 7)
        self.branch7x7_3 = _same(middle, 192, 7, 1)
        self.branch7x7dbl_1, self.branch7x7dbl_2 = Convolution(768, middle), _same(middle, middle, 7, 1)
        self.branch7x7dbl_3, self.branch7x7dbl_4 = _same(middle, middle, 1, 7), _same(middle, middle, 7, 1)
        self.branch7x7dbl_5 = _same(middle, 192, 1, 7)
        self.branch_pool = Convolution(768, 192)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 768, 17, 17) from (B, 768, 17, 17)."""
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(_mean_pool(x))], 1)


class Halving17(nn.Module):
    """Mixed_7a: from 17 x 17 to 8 x 8, 1,280 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = Convolution(768, 192), _halving(192, 320)
        self.branch7x7x3_1, self.branch7x7x3_2 = Convolution(768, 192), _same(192, 192, 1, 7)
        self.branch7x7x3_3, self.branch7x7x3_4 = _same(192, 192, 7, 1), _halving(192, 192)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1280, 8, 8) from (B, 768, 17, 17)."""
        threes = self.branch3x3_2(self.branch3x3_1(x))
        sevens = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([threes, sevens, F.max_pool2d(x, 3, 2)], 1)


class Block8(nn.Module):
    """Mixed_7b and 7c: 2,048 channels at 8 x 8; only 7c uses maximum pooling."""

    def __init__(self, inside: int, *, maximum: bool) -> None:
        super().__init__()
        self.maximum = maximum
        self.branch1x1 = Convolution(inside, 320)
        self.branch3x3_1 = Convolution(inside, 384)
        self.branch3x3_2a, self.branch3x3_2b = _same(384, 384, 1, 3), _same(384, 384, 3, 1)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Convolution(inside, 448), _same(448, 384, 3, 3)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = _same(384, 384, 1, 3), _same(384, 384, 3, 1)
        self.branch_pool = Convolution(inside, 192)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2048, 8, 8) from (B, inside, 8, 8)."""
        single, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, 1, 1) if self.maximum else _mean_pool(x)
        parts = [self.branch1x1(x), self.branch3x3_2a(single), self.branch3x3_2b(single)]
        parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self.branch_pool(pooled)]
        return torch.cat(parts, 1)


class Inception(nn.Module):
    """Features and classes of pictures (B, 3, H, W) uint8 of any size; modules are named as in the weights file."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _halving(3, 32)
        self.Conv2d_2a_3x3 = Convolution(32, 32, (3, 3))
        self.Conv2d_2b_3x3 = _same(32, 64, 3, 3)
        self.Conv2d_3b_1x1 = Convolution(64, 80)
        self.Conv2d_4a_3x3 = Convolution(80, 192, (3, 3))
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = Block35(192, 32), Block35(256, 64), Block35(288, 64)
        self.Mixed_6a = Halving35(288)
        self.Mixed_6b, self.Mixed_6c = Block17(128), Block17(160)
        self.Mixed_6d, self.Mixed_6e = Block17(160), Block17(192)
        self.Mixed_7a = Halving17()
        self.Mixed_7b, self.Mixed_7c = Block8(1280, maximum=False), Block8(2048, maximum=True)
        self.fc = nn.Linear(FEATURES, CLASSES)

    def forward(self, images: Tensor) -> InceptionOutput:
        """Features and class probabilities of pictures (B, 3, H, W) uint8."""
        x = (resize_tf1(images.float()) - 128) / 128  # (B, 3, 299, 299)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))  # (B, 64, 147, 147)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))  # (B, 192, 71, 71)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, 2))))  # (B, 288, 35, 35)
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))  # (B, 768, 17, 17)
        x = self.Mixed_7a(self.Mixed_6e(self.Mixed_6d(x)))  # (B, 1280, 8, 8)
        features = self.Mixed_7c(self.Mixed_7b(x)).mean((2, 3))  # (B, 2048)
        return InceptionOutput(features, (features @ self.fc.weight.T).softmax(1))

    @torch.no_grad()
    def outputs(self, images: Tensor) -> InceptionOutput:
        """`forward`, BATCH pictures at a time, with the result on the CPU."""
        device = self.fc.weight.device
        batches = [self(batch.to(device)) for batch in images.split(BATCH)]
        features, probabilities = (torch.cat([tensor.cpu() for tensor in each]) for each in zip(*batches, strict=True))
        return InceptionOutput(
            require_finite(features, "the Inception's features of pictures"),
            require_finite(probabilities, "the Inception's class probabilities of pictures"),
        )


def load_inception(path: str | Path) -> Inception:
    """The network with weights from a .pth (read without running code) or .safetensors file, in eval mode.

    Raises InputError for a file that is missing, cannot be read, or has other tensors.
    """
    tensors = _read(Path(path).expanduser())
    with torch.random.fork_rng(devices=[]):
        network = Inception()
    wanted = {name: t for name, t in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    given = {name: t for name, t in tensors.items() if not name.endswith("num_batches_tracked")}
    problems = _listed("missing", wanted.keys() - given.keys())
    problems += _listed("unexpected", given.keys() - wanted.keys())
    shared = wanted.keys() & given.keys()
    problems += _listed("of another shape", {n for n in shared if given[n].shape != wanted[n].shape})
    if problems:
        raise InputError(
            f"{path} does not hold the weights of the FID Inception ({'; '.join(problems)}): expected "
            f"torch-fidelity's {WEIGHTS}, or the same tensors as .safetensors"
        )
    network.load_state_dict(given, strict=False)  # all but the batch counters, which nothing reads
    return network.eval().requires_grad_(False)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.exists():
        raise InputError(f"there is no Inception weights file '{path}': expected torch-fidelity's {WEIGHTS}")
    try:
        return read_weights(path)
    except InputError as error:
        raise InputError(f"{path} cannot be read as the weights of the FID Inception: {error}") from None


def _listed(what: str, names: set[str]) -> list[str]:
    return [f"{what}: {few_of(sorted(names), NAMED)}"] if names else []
