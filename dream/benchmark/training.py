"""A training step of ours beside the published algorithm's, with dropout, optimiser and averaged weights as published.

Time is CPU time of the same run, round by round; the inputs are random, since time does not depend on their values.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dream import masking
from dream.benchmark.decoding import Say, random_model, random_prompts
from dream.benchmark.timing import matmul_rate, rounds
from dream.config import DreamConfig
from dream.diffusion import Draw, sample_draw
from dream.losses import total_loss
from dream.model.blocks import torch_dropout
from dream.model.dream import Dream, generative_rows
from dream.published import training_loss_published
from dream.randomness import generator
from dream.training.optim import Ema, build_optimizers, fill_missing_gradients

RATIO_BINS = 8
"""Number of mask ratios at which a training step is timed, each the middle of one of as many equal bins.

Losses begin to count at edges of these bins."""


@dataclass(frozen=True)
class TrainingTimes:
    """A training step as published (forward, losses, backward, AdamW, average), mean over the masking schedule."""

    ours: float
    """CPU seconds: the median of the rounds."""
    published: float
    """CPU seconds."""
    savings: tuple[float, ...]
    """Published time over ours, round by round."""
    dropout: float
    batch: int
    """Pictures of the ratio group that is a step."""
    flop: float
    """Matrix FLOP of ours, attention included."""
    matmul: float
    """FLOP/s of a plain matrix product at the model's width, measured in between."""
    loss_difference: float
    """Largest relative difference of the two losses over the ratios."""
    gradient_difference: float
    """Largest norm of the difference of the two gradients, relative to the norm of the gradient."""

    @property
    def saving(self) -> float:
        """Published time over ours; the target is 2.3."""
        return self.published / self.ours

    @property
    def utilisation(self) -> float:
        """Our matrix FLOP/s over the machine's; the target is 0.75."""
        return self.flop / self.ours / self.matmul


def with_dropout(config: DreamConfig, dropout: float) -> DreamConfig:
    """The configuration with this share of dropout in encoder and decoder, and AdamW as published."""
    encoder, decoder = replace(config.encoder, dropout=dropout), replace(config.decoder, dropout=dropout)
    return replace(config, encoder=encoder, decoder=decoder, train=replace(config.train, optimizer="adamw"))


@dataclass(frozen=True)
class StepInputs:
    """The same pictures, masks and noise for both algorithms, at one mask ratio."""

    ratio: float
    tokens: Tensor
    """(B, N, D_tok)."""
    mask: Tensor
    """(B, N) bool, hidden."""
    text_ids: Tensor
    conditioning: Tensor
    draws: Draw
    """Times and noise of the tokens that count."""
    all_draws: Draw
    """Those of all tokens."""

    @classmethod
    def drawn(cls, config: DreamConfig, batch: int, ratio: float) -> "StepInputs":
        """Random inputs of `batch` pictures, the same at every call."""
        draws, count = generator(0, "bench", round(1000 * ratio)), config.image.num_tokens
        tokens = torch.randn(batch, count, config.image.token_dim, generator=draws)
        mask = masking.mask_from_order(masking.sample_orders(batch, count, draws), masking.num_masked(ratio, count))
        prompted = random_prompts(config, batch)
        all_draws = sample_draw(config.head, batch * count, config.image.token_dim, draws)
        rows = (mask.flatten() & (generative_rows(mask, config) > 0)).repeat(config.head.draws)
        own = Draw(all_draws.times[rows], all_draws.noise[rows])
        return cls(ratio, tokens, mask, prompted.text_ids, prompted.conditioning, own, all_draws)

    def ours(self, model: Dream) -> Tensor:
        """() our loss."""
        output = model(self.tokens, self.mask, self.text_ids, self.conditioning, self.draws)
        return total_loss(output, model.config).total

    def published(self, model: Dream) -> Tensor:
        """() the loss by the published algorithm."""
        return training_loss_published(model, self.tokens, self.mask, self.text_ids, self.conditioning, self.all_draws)

    def compare(self, model: Dream) -> tuple[float, float]:
        """Relative differences of losses and gradients, for a model without dropout."""
        (loss, gradient), (other, published) = (_gradient(model, each) for each in (self.ours, self.published))
        difference = abs(float(loss - other)) / max(abs(float(other)), 1e-12)
        return difference, float((gradient - published).norm() / published.norm())


