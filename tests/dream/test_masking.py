"""Masking Warmup, masks and reveal schedules."""

import itertools
import math

import pytest
import torch

from dream import masking
from dream.config import MaskingConfig, ObjectiveConfig

OBJECTIVE = ObjectiveConfig()


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


VARIANTS = [
    MaskingConfig(),
    MaskingConfig(shape="cosine"),
    MaskingConfig(hold=0.2, warmup_end=1.0),
    MaskingConfig(moving_interval=True),
    MaskingConfig(std=0.1, std_end=0.6),
    MaskingConfig(schedule="uniform"),
    MaskingConfig(schedule="constant", std=0.25, low=0.7),
    MaskingConfig(schedule="constant", center_end=0.55, std=0.25, low=0.7),
    MaskingConfig(schedule="never"),
]


@pytest.mark.parametrize("config", VARIANTS)
@pytest.mark.parametrize("progress", [0.0, 0.3, 0.75, 1.0])
def test_draws_match_the_closed_form(config, progress):
    wanted = masking.ratio_distribution(progress, config)
    many = masking.sample_mask_ratios(progress, MaskingConfig(**{**vars(config), "groups": 4000}), OBJECTIVE, rng())
    draws = torch.tensor(many, dtype=torch.float64)
    assert (draws >= wanted.low - 1e-9).all() and (draws <= wanted.high + 1e-9).all()
    assert draws.mean() == pytest.approx(wanted.mean, abs=4 * wanted.deviation / math.sqrt(len(many)) + 1e-9)
    if wanted.deviation:
        assert draws.std() == pytest.approx(wanted.deviation, rel=0.08)
        for ratio in torch.linspace(wanted.low, wanted.high, 7)[1:-1].tolist():
            assert (draws <= ratio).double().mean() == pytest.approx(wanted.cdf(ratio), abs=0.035)


@pytest.mark.parametrize("config", VARIANTS[:-1])
def test_density_integrates_to_the_distribution(config):
    whole = masking.ratio_distribution(0.4, config)
    grid = torch.linspace(whole.low, whole.high, 4001, dtype=torch.float64)
    density = whole.density(grid)
    assert torch.trapezoid(density, grid).item() == pytest.approx(1.0, abs=1e-3)
    assert torch.trapezoid(density * grid, grid).item() == pytest.approx(whole.mean, abs=1e-3)
    assert whole.cdf(whole.quantile(torch.tensor(0.3, dtype=torch.float64)).item()) == pytest.approx(0.3, abs=1e-9)
    assert (whole.density(torch.tensor([-0.1, 1.1])) == 0).all()


def test_center_moves_from_start_to_end_and_stays():
    for config in VARIANTS[:5]:
        centers = [masking.masking_center(p / 100, config) for p in range(101)]
        assert centers[0] == config.center_start and centers[-1] == pytest.approx(config.center_end)
        assert all(b >= a - 1e-12 for a, b in itertools.pairwise(centers))
        assert masking.masking_center(config.hold / 2, config) == config.center_start
        assert masking.masking_center(config.warmup_end, config) == pytest.approx(config.center_end)
    assert masking.masking_center(0.375, MaskingConfig()) == pytest.approx(0.5)


def test_stratified_draws_hold_one_ratio_of_every_quantile_band():
    config = MaskingConfig(groups=8, stratified=True)
    whole = masking.ratio_distribution(0.5, config)
    for seed in range(20):
        bands = sorted(int(whole.cdf(r) * 8) for r in masking.sample_mask_ratios(0.5, config, OBJECTIVE, rng(seed)))
        assert bands == list(range(8))


def test_generation_share_serves_both_losses_in_every_batch():
    config = MaskingConfig(groups=8, generation_share=0.5)
    for seed, progress in itertools.product(range(10), (0.0, 0.5, 1.0)):
        ratios = torch.tensor(masking.sample_mask_ratios(progress, config, OBJECTIVE, rng(seed)))
        assert (ratios >= 0.5).sum() >= 4 and (ratios <= 0.75).sum() >= 4


def test_same_generator_state_same_draws():
    config = MaskingConfig(groups=4)
    first, second = (masking.sample_mask_ratios(0.2, config, OBJECTIVE, rng(3)) for _ in range(2))
    assert first == second != masking.sample_mask_ratios(0.2, config, OBJECTIVE, rng(4))


def test_masks_hide_the_ceiling_of_the_ratio_in_every_row_of_a_group():
    ratios = [0.0, 0.1, 0.5, 1.0]
    mask = masking.sample_masks(ratios, 12, 10, rng())
    assert mask.dtype == torch.bool
    assert mask.sum(1).tolist() == [0] * 3 + [1] * 3 + [5] * 3 + [10] * 3
    assert [masking.num_masked(r, 16) for r in (0.1, 0.5, 0.9, 0.5000001)] == [2, 8, 15, 9]
    assert masking.num_masked(0.07 * 3, 100) == 21  # 0.21000000000000002 * 100 is 21 tokens, not 22


def test_every_position_is_equally_likely_to_be_hidden():
    mask = masking.sample_masks([0.25], 8000, 12, rng())
    assert mask.double().mean(0) == pytest.approx([0.25] * 12, abs=0.025)


def test_an_order_hides_its_beginning():
    order = masking.sample_orders(5, 9, rng())
    assert (order.sort(dim=1).values == torch.arange(9)).all()
    mask = masking.mask_from_order(order, 4)
    assert mask.gather(1, order[:, :4]).all() and not mask.gather(1, order[:, 4:]).any()


def test_thresholds_count_whole_tokens():
    mask = torch.zeros(5, 20, dtype=torch.bool)
    for row, hidden in enumerate((0, 9, 10, 15, 16)):
        mask[row, :hidden] = True
    assert masking.counts_in_generation(mask, 0.5).tolist() == [False, False, True, True, True]
    assert masking.counts_in_contrast(mask, 0.25).tolist() == [True, True, True, True, False]
    assert not masking.counts_in_generation(mask, 0.0)[0]  # a ratio of exactly 0 has nothing to predict


@pytest.mark.parametrize("tokens", [1, 2, 16, 36, 256])
@pytest.mark.parametrize("steps", [1, 2, 8, 16, 64, 300])
def test_reveal_schedule_reveals_everything_once_and_never_waits(tokens, steps):
    plan = masking.reveal_schedule(tokens, steps)
    assert len(plan) == steps and sum(plan) == tokens and min(plan) >= 0
    hidden = tokens
    for reveal in plan[:-1]:
        assert reveal >= 1 or hidden == 1  # only the last token waits for the last step
        hidden -= reveal
    assert plan[-1] >= 1


@pytest.mark.parametrize("tokens", [0, 1, 2, 16, 25, 256])
@pytest.mark.parametrize(("steps", "coarse"), [(2, 1), (4, 3), (16, 4), (64, 63)])
def test_coarse_steps_reveal_half_of_the_tokens(tokens, steps, coarse):
    plan = masking.reveal_schedule(tokens, steps, coarse)
    assert len(plan) == steps and min(plan) >= 0
    assert sum(plan) == tokens and sum(plan[:coarse]) == (tokens + 1) // 2


@pytest.mark.parametrize("grid", [1, 2, 5, 8])
def test_the_coarse_half_of_an_order_is_a_checkerboard(grid):
    order = masking.sample_orders(4, grid**2, rng())
    last = masking.coarse_places_last(order)
    assert torch.equal(last.sort(dim=1).values, order.sort(dim=1).values)
    fine = grid**2 // 2
    assert torch.equal((last // grid + last % grid) % 2 == 1, (torch.arange(grid**2) < fine).expand_as(last))
