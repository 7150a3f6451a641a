"""The front of quality and time: which settings are as good as the slowest, and which of them is the fastest."""

from dataclasses import replace

import pytest

from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from dream.evaluation.painted.front import (
    FASTER,
    PUBLISHED,
    WAYS,
    FrontPoint,
    FrontSettings,
    fastest_as_good,
    front_measures,
    way_settings,
)
from dream.evaluation.statistics import Estimate
from tests.dream.decoding.decode_fakes import save_run
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


def test_ways_and_other_models_are_rows_of_their_own(pretrained, tmp_path):
    other = save_run(pretrained, tmp_path / "few")
    own = pretrained.config.decode.steps
    settings = FrontSettings(
        count=12, steps=(own,), sampling_steps=(2,), ways=("heun+shift=1",), way_steps=(1,), also=(str(other),)
    )
    measures = settings.measure(pretrained)
    rows = list(dict.fromkeys((m.where.get("way"), m.where.get("model"), m.where["sampling_steps"]) for m in measures))
    assert rows == [(None, None, 2), ("heun+shift=1", None, 1), (None, "few", 2)]
    by_row = {
        row: [m.estimate.value for m in measures if m.name == "Frechet distance" and key(m) == row] for row in rows
    }
    assert by_row[rows[0]] == by_row[rows[2]], "equal weights paint equal pictures"


@pytest.mark.parametrize("candidates", [1, 3])
def test_the_published_algorithm_paints_the_same_as_the_slowest_row(pretrained, candidates):
    settings = FrontSettings(count=12, steps=(3,), sampling_steps=(2,), ways=(), candidates=candidates, published=True)
    measures = settings.measure(pretrained)
    published, own = ([m for m in measures if m.where.get("way") == way] for way in (PUBLISHED, None))
    timed = {"CPU seconds per picture", FASTER}
    assert [m.estimate for m in published if m.name not in timed] == [m.estimate for m in own if m.name not in timed]
    assert next(m.estimate.value for m in published if m.name == FASTER) == 1


def test_ways_that_are_asked_for_are_tried_whatever_the_steps_are(pretrained):
    assert pretrained.config.decode.steps != 2
    asked = FrontSettings(count=12, steps=(2,), sampling_steps=(1,), ways=("heun",))
    assert {m.where.get("way") for m in asked.measure(pretrained)} == {None, "heun"}
    with pytest.raises(InputError, match="ddim"):
        FrontSettings(count=12, steps=(2,), sampling_steps=(1,), ways=("ddim",)).measure(pretrained)


def test_a_choice_needs_a_step_after_which_to_choose(pretrained):
    with pytest.raises(InputError, match="at least two steps"):
        FrontSettings(count=12, steps=(4, 1), sampling_steps=(2,), candidates=2).measure(pretrained)


def key(measure):
    return measure.where.get("way"), measure.where.get("model"), measure.where["sampling_steps"]


def test_a_way_is_a_solver_and_changes(pretrained):
    config = pretrained.config
    wanted = {"solver": "dpm++", "sampling_steps": 3, "last_sampling_steps": 1, "guidance_high": 0.8}
    assert way_settings(config, "dpm+++last=1+high=0.8", 3) == wanted
    assert way_settings(config, "euler+steps=4+coarse=3", 2) == {
        "solver": "euler",
        "steps": 4,
        "coarse_steps": 3,
        "sampling_steps": 2,
    }
    for kind, ways in WAYS.items():
        head = replace(config.head, objective=kind)
        for way in ways:
            fields = way_settings(replace(config, head=head), way, 2)
            DecodeSettings.of(config.decode, **fields).head(head)


@pytest.mark.parametrize("way", ["heun+speed=2", "heun+last=one", "ddim"])
def test_a_way_that_cannot_be_is_refused_before_anything_is_painted(pretrained, way):
    with pytest.raises(InputError):
        FrontSettings(count=12, steps=(pretrained.config.decode.steps,), ways=(way,)).measure(pretrained)
