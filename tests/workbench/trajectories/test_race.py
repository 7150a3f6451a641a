"""A race is the decode that was painted: seen on the way, stored, reopened and played the same."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from dream.decoding.paint import paint
from dream.decoding.record import load_record
from dream.errors import InputError
from dream.presets import clip, fluid
from tests.workbench.trajectories.trajectory_small import PROMPT, demo, done, painted, race, settings
from workbench.player import check_player_data
from workbench.store import list_stored
from workbench.trajectories.race import open_race, paint_race, place_name, race_data, race_settings_of, refusal
from workbench.work import Work
from workbench.workspace import Workspace


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def test_a_moment_has_its_share_of_the_tokens_and_of_the_steps_beside_each_other():
    assert place_name(9, 16, 0.4) == "40 % of the tokens = step 9 of 16 = 56.2 % of the steps"
    _, by_tokens = race_settings_of(demo().config, "30%tokens", selection="once", candidates=4)
    _, by_steps = race_settings_of(demo().config, "30%steps", selection="once", candidates=4)
    assert by_tokens[0].step > by_steps[0].step


def test_only_a_model_with_captions_painting_and_joint_space_can_choose():
    assert refusal(demo().config) is None
    assert "contrastive loss" in refusal(fluid(demo().config))
    assert "cannot paint" in refusal(clip(demo().config))


def test_the_winner_is_the_picture_that_plain_decoding_of_the_same_settings_paints(workspace):
    stored = painted(workspace)
    shown = open_race(stored)
    wanted = paint(demo(), [PROMPT], settings())[0].numpy()
    assert shown.chosen == stored.about["chosen"] == int(shown.alignment[shown.choices[0]].argmax())
    assert np.abs(shown.frames[-1, shown.chosen].astype(int) - wanted).max() <= 1
    assert [s.id for s in list_stored(workspace, "trajectories", "blue square seed 0")] == [stored.id]
    assert load_record(stored.record_path).about.model_id == demo().model_id
    assert len(shown.seconds) == len(shown.steps) == 4


def test_what_is_seen_on_the_way_is_the_beginning_of_what_is_stored(workspace):
    seen = []

    class Watched(Work):
        def show(self, partial):
            seen.append(partial)
            super().show(partial)

    work = Watched(lambda w: paint_race(w, demo(), workspace, "demo", PROMPT, settings())).wait()
    whole = open_race(work.result)
    assert [len(part.steps) for part in seen] == [1, 2, 3, 4]
    for part in seen:
        count = len(part.steps)
        assert (part.frames == whole.frames[:count]).all() and (part.kept == whole.kept[:count]).all()
        assert np.array_equal(part.alignment, whole.alignment[:count], equal_nan=True)


@pytest.mark.parametrize("selection", ["once", "halving", "every", "none"])
def test_the_player_takes_every_kind_of_race(workspace, selection):
    at = "1steps" if selection == "halving" else "2steps"
    shown = open_race(painted(workspace, selection=selection, at=at, candidates=4))
    data = race_data(shown, "a race")
    check_player_data(data)
    lives = [candidate["alive"] for candidate in data["candidates"]]
    if selection in ("every", "none"):
        assert lives == [4] * 4
    else:
        assert max(lives) == 4 and min(lives) == shown.choices[0] + 1
    assert (data["chosen"] >= 0) == (selection != "none")


def test_before_the_draws_of_every_begin_all_candidates_show_the_one_picture_there_is():
    shown = race([[1, 0], [1, 1]], [[1, 0], [0, 1]], [[0.1, 0], [0.2, 0.3]], selection="every", steps=2)
    assert shown.redraws and shown.shown_at(0, 1) == (0, 0) and shown.shown_at(1, 1) == (1, 1)
    data = race_data(shown, "draws")
    assert data["candidates"][1]["alignment"] == [None, pytest.approx(0.3)]


@pytest.mark.parametrize(("score", "is_sum"), [("cosine", False), ("confidence+cosine", True)])
def test_a_sum_of_scores_says_nothing_of_the_only_candidate_left(workspace, score, is_sum):
    shown = open_race(painted(workspace, score=score))
    data = race_data(shown, "a race")
    check_player_data(data)
    ends = data["candidates"][shown.chosen]["alignment"]
    assert (ends[-1] is None) == is_sum and ends[0] is not None
    assert ("cosine)" in data["score"]) and ("Alignment" in data["score"]) != is_sum


def test_a_dropped_candidate_keeps_its_last_picture():
    shown = race([[1, 1], [1, 0]], [[1, 0], [1, 0]], [[0.3, 0.1], [0.4, 0]], steps=2)
    assert shown.choices == [0] and shown.chosen == 0
    assert shown.shown_at(1, 1) == (0, 1) and shown.last_frame(1).max() == 1


def test_cancelling_leaves_nothing_behind(workspace):
    class Impatient(Work):
        def show(self, partial):
            self.cancel()
            super().show(partial)

    work = Impatient(lambda w: paint_race(w, demo(), workspace, "demo", PROMPT, settings())).wait()
    assert work.state == "cancelled" and list(workspace.decodes.iterdir()) == []


def test_no_prompt_and_impossible_moments_are_refused_in_a_sentence(workspace):
    with pytest.raises(InputError, match="no prompt"):
        done(lambda w: paint_race(w, demo(), workspace, "demo", "  ", settings()))
    with pytest.raises(InputError, match="must name a step"):
        race_settings_of(demo().config, "99%tokens", selection="once", candidates=4)


def test_a_damaged_record_is_said_to_be_damaged(workspace):
    stored = painted(workspace)
    shutil.rmtree(stored.record_path / "alignment")
    with pytest.raises(InputError, match="damaged"):
        open_race(stored)


def test_seconds_of_another_number_of_steps_are_ignored(workspace):
    stored = painted(workspace)
    assert open_race(replace(stored, about={**stored.about, "seconds": [1.0]})).seconds == ()
