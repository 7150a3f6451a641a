"""Mask ratios far from the location: the laws of a distribution hold any number of spreads away."""

import pytest
import torch

from dream import masking
from dream.config import MaskingConfig, ObjectiveConfig
from dream.masking import FAR_SPREADS, RatioDistribution
from dream.normal_tail import NormalTail

SHARES = torch.linspace(0, 1, 501, dtype=torch.float64)
FAR = {
    "below": RatioDistribution(-0.5, 0.05, 0.5, 1.0),
    "above": RatioDistribution(1.5, 0.05, 0.0, 0.6),
    "very far": RatioDistribution(-0.5, 0.001, 0.2, 0.9),
    "narrow": RatioDistribution(0.0, 0.05, 0.401, 0.405),
    "just far": RatioDistribution(0.0, 0.0499, 0.3, 1.0),
}
each_far = pytest.mark.parametrize("far", FAR.values(), ids=FAR)


@each_far
def test_quantiles_rise_within_the_interval_and_undo_the_distribution(far):
    ratios = far.quantile(SHARES)
    assert (ratios.diff() >= 0).all()
    assert ratios[0].item() == pytest.approx(far.low) and ratios[-1].item() == pytest.approx(far.high)
    assert ((ratios >= far.low) & (ratios <= far.high)).all()
    assert torch.allclose(far.shares_below(ratios[:-1]), SHARES[:-1], atol=1e-9)


@each_far
def test_density_mean_and_deviation_are_those_of_the_quantiles(far):
    middles = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    ratios = far.quantile(middles)
    assert far.mean == pytest.approx(ratios.mean().item(), rel=1e-6)
    assert far.deviation == pytest.approx(ratios.std().item(), rel=2e-3)
    between = (ratios[1:] + ratios[:-1]) / 2
    slopes = 1 / (200_000 * ratios.diff())
    assert torch.allclose(far.density(between)[1000:-1000], slopes[1000:-1000], rtol=1e-3)


@pytest.mark.parametrize("away", [FAR_SPREADS + 0.1, 8.0, 20.0])
def test_the_tail_is_the_mirror_of_the_exact_side(away):
    """Above its location a normal's probabilities are lost at 8 spreads, below it they are not."""
    low = -away
    exact = [0.5 * torch.special.erfc(torch.tensor(z / 2**0.5, dtype=torch.float64)) for z in (away, away + 4)]
    for share in (0.1, 0.5, 0.9):
        distance = NormalTail(away, 4.0).quantile(torch.tensor(share))
        below = 0.5 * torch.special.erfc((away + distance) / 2**0.5)
        assert ((exact[0] - below) / (exact[0] - exact[1])).item() == pytest.approx(share, abs=1e-7)
        mirrored = RatioDistribution(0.0, 1.0, low - 4.0, low).quantile(torch.tensor(1 - share))
        assert mirrored.item() == pytest.approx(low - distance.item(), abs=1e-6)


def test_nothing_jumps_where_the_tail_takes_over():
    near, far = (RatioDistribution(0.0, 0.3 / (FAR_SPREADS + d), 0.3, 1.0) for d in (-1e-9, 1e-9))
    assert near._tail is None and far._tail is not None
    assert torch.allclose(near.quantile(SHARES)[:-1], far.quantile(SHARES)[:-1], atol=1e-6)
    assert near.mean == pytest.approx(far.mean, abs=1e-6)
    assert near.deviation == pytest.approx(far.deviation, rel=1e-4)


@pytest.mark.parametrize("share", [None, 0.5])
@pytest.mark.parametrize(
    "config", [{"center_start": -0.5, "std": 0.05, "low": 0.5}, {"center_end": 1.5, "std": 0.02, "high": 0.6}]
)
def test_training_draws_allowed_ratios_however_far_the_location_is(config, share):
    settings = MaskingConfig(groups=8, generation_share=share, **config)
    for progress in (0.0, 0.5, 1.0):
        source = torch.Generator().manual_seed(0)
        ratios = masking.sample_mask_ratios(progress, settings, ObjectiveConfig(), source)
        assert all(settings.low <= ratio <= settings.high for ratio in ratios)
