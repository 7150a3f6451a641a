"""Solvers: whole chains of denoising steps that turn noise into tokens with the diffusion head.

`ddpm` is the published sampler, improved DDPM's respaced chain. All others are deterministic and departures. They share
one form: at a time the noised token is alpha * clean + sigma * noise, the head predicts the clean token, and a step
moves along the probability-flow ODE to the next time. `ddim` and `euler` are the same first-order step in the two
heads' coordinates; `heun` and `dpm++` (DPM-Solver++ 2M, arXiv 2211.01095) are of second order. Nothing here knows about
pictures, conditions or guidance.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dream.config import HeadConfig
from dream.diffusion import Predict, noise_schedule, reverse_step

SOLVERS = {"noise": ("ddpm", "ddim", "dpm++"), "flow": ("euler", "heun", "dpm++"), "energy": ("direct",)}
"""Solvers of each kind of head; the first is its default."""
SOLVER_NAMES = tuple(dict.fromkeys(itertools.chain(*SOLVERS.values())))

TIME_SHIFT = 2.0
"""Sampling times of `flow` are moved towards noise by this factor (1 = evenly spaced)."""


@dataclass(frozen=True)
class Sampling:
    """How a chain is run, except for its number of steps, which the head's configuration says."""

    solver: str | None = None
    """One of SOLVERS of the head's kind; None is the first of them."""
    time_shift: float = TIME_SHIFT
    """Factor by which the times of a `flow` head are moved towards noise; below 1 towards clean."""
    start_time: float = 1.0
    """Share of the times of a `noise` head at which the chain starts; 1 is the last training step."""


class _Level(NamedTuple):
    """A time (as the head takes it), and the shares of clean token and noise there."""

    time: Tensor
    alpha: float
    sigma: float

    @property
    def log_ratio(self) -> float:
        """ln(alpha / sigma): the half logarithm of the signal-to-noise ratio, infinite at both ends."""
        if self.alpha == 0:
            return -math.inf
        return math.log(self.alpha / self.sigma) if self.sigma else math.inf


def solver_of(config: HeadConfig, solver: str | None) -> str:
    """The solver's name; of None, the default of the head's kind."""
    return solver or SOLVERS[config.objective][0]


def noise_draws(config: HeadConfig, solver: str | None = None) -> int:
    """Length of the noise that `denoise` needs: the start, and one entry per step if steps are random."""
    return config.sampling_steps + 1 if solver_of(config, solver) == "ddpm" else 1


def noise_level(config: HeadConfig, time: float) -> float:
    """How noisy a token is at `time`: from 0 (clean) to 1 (noise alone), in shares of the head's times."""
    if config.objective == "noise":
        return time / max(1, config.train_steps - 1)
    return 1 - time


def denoise(
    config: HeadConfig,
    predict: Predict,
    noise: Tensor,
    temperature: float = 1.0,
    sampling: Sampling = Sampling(),
    path: list[Tensor] | None = None,
) -> Tensor:
    """(M, D_tok): tokens drawn with the head `predict` in S = `config.sampling_steps` denoising steps.

    `noise` (`noise_draws`, M, D_tok): `noise[0]` starts the chain, `noise[1 + i]` is used at the i-th step of `ddpm`.
    `temperature` scales the steps' noise (`ddpm`) or the start (`flow` and `energy` heads, which have no other noise).
    `path` collects the noised tokens (M, D_tok) before each step.
    """
    solver = solver_of(config, sampling.solver)
    path = [] if path is None else path
    if solver == "direct":
        path.append(noise[0] * temperature)
        return predict(path[-1], noise.new_zeros(()))
    if solver == "ddpm":
        return _ddpm(config, predict, noise, temperature, sampling, path)
    start = noise[0] * temperature if config.objective == "flow" else noise[0]
    if solver in ("euler", "heun"):
        return _flow(config, predict, start, sampling, path)
    return _multistep(config, predict, start, sampling, path)


def flow_grid(steps: int, shift: float = TIME_SHIFT) -> Tensor:
    """(S+1,) float64: times of a `flow` head from 0 (noise) to 1 (clean), moved towards noise by `shift`."""
    grid = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    return grid / (grid + shift * (1 - grid))


