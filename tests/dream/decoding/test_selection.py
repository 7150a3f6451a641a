import itertools

import pytest
import torch

from dream.decoding.selection import best, decoded_fractions, parse_select_at, parse_select_points, plan_steps
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError


def test_a_share_of_the_tokens_and_of_the_steps_are_different_places():
    assert parse_select_at("12.5%tokens", 256, 64).step == 21
    assert parse_select_at("12.5%steps", 256, 64).step == 8
    assert parse_select_at("8steps", 256, 64) == (8, pytest.approx(8 / 256))
    assert parse_select_at("32 steps", 256, 64).decoded_fraction == pytest.approx(0.29, abs=0.005)


@pytest.mark.parametrize(("num_tokens", "steps"), [(256, 64), (36, 16), (16, 8), (9, 30)])
@pytest.mark.parametrize("share", [1, 12.5, 30, 75])
def test_a_share_of_tokens_is_the_first_step_that_shows_it(num_tokens, steps, share):
    step, fraction = parse_select_at(f"{share}%tokens", num_tokens, steps)
    fractions = decoded_fractions(num_tokens, steps)
    assert fraction == fractions[step] >= share / 100 > fractions[step - 1]


@pytest.mark.parametrize("text", ["0steps", "16steps", "99steps", "100%tokens", "0%tokens", "101%tokens"])
def test_a_place_outside_the_decode_is_refused(text):
    with pytest.raises(InputError, match=r"\[1, 15\]"):
        parse_select_at(text, 36, 16)


@pytest.mark.parametrize("text", ["", "half", "12.5%", "30", "8tokens", "-1steps", "8.5.2%tokens"])
def test_another_form_is_refused_with_an_example(text):
    with pytest.raises(InputError, match="12.5%tokens"):
        parse_select_at(text, 36, 16)


def test_half_a_step_is_refused():
    with pytest.raises(InputError, match="whole"):
        parse_select_at("8.5steps", 36, 16)


def test_halving_goes_on_where_the_share_has_doubled():
    points = parse_select_points("12.5%tokens", "halving", 8, DecodeSettings(steps=64), 256)
    assert len(points) == 3
    assert all(later.decoded_fraction >= 2 * earlier.decoded_fraction for earlier, later in itertools.pairwise(points))
    assert [p.step for p in parse_select_points("8steps,20steps", "halving", 8, DecodeSettings(steps=64), 256)] == [
        8,
        20,
    ]


def test_several_places_need_halving_and_must_rise():
    with pytest.raises(InputError, match="one moment"):
        parse_select_points("8steps,20steps", "once", 8, DecodeSettings(steps=64), 256)
    with pytest.raises(InputError, match="rising"):
        parse_select_points("20steps,8steps", "halving", 8, DecodeSettings(steps=64), 256)


@pytest.mark.parametrize(("num_tokens", "steps"), [(36, 16), (9, 30), (16, 1)])
def test_the_plan_reveals_every_token_and_skips_empty_steps(num_tokens, steps):
    plan = plan_steps(DecodeSettings(steps=steps), num_tokens)
    assert sum(step.reveals for step in plan) == num_tokens
    assert all(step.reveals > 0 for step in plan)


def test_the_plans_of_the_four_selections():
    def plan(selection, *select_steps):
        settings = DecodeSettings(steps=8, candidates=8, selection=selection, select_steps=select_steps)
        return [(p.draws, p.keep) for p in plan_steps(settings, 64)]

    assert plan("none") == [(8, 8)] + [(1, 8)] * 7
    assert plan("once", 3) == [(8, 8), (1, 8), (1, 1)] + [(1, 1)] * 5
    assert plan("every", 3) == [(1, 1)] * 3 + [(8, 1)] * 5
    assert plan("halving", 2, 3, 5) == [(8, 8), (1, 4), (1, 2), (1, 2), (1, 1)] + [(1, 1)] * 3


def test_a_comparison_at_an_empty_step_is_made_after_the_last_that_reveals():
    settings = DecodeSettings(steps=30, candidates=2, select_steps=(25,))
    plan = plan_steps(settings, 9)
    assert sum(step.scored for step in plan) == 1
    scored = next(i for i, step in enumerate(plan) if step.scored)
    assert plan[scored].step < 25 <= plan[scored + 1].step


def test_halving_of_any_number_ends_with_one():
    for candidates in range(2, 12):
        for places in ((3,), (3, 4), (2, 3, 4)):
            settings = DecodeSettings(steps=8, candidates=candidates, selection="halving", select_steps=places)
            kept = [step.keep for step in plan_steps(settings, 64)]
            assert kept[-1] == 1 and kept == sorted(kept, reverse=True)


def test_best_takes_the_first_of_equals():
    scores = torch.tensor([[0.1, 0.3, 0.3], [0.5, 0.2, 0.4]])
    assert best(scores, 1).tolist() == [[1], [0]]
    assert best(scores, 2).tolist() == [[1, 2], [0, 2]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"candidates": 0},
        {"guidance_scale": 0.5},
        {"guidance_scale": float("nan")},
        {"temperature": -1.0},
        {"seed": -1},
        {"sampling_steps": 0},
        {"selection": "best"},
        {"guidance_schedule": "square"},
        {"candidates": 2},
        {"candidates": 2, "select_steps": (16,)},
        {"candidates": 2, "select_steps": (3, 4)},
        {"candidates": 4, "selection": "halving", "select_steps": (5, 4)},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(InputError):
        DecodeSettings(**wrong)


def test_settings_survive_json():
    settings = DecodeSettings(candidates=4, selection="halving", select_steps=(3, 6), seed=7, sampling_steps=25)
    assert DecodeSettings.from_dict(settings.to_dict()) == settings
    with pytest.raises(InputError, match="guidance"):
        DecodeSettings.from_dict({"guidence": 3})


def test_linear_guidance_stays_just_short_of_its_full_value():
    settings = DecodeSettings(steps=64, guidance_scale=3.0)
    assert settings.guidance_at(255, 256) == pytest.approx(1.008, abs=1e-3)
    assert settings.guidance_at(0, 256) == pytest.approx(2.992, abs=1e-3)
    assert DecodeSettings(guidance_scale=3.0, guidance_schedule="constant").guidance_at(255, 256) == 3.0
