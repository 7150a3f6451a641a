"""What the player is given is what was painted, and it takes it; looking inside is done once."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dream.decoding.record import load_record
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from tests.dream.decoding.decode_fakes import PROMPTS, small_pretrained
from workbench.decode import player_data as decode_player
from workbench.decode.paint import paint_and_store
from workbench.decode.player_data import PATH_LENGTH, PLAYER, add_inspection, player_data, remarks, was_looked_at
from workbench.decode.request import DecodeRequest, Fork, final_picture, start_of
from workbench.decode.words import END, START, caption_words
from workbench.player import check_player_data
from workbench.work import Work
from workbench.workspace import Workspace

SETTINGS = DecodeSettings(steps=6, seed=3, guidance_scale=2.0, selection="none")


@pytest.fixture(scope="module")
def pretrained():
    return small_pretrained()


@pytest.fixture
def decode(tmp_path, pretrained):
    """Paints and stores a decode of these settings."""

    def made(settings=SETTINGS, prompt=PROMPTS[1], **changes):
        wanted = DecodeRequest("small", "averaged", prompt, settings, **changes)
        work = Work(lambda one: paint_and_store(one, Workspace(tmp_path), pretrained, wanted)).wait()
        assert work.error is None, work.error
        return work.result

    return made


def inside(stored, pretrained):
    work = Work(lambda one: add_inspection(one, stored, pretrained)).wait()
    if work.error is not None:
        raise work.error
    return work.result


def pixels(url: str) -> np.ndarray:
    content = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def table(text: str, columns: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, columns)


def test_without_a_model_the_player_shows_what_was_stored(decode):
    stored = decode()
    data = player_data(stored)
    check_player_data(data)
    assert not was_looked_at(data) and data["title"] == PROMPTS[1]
    assert [step["step"] for step in data["steps"]] == [1, 2, 3, 4, 5, 6]
    assert sorted(p for step in data["steps"] for p in step["revealed"]) == list(range(16))
    last = pixels(data["frames"][-1]).transpose(2, 0, 1)
    np.testing.assert_array_equal(last, final_picture(load_record(stored.record_path)))


def test_what_was_inside_is_found_once_and_kept(decode, pretrained, monkeypatch):
    stored = decode()
    data = inside(stored, pretrained)
    check_player_data(data)
    monkeypatch.setattr(decode_player, "load_record", None)
    assert json.dumps(player_data(stored)) == json.dumps(data) and was_looked_at(data)
    (stored.path / PLAYER).write_text("{")
    monkeypatch.undo()
    assert not was_looked_at(player_data(stored))


def test_the_last_preview_of_the_rest_is_the_picture(decode, pretrained):
    data = inside(decode(), pretrained)
    np.testing.assert_array_equal(pixels(data["rests"][-1]), pixels(data["frames"][-1]))
    for i, at in enumerate(data["order"]):
        row, column = divmod(i, 4)
        cell = np.s_[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        for step in range(at, 6):  # what is revealed stays as it is in every preview of the rest
            np.testing.assert_array_equal(pixels(data["rests"][step])[cell], pixels(data["frames"][-1])[cell])


def test_paths_end_at_the_token_and_their_last_patch_is_its_cell(decode, pretrained):
    data = inside(decode(), pretrained)
    assert data["path_length"] == 5 and all(curve[-1] < 1e-3 < curve[0] for curve in data["path_values"])
    picture = pixels(data["frames"][-1])
    for position, url in enumerate(data["paths"]):
        row, column = divmod(position, 4)
        cell = picture[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].astype(int)
        assert abs(pixels(url)[:, -4:].astype(int) - cell).max() <= 1


def test_long_chains_are_thinned_to_the_first_and_last(decode, pretrained):
    data = inside(decode(replace(SETTINGS, sampling_steps=40)), pretrained)
    assert data["path_length"] == PATH_LENGTH
    assert all(curve[-1] < 1e-3 for curve in data["path_values"])


def test_attention_is_by_word_and_each_row_reaches_255(decode, pretrained):
    data = inside(decode(), pretrained)
    assert data["words"][:5] == [START, "a", "large", "blue", "square"] and END in data["words"]
    assert (table(data["cross"], len(data["words"])).max(axis=1) == 255).all()
    assert (table(data["self"], 16).max(axis=1) == 255).all()


def test_words_hold_every_token_of_the_caption_once(pretrained):
    for prompt in (*PROMPTS, "", "Zwölf  RED-ish circles, " * 9):
        words = caption_words(pretrained, prompt)
        assert [i for _, tokens in words for i in tokens] == list(range(12))


def test_kept_cells_have_no_step_and_looked_at_nothing(decode, pretrained):
    kept = (0, 5, 9)
    data = inside(decode(start=start_of(decode(), kept)), pretrained)
    check_player_data(data)
    assert [data["order"][p] for p in kept] == [-1] * 3
    assert not table(data["self"], 16)[list(kept)].any()
    assert all(value == 0 for p in kept for value in data["path_values"][p])


def test_a_fork_to_another_prompt_shows_the_words_of_both(decode, pretrained):
    parent = decode(prompt=PROMPTS[0])
    data = inside(decode(replace(SETTINGS, seed=8), PROMPTS[1], fork=Fork(parent, 3)), pretrained)
    check_player_data(data)
    words = data["words"]
    border = words.index("⑂")
    assert words[:border].count("circle") == 1 and "square" in words[border:]
    cross = table(data["cross"], len(words))
    for position, at in enumerate(data["order"]):
        own, other = (slice(border), slice(border, None)) if at < 3 else (slice(border, None), slice(border))
        assert cross[position, own].any() and not cross[position, other].any()
    assert all(curve[-1] < 1e-3 for curve in data["path_values"])


def test_many_steps_are_shown_as_few(decode, pretrained, monkeypatch):
    monkeypatch.setattr(decode_player, "MAX_ENTRIES", 4)
    monkeypatch.setattr(decode_player, "ATTENTION_NUMBERS", 1)
    data = inside(decode(), pretrained)
    check_player_data(data)
    assert [step["step"] for step in data["steps"]] == [2, 4, 5, 6] and len(data["rests"]) == 4
    assert sorted(p for step in data["steps"] for p in step["revealed"]) == list(range(16))
    assert any("6 steps are shown as 4" in remark for remark in remarks(data, 6))


def test_another_model_is_refused_and_a_deleted_decode_not_brought_back(decode, pretrained):
    stored = decode()
    with pytest.raises(InputError, match="painted by model abc123"):
        inside(stored, replace(pretrained, model_id="other"))
    assert not (stored.path / PLAYER).exists()


def test_a_repair_is_a_step_that_redraws_what_it_hides(decode, pretrained):
    """The player shows it as a step of its own, and order tells of the first draw."""
    stored = decode(replace(SETTINGS, repair=0.25, selection="once"))
    work = Work(lambda one: add_inspection(one, stored, pretrained)).wait()
    assert work.error is None, work.error
    data = work.result
    check_player_data(data)
    *earlier, last = (step["revealed"] for step in data["steps"])
    assert sorted(place for step in earlier for place in step) == list(range(16))
    assert len(last) == 4 and data["steps"][-1]["decoded"] == 1.0
    record = load_record(stored.record_path)
    assert last == np.flatnonzero(record.redrawn_step[0] == record.steps[-1]).tolist()
