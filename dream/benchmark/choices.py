"""CPU time of choosing one of several candidates, over a plain decode: in one process, the decodes taking turns."""

import statistics
import time
from dataclasses import dataclass, replace
from typing import Any

from dream.benchmark.decoding import Say, random_prompts
from dream.benchmark.timing import step_by_step
from dream.decoding.decode import decode_iter
from dream.decoding.selection import parse_select_points
from dream.decoding.settings import DecodeSettings
from dream.model.dream import Dream

SELECT_AT = "12.5%steps"
KINDS = ("once", "every", "halving")


@dataclass(frozen=True)
class ChoicePrice:
    """CPU time of a decode with a choice among candidates over a plain one of the same round, and of what it adds."""

    selection: str
    candidates: int
    select_steps: tuple[int, ...]
    ratios: tuple[float, ...]
    """One per round."""
    seconds: float
    """Median CPU seconds."""

    @property
    def price(self) -> float:
        """Median of the ratios; the target for `once` is at most 1.3."""
        return statistics.median(self.ratios)


def choice_settings(settings: DecodeSettings, kind: Any, candidates: int, num_tokens: int) -> DecodeSettings:
    """The settings with a choice of this kind from SELECT_AT on."""
    points = parse_select_points(SELECT_AT, kind, candidates, settings, num_tokens)
    steps = tuple(point.step for point in points)
    return replace(settings, candidates=candidates, selection=kind, select_steps=steps)


def choice_prices(
    model: Dream, settings: DecodeSettings, candidates: int, repeats: int, say: Say
) -> tuple[float, list[ChoicePrice]]:
    """Median CPU seconds of a plain decode of one prompt, and the price of each kind of choice.

    The decodes advance in turn, step by step, so that other load on the machine slows all of them alike.
    """
    prompted, num_tokens = random_prompts(model.config, 1), model.config.image.num_tokens
    chosen = {kind: choice_settings(settings, kind, candidates, num_tokens) for kind in KINDS}
    rounds: list[dict[str, float]] = []
    for turn in range(repeats):
        runs = {name: decode_iter(model, prompted, each) for name, each in {"plain": settings, **chosen}.items()}
        rounds.append(step_by_step(runs, time.process_time)[0])
        say(f"  round {turn + 1} of {repeats}: " + ", ".join(f"{n} {s:.1f} s" for n, s in rounds[-1].items()))

    def median(name: str) -> float:
        return statistics.median(seconds[name] for seconds in rounds)

    prices = [
        ChoicePrice(kind, candidates, own.select_steps, tuple(one[kind] / one["plain"] for one in rounds), median(kind))
        for kind, own in chosen.items()
    ]
    return median("plain"), prices
