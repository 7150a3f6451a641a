"""Mathematics of the diffusion head, without nn.Module: noise schedule, training terms, denoising, guidance.

There are two objectives. `noise` is improved DDPM with a learned variance (arXiv 2102.09672), as published.
`flow` is rectified flow with x-prediction and velocity loss, our departure for the small presets. Times are
integers 0 .. T-1 (0 = clean) for `noise`, and reals in [0, 1] (1 = clean) for `flow`.
"""

import itertools
import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from dream.config import HeadConfig

Predict = Callable[[Tensor, Tensor], Tensor]
"""(noised (M, D_tok), time ()) -> head output (M, out_dim)."""

TIME_SHIFT = 2.0
"""Sampling times of `flow` are moved towards noise by this factor (1 = evenly spaced)."""
MIN_FLOW_GAP = 0.05
"""Smallest 1 - time that the velocity loss divides by."""


class Draw(NamedTuple):
    """One (time, noise) pair per row: times (M,), noise (M, D_tok)."""

    times: Tensor
    noise: Tensor


class NoiseSchedule(NamedTuple):
    """Coefficients of a chain of S steps, each (S,) float64; `times` are indices of the training steps."""

    times: Tensor
    betas: Tensor
    alphas_cumprod: Tensor
    posterior_mean_clean: Tensor
    posterior_mean_noised: Tensor
    posterior_log_variance: Tensor

    def at(self, name: str, steps: Tensor) -> Tensor:
        """(M, 1) float32: coefficient `name` at `steps` (M,)."""
        return getattr(self, name).to(steps.device)[steps].float().unsqueeze(-1)


def head_output_dim(config: HeadConfig, token_dim: int) -> int:
    """Width of the head's output per token: noise and variance, or the clean token."""
    return 2 * token_dim if config.objective == "noise" else token_dim


@lru_cache(maxsize=32)
def noise_schedule(train_steps: int, sampling_steps: int | None = None) -> NoiseSchedule:
    """Cosine schedule (beta clipped at 0.999), respaced to `sampling_steps` evenly strided steps if given."""
    steps = torch.arange(train_steps + 1, dtype=torch.float64)
    level = torch.cos((steps / train_steps + 0.008) / 1.008 * math.pi / 2) ** 2
    betas = (1 - level[1:] / level[:-1]).clamp(max=0.999)
    kept = torch.tensor(respaced_times(train_steps, sampling_steps or train_steps))
    cumulative = torch.cumprod(1 - betas, 0)[kept]
    previous = torch.cat([torch.ones(1, dtype=torch.float64), cumulative[:-1]])
    betas = 1 - cumulative / previous
    variance = betas * (1 - previous) / (1 - cumulative)
    return NoiseSchedule(
        times=kept,
        betas=betas,
        alphas_cumprod=cumulative,
        posterior_mean_clean=betas * previous.sqrt() / (1 - cumulative),
        posterior_mean_noised=(1 - previous) * (1 - betas).sqrt() / (1 - cumulative),
        # the variance at t = 0 is 0: its logarithm is replaced by that at t = 1
        posterior_log_variance=torch.cat([variance[1:2] if len(variance) > 1 else betas, variance[1:]]).log(),
    )


def respaced_times(train_steps: int, sampling_steps: int) -> list[int]:
    """Training steps that a chain of `sampling_steps` keeps, rising, first and last included (improved DDPM)."""
    if sampling_steps == 1:
        return [0]
    stride = (train_steps - 1) / (sampling_steps - 1)
    return [round(stride * i) for i in range(sampling_steps)]


def sample_draw(config: HeadConfig, rows: int, token_dim: int, generator: Generator) -> Draw:
    """`config.draws` (time, noise) pairs for each of `rows` tokens; the whole block of rows is repeated."""
    count = rows * config.draws
    noise = torch.randn(count, token_dim, generator=generator)
    if config.objective == "noise":
        return Draw(torch.randint(config.train_steps, (count,), generator=generator), noise)
    normal = torch.randn(count, generator=generator)
    return Draw(torch.sigmoid(config.time_mean + config.time_std * normal), noise)


def add_noise(config: HeadConfig, clean: Tensor, draw: Draw) -> Tensor:
    """(M, D_tok): the tokens `clean` (M, D_tok) at the draw's times."""
    if config.objective == "flow":
        time = draw.times.unsqueeze(-1)
        return time * clean + (1 - time) * draw.noise
    level = noise_schedule(config.train_steps).at("alphas_cumprod", draw.times)
    # the square root of 1 - level is taken in float64, because float32 loses digits near t = 0
    rest = (1 - noise_schedule(config.train_steps).alphas_cumprod).sqrt().to(clean.device)[draw.times]
    return level.sqrt() * clean + rest.float().unsqueeze(-1) * draw.noise


class RowTerms(NamedTuple):
    """Loss terms of each row (M,): `error` is a mean square, `variance` in bits per dimension (0 for `flow`)."""

    error: Tensor
    variance: Tensor


def generative_terms(config: HeadConfig, prediction: Tensor, clean: Tensor, draw: Draw) -> RowTerms:
    """Loss terms of every row for the head's output `prediction` (M, out_dim) on `add_noise(clean, draw)`.

    `noise` (docs/method.md, One model, two objectives): squared error of the noise, and the variance term with
    the predicted mean detached. `flow`: squared error of the velocity (x-prediction), with 1 - time bounded below by
    MIN_FLOW_GAP.
    """
    if config.objective == "flow":
        gap = (1 - draw.times).clamp(min=MIN_FLOW_GAP).unsqueeze(-1)
        error = ((prediction - clean) / gap).square().mean(-1)
        return RowTerms(error, torch.zeros_like(error))
    predicted_noise, raw_variance = prediction.chunk(2, dim=-1)
    error = (predicted_noise - draw.noise).square().mean(-1)
    noised = add_noise(config, clean, draw)
    frozen = torch.cat([predicted_noise.detach(), raw_variance], dim=-1)
    return RowTerms(error, _variance_term(noise_schedule(config.train_steps), frozen, clean, noised, draw.times))


