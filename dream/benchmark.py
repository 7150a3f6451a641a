"""How fast training and decoding are: against what the machine can do, and against the published algorithm.

Everything is measured in one run, interleaved, as medians, because a busy machine changes its speed from
minute to minute. It uses random tokens, captions and weights (time does not depend on their values) and opens
no file.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dream import masking
from dream.config import DreamConfig
from dream.decoding.decode import decode, decode_iter
from dream.decoding.selection import DecodeSettings
from dream.diffusion import Draw, sample_draw
from dream.losses import total_loss
from dream.model.dream import Dream, generative_rows
from dream.published import published_steps, training_loss_published
from dream.randomness import generator

CANDIDATES, SELECT_SHARE = 5, 0.125
"""The published choice: five candidates, compared after an eighth of the steps."""
RATIO_BINS = 8
"""Mask ratios at which a training step is timed: middles of equal bins, whose edges are where losses begin to
count."""
CAPTION_TOKENS = 16
"""Length of the random captions, with begin and end; CC12M's are about 20, ours shorter."""
MATMUL_ROWS = 4096

Say = Callable[[str], None]


def small_copy(config: DreamConfig, width: int, depth: int) -> DreamConfig:
    """The published architecture in small: tokens, text and buffer as they are, every width and depth in
    proportion.

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


def matmul_rate(width: int, repeats: int = 5) -> float:
    """FLOP/s of a plain float32 product (MATMUL_ROWS, width) @ (width, width), the median of `repeats`."""
    left, right = torch.ones(MATMUL_ROWS, width), torch.ones(width, width)
    torch.mm(left, right)  # the first one sets up threads and memory
    seconds = [_seconds(lambda: torch.mm(left, right)) for _ in range(repeats)]
    return 2 * MATMUL_ROWS * width**2 / statistics.median(seconds)


@dataclass(frozen=True)
class StepSplit:
    """A mean decode step of one prompt: seconds and matrix FLOP in encoder, decoder and head; seconds of the
    rest.
    """

    seconds: dict[str, float]
    flop: dict[str, float]
    steps: int

    @property
    def total_seconds(self) -> float:
        """Seconds of a step."""
        return sum(self.seconds.values())

    @property
    def rate(self) -> float:
        """FLOP/s of a step."""
        return sum(self.flop.values()) / self.total_seconds


@dataclass(frozen=True)
class SelectionTimes:
    """Medians in seconds of one prompt: a plain decode, one with candidates, and the latter as published."""

    plain: float
    ours: float
    published: float
    largest_difference: float
    """Of the finished tokens, relative to the largest."""

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
    """FLOP/s of the machine's own product at the model's width, measured in between."""
    loss_difference: float
    """Largest relative difference of the two losses over the ratios."""
    gradient_difference: float
    """Largest norm of the difference of the two gradients over that of the gradient."""

    @property
    def saving(self) -> float:
        """Published time over ours; the target is 1.8."""
        return self.published / self.ours

    @property
    def utilisation(self) -> float:
        """Our matrix FLOP/s over the machine's; the target is 0.5."""
        return self.flop / self.ours / self.matmul


def decode_split(model: Dream, settings: DecodeSettings) -> StepSplit:
    """Where the time of decoding one prompt goes."""
    watched = _Watched(model)
    plain = replace(settings, candidates=1)
    few = replace(plain, sampling_steps=min(4, settings.head(model.config.head).sampling_steps))
    with FlopCounterMode(display=False) as counter:
        watched.meter = counter.get_total_flops
        decode(watched, *_prompt(model.config), few)  # type: ignore[arg-type]
    flop = dict(watched.spent)
    # counting is slow: few denoising steps are counted, all are timed
    flop["head"] *= plain.head(model.config.head).sampling_steps / few.head(model.config.head).sampling_steps
    watched.reset(time.perf_counter)
    whole = _seconds(lambda: decode(watched, *_prompt(model.config), plain))  # type: ignore[arg-type]
    seconds = {**watched.spent, "rest": whole - sum(watched.spent.values())}
    steps = sum(count > 0 for count in masking.reveal_schedule(model.config.image.num_tokens, plain.steps))
    return StepSplit({k: v / steps for k, v in seconds.items()}, {k: v / steps for k, v in flop.items()}, steps)


def selection_times(model: Dream, settings: DecodeSettings, repeats: int, say: Say) -> SelectionTimes:
    """K = 5 chosen at 12.5 % of the steps, ours and as published, beside a plain decode.

    The three decodes take turns step by step: what else the machine does meanwhile slows all of them alike.
    """
    at = max(1, round(settings.steps * SELECT_SHARE))
    chosen = replace(settings, candidates=CANDIDATES, selection="once", select_steps=(at,))
    prompt, times = _prompt(model.config), []
    for turn in range(repeats):
        runs: dict[str, Iterator[Any]] = {
            "plain": decode_iter(model, *prompt, settings),
            "ours": decode_iter(model, *prompt, chosen),
            "published": published_steps(model, *prompt, chosen),
        }
        seconds, last = step_by_step(runs)
        times.append(seconds)
        say(f"  round {turn + 1} of {repeats}: " + ", ".join(f"{n} {s:.1f} s" for n, s in seconds.items()))
    ours, theirs = last["ours"].tokens, last["published"].tokens[:, 0]
    difference = float((ours - theirs).abs().max() / theirs.abs().max())
    medians = {name: statistics.median(seconds[name] for seconds in times) for name in runs}
    return SelectionTimes(**medians, largest_difference=difference)


