"""Speed of training and decoding, compared with the machine's limit and with the published algorithm.

Everything is measured in one run, interleaved, as medians, because a busy machine changes its speed from
minute to minute. Tokens, captions and weights are random, since time does not depend on their values.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dream import masking
from dream.config import DreamConfig
from dream.decoding.decode import decode, decode_iter
from dream.decoding.selection import DecodeSettings
from dream.decoding.state import Prompted
from dream.diffusion import Draw, sample_draw
from dream.losses import total_loss
from dream.metered import MeteredModel
from dream.model.dream import Dream, generative_rows
from dream.published import published_steps, training_loss_published
from dream.randomness import generator
from dream.timing import interleaved, matmul_rate, seconds_of, step_by_step

CANDIDATES, SELECT_SHARE = 5, 0.125
"""The published choice: five candidates, compared after an eighth of the steps."""
RATIO_BINS = 8
"""Number of mask ratios at which a training step is timed, each the middle of one of as many equal bins.

Losses begin to count at edges of these bins."""
CAPTION_TOKENS = 16
"""Length of the random captions, including start and end; captions of CC12M have about 20, ours fewer."""
Say = Callable[[str], None]


def small_copy(config: DreamConfig, width: int, depth: int) -> DreamConfig:
    """A small copy of an architecture: same tokens, text and buffer, every width and depth in proportion.

    Heads are 64 wide; dropout is off, so that both algorithms have the same losses and gradients.
    """
    scale, share = width / config.encoder.width, depth / config.encoder.depth

    def near(value: int) -> int:
        return max(64, round(value * scale / 64) * 64)

    def deep(value: int) -> int:
        return max(1, round(value * share))

    tower: dict[str, Any] = {"width": width, "depth": depth, "heads": width // 64, "dropout": 0.0}
    text = near(config.text.width)
    return replace(
        config,
        encoder=replace(config.encoder, **tower),
        decoder=replace(config.decoder, **tower, aligner_depth=deep(config.decoder.aligner_depth)),
        text=replace(config.text, width=text, heads=text // 64, depth=deep(config.text.depth)),
        head=replace(config.head, width=near(config.head.width), depth=deep(config.head.depth)),
        joint=replace(config.joint, hidden=near(config.joint.hidden)),
    )


@dataclass(frozen=True)
class StepSplit:
    """A mean decode step of one prompt: seconds and matrix FLOP in encoder, decoder and head, seconds elsewhere."""

    seconds: dict[str, float]
    flop: dict[str, float]
    steps: int

    @property
    def total_seconds(self) -> float:
        """Seconds per step."""
        return sum(self.seconds.values())

    @property
    def rate(self) -> float:
        """Matrix FLOP/s over the whole step."""
        return sum(self.flop.values()) / self.total_seconds


@dataclass(frozen=True)
class SelectionTimes:
    """Median seconds for one prompt: a plain decode, one with candidates, and the latter as published."""

    plain: float
    ours: float
    published: float
    largest_difference: float
    """Largest difference of the finished tokens, relative to the largest token."""

    @property
    def saving(self) -> float:
        """Published time over ours; the target is 1.6."""
        return self.published / self.ours

    @property
    def price(self) -> float:
        """Time with candidates over a plain decode; the target is at most 1.4."""
        return self.ours / self.plain


@dataclass(frozen=True)
class TrainingTimes:
    """A training step (forward, losses, backward), mean over the masking schedule."""

    ours: float
    """Seconds."""
    published: float
    """Seconds."""
    flop: float
    """Matrix FLOP of ours."""
    matmul: float
    """FLOP/s of a plain matrix product at the model's width, measured in between."""
    loss_difference: float
    """Largest relative difference of the two losses over the ratios."""
    gradient_difference: float
    """Largest norm of the difference of the two gradients, relative to the norm of the gradient."""

    @property
    def saving(self) -> float:
        """Published time over ours; the target is 1.8."""
        return self.published / self.ours

    @property
    def utilisation(self) -> float:
        """Our matrix FLOP/s over the machine's; the target is 0.5."""
        return self.flop / self.ours / self.matmul


def decode_split(model: Dream, settings: DecodeSettings) -> StepSplit:
    """Measures where the time of decoding one prompt goes."""
    metered = MeteredModel(model)
    prompted = _random_prompts(model.config, 1)
    plain = replace(settings, candidates=1)
    few = replace(plain, sampling_steps=min(4, settings.head(model.config.head).sampling_steps))
    with FlopCounterMode(display=False) as counter:
        metered.meter = counter.get_total_flops
        decode(metered, prompted, few)  # type: ignore[arg-type]
    flop = dict(metered.spent)
    # counting is slow: few denoising steps are counted, all are timed
    flop["head"] *= plain.head(model.config.head).sampling_steps / few.head(model.config.head).sampling_steps
    metered.reset(time.perf_counter)
    whole = seconds_of(lambda: decode(metered, prompted, plain))  # type: ignore[arg-type]
    seconds = {**metered.spent, "rest": whole - sum(metered.spent.values())}
    steps = sum(count > 0 for count in masking.reveal_schedule(model.config.image.num_tokens, plain.steps))
    return StepSplit({k: v / steps for k, v in seconds.items()}, {k: v / steps for k, v in flop.items()}, steps)