def denoise(config: HeadConfig, predict: Predict, noise: Tensor, temperature: float = 1.0) -> Tensor:
    """(M, D_tok): tokens drawn with the head `predict` in S = len(noise) - 1 denoising steps.

    `noise` (S+1, M, D_tok): `noise[0]` starts the chain, `noise[1 + i]` is used at its i-th step.
    `temperature` scales the steps' noise (`noise`) or the start (`flow`, which has no other noise). `flow` reads
    only `noise[0]` and takes S from `config.sampling_steps`.
    """
    if config.objective == "flow":
        return _flow(config, predict, noise[0] * temperature)
    schedule = noise_schedule(config.train_steps, len(noise) - 1)
    noised = noise[0]
    for i, step in enumerate(reversed(range(len(schedule.times)))):
        output = predict(noised, schedule.times[step].to(noised.device))
        mean, log_variance, _ = reverse_step(schedule, output, noised, step)
        noised = mean
        if step > 0:
            noised = mean + (0.5 * log_variance).exp() * noise[1 + i] * temperature
    return noised


def noise_draws(config: HeadConfig) -> int:
    """Length of the noise that `denoise` needs: the start, and one entry per step if steps are random."""
    return 1 if config.objective == "flow" else config.sampling_steps + 1


def reverse_step(schedule: NoiseSchedule, output: Tensor, noised: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, log-variance and predicted clean token, each (M, D_tok), of one reverse step; x_0 is not clipped."""
    steps = torch.tensor([step], device=noised.device)
    predicted_noise, raw_variance = output.chunk(2, dim=-1)
    level = schedule.alphas_cumprod[step]
    clean = (1 / level).sqrt().float() * noised - (1 / level - 1).sqrt().float() * predicted_noise
    mean = schedule.at("posterior_mean_clean", steps) * clean + schedule.at("posterior_mean_noised", steps) * noised
    return mean, _log_variance(schedule, raw_variance, steps), clean


def guide(config: HeadConfig, conditional: Tensor, unconditional: Tensor, scale: float | Tensor) -> Tensor:
    """Head output (M, out_dim) under classifier-free guidance; the variance half is the conditional output's."""
    guided = unconditional + scale * (conditional - unconditional)
    if config.objective == "flow":  # linear in the velocity too, since both share the noised token
        return guided
    width = conditional.shape[-1] // 2
    return torch.cat([guided[:, :width], conditional[:, width:]], dim=-1)


def _flow(config: HeadConfig, predict: Predict, noised: Tensor) -> Tensor:
    """Euler steps from time 0 to 1 on a grid that TIME_SHIFT moves towards noise."""
    grid = torch.linspace(0, 1, config.sampling_steps + 1, dtype=torch.float64)
    grid = (grid / (grid + TIME_SHIFT * (1 - grid))).to(noised)
    for now, then in itertools.pairwise(grid):
        clean = predict(noised, now)
        noised = noised + (then - now) / (1 - now) * (clean - noised)
    return noised


def _log_variance(schedule: NoiseSchedule, raw: Tensor, steps: Tensor) -> Tensor:
    """Log-variance interpolated between the posterior's and beta by the head's `raw` output in [-1, 1]."""
    lower = schedule.at("posterior_log_variance", steps)
    upper = schedule.betas.log().to(steps.device)[steps].float().unsqueeze(-1)
    share = (raw + 1) / 2
    return share * upper + (1 - share) * lower


def _variance_term(schedule: NoiseSchedule, output: Tensor, clean: Tensor, noised: Tensor, times: Tensor) -> Tensor:
    """(M,) bits per dimension: KL of true to predicted posterior; at t = 0 the discretised likelihood."""
    predicted_noise, raw_variance = output.chunk(2, dim=-1)
    inverse = 1 / schedule.alphas_cumprod.to(times.device)[times].unsqueeze(-1)
    predicted = inverse.sqrt().float() * noised - (inverse - 1).sqrt().float() * predicted_noise
    of_clean, of_noised = (schedule.at("posterior_mean_clean", times), schedule.at("posterior_mean_noised", times))
    true_mean, mean = of_clean * clean + of_noised * noised, of_clean * predicted + of_noised * noised
    true_log, log_variance = (
        schedule.at("posterior_log_variance", times),
        _log_variance(schedule, raw_variance, times),
    )
    kl = 0.5 * (
        log_variance
        - true_log
        - 1
        + (true_log - log_variance).exp()
        + (true_mean - mean).square() * (-log_variance).exp()
    )
    likelihood = -_discretised_log_likelihood(clean, mean, 0.5 * log_variance)
    return torch.where(times == 0, likelihood.mean(-1), kl.mean(-1)) / math.log(2)


def _discretised_log_likelihood(value: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Log-probability of the bin of width 2/255 around `value` under a Gaussian; the outer bins are open."""
    inverse = (-log_scale).exp()
    above = _approximate_cdf(inverse * (value - mean + 1 / 255))
    below = _approximate_cdf(inverse * (value - mean - 1 / 255))
    inner = torch.where(value > 0.999, 1 - below, above - below)
    return torch.where(value < -0.999, above, inner).clamp(min=1e-12).log()


def _approximate_cdf(x: Tensor) -> Tensor:
    """Normal CDF by the tanh approximation of improved DDPM; the exact one would be another loss."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
