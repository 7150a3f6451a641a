"""Mathematics of the diffusion head, without nn.Module: noise schedule, training terms, one reverse step, guidance.

There are three objectives. `noise` is improved DDPM with a learned variance (arXiv 2102.09672), as published.
`flow` is rectified flow with x-prediction and velocity loss, our departure for the small presets. Times are
integers 0 .. T-1 (0 = clean) for `noise`, and reals in [0, 1] (1 = clean) for `flow`. `energy` (departure) maps noise
to a token in one pass, without times, and is trained by the energy score (arXiv 2505.07812). Whole chains of denoising
steps are in `dream.decoding.solvers`.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from dream.config import HeadConfig

Predict = Callable[[Tensor, Tensor], Tensor]
"""(noised (M, D_tok), time ()) -> head output (M, out_dim)."""

DISTANCE_FLOOR = 1e-8
"""Added to squared distances under the root, whose gradient is infinite at 0."""
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
    """Width of the head's output per token: noise and variance (`noise`), or the clean token."""
    return 2 * token_dim if config.objective == "noise" else token_dim


@lru_cache(maxsize=32)
def noise_schedule(train_steps: int, sampling_steps: int | None = None, last: int | None = None) -> NoiseSchedule:
    """Cosine schedule (beta clipped at 0.999), respaced to `sampling_steps` evenly strided steps if given.

    The steps reach from 0 to the training step `last` (default: the last one).
    """
    steps = torch.arange(train_steps + 1, dtype=torch.float64)
    level = torch.cos((steps / train_steps + 0.008) / 1.008 * math.pi / 2) ** 2
    betas = (1 - level[1:] / level[:-1]).clamp(max=0.999)
    reach = train_steps if last is None else last + 1
    kept = torch.tensor(respaced_times(reach, sampling_steps or reach))
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
    """`config.draws` (time, noise) pairs for each of `rows` tokens; the whole block of rows is repeated.

    An `energy` head has no times: all are 0.
    """
    count = rows * config.draws
    noise = torch.randn(count, token_dim, generator=generator)
    if config.objective == "energy":
        return Draw(torch.zeros(count), noise)
    if config.objective == "noise":
        return Draw(torch.randint(config.train_steps, (count,), generator=generator), noise)
    normal = torch.randn(count, generator=generator)
    return Draw(torch.sigmoid(config.time_mean + config.time_std * normal), noise)


def add_noise(config: HeadConfig, clean: Tensor, draw: Draw) -> Tensor:
    """(M, D_tok): the tokens `clean` (M, D_tok) at the draw's times; for `energy`, noise alone."""
    if config.objective == "energy":
        return draw.noise
    if config.objective == "flow":
        time = draw.times.unsqueeze(-1)
        return time * clean + (1 - time) * draw.noise
    level = noise_schedule(config.train_steps).at("alphas_cumprod", draw.times)
    # the square root of 1 - level is taken in float64, because float32 loses digits near t = 0
    rest = (1 - noise_schedule(config.train_steps).alphas_cumprod).sqrt().to(clean.device)[draw.times]
    return level.sqrt() * clean + rest.float().unsqueeze(-1) * draw.noise


class RowTerms(NamedTuple):
    """Loss terms of each row (M,): `error`, and `variance` in bits per dimension (`noise` alone, else 0).

    The error is a mean square, or for `energy` a distance per root of the token's width.
    """

    error: Tensor
    variance: Tensor


def generative_terms(config: HeadConfig, prediction: Tensor, clean: Tensor, draw: Draw) -> RowTerms:
    """Loss terms of every row for the head's output `prediction` (M, out_dim) on `add_noise(clean, draw)`.

    `noise` (docs/method.md, One model, two objectives): squared error of the noise, and the variance term with
    the predicted mean detached. `flow`: squared error of the velocity (x-prediction), with 1 - time bounded below by
    MIN_FLOW_GAP. `energy`: `energy_score` of the token's `config.draws` samples, in blocks as `sample_draw` makes them.
    """
    if config.objective == "energy":
        error = energy_score(*(rows.unflatten(0, (config.draws, -1)) for rows in (prediction, clean))).flatten()
        return RowTerms(error, torch.zeros_like(error))
    if config.objective == "flow":
        gap = (1 - draw.times).clamp(min=MIN_FLOW_GAP).unsqueeze(-1)
        error = ((prediction - clean) / gap).square().mean(-1)
        return RowTerms(error, torch.zeros_like(error))
    predicted_noise, raw_variance = prediction.chunk(2, dim=-1)
    error = (predicted_noise - draw.noise).square().mean(-1)
    noised = add_noise(config, clean, draw)
    frozen = torch.cat([predicted_noise.detach(), raw_variance], dim=-1)
    return RowTerms(error, _variance_term(noise_schedule(config.train_steps), frozen, clean, noised, draw.times))


def energy_score(samples: Tensor, clean: Tensor) -> Tensor:
    """(K, M): terms of the energy score of K >= 2 samples (K, M, D) for the token `clean` (M, D) or (K, M, D).

    Distance of a sample to the token, minus half of its mean distance to the other samples, both over sqrt(D). The mean
    over K estimates E|x - y| - E|x - x'| / 2 without bias, which in expectation over tokens y is least for samples of
    their distribution, and for no other (arXiv 2505.07812, with exponent 1).
    """
    near = _distance(samples - clean)
    apart = _distance(samples.unsqueeze(0) - samples.unsqueeze(1)).sum(0) / (len(samples) - 1)
    return near - apart / 2


def _distance(difference: Tensor) -> Tensor:
    """Root mean square over the last axis; its gradient is 0 at 0."""
    return (difference.square().mean(-1) + DISTANCE_FLOOR).sqrt() - DISTANCE_FLOOR**0.5


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
    if config.objective != "noise":  # linear in the velocity too, since both share the noised token
        return guided
    width = conditional.shape[-1] // 2
    return torch.cat([guided[:, :width], conditional[:, width:]], dim=-1)


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