def selection_times(model: Dream, settings: DecodeSettings, repeats: int, say: Say) -> SelectionTimes:
    """Times a choice among K = 5 at 12.5 % of the steps, ours and as published, and a plain decode.

    The three decodes take turns step by step, so that other load on the machine slows all of them alike.
    """
    at = max(1, round(settings.steps * SELECT_SHARE))
    chosen = replace(settings, candidates=CANDIDATES, selection="once", select_steps=(at,))
    prompted, times = _random_prompts(model.config, 1), []
    for turn in range(repeats):
        runs: dict[str, Iterator[Any]] = {
            "plain": decode_iter(model, prompted, settings),
            "ours": decode_iter(model, prompted, chosen),
            "published": published_steps(model, prompted, chosen),
        }
        seconds, last = step_by_step(runs)
        times.append(seconds)
        say(f"  round {turn + 1} of {repeats}: " + ", ".join(f"{n} {s:.1f} s" for n, s in seconds.items()))
    ours, theirs = last["ours"].tokens, last["published"].tokens[:, 0]
    difference = float((ours - theirs).abs().max() / theirs.abs().max())
    medians = {name: statistics.median(seconds[name] for seconds in times) for name in runs}
    return SelectionTimes(**medians, largest_difference=difference)


def training_times(config: DreamConfig, batch: int, repeats: int, say: Say) -> TrainingTimes:
    """Times one ratio group of `batch` pictures at RATIO_BINS mask ratios, weighted as the schedule draws them."""
    model = random_model(config).train()
    ours = published = flop = loss_difference = gradient_difference = 0.0
    rates = []
    for index, weight in enumerate(ratio_weights(config)):
        step = _TrainingStep(model, batch, (index + 0.5) / RATIO_BINS)
        losses, gradients = step.compare()
        loss_difference, gradient_difference = (max(loss_difference, losses), max(gradient_difference, gradients))
        with FlopCounterMode(display=False) as counter:
            step.ours()
        seconds = interleaved({"ours": step.ours, "published": step.published}, repeats)
        rates.append(matmul_rate(config.encoder.width))
        times = ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
        say(f"  mask ratio {step.ratio:.2f}: {times}")
        ours, published = ours + weight * seconds["ours"], published + weight * seconds["published"]
        flop += weight * counter.get_total_flops()
    return TrainingTimes(ours, published, flop, statistics.median(rates), loss_difference, gradient_difference)


def ratio_weights(config: DreamConfig, moments: int = 100) -> list[float]:
    """Shares of a training's ratio groups in each of RATIO_BINS equal bins of the mask ratio; they sum to 1."""
    weights = [0.0] * RATIO_BINS
    for moment in range(moments):
        distribution = masking.ratio_distribution((moment + 0.5) / moments, config.masking)
        below = [0.0] + [distribution.cdf((i + 1) / RATIO_BINS) for i in range(RATIO_BINS)]
        for i in range(RATIO_BINS):
            weights[i] += (below[i + 1] - below[i]) / moments
    return weights


def random_model(config: DreamConfig) -> Dream:
    """A model with random parameters, also where the head's would start at zero and make all results equal."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Dream(config)
        for parameter in model.head.parameters():
            if not bool(parameter.any()):
                nn.init.normal_(parameter, std=0.02)
    return model.eval()


class _TrainingStep:
    """The same pictures, masks and noise for both algorithms, at one mask ratio."""

    def __init__(self, model: Dream, batch: int, ratio: float) -> None:
        config, draws = model.config, generator(0, "bench", round(1000 * ratio))
        self.model, self.ratio, tokens = model, ratio, config.image.num_tokens
        self.tokens = torch.randn(batch, tokens, config.image.token_dim, generator=draws)
        orders = masking.sample_orders(batch, tokens, draws)
        self.mask = masking.mask_from_order(orders, masking.num_masked(ratio, tokens))
        prompted = _random_prompts(config, batch)
        self.text_ids, self.conditioning = prompted.text_ids, prompted.conditioning
        self.all_draws = sample_draw(config.head, batch * tokens, config.image.token_dim, draws)
        needed = self.mask.flatten() & (generative_rows(self.mask, config) > 0)
        rows = needed.repeat(config.head.draws)
        self.draws = Draw(self.all_draws.times[rows], self.all_draws.noise[rows])

    def ours(self) -> Tensor:
        """Loss; leaves gradients on the parameters."""
        inputs = (self.tokens, self.mask, self.text_ids, self.conditioning, self.draws)
        return self._backward(lambda: total_loss(self.model(*inputs), self.model.config).total)

    def published(self) -> Tensor:
        """Loss by the published algorithm; leaves gradients on the parameters."""
        inputs = (self.tokens, self.mask, self.text_ids, self.conditioning, self.all_draws)
        return self._backward(lambda: training_loss_published(self.model, *inputs))

    def compare(self) -> tuple[float, float]:
        """Relative differences of losses and gradients."""
        loss, gradient = self.ours(), _gradient(self.model)
        other, published = self.published(), _gradient(self.model)
        difference = abs(float(loss - other)) / max(abs(float(other)), 1e-12)
        return difference, float((gradient - published).norm() / published.norm())

    def _backward(self, loss: Callable[[], Tensor]) -> Tensor:
        self.model.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        return value.detach()


def _random_prompts(config: DreamConfig, batch: int) -> Prompted:
    c, draws = config.text, generator(0, "bench text")
    length = min(CAPTION_TOKENS, c.context_length)
    ids = torch.zeros(batch, c.context_length, dtype=torch.long)
    ids[:, :length] = torch.randint(1, c.vocab_size - 1, (batch, length), generator=draws)
    ids[:, length - 1] = c.vocab_size - 1
    if c.conditioning == "learned":
        empty = torch.zeros_like(ids[:1])
        empty[0, :2] = torch.tensor([c.vocab_size - 2, c.vocab_size - 1])
        return Prompted(ids, ids, empty)
    states = torch.randn(batch + 1, c.conditioning_length, c.conditioning_width, generator=draws)
    return Prompted(ids, states[:batch], states[batch:])


def _gradient(model: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