def step_by_step(runs: Mapping[str, Iterator[Any]]) -> tuple[dict[str, float], dict[str, Any]]:
    """Seconds that each iterator takes when all go on in turn, and the last item of each."""
    seconds, last, going = dict.fromkeys(runs, 0.0), dict.fromkeys(runs), dict(runs)
    while going:
        for name, run in list(going.items()):
            started = time.perf_counter()
            item = next(run, None)
            seconds[name] += time.perf_counter() - started
            if item is None:
                del going[name]
            else:
                last[name] = item
    return seconds, last


def training_times(config: DreamConfig, batch: int, repeats: int, say: Say) -> TrainingTimes:
    """One ratio group of `batch` pictures at RATIO_BINS mask ratios, weighted as the schedule draws them."""
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
    """Share of the groups of a whole training whose ratio falls into each of RATIO_BINS equal bins; sums to
    1.
    """
    weights = [0.0] * RATIO_BINS
    for moment in range(moments):
        distribution = masking.ratio_distribution((moment + 0.5) / moments, config.masking)
        below = [0.0] + [distribution.cdf((i + 1) / RATIO_BINS) for i in range(RATIO_BINS)]
        for i in range(RATIO_BINS):
            weights[i] += (below[i + 1] - below[i]) / moments
    return weights


def interleaved(runs: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each run; every round runs all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, function in runs.items():
            seconds[name].append(_seconds(function))
    return {name: statistics.median(values) for name, values in seconds.items()}


def random_model(config: DreamConfig) -> Dream:
    """A model whose parameters are all drawn: the head's would start at zero, and any two results be
    equal.
    """
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
        self.text_ids, self.conditioning, _ = _text(config, batch)
        self.all_draws = sample_draw(config.head, batch * tokens, config.image.token_dim, draws)
        needed = self.mask.flatten() & (generative_rows(self.mask, config) > 0)
        rows = needed.repeat(config.head.draws)
        self.draws = Draw(self.all_draws.times[rows], self.all_draws.noise[rows])

    def ours(self) -> Tensor:
        """Loss, with gradients left on the parameters."""
        return self._backward(
            lambda: (
                total_loss(
                    self.model(self.tokens, self.mask, self.text_ids, self.conditioning, self.draws), self.model.config
                ).total
            )
        )

    def published(self) -> Tensor:
        """The same by the published algorithm."""
        parts = (self.tokens, self.mask, self.text_ids, self.conditioning, self.all_draws)
        return self._backward(lambda: training_loss_published(self.model, *parts))

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


class _Watched:
    """A model that meters what its encoder, decoder and head spend; stands in for one while decoding."""

    training = False

    def __init__(self, model: Dream) -> None:
        self.model, self.config = model, model.config
        self.head = _WatchedHead(self)
        self.reset(time.perf_counter)

    def reset(self, meter: Callable[[], float]) -> None:
        """Forgets what was spent; `meter` reads a clock or a counter."""
        self.meter = meter
        self.spent = {"encoder": 0.0, "decoder": 0.0, "head": 0.0}

    @contextmanager
    def metered(self, part: str):  # type: ignore[no-untyped-def]
        """What runs inside is booked to `part`."""
        before = self.meter()
        yield
        self.spent[part] += self.meter() - before

    def encode(self, tokens: Tensor, mask: Tensor) -> Tensor:
        with self.metered("encoder"):
            return self.model.encode(tokens, mask)

    def decode(self, *arguments: Any, **options: Any) -> Tensor:
        with self.metered("decoder"):
            return self.model.decode(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


class _WatchedHead:
    def __init__(self, watched: _Watched) -> None:
        self.watched, self.project = watched, watched.model.head.project

    def embed_times(self, times: Tensor) -> Tensor:
        with self.watched.metered("head"):
            return self.watched.model.head.embed_times(times)

    def predict(self, *arguments: Tensor) -> Tensor:
        with self.watched.metered("head"):
            return self.watched.model.head.predict(*arguments)


def _prompt(config: DreamConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Text ids, conditioning and unconditional of one random prompt."""
    return _text(config, 1)


def _text(config: DreamConfig, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    c, draws = config.text, generator(0, "bench text")
    length = min(CAPTION_TOKENS, c.context_length)
    ids = torch.zeros(batch, c.context_length, dtype=torch.long)
    ids[:, :length] = torch.randint(1, c.vocab_size - 1, (batch, length), generator=draws)
    ids[:, length - 1] = c.vocab_size - 1
    if c.conditioning == "learned":
        empty = torch.zeros_like(ids[:1])
        empty[0, :2] = torch.tensor([c.vocab_size - 2, c.vocab_size - 1])
        return ids, ids, empty
    states = torch.randn(batch + 1, c.conditioning_length, c.conditioning_width, generator=draws)
    return ids, states[:batch], states[batch:]


def _gradient(model: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def _seconds(function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
