"""A decode in a notebook: slider and player move each other, and the result is the step that is shown."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from dream.decoding.record import load_record
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from tests.dream.decoding.decode_fakes import PROMPTS, small_pretrained
from workbench.decode.paint import paint_and_store
from workbench.decode.player_data import PLAYER, add_inspection
from workbench.decode.request import DecodeRequest, Fork, final_picture
from workbench.decode.sides import cells_data, compared_decodes
from workbench.player import check_player_data
from workbench.player.widget import DecodePlayer
from workbench.widgets import decode_player
from workbench.work import run
from workbench.workspace import Workspace

SETTINGS = DecodeSettings(steps=6, seed=3, guidance_scale=2.0, selection="none")


@pytest.fixture(scope="module")
def pretrained():
    return small_pretrained()


@pytest.fixture(scope="module")
def stored(tmp_path_factory, pretrained):
    place = Workspace(tmp_path_factory.mktemp("workspace"))
    return run(paint_and_store, place, pretrained, DecodeRequest("small", "averaged", PROMPTS[1], SETTINGS))


@pytest.fixture(autouse=True)
def strict():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_it_rests_at_the_finished_picture(stored):
    shown = decode_player(stored).result
    record = load_record(stored.record_path)
    assert (shown.step, shown.of, shown.decoded) == (6, 6, 1.0) and not shown.mask.any()
    np.testing.assert_array_equal(shown.picture.transpose(2, 0, 1), final_picture(record))


def test_slider_and_player_move_each_other_and_the_result(stored):
    player, record = decode_player(stored), load_record(stored.record_path)
    player.controls["step"].value = 2
    assert player.player.step == 1 and player.result.step == 2
    np.testing.assert_array_equal(player.result.mask.ravel(), record.mask[1, 0])
    player.player.step = 4  # what the reader does in the browser
    assert player.controls["step"].value == 5 and player.result.step == 5
    np.testing.assert_array_equal(player.result.mask.ravel(), record.mask[4, 0])
    assert player.result.decoded == pytest.approx(record.decoded_fraction[4])
    assert set(player.result.revealed) == set(np.flatnonzero(record.reveal_step[0] == 4))


def test_every_way_to_name_a_decode_shows_the_same(stored):
    shown = [
        decode_player(each) for each in (stored, stored.path, str(stored.record_path), load_record(stored.record_path))
    ]
    assert all(each.player.data == shown[0].player.data for each in shown)


def test_with_its_model_the_rest_is_looked_at_in_place(stored, pretrained):
    player = decode_player(load_record(stored.record_path), model=pretrained)
    assert player.result.token is None or not player.running
    kept = player.player
    player.controls["step"].value = 3
    player.wait()
    assert player.player is kept and player.player.data["rests"] and player.result.step == 3
    token = player.result.token
    assert token.position == player.result.revealed[0]
    assert token.words.share.sum() == pytest.approx(1) and token.places.shape == (4, 4)
    player.player.position = 7
    assert player.controls["token"].value == player.result.token.position == 7
    player.controls["token"].value = -1
    assert player.player.position == -1 and player.result.token.position == player.result.revealed[0]


def test_a_bare_record_and_a_stored_one_are_looked_into_alike(stored, pretrained):
    bare = run(add_inspection, load_record(stored.record_path), pretrained)
    assert not (stored.path / PLAYER).exists()
    assert run(add_inspection, stored, pretrained) == bare and (stored.path / PLAYER).exists()
    (stored.path / PLAYER).unlink()


def test_looking_can_be_cancelled_and_what_was_shown_stays(stored, pretrained):
    player = decode_player(load_record(stored.record_path), model=pretrained)
    player.cancel()
    player.wait()
    assert player.result.step == 6 and not player.running


def test_another_model_and_what_is_no_decode_are_refused_in_a_sentence(stored, pretrained, tmp_path):
    with pytest.raises(InputError, match="painted by model abc123"):
        decode_player(stored, model=replace(pretrained, model_id="other"))
    with pytest.raises(InputError, match="painted by model abc123"):
        decode_player(stored, model="demo")
    with pytest.raises(InputError, match="no such record"):
        decode_player(tmp_path / "nothing")
    with pytest.raises(InputError, match="not the record"):
        decode_player(tmp_path)


def test_the_bare_record_of_a_fork_is_shown_but_not_looked_into(stored, pretrained):
    place = Workspace(stored.path.parent.parent)
    asked = DecodeRequest("small", "averaged", PROMPTS[0], replace(SETTINGS, seed=9), fork=Fork(stored, 3))
    child = run(paint_and_store, place, pretrained, asked)
    player = decode_player(load_record(child.record_path), model=pretrained)
    with pytest.raises(InputError, match="first 3 steps"):
        player.wait()
    assert player.result.step == 6
    check_player_data(compared_decodes(stored, child))


def test_the_figures_are_those_of_the_app(stored):
    player = decode_player(stored)
    assert player.order.layout.title.text == "Reveal order"
    assert player.course.data[0].y == tuple(len(one["revealed"]) for one in player.player.data["steps"])


def test_a_board_of_cells_tells_what_is_selected(stored):
    record = load_record(stored.record_path)
    board = DecodePlayer(data=cells_data(final_picture(record), 4, [1, 2]))
    assert board.cells == [1, 2]


def test_the_remark_on_the_prompt_is_among_the_notes(tmp_path, pretrained):
    asked = DecodeRequest("small", "averaged", "a red cube", SETTINGS)
    stored = run(paint_and_store, Workspace(tmp_path), pretrained, asked)
    said = "The model never saw: &#x27;cube&#x27;."
    assert said in decode_player(stored)._remarks.value
    bare = load_record(stored.record_path)
    assert said not in decode_player(bare)._remarks.value
    assert said in decode_player(bare, model=pretrained).wait()._remarks.value
