"""Optimisers and their groups, the learning rate of a step, and the average of the weights (EMA)."""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dream.config import DreamConfig, TrainConfig

MATRIX_PARTS = ("encoder.blocks.", "decoder.blocks.", "aligner.blocks.", "text_tower.blocks.", "head.blocks.")
"""Name prefixes of Muon's hidden matrices; AdamW keeps first and last layers, tables and embeddings."""
MATRIX_LAYERS = (
    "decoder.embed.",
    "head.project.",
    "head.time_embed.2.",
    "joint.layer1.",
    "joint.layer2.",
    "alignment.2.",
)
"""Name prefixes of hidden layers outside the blocks."""
EXTENSION_START = 0.5
"""Fraction of its peak at which a falling learning rate starts again when a finished run is extended."""


def freeze_untrained(model: nn.Module, config: DreamConfig) -> None:
    """Turns off the gradients of modules that no loss of this configuration reaches (FLUID's text tower, say).

    With `train.tune=joint` the encoder is locked, too.
    """
    unused: list[str] = []
    if not config.objective.contrastive_weight:
        unused += ["joint.", "text_tower.", "logit_scale"]
    if not config.trained_objective.generative_weight:
        unused += ["aligner.", "decoder.", "head."]
    if config.train.tune == "joint":
        unused += ["encoder.", "alignment."]
    for name, parameter in model.named_parameters():
        if name.startswith(tuple(unused)):
            parameter.requires_grad_(False)


def build_optimizers(model: nn.Module, config: TrainConfig) -> list[Optimizer]:
    """AdamW for all trained parameters, or (`muon`) AdamW and Muon for the hidden matrices.

    Biases, norms, 1-d parameters and the diffusion head do not decay; tables, mask token and embeddings do
    (docs/method.md, Losses and Traps). Parameters that a sharded strategy leaves whole have an AdamW of their own,
    because torch's fused step takes one kind at a time.
    """
    kinds: dict[str, dict[str, nn.Parameter]] = {"sharded": {}, "whole": {}, "muon": {}}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            muon = config.optimizer == "muon" and is_hidden_matrix(name, parameter)
            kinds["muon" if muon else "sharded" if hasattr(parameter, "full_tensor") else "whole"][name] = parameter
    optimizers: list[Optimizer] = [
        torch.optim.AdamW(_groups(kinds[kind], config.weight_decay, config.lr), betas=config.betas, fused=True)
        for kind in ("sharded", "whole")
        if kinds[kind]
    ]
    if kinds["muon"]:
        optimizers.append(BatchedMuon(_groups(kinds["muon"], config.weight_decay, config.muon_lr)))
    return optimizers


def is_hidden_matrix(name: str, parameter: Tensor) -> bool:
    """Whether Muon may train this parameter: a matrix between two hidden layers."""
    return parameter.ndim == 2 and name.startswith(MATRIX_PARTS + MATRIX_LAYERS)


def decays(name: str, parameter: Tensor) -> bool:
    """Whether weight decay applies. The authors' mask token is a table and their logit scale a scalar."""
    return not name.startswith("head.") and (parameter.ndim != 1 or name.endswith("mask_token"))


