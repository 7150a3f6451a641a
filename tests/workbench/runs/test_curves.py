"""Curves hold what the rows say, by step, minute and picture; smoothing keeps a constant as it is."""

import dataclasses

import numpy as np
import pytest

from workbench.runs.curves import CurveBuilder, curves_of, drawn_by_step, smoothed, thinned


def row(step: int, **values) -> dict:
    return {"kind": "train", "step": step, "samples_per_second": 64.0, **values}


def test_minutes_are_those_of_training_and_pictures_are_steps_times_batch():
    curves = curves_of([row(60), row(120)], "run", batch_size=64)
    np.testing.assert_allclose(curves.at(curves.steps, "minutes"), [1.0, 2.0])
    np.testing.assert_allclose(curves.at(np.array([30.0, 90.0]), "minutes"), [0.5, 1.5])
    np.testing.assert_allclose(curves.at(curves.steps, "pictures"), [60 * 64, 120 * 64])
    np.testing.assert_allclose(curves.at(curves.steps, "steps"), [60, 120])


def test_what_a_row_lacks_is_a_gap():
    rows = [row(10, contrastive_loss=None), row(20, contrastive_loss=2.0, generative_by_ratio={"0.5-0.6": 1.0})]
    curves = curves_of([*rows, {"kind": "validation", "step": 20, "loss": 3.0, "retrieval_among": 64}])
    np.testing.assert_array_equal(curves.train["contrastive_loss"], [np.nan, 2.0])
    np.testing.assert_array_equal(curves.by_ratio["0.5-0.6"], [np.nan, 1.0])
    assert curves.checked.tolist() == [20] and curves.validation["loss"].tolist() == [3.0]
    assert curves.among == 64 and np.isnan(curves.validation["text_to_image_r1_at_0.75"][0])


def test_rows_of_odd_types_break_nothing():
    odd = row(10, grad_norm="large", mask_ratios=3, generative_by_ratio=[1], samples_per_second=0)
    curves = curves_of([odd])
    assert np.isnan(curves.train["grad_norm"][0]) and curves.ratios == [[]] and curves.minutes[0] == 0.0


@pytest.mark.parametrize("strength", [0.0, 0.5, 0.99])
def test_smoothing_keeps_a_constant_and_gaps(strength):
    values = np.array([2.0, np.nan, 2.0, 2.0])
    np.testing.assert_allclose(smoothed(values, strength), values)


def test_smoothing_weighs_what_came_before():
    np.testing.assert_allclose(smoothed(np.array([0.0, 3.0]), 0.5), [0.0, 2.0])
    with pytest.raises(ValueError, match="strength"):
        smoothed(np.zeros(1), 1.0)


@pytest.mark.parametrize("count", [0, 1, 7, 1200, 5000])
def test_thinning_keeps_the_last_and_little_enough(count):
    kept = thinned(count)
    assert len(kept) <= 1200 and (not count or kept[-1] == count - 1)
    assert (np.diff(kept) > 0).all()


def test_shares_of_drawn_ratios_sum_to_one_where_anything_was_drawn():
    curves = curves_of([row(step, mask_ratios=[0.1, 0.9, 1.0]) for step in (10, 20, 40)])
    edges, middles, shares = drawn_by_step(curves, bins=4)
    assert shares.shape == (20, 3) and edges[-1] == 40 and len(middles) == 20
    totals = shares.sum(axis=0)
    assert np.nansum(shares) == pytest.approx(np.isfinite(totals).sum())
    assert drawn_by_step(curves_of([]))[2].shape[0] == 20


@pytest.mark.parametrize("strength", [0.0, 0.05, 0.8, 0.99, 0.999])
@pytest.mark.parametrize("count", [1, 2, 25, 5000])
def test_smoothing_in_blocks_is_the_recursion_row_by_row(strength, count):
    values = np.random.default_rng(0).normal(2, 1, count)
    values[3::7] = np.nan
    total = weight = 0.0
    for value, smooth in zip(values, smoothed(values, strength), strict=True):
        if np.isnan(value):
            assert np.isnan(smooth)
            continue
        total, weight = strength * total + value, strength * weight + 1.0
        assert smooth == pytest.approx(total / weight, rel=1e-9)


def test_curves_that_grow_row_by_row_are_those_of_all_rows_at_once():
    rows = [row(step, generative_by_ratio={f"0.{step % 3}": 1.0 * step}, mask_ratios=[0.5]) for step in range(1, 40)]
    rows[20:20] = [{"kind": "validation", "step": 20, "loss": 3.0, "contrastive_by_ratio": {"0.75": 2.0}}]
    builder = CurveBuilder()
    for each in rows:
        builder.add([each])
        builder.curves()
    grown, whole = builder.curves("a", 64), curves_of(rows, "a", 64)
    for field in dataclasses.fields(grown):
        np.testing.assert_equal(getattr(grown, field.name), getattr(whole, field.name))
    assert list(whole.by_ratio) == ["0.0", "0.1", "0.2"] and len(whole.by_ratio["0.0"]) == 39
