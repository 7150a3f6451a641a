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
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dream import masking
from dream.benchmark.metered import MeteredModel
from dream.benchmark.timing import seconds_of, step_by_step
from dream.config import DreamConfig
from dream.decoding.decode import decode, decode_iter
from dream.decoding.settings import DecodeSettings
from dream.decoding.state import Prompted
from dream.model.dream import Dream
from dream.published import CANDIDATES, SELECT_SHARE, published_steps
from dream.randomness import generator

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


def decode_split(model: Dream, settings: DecodeSettings) -> StepSplit:
    """Measures where the time of decoding one prompt goes."""
    metered = MeteredModel(model)
    prompted = random_prompts(model.config, 1)
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
    prompted, times = random_prompts(model.config, 1), []
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


def random_model(config: DreamConfig) -> Dream:
    """A model with random parameters, also where the head's would start at zero and make all results equal."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Dream(config)
        for parameter in model.head.parameters():
            if not bool(parameter.any()):
                nn.init.normal_(parameter, std=0.02)
    return model.eval()


def random_prompts(config: DreamConfig, batch: int) -> Prompted:
    """Random captions of CAPTION_TOKENS tokens, the same at every call."""
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
