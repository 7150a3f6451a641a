"""The mathematics of the diffusion head."""

import math

import pytest
import torch

from dream import diffusion
from dream.config import HeadConfig
from dream.decoding import solvers
from dream.diffusion import Draw

NOISE = HeadConfig(sampling_steps=50)
FLOW = HeadConfig(objective="flow", sampling_steps=16)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_respacing_to_all_steps_changes_nothing():
    whole, respaced = diffusion.noise_schedule(1000), diffusion.noise_schedule(1000, 1000)
    for name in whole._fields:
        assert torch.equal(getattr(whole, name), getattr(respaced, name))


@pytest.mark.parametrize("steps", [1, 2, 10, 20, 25, 100, 999])
def test_respaced_chain_has_the_noise_levels_of_the_steps_it_keeps(steps):
    whole, chain = diffusion.noise_schedule(1000), diffusion.noise_schedule(1000, steps)
    times = diffusion.respaced_times(1000, steps)
    assert len(set(times)) == steps and times == sorted(times)
    assert torch.equal(chain.alphas_cumprod, whole.alphas_cumprod[times])
    assert chain.alphas_cumprod == pytest.approx(torch.cumprod(1 - chain.betas, 0).numpy(), rel=1e-9)


def test_add_noise_keeps_the_variance_and_ends_in_noise():
    clean, noise = torch.randn(20000, 2, generator=rng(1)), torch.randn(20000, 2, generator=rng(2))
    for time in (0, 300, 999):
        noised = diffusion.add_noise(NOISE, clean, Draw(torch.full((20000,), time), noise))
        assert noised.std().item() == pytest.approx(1.0, abs=0.02)
    assert torch.allclose(noised, noise, atol=1e-3)
    assert torch.equal(diffusion.add_noise(FLOW, clean, Draw(torch.ones(20000), noise)), clean)
    assert torch.equal(diffusion.add_noise(FLOW, clean, Draw(torch.zeros(20000), noise)), noise)


def test_the_true_posterior_has_no_variance_term():
    """A head that knows the noise and predicts the posterior's variance leaves only float error."""
    clean, noise = torch.randn(64, 4, generator=rng(1)), torch.randn(64, 4, generator=rng(2))
    draw = Draw(torch.arange(100, 740, 10), noise)
    right = torch.cat([noise, torch.full_like(noise, -1.0)], dim=-1)
    terms = diffusion.generative_terms(NOISE, right, clean, draw)
    assert terms.error.abs().max() == 0 and terms.variance.abs().max() < 1e-5
    wrong = torch.cat([noise + 0.1, torch.full_like(noise, -1.0)], dim=-1)
    assert (diffusion.generative_terms(NOISE, wrong, clean, draw).variance > terms.variance).all()


def test_the_variance_term_trains_the_variance_only():
    clean, noise = torch.randn(8, 4, generator=rng(1)), torch.randn(8, 4, generator=rng(2))
    prediction = torch.randn(8, 8, generator=rng(3), requires_grad=True)
    times = torch.tensor([0, 1, 5, 50, 200, 500, 900, 999])
    diffusion.generative_terms(NOISE, prediction, clean, Draw(times, noise)).variance.sum().backward()
    assert prediction.grad is not None
    assert (prediction.grad[:, :4] == 0).all() and (prediction.grad[:, 4:] != 0).any(dim=1).all()


def test_a_perfect_head_has_no_flow_error_and_samples_the_data():
    clean, noise = torch.randn(32, 3, generator=rng(1)), torch.randn(32, 3, generator=rng(2))
    draw = Draw(torch.rand(32, generator=rng(3)), noise)
    assert diffusion.generative_terms(FLOW, clean, clean, draw).error.max() == 0
    sampled = solvers.denoise(FLOW, lambda noised, time: clean, noise[None])
    assert torch.allclose(sampled, clean, atol=1e-5)


def gaussian_head(mean, std):
    """The exact predictor of noise, and of the clean value, for data normal(mean, std)."""
    schedule = diffusion.noise_schedule(1000)

    def noise_head(noised, time):
        level = schedule.alphas_cumprod[time].float()
        marginal = level * std**2 + 1 - level
        noise = (1 - level).sqrt() * (noised - level.sqrt() * mean) / marginal
        return torch.cat([noise, torch.zeros_like(noise)], dim=-1)

    def flow_head(noised, time):
        marginal = time**2 * std**2 + (1 - time) ** 2
        return mean + time * std**2 / marginal * (noised - time * mean)

    return noise_head, flow_head


@pytest.mark.parametrize("config", [NOISE, HeadConfig(objective="flow", sampling_steps=64)])
def test_sampling_with_the_exact_head_gives_the_data_distribution(config):
    head = gaussian_head(0.7, 0.5)[config.objective == "flow"]
    noise = torch.randn(solvers.noise_draws(config), 20000, 1, generator=rng())
    sampled = solvers.denoise(config, head, noise)
    assert sampled.mean().item() == pytest.approx(0.7, abs=0.03)
    assert sampled.std().item() == pytest.approx(0.5, rel=0.06)


def test_temperature_zero_draws_the_same_from_the_same_start():
    head = gaussian_head(0.0, 1.0)[0]
    noise = torch.randn(51, 10, 1, generator=rng())
    other = torch.cat([noise[:1], torch.randn(50, 10, 1, generator=rng(9))])
    assert torch.equal(solvers.denoise(NOISE, head, noise, 0.0), solvers.denoise(NOISE, head, other, 0.0))
    assert not torch.equal(solvers.denoise(NOISE, head, noise), solvers.denoise(NOISE, head, other))


def test_guidance_one_is_the_conditional_output_and_spares_the_variance():
    conditional, unconditional = torch.randn(5, 8, generator=rng(1)), torch.randn(5, 8, generator=rng(2))
    for config in (NOISE, FLOW):
        assert torch.allclose(diffusion.guide(config, conditional, unconditional, 1.0), conditional, atol=1e-6)
    guided = diffusion.guide(NOISE, conditional, unconditional, 3.0)
    assert torch.equal(guided[:, 4:], conditional[:, 4:])
    assert torch.allclose(guided[:, :4], 3 * conditional[:, :4] - 2 * unconditional[:, :4], atol=1e-5)


@pytest.mark.parametrize("config", [NOISE, FLOW])
def test_draws_repeat_the_rows_and_follow_the_generator(config):
    draw = diffusion.sample_draw(config, 3, 5, rng())
    assert draw.noise.shape == (3 * config.draws, 5) and draw.times.shape == (3 * config.draws,)
    again = diffusion.sample_draw(config, 3, 5, rng())
    assert torch.equal(draw.noise, again.noise) and torch.equal(draw.times, again.times)
    many = diffusion.sample_draw(config, 4000, 1, rng()).times.double()
    if config.objective == "noise":
        assert many.min() >= 0 and many.max() <= 999 and many.mean().item() == pytest.approx(499.5, abs=10)
    else:
        median = 1 / (1 + math.exp(-config.time_mean))
        assert many.median().item() == pytest.approx(median, abs=0.02)
