"""Scores on the page: their words, how often choosing by each helps, and races that tell something."""

from dataclasses import replace

import pytest

from dream.decoding.settings import SCORE_NAMES, DecodeSettings
from dream.errors import InputError
from dream.evaluation.judging.worlds import judge_of
from dream.evaluation.results import Results, write_results
from dream.pretrained import load_pretrained
from tests.dream.evaluation.evaluation_small import small_pretrained
from tests.workbench.evaluate.sample_results import entry
from tests.workbench.test_choosing import measured
from workbench import choosing
from workbench.choosing import keep_studies
from workbench.trajectories.scores import SCORE_WORDS, how_often, how_often_words, is_measured
from workbench.trajectories.telling import Telling, telling_races


@pytest.fixture
def studies(tmp_path):
    path = tmp_path / "studies.json"
    keep_studies([Results("emoji", "emoji", (entry("choosing", measured(), model_id="abc"),))], path)
    return path


def test_every_score_and_only_scores_have_words():
    assert {name for words in SCORE_WORDS for name in words.split("+")} == set(SCORE_NAMES)
    assert all(DecodeSettings(score=name) for name in SCORE_WORDS)


def test_a_study_holds_for_races_that_are_painted_as_it_was(studies):
    own = load_pretrained("emoji").config.decode
    one = how_often("abc", "critic", 0.33, studies)[0]
    usual = DecodeSettings.of(own, candidates=one.candidates, select_steps=(5,), seed=7, score="critic")
    assert is_measured(usual, own, one)
    for changes in (
        {"candidates": 3},
        {"steps": 20},
        {"guidance_scale": 1.0},
        {"solver": "heun"},
        {"selection": "every"},
    ):
        assert not is_measured(replace(usual, **changes), own, one), changes


def test_how_often_is_what_was_measured_nearest_to_the_moment(studies):
    gains = [m for m in measured() if m.name == "gain of the choice" and m.where["score"] == "critic"]
    (thing, _) = how_often("abc", "critic", 0.33, studies)
    (measure,) = [
        m for m in gains if m.where["step"] == 2 and m.where["candidates"] == 4 and m.where["outcome"] == "thing"
    ]
    assert (thing.gain.step, thing.decoded, thing.outcome, thing.prompts) == (2, 0.3, "thing", 200)
    assert thing.gain.chosen - thing.gain.without == pytest.approx(100 * measure.estimate.value, abs=0.02)
    assert thing.gain.times == measure.where["time"]
    assert f"of 100 prompts {thing.gain.without:.1f} come out right" in how_often_words(thing)


def test_other_weights_and_scores_have_no_numbers(studies, tmp_path):
    assert how_often("other", "critic", 0.3, studies) == how_often("abc", "preview", 0.3, studies) == []
    assert how_often("abc", "critic", 0.3, tmp_path / "none.json") == []


def test_studies_of_several_models_are_kept_together(studies):
    keep_studies([Results("b", "b", (entry("choosing", measured(), model_id="def"),))], studies)
    assert how_often("abc", "cosine", 0.3, studies) and how_often("def", "cosine", 0.3, studies)
    studies.write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        how_often("abc", "cosine", 0.3, studies)


def test_the_program_keeps_what_the_page_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(choosing.keep_studies, "__defaults__", (tmp_path / "studies.json",))
    write_results(tmp_path / "results", Results("emoji", "emoji", (entry("choosing", measured(), model_id="abc"),)))
    assert choosing.main(["--out", str(tmp_path / "results"), "--outcome", "thing", "--keep"]) == 0
    assert how_often("abc", "cosine", 0.3, tmp_path / "studies.json")


@pytest.mark.parametrize(
    ("right", "chosen", "kind"),
    [
        ((True, False, False, False), 0, "found"),
        ((True, True, True, False), 3, "missed"),
        ((True, False, False, False), 1, ""),
        ((False,) * 4, 0, ""),
        ((True,) * 4, 0, ""),
    ],
)
def test_a_race_tells_something_where_few_are_right_or_several_are_missed(right, chosen, kind):
    assert Telling("a", 0, right, chosen, "thing").kind == kind


def test_races_are_those_that_the_page_paints(tmp_path):
    from dream.decoding.paint import paint_iter

    pretrained, prompts = small_pretrained(tmp_path), [f"a {c} circle on a white background" for c in ("red", "blue")]
    settings = DecodeSettings.of(pretrained.config.decode, candidates=3, selection="none", seed=4)
    races = list(telling_races(pretrained, judge_of("shapes"), prompts, settings, 3, "colour"))
    for race, prompt in zip(races, prompts, strict=True):
        records = list(paint_iter(pretrained, [prompt], settings, scored="all"))
        assert race.chosen == int(records[2].alignment.argmax()) and len(race.right) == 3
