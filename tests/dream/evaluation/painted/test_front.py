"""The front of quality and time: which settings are as good as the slowest, and which of them is the fastest."""

import pytest

from dream.errors import InputError
from dream.evaluation.painted.front import FASTER, FrontPoint, FrontSettings, fastest_as_good, front_measures
from dream.evaluation.statistics import Estimate
from tests.dream.evaluation.evaluation_small import small_pretrained


def point(steps, seconds, right, distance, spread=0.05):
    def around(value):
        return Estimate(value, value - spread, value + spread, 100)

    return FrontPoint(steps, 4, around(seconds), {"thing": around(right), "style": around(0.8)}, around(distance))


SLOWEST = point(16, 1.0, 0.5, 3.0)


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        ([], 16),
        ([point(8, 0.5, 0.46, 3.04)], 8),
        ([point(8, 0.5, 0.46, 3.04), point(4, 0.3, 0.44, 3.0)], 8),  # fewer right
        ([point(8, 0.5, 0.46, 3.04), point(4, 0.3, 0.9, 3.06)], 8),  # farther from real pictures
        ([point(8, 0.5, 0.46, 3.04), point(4, 0.3, 0.9, 0.1)], 4),  # better in everything
        ([point(8, 1.5, 0.9, 0.1)], 16),  # better, but not faster
    ],
)
def test_the_fastest_within_the_intervals_of_the_slowest_is_chosen(others, chosen):
    points = [SLOWEST, *others]
    assert fastest_as_good(points).steps == chosen
    measures = front_measures(points, {})
    assert {m.where["steps"] for m in measures if m.where.get("chosen")} == {chosen}
    assert [m.estimate.value for m in measures if m.name == FASTER] == [
        pytest.approx(1 / p.seconds.value) for p in points
    ]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    return small_pretrained(tmp_path_factory.mktemp("run"))


def test_every_pair_is_measured_on_the_same_captions_the_slowest_first(pretrained):
    settings = FrontSettings(count=12, steps=(2, 4), sampling_steps=(1, 3))
    measures = settings.measure(pretrained)
    pairs = list(dict.fromkeys((m.where["steps"], m.where["sampling_steps"]) for m in measures))
    assert pairs == [(4, 3), (4, 1), (2, 3), (2, 1)]
    again = settings.measure(pretrained)
    painted = [m for m in measures if "seconds" not in m.name and m.name != FASTER]
    assert [m.estimate for m in painted] == [m.estimate for m in again if "seconds" not in m.name and m.name != FASTER]
    assert {m.name for m in measures} >= {"everything right", "Frechet distance", "CPU seconds per picture", FASTER}


def test_data_without_a_judge_have_no_front(pretrained, tmp_path):
    with pytest.raises(InputError, match="needs an answer key"):
        FrontSettings(count=12).measure(pretrained, str(tmp_path))
