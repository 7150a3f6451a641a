"""What a masking does over a training: densities, means, shares and chances obey their laws and the draws."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dream.config import MaskingConfig, ObjectiveConfig
from dream.masking import counts_in_contrast, counts_in_generation, ratio_distribution, sample_mask_ratios
from dream.randomness import generator
from workbench.masking.settings import presets
from workbench.masking.study import (
    at_moment,
    bounds,
    chance_of_both,
    counted_shares,
    density_in_bins,
    draw_batches,
    draw_masks,
    mean_shares,
    mixture,
    over_training,
    true_mean,
)

OBJECTIVE = ObjectiveConfig()
MASKINGS = {found.name: found.masking for found in presets()}
MASKINGS["8 shared, 3 spreads away"] = MaskingConfig(std=0.15, groups=8, generation_share=0.25)
MASKINGS["4 stratified on a part"] = MaskingConfig(low=0.2, high=0.8, groups=4, stratified=True)
EDGES = np.linspace(0, 1, 201)
each_masking = pytest.mark.parametrize("masking", MASKINGS.values(), ids=MASKINGS)
each_moment = pytest.mark.parametrize("progress", [0.0, 0.4, 1.0])


@each_masking
@each_moment
def test_the_density_integrates_to_one(masking, progress):
    density = density_in_bins(progress, masking, OBJECTIVE, EDGES.tolist())
    assert (density >= 0).all()
    assert (density * np.diff(EDGES)).sum() == pytest.approx(1)


@each_masking
@each_moment
def test_the_true_mean_is_the_densitys_mean(masking, progress):
    density = density_in_bins(progress, masking, OBJECTIVE, EDGES.tolist())
    middles = (EDGES[1:] + EDGES[:-1]) / 2
    mean = (density * np.diff(EDGES) * middles).sum()
    assert mean == pytest.approx(true_mean(progress, masking, OBJECTIVE), abs=1 / 200)


@each_moment
def test_without_shared_groups_the_true_mean_is_the_distributions(progress):
    for masking in MASKINGS.values():
        if masking.generation_share is None:
            assert true_mean(progress, masking, OBJECTIVE) == pytest.approx(ratio_distribution(progress, masking).mean)


@each_masking
def test_shares_add_up(masking):
    shares = over_training(masking, OBJECTIVE, 25, moments=5).shares
    covered = shares["contrast"] + shares["generation"] - shares["both"] + shares["neither"]
    assert covered == pytest.approx(np.ones(5))
    for share in shares.values():
        assert (share >= -1e-12).all() and (share <= 1 + 1e-12).all()
    assert (shares["both"] <= np.minimum(shares["contrast"], shares["generation"]) + 1e-12).all()


@each_masking
@each_moment
def test_shares_and_chance_are_those_of_many_draws(masking, progress):
    batches = draw_batches(progress, masking, OBJECTIVE, 500, seed=3)
    found = counted_shares(batches.ravel(), OBJECTIVE, 25)
    assert found == pytest.approx(mean_shares(progress, masking, OBJECTIVE, 25), abs=0.06)
    held = _hold_both(batches, 25)
    assert held == pytest.approx(chance_of_both(progress, masking, OBJECTIVE, 25), abs=0.08)


@pytest.mark.parametrize("groups", [1, 2, 5, 16])
def test_the_chance_of_both_regimes_is_what_counting_batches_gives(groups):
    masking = MaskingConfig(groups=groups)
    for progress in (0.0, 0.5):
        batches = draw_batches(progress, masking, OBJECTIVE, 1000, seed=groups)
        held = _hold_both(batches, 64)
        assert held == pytest.approx(chance_of_both(progress, masking, OBJECTIVE, 64), abs=0.05)


def _hold_both(batches: np.ndarray, num_tokens: int) -> float:
    """Share of the batches (rows) with a group for each loss."""
    hidden = np.ceil(batches * num_tokens) / num_tokens
    contrast = (1 - hidden >= OBJECTIVE.min_visible).any(axis=1)
    return float((contrast & (hidden >= OBJECTIVE.min_masked).any(axis=1)).mean())


def test_the_published_masking_trains_what_the_paper_says():
    schedule = over_training(MaskingConfig(), OBJECTIVE, 256, moments=3)
    assert schedule.mean[[0, -1]] == pytest.approx([0.34, 0.66], abs=0.005)
    assert schedule.shares["contrast"][[0, -1]] == pytest.approx([0.93, 0.57], abs=0.005)
    assert schedule.shares["generation"][[0, -1]] == pytest.approx([0.25, 0.75], abs=0.01)
    assert schedule.shares["both"][[0, -1]] == pytest.approx([0.18, 0.32], abs=0.01)
    assert schedule.center.tolist() == pytest.approx([0, 2 / 3, 1])


@pytest.mark.parametrize("num_tokens", [1, 4, 25, 64, 256])
@pytest.mark.parametrize(("visible", "masked"), [(0.25, 0.5), (0.0, 0.0), (1.0, 1.0), (0.3, 0.7)])
def test_who_counts_agrees_with_the_masks_of_training_for_every_number_of_tokens(num_tokens, visible, masked):
    objective = ObjectiveConfig(min_visible=visible, min_masked=masked)
    above, upto = bounds(objective, num_tokens)
    for hidden in range(num_tokens + 1):
        mask = (torch.arange(num_tokens) < hidden).unsqueeze(0)
        ratio = hidden / num_tokens
        assert (ratio > above) == bool(counts_in_generation(mask, masked))
        assert (ratio <= upto) == bool(counts_in_contrast(mask, visible))


@each_masking
def test_the_groups_together_draw_from_the_whole_distribution(masking):
    parts = mixture(0.3, masking, OBJECTIVE)
    assert sum(parts.values()) == pytest.approx(1)
    for ratio in (0.1, 0.45, 0.6, 0.9):
        mass = density_in_bins(0.3, masking, OBJECTIVE, [0.0, ratio, 1.0])[0] * ratio
        assert sum(weight * part.cdf(ratio) for part, weight in parts.items()) == pytest.approx(mass)


@each_masking
def test_a_training_is_made_of_its_moments(masking):
    whole = over_training(masking, OBJECTIVE, 25, moments=5)
    for i, progress in enumerate(whole.progress.tolist()):
        density = density_in_bins(progress, masking, OBJECTIVE, whole.edges.tolist())
        assert whole.density[i] == pytest.approx(density)
        shares = {name: share[i] for name, share in whole.shares.items()}
        assert shares == pytest.approx(mean_shares(progress, masking, OBJECTIVE, 25)._asdict())
        chance = chance_of_both(progress, masking, OBJECTIVE, 25)
        assert whole.chance[masking.groups][i] == pytest.approx(chance)


@each_masking
def test_batches_are_those_that_training_draws_one_after_the_other(masking):
    source = generator(5, "masking study")
    drawn = [sample_mask_ratios(0.3, masking, OBJECTIVE, source) for _ in range(20)]
    assert draw_batches(0.3, masking, OBJECTIVE, 20, seed=5).tolist() == drawn


@each_masking
def test_draws_at_a_moment_have_the_closed_forms_mean_and_lie_where_it_is(masking):
    moment = at_moment(0.25, masking, OBJECTIVE, 25, draws=800)
    assert moment.ratios.mean() == pytest.approx(moment.mean, abs=0.04)
    whole = np.trapezoid(moment.density, moment.at) + sum(share for _, share in moment.points)
    assert whole == pytest.approx(1, abs=0.02)
    assert moment.counted == pytest.approx(moment.shares, abs=0.06)


def test_nothing_hidden_is_one_point_and_no_location():
    moment = at_moment(0.5, MaskingConfig(schedule="never"), OBJECTIVE, 25)
    assert moment.points == [(0.0, 1.0)] and moment.center is None
    assert moment.shares.contrast == 1 and moment.chance == 0


def test_masks_hide_what_their_ratio_says_and_name_what_they_train():
    masking = replace(MASKINGS["tiny"], groups=4)
    masks = draw_masks(0.5, masking, OBJECTIVE, 5, 8, seed=1)
    assert len(masks) == 8
    for mask in masks:
        assert mask.hidden.shape == (5, 5)
        assert mask.hidden.sum() == np.ceil(25 * mask.ratio)
        assert mask.generation == (mask.hidden.mean() >= 0.5)
        assert mask.contrast == (mask.hidden.mean() <= 0.75)


def test_the_same_seed_draws_the_same():
    drawn = [draw_batches(0.5, MASKINGS["tiny"], OBJECTIVE, 3, seed=seed) for seed in (1, 1, 2)]
    assert (drawn[0] == drawn[1]).all() and (drawn[0] != drawn[2]).any()


def test_no_draws_have_no_shares():
    assert all(np.isnan(share) for share in counted_shares(np.array([]), OBJECTIVE, 25))
