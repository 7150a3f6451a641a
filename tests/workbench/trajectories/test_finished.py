"""Finishing all is the race that nobody leaves: the same candidates, judged, timed, and kept beside it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from dream.data.drawn.drawing import draw
from dream.data.drawn.grammar import parse_caption
from dream.data.drawn.shapes import place_scenes
from dream.errors import InputError
from dream.pretrained import load_pretrained
from tests.workbench.trajectories.trajectory_small import PROMPT, demo, done, painted, settings
from workbench.store import delete_stored, list_stored, open_stored
from workbench.trajectories import finished as trajectory_finished
from workbench.trajectories import kept as trajectory_kept
from workbench.trajectories.finished import Opinion, finish_all, judged, opinions
from workbench.trajectories.kept import (
    FILE,
    has_finished,
    open_finished,
    open_finished_race,
    prompts_of,
    study,
    what_if,
)
from workbench.trajectories.prompts import EXAMPLES, drawn_prompts, example_of, typed_prompts
from workbench.trajectories.race import open_race
from workbench.trajectories.worth import scored_index
from workbench.work import Work
from workbench.workspace import Workspace

OTHER = "a green triangle on a black background"


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def test_the_finished_candidates_are_those_of_the_race(workspace):
    stored = painted(workspace)
    assert not has_finished(stored)
    done(lambda work: what_if(work, demo(), workspace, stored))
    found, race, full = open_finished(stored), open_race(stored), open_finished_race(stored)
    assert has_finished(stored) and found.prompts == (PROMPT,) and found.candidates == 3
    first = race.choices[0] + 1
    assert np.allclose(found.scores[:first, 0], race.alignment[:first], atol=1e-4)
    assert np.allclose(found.scores[:, 0], full.alignment) and full.choices == [] and full.alive.all()
    assert np.abs(full.frames[-1, race.chosen].astype(int) - race.frames[-1, race.chosen]).max() <= 1
    assert (full.frames[-1] == found.pictures[0]).all()
    assert all(s > 0 for s in (*found.seconds, *found.plain_seconds)) and found.timed_prompts == 1


def test_many_prompts_are_finished_in_batches_and_each_is_its_own(workspace, monkeypatch):
    monkeypatch.setattr(trajectory_finished, "ROWS", 6)
    prompts, seen = [PROMPT, OTHER, "a house by the sea"], []
    found = finish_all(demo(), prompts, settings(), progress=lambda *_: None, show=seen.append)
    alone = finish_all(demo(), [PROMPT], settings(), progress=lambda *_: None)
    assert [len(part.prompts) for part in seen] == [2, 3] and found.scores.shape == (4, 3, 3)
    assert np.allclose(found.scores[:, :1], alone.scores, atol=1e-4)
    assert found.judged.tolist() == [True, True, False]
    assert not found.right[2].any() and len(found.flags(strict=True)) == 2


def test_a_study_is_stored_found_and_reopened_with_the_first_prompts_race(workspace):
    work = Work(lambda w: study(w, demo(), workspace, "demo", [PROMPT, OTHER], settings())).wait()
    stored = work.result
    assert prompts_of(stored) == 2 and [s.id for s in list_stored(workspace, query="circle")] == [stored.id]
    found, rows = work.partial
    again = open_finished(stored)
    assert np.array_equal(found.scores, again.scores) and len(rows) == 4 and again.prompts == (PROMPT, OTHER)
    race = open_finished_race(stored)
    assert race.prompt == PROMPT and np.allclose(race.alignment, again.scores[:, 0])


def test_what_is_too_large_to_keep_is_dropped_from_the_last_prompts_only(monkeypatch):
    monkeypatch.setattr(trajectory_finished, "ROWS", 2)
    monkeypatch.setattr(trajectory_finished, "PICTURE_BYTES", 2 * 2 * 3 * 30 * 30)
    prompts = [PROMPT, OTHER, "a blue cross on a grey background"]
    found = finish_all(demo(), prompts, settings(candidates=2), progress=lambda *_: None)
    assert found.scores.shape[1] == 3 and len(found.pictures) == 2


def test_cancelling_a_study_stores_nothing(workspace):
    class Impatient(Work):
        def show(self, partial):
            self.cancel()
            super().show(partial)

    work = Impatient(lambda w: study(w, demo(), workspace, "demo", [PROMPT, OTHER], settings())).wait()
    assert work.state == "cancelled" and work.partial is not None
    assert list(workspace.decodes.iterdir()) == []


def test_a_choice_deleted_meanwhile_or_of_other_weights_is_not_finished(workspace):
    stored = painted(workspace)
    other = replace(stored, about={**stored.about, "model_id": "other"})
    with pytest.raises(InputError, match="paint it again"):
        done(lambda work: what_if(work, demo(), workspace, other))
    delete_stored(workspace, stored.id)
    with pytest.raises(InputError, match="may have been deleted"):
        done(lambda work: what_if(work, demo(), workspace, stored))
    assert list(workspace.decodes.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "emptied", "other"])
def test_damaged_files_are_said_to_be_damaged(workspace, damage):
    stored = painted(workspace)
    done(lambda work: what_if(work, demo(), workspace, stored))
    path = stored.path / FILE
    data = path.read_bytes()
    if damage == "other":
        with path.open("wb") as file:
            np.savez(file, about=np.array(json.dumps({"prompts": []})))
    else:
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else b"")
    with pytest.raises(InputError, match="damaged"):
        open_finished(open_stored(workspace, stored.id))


def test_the_judge_says_what_is_wrong_and_nothing_of_what_it_does_not_know():
    scene = parse_caption(OTHER)
    picture = draw(place_scenes([scene], 1, np.random.default_rng(0)), 30)
    asked = [OTHER, OTHER.replace("green", "red"), "a cat"]
    said = opinions(np.concatenate([picture] * 3), asked)
    assert [str(o) for o in said] == ["right", "wrong colour", "None"]
    assert judged(OTHER) and not judged("a cat") and opinions(picture, ["a cat"]) == [None]
    assert str(Opinion(True, False)) == "malformed"


def test_a_study_takes_two_prompts_or_more(workspace):
    with pytest.raises(InputError, match="2 to"):
        done(lambda work: study(work, demo(), workspace, "demo", [PROMPT], settings()))


def test_drawn_prompts_differ_and_come_again_with_their_seed():
    prompts = drawn_prompts(1, 12, 3, unseen=True)
    assert len(set(prompts)) == 12 and prompts == drawn_prompts(1, 12, 3, unseen=True)
    assert prompts != drawn_prompts(1, 12, 4, unseen=True)
    assert all(judged(prompt) for prompt in prompts)


def test_typed_prompts_are_lines_without_blanks_and_repetitions():
    assert typed_prompts(" a  cat \n\na dog\na cat\n") == ["a cat", "a dog"]
    with pytest.raises(InputError, match="there are 1"):
        typed_prompts("a cat\na cat")
    with pytest.raises(InputError, match="at most"):
        typed_prompts("a" * 600 + "\nb")


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_examples_show_what_they_promise(example, workspace):
    from workbench.trajectories.race import paint_race, race_settings_of

    changes, model = dict(example.settings), load_pretrained(example.model)
    at = f"{changes.pop('tokens')}%tokens"
    chosen, _ = race_settings_of(model.config, at, **changes)
    stored = done(lambda w: paint_race(w, model, workspace, example.model, example.prompt, chosen))
    done(lambda w: what_if(w, model, workspace, stored))
    found, taken = open_finished(stored), stored.about["chosen"]
    good, at = found.well_formed[0], scored_index(found, chosen.select_steps[0])
    later = found.scores[at + 1, 0].argmax()
    promised = {
        "A choice that matters": good.sum() == 2 and good[taken],
        "A wrong choice": good.sum() == 7 and not good[taken],
        "Chosen too early": good.sum() == 2 and not good[taken] and good[later],
        "Nothing to choose": good.all(),
    }
    assert promised[example.name], (example.name, good.tolist(), taken)
    assert example_of(example.model, stored.prompt, stored.about["settings"]) == example


def test_examples_differ_in_their_prompts_and_only_they_are_examples():
    assert len({example.prompt for example in EXAMPLES}) == len(EXAMPLES)
    first = EXAMPLES[0]
    assert example_of(first.model, first.prompt, first.settings) == first
    assert example_of(first.model, first.prompt, {**first.settings, "seed": 99}) is None
    assert example_of("mine", first.prompt, first.settings) is None


def test_kept_names_are_fields_of_what_is_finished():
    fields = trajectory_finished.Finished.__dataclass_fields__
    assert {*trajectory_kept.LISTS, *trajectory_kept.ARRAYS, "settings", "timed_prompts"} == set(fields)