def _groups(parameters: dict[str, nn.Parameter], weight_decay: float, peak_lr: float) -> list[dict[str, object]]:
    kept = [p for name, p in parameters.items() if decays(name, p)]
    free = [p for name, p in parameters.items() if not decays(name, p)]
    groups = [{"params": kept, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return [{**group, "lr": peak_lr, "peak_lr": peak_lr} for group in groups if group["params"]]


class BatchedMuon(torch.optim.Muon):
    """torch's Muon with equal shapes orthogonalised together: the same update in less than half the time."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Performs one update of every parameter that has a gradient."""
        for group in self.param_groups:
            for parameters in _by_shape(p for p in group["params"] if p.grad is not None):
                self._step_batch(parameters, group)

    def _step_batch(self, parameters: list[Tensor], group: dict) -> None:
        gradients = [p.grad for p in parameters if p.grad is not None]
        for p in parameters:
            if not self.state[p]:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p)
        momenta = [self.state[p]["momentum_buffer"] for p in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        updates = torch._foreach_lerp(gradients, momenta, group["momentum"]) if group["nesterov"] else momenta
        directions = orthogonalise(
            torch.stack(list(updates)), group["ns_coefficients"], group["ns_steps"], group["eps"]
        )
        rows, columns = parameters[0].shape
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        rate = group["lr"] * math.sqrt(max(1.0, rows / columns))  # torch's adjust_lr_fn="original"
        torch._foreach_add_(parameters, list(directions.to(parameters[0].dtype).unbind()), alpha=-rate)


def orthogonalise(matrices: Tensor, coefficients: Sequence[float], steps: int, eps: float) -> Tensor:
    """(m, r, c): Newton-Schulz iteration towards the nearest orthogonal matrix of each (m, r, c).

    Computed in bfloat16, or in float32 on a CPU without matrix units for bfloat16, where that is 1.5 to 30 times as
    fast. Source: Keller Jordan's Muon, as in torch.optim.Muon, for many matrices at once.
    """
    x = matrices.bfloat16() if matrices.device.type != "cpu" or cpu_likes_bfloat16() else matrices.float()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=eps)  # spectral norm at most 1
    exact_enough = x.dtype == torch.float32  # products of Gram matrices square the condition number
    iterate = _iterate_gram if exact_enough and x.shape[2] >= 2 * x.shape[1] else _iterate
    x = iterate(x, coefficients, steps)
    return x.mT if tall else x


def _iterate(x: Tensor, coefficients: Sequence[float], steps: int) -> Tensor:
    """(m, r, c), r <= c: x <- (a + b G + c G^2) x with G = x x^T, `steps` times."""
    a, b, c = coefficients
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _iterate_gram(x: Tensor, coefficients: Sequence[float], steps: int) -> Tensor:
    """`_iterate` on (m, r, r) matrices alone, faster for wide ones: every factor is a polynomial in the first G."""
    a, b, c = coefficients
    gram = x @ x.mT
    product = None
    for step in range(steps):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        product = factor if product is None else factor @ product
        if step < steps - 1:
            gram = factor @ gram @ factor
    return x if product is None else product @ x


@cache
def cpu_likes_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices faster than float32; torch tells only through a private function.

    AVX-512's bfloat16 instructions alone were measured at 0.6 of the rate of float32.
    """
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", bool)())


def _by_shape(parameters: Iterable[Tensor]) -> list[list[Tensor]]:
    shapes: dict[torch.Size, list[Tensor]] = {}
    for parameter in parameters:
        shapes.setdefault(parameter.shape, []).append(parameter)
    return list(shapes.values())


def lr_factor(step: int, segments: Sequence[int], config: TrainConfig) -> float:
    """Learning rate of `step` (0 = first) over its peak.

    `segments` are the steps at which the training and its extensions end. The first segment has a linear warm-up,
    then a constant rate, or one that falls to zero from `decay_start` on. An extension has no warm-up: a constant
    rate stays, a falling one starts again at half the peak.
    """
    if step < segments[0]:
        warmup = config.warmup * segments[0]
        if step < warmup:
            return min(1.0, (step + 1) / warmup)
        return _decay(step / segments[0], max(config.decay_start, config.warmup), config.decay)
    if config.decay == "constant":
        return 1.0
    start, end = next((pair for pair in itertools.pairwise(segments) if step < pair[1]), segments[-2:])
    return EXTENSION_START * _decay((step - start) / (end - start), 0.0, config.decay)


def _decay(progress: float, start: float, decay: str) -> float:
    if decay == "constant" or progress <= start:
        return 1.0
    left = (1 - progress) / (1 - start)  # 1 .. 0
    return left if decay == "linear" else (1 - math.cos(math.pi * left)) / 2


def set_lr(optimizers: Iterable[Optimizer], factor: float) -> None:
    """Sets every group's learning rate to its peak times `factor`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor


def fill_missing_gradients(model: nn.Module) -> None:
    """Gives zero gradients to trained parameters that got none, so that AdamW's decay and moments go on.

    Source: docs/method.md, Traps.
    """
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)


def gentler(config: TrainConfig) -> list[str]:
    """Settings to try after a training that diverged, as assignments: lower rates, and gradients clipped earlier.

    A rate becomes a third, and at most the default; the largest norm of a gradient becomes a third, and at most 1.
    """
    usual = TrainConfig()
    values = {"lr": min(config.lr / 3, usual.lr)}
    if config.optimizer == "muon":
        values["muon_lr"] = min(config.muon_lr / 3, usual.muon_lr)
    values["clip"] = min(config.clip / 3, 1.0)
    return [f"train.{name}={value:.2g}" for name, value in values.items()]


def scale_gradients(model: nn.Module, factor: float) -> None:
    """Multiplies every gradient by `factor`."""
    torch._foreach_mul_([_shard(p.grad) for p in model.parameters() if p.grad is not None], factor)


YOUNG_STEPS = 100
"""Steps within which the averaged weights count as young: a rising decay averages about the last tenth of the steps."""
START_SHARE = 0.01
"""Share of the weights of the start in the average from which on it counts as young."""


class Ema:
    """Average of the weights in float32; parameters only, because BatchNorm's buffers are used as they are."""

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self.decay, self.ramp = config.ema, config.ema_ramp
        self.names = [name for name, _ in model.named_parameters()]
        self.averages = [p.detach().clone() for p in model.parameters()]
        self._live = [_shard(p.detach()) for p in model.parameters()]
        self._shards = [_shard(average) for average in self.averages]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Adds the weights after `step` (0 = first) at decay min(ema, (1 + step) / (10 + step))."""
        decay = min(self.decay, (1 + step) / (10 + step)) if self.ramp else self.decay
        torch._foreach_lerp_(self._shards, self._live, 1 - decay)

    def is_young(self, steps: int) -> bool:
        """Whether after so many steps the average may lag far behind the weights.

        It is young for the first YOUNG_STEPS steps, and while more than 1 % of it are the weights of the start.
        """
        left = 1.0
        for step in range(steps):
            left *= min(self.decay, (1 + step) / (10 + step)) if self.ramp else self.decay
            if left < START_SHARE:
                break
        return steps > 0 and (steps < YOUNG_STEPS or left >= START_SHARE)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Gives the model the averages as its weights; undone to the bit on leaving."""
        kept = [weights.clone() for weights in self._live]
        with torch.no_grad():
            torch._foreach_copy_(self._live, self._shards)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._live, kept)


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor gathered (every rank must call it); any other tensor itself."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def _shard(tensor: Tensor) -> Tensor:
    """This rank's part of a sharded tensor, sharing its memory; any other tensor itself."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
