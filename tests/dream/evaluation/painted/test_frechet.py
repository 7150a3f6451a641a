"""Distances between sets of features: closed forms, scipy, invariances, and what holds of identical sets."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from dream.evaluation.painted.frechet import frechet_estimate, inception_scores, overlap


def features(count, width, seed=0, scale=1.0, shift=0.0):
    draws = np.random.default_rng(seed)
    return draws.standard_normal((count, width)) @ np.diag(scale / np.arange(1, width + 1) ** 0.5) + shift


def with_moments(mean, covariance, count=50):
    """Features that have exactly this mean and covariance."""
    x = np.random.default_rng(1).standard_normal((count, len(mean)))
    x -= x.mean(0)
    whitened = x @ np.linalg.inv(np.linalg.cholesky(x.T @ x / (count - 1))).T
    return whitened @ np.linalg.cholesky(covariance).T + mean


def distance(a, b):
    return frechet_estimate(a, b).value


def by_scipy(a, b):
    one, other = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    gap = a.mean(0) - b.mean(0)
    return gap @ gap + np.trace(one + other - 2 * np.real(sqrtm(one @ other)))


def test_distance_of_gaussians_that_commute_is_that_of_means_and_deviations():
    """|m - n|^2 + sum (s_i - t_i)^2 of diagonal covariances with deviations s and t."""
    mean, other = np.array([1.0, 2.0, -1.0]), np.array([0.0, 2.0, 1.0])
    s, t = np.array([1.0, 2.0, 0.5]), np.array([2.0, 2.0, 0.1])
    a, b = with_moments(mean, np.diag(s**2)), with_moments(other, np.diag(t**2))
    assert distance(a, b) == pytest.approx(5.0 + 1.0 + 0.16, rel=1e-10)


def test_distance_of_gaussians_of_two_numbers_has_a_closed_form():
    """tr (A B)^(1/2) = sqrt(tr A B + 2 sqrt(det A B)) of 2 x 2 matrices."""
    one, other = np.array([[2.0, 0.7], [0.7, 1.0]]), np.array([[1.0, -0.4], [-0.4, 0.5]])
    shared = np.sqrt(np.trace(one @ other) + 2 * np.sqrt(np.linalg.det(one @ other)))
    expected = np.trace(one + other) - 2 * shared
    a, b = with_moments(np.zeros(2), one), with_moments(np.zeros(2), other)
    assert distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_distance_is_scipys():
    a, b = features(300, 20), features(200, 20, seed=1, scale=1.4, shift=0.2)
    assert distance(a, b) == pytest.approx(by_scipy(a, b), rel=1e-8)


def test_distance_is_symmetric_and_does_not_change_under_rotation_and_shift():
    a, b = features(150, 12), features(120, 12, seed=1, scale=0.6, shift=0.1)
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((12, 12)))[0]
    value = distance(a, b)
    assert distance(b, a) == pytest.approx(value)
    assert distance(a @ turn + 3, b @ turn + 3) == pytest.approx(value)
    assert frechet_estimate(a @ turn, b @ turn).high == pytest.approx(frechet_estimate(a, b).high)


def test_fewer_pictures_than_numbers_and_constant_features_do_no_harm():
    a, b = features(30, 80), features(40, 80, seed=1, shift=0.3)
    assert distance(a, a) == pytest.approx(0, abs=1e-10)
    assert distance(a, b) == pytest.approx(by_scipy(a, b), rel=1e-6)
    still = np.ones((10, 80))
    spread = np.cov(a, rowvar=False).trace() + np.square(a.mean(0) - 1).sum()
    assert distance(still, a) == pytest.approx(spread)
    assert distance(still, still) == 0.0


def test_one_picture_has_no_covariance():
    with pytest.raises(ValueError, match="2 or more"):
        distance(np.ones((1, 3)), np.ones((4, 3)))


@pytest.mark.parametrize(("count", "width", "shift"), [(150, 8, 0.5), (120, 200, 0.1)])
def test_interval_is_the_spread_of_the_distance_over_sets_of_this_size(count, width, shift):
    pairs = [
        frechet_estimate(features(count, width, seed=2 * i), features(count, width, 2 * i + 1, 1.2, shift))
        for i in range(60)
    ]
    middle = np.mean([e.value for e in pairs])
    assert np.mean([e.low <= middle <= e.high for e in pairs]) >= 0.85
    halves = np.mean([(e.high - e.low) / 2 / 1.96 for e in pairs])
    assert halves == pytest.approx(np.std([e.value for e in pairs]), rel=0.4)


def test_estimate_is_the_distance_with_the_smaller_count():
    a, b = features(40, 5), features(60, 5, seed=1, shift=1.0)
    found = frechet_estimate(a, b)
    assert found.value == pytest.approx(distance(a, b)) and found.count == 40
    assert 0 <= found.low < found.value < found.high


def test_inception_score_of_no_opinion_is_1_and_of_k_sure_classes_is_k():
    assert inception_scores(np.full((50, 7), 1 / 7)) == pytest.approx(np.ones(10))
    sure = np.eye(5)[np.arange(100) % 5]
    assert inception_scores(sure) == pytest.approx(np.full(10, 5.0))
    assert inception_scores(sure[:4], splits=10) == pytest.approx(np.ones(4))
    half = inception_scores(np.array([[1.0, 0.0], [0.5, 0.5]]), splits=1)[0]
    assert half == pytest.approx(np.exp((np.log(4 / 3) + 0.5 * np.log(2 / 3) + 0.5 * np.log(2)) / 2))


def test_identical_sets_overlap_wholly_and_distant_ones_not_at_all():
    a = features(60, 6)
    same = overlap(a, a, 3)
    assert same.precision.all() and same.recall.all() and same.coverage.all()
    far = overlap(a, a + 100, 3)
    assert not far.precision.any() and not far.recall.any() and not far.coverage.any()
    assert far.density.sum() == 0
    assert same.density.mean() == pytest.approx(4 / 3)  # its own ball, and those of k others


def test_a_painter_of_one_picture_is_precise_and_recalls_nothing():
    real = features(80, 3)
    found = overlap(real, np.repeat(real[:1] + 1e-6, 80, 0), 3)
    assert found.precision.all() and not found.recall.any()
    assert found.coverage.mean() < 0.1


def test_overlap_agrees_with_neighbours_counted_one_by_one():
    from sklearn.neighbors import NearestNeighbors

    real, painted, k = features(300, 4), features(70, 4, seed=1, shift=0.4), 3
    reach = NearestNeighbors(n_neighbors=k + 1).fit(real).kneighbors(real)[0][:, -1]
    distances = np.linalg.norm(real[:, None] - painted[None], axis=-1)
    held = distances <= reach[:, None]
    found = overlap(real, painted, k)
    np.testing.assert_array_equal(found.precision, held.any(0))
    np.testing.assert_array_equal(found.coverage, held.any(1))
    np.testing.assert_allclose(found.density, held.sum(0) / k)
    np.testing.assert_array_equal(overlap(painted, real, k).precision, found.recall)
    with pytest.raises(ValueError, match="more than 3"):
        overlap(real, painted[:3], 3)
