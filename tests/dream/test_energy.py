"""Heads of one pass: the energy score is least for the true distribution, and a head that learns by it finds it."""

from dataclasses import replace

import pytest
import torch

from dream import diffusion
from dream.config import HeadConfig
from dream.decoding.solvers import denoise
from dream.diffusion import Draw
from dream.errors import InputError
from dream.model.diffusion_head import DiffusionHead
from tests.dream.decoding.decode_fakes import small_config
from tests.dream.test_diffusion import rng

CONFIG = HeadConfig(objective="energy", draws=2)


def score(samples_of, clean, count=2):
    return diffusion.energy_score(torch.stack([samples_of(i) for i in range(count)]), clean).mean()


def test_the_score_is_proper():
    """Samples of the tokens' own distribution score less than any that are shifted, narrower or wider."""
    clean = torch.randn(40_000, 3, generator=rng(1))

    def normal(shift, spread):
        return lambda i: shift + spread * torch.randn(40_000, 3, generator=rng(10 + i))

    true = score(normal(0.0, 1.0), clean)
    for shift, spread in ((0.5, 1.0), (0.0, 0.4), (0.0, 1.8), (0.0, 0.0)):
        assert score(normal(shift, spread), clean) > true + 0.01


def test_the_score_does_not_depend_on_the_number_of_samples():
    clean = torch.randn(40_000, 2, generator=rng(1))

    def normal(i):
        return torch.randn(40_000, 2, generator=rng(20 + i))

    assert score(normal, clean, 2).item() == pytest.approx(score(normal, clean, 5).item(), abs=0.01)


def test_terms_are_the_score_of_a_tokens_own_samples():
    prediction, clean = torch.randn(8, 3, generator=rng(1)), torch.randn(4, 3, generator=rng(2))
    draw = diffusion.sample_draw(CONFIG, 4, 3, rng(3))
    assert draw.times.tolist() == [0.0] * 8 and draw.noise.shape == (8, 3)
    terms = diffusion.generative_terms(CONFIG, prediction, clean.repeat(2, 1), draw)
    assert torch.equal(terms.variance, torch.zeros(8))
    for row in range(4):
        first, second = prediction[row], prediction[4 + row]
        near = [(each - clean[row]).square().mean().sqrt() for each in (first, second)]
        apart = (first - second).square().mean().sqrt() / 2
        assert terms.error[[row, 4 + row]].tolist() == pytest.approx([float(n - apart) for n in near], abs=2e-4)


def test_equal_samples_have_finite_gradients():
    samples = torch.zeros(2, 4, 3, requires_grad=True)
    diffusion.energy_score(samples, torch.zeros(4, 3)).sum().backward()
    assert samples.grad is not None and samples.grad.isfinite().all()


def test_a_head_reads_noise_alone():
    clean, noise = torch.randn(6, 3, generator=rng(1)), torch.randn(6, 3, generator=rng(2))
    assert torch.equal(diffusion.add_noise(CONFIG, clean, Draw(torch.zeros(6), noise)), noise)
    assert diffusion.head_output_dim(CONFIG, 3) == 3


def test_one_sample_a_token_is_refused():
    with pytest.raises(InputError, match="draws must be at least 2"):
        replace(small_config("energy"), head=HeadConfig(objective="energy", draws=1))


def test_a_head_learns_a_conditional_mixture():
    """Condition 0: a narrow Gaussian. Condition 1: two modes at -1 and 1, whose mean is no token at all."""
    config = small_config("energy")
    config = replace(config, head=replace(config.head, width=32, depth=1, draws=4))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = DiffusionHead(config)
    draws, token_dim = rng(5), config.image.token_dim

    def tokens(kind):
        sign = 1 - 2 * torch.randint(2, (len(kind), 1), generator=draws)
        mean = torch.where(kind == 1, sign.float(), torch.full_like(kind, 0.5))
        return mean + 0.1 * torch.randn(len(kind), token_dim, generator=draws)

    def condition(kind):
        return torch.cat([kind, 1 - kind], dim=1).repeat(1, config.decoder.width // 2)

    optimizer = torch.optim.Adam(head.parameters(), lr=2e-3)
    for _ in range(300):
        kind = torch.randint(2, (64, 1), generator=draws).float()
        clean = tokens(kind).repeat(4, 1)
        draw = diffusion.sample_draw(config.head, 64, token_dim, draws)
        noised = diffusion.add_noise(config.head, clean, draw)
        prediction = head(noised, draw.times, head.project(condition(kind)).repeat(4, 1))
        loss = diffusion.generative_terms(config.head, prediction, clean, draw).error.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = {}
    for kind in (0.0, 1.0):
        projected = head.project(condition(torch.full((2000, 1), kind)))
        noise = torch.randn(1, 2000, token_dim, generator=draws)

        def predict(noised, time, projected=projected):
            return head.predict(noised, head.embed_times(time), projected)

        with torch.no_grad():
            found[kind] = denoise(config.head, predict, noise).mean(1)
    assert found[0.0].mean().item() == pytest.approx(0.5, abs=0.1) and found[0.0].std().item() < 0.25
    assert found[1.0].mean().item() == pytest.approx(0.0, abs=0.25)
    assert found[1.0].std().item() == pytest.approx(1.0, abs=0.2)
    assert (found[1.0].abs() > 0.5).float().mean() > 0.8
