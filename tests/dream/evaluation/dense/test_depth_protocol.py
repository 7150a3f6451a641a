"""Protocols of NYUv2: Eigen's crop and BTS's mask as their code has them, and the errors of BTS's evaluation."""

import numpy as np
import pytest
from PIL import Image

from dream.evaluation.dense.crop import cut
from dream.evaluation.dense.depth import MEASURES, errors
from dream.evaluation.dense.depth_protocol import bts_depths, eigen_crop, every_depth


def bts_errors(gt, pred):
    """`compute_errors` of BTS (bts_main.py), without the errors that are not reported."""
    thresh = np.maximum(gt / pred, pred / gt)
    d1, d2, d3 = ((thresh < 1.25**power).mean() for power in (1, 2, 3))
    rms = np.sqrt(((gt - pred) ** 2).mean())
    abs_rel = np.mean(np.abs(gt - pred) / gt)
    log10 = np.mean(np.abs(np.log10(pred) - np.log10(gt)))
    return {
        "RMSE": rms,
        "within 1.25": d1,
        "relative error": abs_rel,
        "within 1.25^2": d2,
        "within 1.25^3": d3,
        "log10 error": log10,
    }


def test_eigens_crop_has_its_rows_and_columns():
    mask = np.zeros((480, 640), bool)
    mask[45:471, 41:601] = True
    assert np.array_equal(eigen_crop(480, 640), mask)
    half = eigen_crop(240, 320)
    assert half.shape == (240, 320) and half.mean() == pytest.approx(mask.mean(), abs=0.01)


def test_errors_are_those_of_bts_on_the_pixels_of_bts():
    """The range is open at both ends, the borders do not count, and predictions are clamped."""
    draws = np.random.default_rng(0)
    truth = draws.uniform(-1, 11, (2, 480, 640)).astype(np.float32)
    truth[:, ::7] = 10.0
    guess = draws.uniform(0.5, 9.5, truth.shape)
    for depths, predicted in zip(truth, guess, strict=True):
        valid = np.logical_and(depths > 1e-3, depths < 10)
        valid[:45], valid[471:], valid[:, :41], valid[:, 601:] = False, False, False, False
        wanted = bts_errors(depths[valid].astype(float), predicted[valid])
        (found,) = errors(predicted[None], bts_depths(10.0)(depths)[None], 10.0)
        assert dict(zip(MEASURES, found, strict=True)) == pytest.approx(wanted)


def test_a_border_stays_out_of_the_centre_square():
    """NYUv2's square at the full height: 45 rows are cut at the top and 9 at the bottom, no column."""
    depths = np.full((480, 640), 2.0, np.float32)
    _, found = cut(Image.new("RGB", (640, 480)), bts_depths(10.0)(depths), 480)
    counted = found > 0
    assert counted[45:471].all() and not counted[:45].any() and not counted[471:].any()
    assert np.array_equal(every_depth(depths), depths)