def predicted_clean(config: HeadConfig, output: Tensor, noised: Tensor, alpha: float, sigma: float) -> Tensor:
    """(M, D_tok): the clean tokens that the head's `output` means for noised ones at alpha and sigma."""
    if config.objective != "noise":
        return output
    return (noised - sigma * output.chunk(2, dim=-1)[0]) / alpha


def last_time(config: HeadConfig, start_time: float) -> int:
    """The training step at which a chain of a `noise` head starts."""
    return max(0, round(start_time * (config.train_steps - 1)))


def _ddpm(
    config: HeadConfig, predict: Predict, noise: Tensor, temperature: float, sampling: Sampling, path: list[Tensor]
) -> Tensor:
    """Ancestral steps with the learned variance."""
    last = last_time(config, sampling.start_time)
    schedule = noise_schedule(config.train_steps, config.sampling_steps, last)
    noised = noise[0]
    for i, step in enumerate(reversed(range(len(schedule.times)))):
        path.append(noised)
        output = predict(noised, schedule.times[step].to(noised.device))
        mean, log_variance, _ = reverse_step(schedule, output, noised, step)
        noised = mean
        if step > 0:
            noised = mean + (0.5 * log_variance).exp() * noise[1 + i] * temperature
    return noised


def _flow(config: HeadConfig, predict: Predict, noised: Tensor, sampling: Sampling, path: list[Tensor]) -> Tensor:
    """Steps of Euler, or of Heun, whose last one is Euler's because the velocity is 0 / 0 at the clean end."""
    grid = flow_grid(config.sampling_steps, sampling.time_shift).to(noised)
    for number, (now, then) in enumerate(itertools.pairwise(grid)):
        path.append(noised)
        clean = predict(noised, now)
        moved = noised + (then - now) / (1 - now) * (clean - noised)
        if sampling.solver == "heun" and number < config.sampling_steps - 1:
            velocity = (clean - noised) / (1 - now) + (predict(moved, then) - moved) / (1 - then)
            moved = noised + (then - now) * velocity / 2
        noised = moved
    return noised


def _multistep(config: HeadConfig, predict: Predict, noised: Tensor, sampling: Sampling, path: list[Tensor]) -> Tensor:
    """Steps of DDIM, or of DPM-Solver++ (2M), which extrapolates from the previous step's prediction.

    Its first and last steps are of first order: nothing comes before the one, and the other has no finite log-ratio.
    """
    previous: tuple[float, Tensor] | None = None
    for now, then in itertools.pairwise(_levels(config, sampling)):
        path.append(noised)
        clean = predicted_clean(config, predict(noised, now.time.to(noised.device)), noised, now.alpha, now.sigma)
        here, direction = now.log_ratio, clean
        if sampling.solver == "dpm++" and previous is not None and then.sigma > 0:
            weight = (then.log_ratio - here) / (2 * (here - previous[0]))  # 0 after a start without signal
            direction = clean + weight * (clean - previous[1])
        ratio = then.sigma / now.sigma
        noised = ratio * noised + (then.alpha - now.alpha * ratio) * direction
        previous = here, clean
    return noised


def _levels(config: HeadConfig, sampling: Sampling) -> list[_Level]:
    """The S times at which the head is asked, from noise to clean, and the clean end."""
    return [*_asked_levels(config, sampling), _Level(torch.ones(()), 1.0, 0.0)]


def _asked_levels(config: HeadConfig, sampling: Sampling) -> Iterator[_Level]:
    steps = config.sampling_steps
    if config.objective == "flow":
        for time in flow_grid(steps, sampling.time_shift)[:-1]:
            yield _Level(time.float(), float(time), 1 - float(time))
        return
    whole = noise_schedule(config.train_steps).alphas_cumprod
    count = last_time(config, sampling.start_time) + 1
    for i in range(steps):
        time = torch.tensor(round(count * (1 - i / steps)) - 1)
        yield _Level(time, float(whole[time].sqrt()), float((1 - whole[time]).sqrt()))
