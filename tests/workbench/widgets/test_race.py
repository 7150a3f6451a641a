"""A race in a notebook: it starts at once, grows in place, leaves what the app stores, or nothing."""

import time
import warnings

import numpy as np
import pytest

from dream.errors import InputError
from dream.presets import fluid
from tests.workbench.trajectories.trajectory_small import PROMPT, demo
from workbench.store import list_stored
from workbench.trajectories.kept import has_finished, open_finished
from workbench.trajectories.race import open_race
from workbench.trajectories.worth import COLUMNS, worth_by_step, worth_table
from workbench.widgets import race as module
from workbench.widgets import trajectory_race
from workbench.workspace import Workspace

QUICK = {"candidates": 3, "steps": 4, "sampling_steps": 2, "select_at": "2steps"}


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture(autouse=True)
def strict():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def started(workspace, model="demo", **changes):
    return trajectory_race(model, PROMPT, workspace=workspace, **{**QUICK, **changes})


def lines(race) -> dict[str, tuple]:
    return {trace.name: trace.y for trace in race.lines.data}


def test_it_paints_at_once_and_is_stored_as_the_apps_are(workspace):
    race = started(workspace).wait()
    [stored] = list_stored(workspace, "trajectories")
    assert stored == race.stored and stored.about["model"] == "demo"
    whole = open_race(stored)
    np.testing.assert_array_equal(race.result.frames, whole.frames)
    assert race.player.data["chosen"] == whole.chosen and race.player.data["mode"] == "race"
    name = str(whole.chosen + 1)  # readers count from 1
    np.testing.assert_allclose(lines(race)[name], whole.alignment[:, whole.chosen])
    assert "32 % of the tokens = step 2 of 4 = 50 % of the steps" in race._moment.value


def test_what_is_seen_on_the_way_grows_in_the_same_player(workspace, monkeypatch):
    seen = []
    data = module.race_data
    monkeypatch.setattr(
        module, "race_data", lambda race, *rest, **named: seen.append(race) or data(race, *rest, **named)
    )
    monkeypatch.setattr("workbench.widgets.instrument.EVERY", 0.01)
    race = started(workspace, steps=16, sampling_steps=None)
    player, figure = race.player, race.lines
    race.wait()
    counts = [len(each.steps) for each in seen]
    assert counts and counts == sorted(set(counts))
    assert race.player is player and race.lines is figure


def test_a_cancelled_race_leaves_nothing_stored(workspace):
    race = started(workspace, steps=64, candidates=8, sampling_steps=None, select_at="32steps")
    while race.result is None and race.running:
        time.sleep(0.01)
    race.cancel()
    race.wait()
    assert list_stored(workspace) == [] and not any(workspace.decodes.iterdir())
    assert 0 < len(race.result.steps) < 64 and race.stored is None and race.worth is None
    with pytest.raises(InputError, match="no painted race"):
        race.finish_all()


def test_finishing_all_says_what_choosing_is_worth(workspace):
    race = started(workspace, demo()).finish_all()
    assert race.worth is None or not race.running
    race.wait()
    assert has_finished(race.stored)
    found = open_finished(race.stored)
    wanted = worth_table(worth_by_step(found))
    assert list(race.worth.columns) == list(COLUMNS) and len(set(COLUMNS)) == len(COLUMNS)
    assert race.worth["regret (cosine)"].tolist() == [row[COLUMNS.index("regret (cosine)")] for row in wanted]
    assert race.worth["regret (cosine)"].iloc[-1] == 0 and race.seen
    assert all(one["alive"] == 4 for one in race.player.data["candidates"])
    race.controls["played"].value = "as it went"
    assert sorted(one["alive"] for one in race.player.data["candidates"]) == [2, 2, 4]
    race.controls["strict"].value = False
    loose = worth_table(worth_by_step(found, strict=False))
    at = COLUMNS.index("chosen is right (share)")
    assert race.worth[COLUMNS[at]].tolist() == [row[at] for row in loose]
    assert race.curves.layout.title.text.startswith("Value of choosing")


def test_the_form_paints_anew(workspace):
    race = started(workspace, seed=1).wait()
    before = race.result.frames
    race.controls["seed"].value = 2
    race.controls["selection"].value = "halving"
    race.controls["select_at"].value = "1steps"
    race.controls["paint"].click()
    race.wait()
    assert race.result.settings.seed == 2 and race.result.settings.selection == "halving"
    assert race.result.settings.sampling_steps == 2 and not np.array_equal(race.result.frames[0], before[0])
    race.controls["select_at"].value = "99%tokens"
    race.controls["paint"].click()
    assert "must name a step" in race._note.value and not race.running


@pytest.mark.parametrize("selection", ["every", "none"])
def test_every_kind_of_choice_can_be_finished(workspace, selection):
    race = started(workspace, selection=selection).finish_all().wait()
    assert len(race.worth) == 4


def test_what_does_not_go_together_is_refused_in_a_sentence(workspace, monkeypatch):
    with pytest.raises(InputError, match="must name a step"):
        started(workspace, select_at="4steps")
    with pytest.raises(InputError, match="unknown decoding setting 'stepz'"):
        started(workspace, stepz=3)
    with pytest.raises(InputError, match="no prompt"):
        trajectory_race("demo", " ", workspace=workspace, **QUICK)
    with pytest.raises(InputError, match="no such model"):
        started(workspace, "missing")
    monkeypatch.setattr(module, "config_of", lambda place: fluid(demo().config))
    with pytest.raises(InputError, match="cannot choose among candidates"):
        started(workspace)


def test_unseen_words_of_the_prompt_are_marked_while_it_is_typed(workspace):
    race = started(workspace)
    assert race.reading.remark == ""
    race.controls["prompt"].value = "a red elephant"
    assert race.reading.unseen == ("elephant",) and "elephant</mark>" in race._read.value
    race.controls["prompt"].value = "a \ud83d"
    assert "not plain text" in race._note.value
    race.cancel()