class OurStep:
    """Our step: loss, backward, fused AdamW, and the averages in one call."""

    def __init__(self, model: Dream) -> None:
        self.model = model.train()
        self.optimizers, self.ema = build_optimizers(model, model.config.train), Ema(model, model.config.train)

    def __call__(self, inputs: StepInputs) -> None:
        """Makes one step."""
        inputs.ours(self.model).backward()
        fill_missing_gradients(self.model)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.ema.update(0)


class PublishedStep:
    """The published step: its loss with torch's dropout, AdamW with its defaults, and one average after the other."""

    def __init__(self, model: Dream) -> None:
        self.model, train = model.train(), model.config.train
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=train.lr, betas=train.betas, weight_decay=train.weight_decay
        )
        self.averages, self.decay = [p.detach().clone() for p in model.parameters()], train.ema

    def __call__(self, inputs: StepInputs) -> None:
        """Makes one step."""
        token = torch_dropout.set(True)
        try:
            self.optimizer.zero_grad()
            inputs.published(self.model).backward()
            self.optimizer.step()
        finally:
            torch_dropout.reset(token)
        for average, parameter in zip(self.averages, self.model.parameters(), strict=True):
            average.mul_(self.decay).add_(parameter.detach(), alpha=1 - self.decay)


def training_times(config: DreamConfig, batch: int, repeats: int, say: Say, dropout: float = 0.1) -> TrainingTimes:
    """Times one ratio group of `batch` pictures at RATIO_BINS mask ratios, weighted as the schedule draws them.

    Both algorithms start from the same weights, and each goes its own way. What they compute is compared without
    dropout, since they draw it differently.
    """
    model, trained = random_model(with_dropout(config, 0.0)).train(), with_dropout(config, dropout)
    runs: dict[str, Callable[[StepInputs], None]] = {
        "ours": OurStep(random_model(trained)),
        "published": PublishedStep(random_model(trained)),
    }
    seconds = {name: [0.0] * repeats for name in runs}
    flop = loss_difference = gradient_difference = 0.0
    rates = []
    for index, weight in enumerate(ratio_weights(config)):
        inputs = StepInputs.drawn(config, batch, (index + 0.5) / RATIO_BINS)
        losses, gradients = inputs.compare(model)
        loss_difference, gradient_difference = (max(loss_difference, losses), max(gradient_difference, gradients))
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):  # the only kernel that is counted
            runs["ours"](inputs)
        spent = rounds({name: partial(run, inputs) for name, run in runs.items()}, repeats)
        rates.append(matmul_rate(config.encoder.width, clock=time.process_time))
        times = ", ".join(f"{name} {statistics.median(each):.2f} s" for name, each in spent.items())
        say(f"  mask ratio {inputs.ratio:.2f}: {times}")
        for name, each in spent.items():
            seconds[name] = [whole + weight * one for whole, one in zip(seconds[name], each, strict=True)]
        flop += weight * counter.get_total_flops()
    ours, published = (statistics.median(seconds[name]) for name in runs)
    savings = tuple(theirs / own for own, theirs in zip(*seconds.values(), strict=True))
    rate = statistics.median(rates)
    return TrainingTimes(ours, published, savings, dropout, batch, flop, rate, loss_difference, gradient_difference)


def ratio_weights(config: DreamConfig, moments: int = 100) -> list[float]:
    """Shares of a training's ratio groups in each of RATIO_BINS equal bins of the mask ratio; they sum to 1."""
    weights = [0.0] * RATIO_BINS
    for moment in range(moments):
        distribution = masking.ratio_distribution((moment + 0.5) / moments, config.masking)
        below = [0.0] + [distribution.cdf((i + 1) / RATIO_BINS) for i in range(RATIO_BINS)]
        for i in range(RATIO_BINS):
            weights[i] += (below[i + 1] - below[i]) / moments
    return weights


def _gradient(model: Dream, loss: Callable[[Dream], Tensor]) -> tuple[Tensor, Tensor]:
    """A loss (), and the gradient of all parameters in one row."""
    model.zero_grad(set_to_none=True)
    value = loss(model)
    value.backward()
    return value.detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
