"""A decode is stored with all that made it; a fork leaves what was before it alone; cancelled, nothing
stays."""

from dataclasses import replace

import numpy as np
import pytest

from dream.decoding.record import load_record
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from dream.presets import preset
from tests.dream.decoding.decode_fakes import PROMPTS, small_pretrained
from workbench.decode.paint import GIVEN_PICTURE, Painting, paint_and_store
from workbench.decode.request import (
    DecodeRequest,
    Fork,
    KeptPicture,
    check_decode_request,
    final_picture,
    start_of,
    stretches,
    why_not,
)
from workbench.store import list_stored
from workbench.work import Work
from workbench.workspace import Workspace

SETTINGS = DecodeSettings(steps=6, seed=3, guidance_scale=2.0, selection="none")


@pytest.fixture(scope="module")
def pretrained():
    return small_pretrained()


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path)


def request(**changes) -> DecodeRequest:
    return DecodeRequest(
        **{"model": "small", "weights": "averaged", "prompt": PROMPTS[0], "settings": SETTINGS, **changes}
    )


def done(workspace, pretrained, wanted: DecodeRequest):
    """The stored decode; what failed is raised."""
    work = Work(lambda one: paint_and_store(one, workspace, pretrained, wanted)).wait()
    if work.error is not None:
        raise work.error
    return work.result


def test_a_decode_is_stored_with_what_made_it(workspace, pretrained):
    stored = done(workspace, pretrained, request())
    assert list_stored(workspace) == [stored]
    about = stored.about
    assert (about["model"], about["model_id"], about["seed"]) == ("small", "abc123", 3)
    assert DecodeSettings.from_dict(about["settings"]) == SETTINGS
    record = load_record(stored.record_path)
    assert record.about.prompts == (PROMPTS[0],) and len(record.steps) == 6
    assert not np.isnan(record.alignment[record.steps]).any()
    assert final_picture(record).shape == (3, 16, 16)


def test_the_picture_is_shown_after_every_step(workspace, pretrained):
    seen: list[Painting] = []

    class Watching(Work):
        def show(self, partial):
            seen.append(partial)
            super().show(partial)

    Watching(lambda one: paint_and_store(one, workspace, pretrained, request())).wait()
    assert [one.step for one in seen] == [1, 2, 3, 4, 5, 6] and seen[-1].decoded_fraction == 1.0
    assert all(one.picture.shape == (3, 16, 16) for one in seen)


@pytest.mark.parametrize("step", [0, 3, 5])
def test_cancelled_it_leaves_nothing(workspace, pretrained, step):
    class Impatient(Work):
        def show(self, partial):
            if partial.step > step:
                self.cancel()
            super().show(partial)

    assert Impatient(lambda one: paint_and_store(one, workspace, pretrained, request())).wait().state == "cancelled"
    assert list(workspace.decodes.iterdir()) == []


def test_a_fork_with_nothing_changed_paints_its_parent_again(workspace, pretrained):
    parent = done(workspace, pretrained, request())
    child = done(workspace, pretrained, request(fork=Fork(parent, 3)))
    one, two = load_record(parent.record_path), load_record(child.record_path)
    np.testing.assert_array_equal(one.tokens, two.tokens)
    np.testing.assert_array_equal(one.previews[:], two.previews[:])


def test_a_fork_says_what_it_is_made_of(workspace, pretrained):
    parent = done(workspace, pretrained, request())
    other = replace(SETTINGS, seed=9, guidance_scale=4.0, temperature=0.5)
    child = done(workspace, pretrained, request(prompt=PROMPTS[1], settings=other, fork=Fork(parent, 3)))
    again = done(workspace, pretrained, request(prompt=PROMPTS[2], fork=Fork(child, 5)))
    earlier = done(workspace, pretrained, request(fork=Fork(again, 2)))
    assert (child.about["parent"], child.about["fork_step"]) == (parent.id, 3)
    assert [(one.first_step, one.prompt) for one in stretches(child)] == [(0, PROMPTS[0]), (3, PROMPTS[1])]
    assert stretches(child)[1].settings == other
    assert [one.first_step for one in stretches(again)] == [0, 3, 5]
    assert [one.first_step for one in stretches(earlier)] == [0, 2]
    one, two = load_record(child.record_path), load_record(again.record_path)
    np.testing.assert_array_equal(one.previews[:5], two.previews[:5])
    assert not np.array_equal(one.previews[5], two.previews[5])


def test_kept_cells_come_back_to_the_bit_through_forks_too(workspace, pretrained):
    parent = done(workspace, pretrained, request())
    kept = (0, 1, 5, 10)
    start = start_of(parent, kept)
    edit = done(workspace, pretrained, request(prompt=PROMPTS[1], start=start))
    fork = done(workspace, pretrained, request(settings=replace(SETTINGS, seed=8), fork=Fork(edit, 2)))
    for stored in (edit, fork):
        _, tokens = load_record(stored.record_path).finished(0)
        np.testing.assert_array_equal(tokens[0][list(kept)], start.tokens[list(kept)])
        assert stored.about["kept"] == list(kept) and (stored.path / GIVEN_PICTURE).is_file()


def test_an_own_picture_is_kept_as_its_tokens(workspace, pretrained):
    picture = np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    stored = done(workspace, pretrained, request(start=KeptPicture(picture, (0, 3))))
    painted = final_picture(load_record(stored.record_path))
    np.testing.assert_array_equal(painted[:, :4, :4], picture[:, :4, :4])
    np.testing.assert_array_equal(painted[:, :4, 12:], picture[:, :4, 12:])


def test_what_cannot_be_painted_is_refused_in_a_sentence(workspace, pretrained):
    picture, parent = np.zeros((3, 16, 16), np.uint8), done(workspace, pretrained, request())
    refused = {
        "empty": request(prompt="  "),
        "denoising steps": request(settings=replace(SETTINGS, sampling_steps=100_000)),
        "Trajectories": request(settings=replace(SETTINGS, candidates=2)),
        "no cell": request(start=KeptPicture(picture, ())),
        "every cell": request(start=KeptPicture(picture, tuple(range(16)))),
        "16 x 16 pixels": request(start=KeptPicture(np.zeros((3, 8, 8), np.uint8), (1,))),
        "as its parent": request(settings=replace(SETTINGS, steps=7), fork=Fork(parent, 3)),
        "nothing is left": request(fork=Fork(parent, 6)),
    }
    for words, wanted in refused.items():
        with pytest.raises(InputError, match=words):
            check_decode_request(pretrained.config, wanted)
        with pytest.raises(InputError, match=words):
            done(workspace, pretrained, wanted)
    assert list_stored(workspace) == [parent]


def test_a_fork_needs_the_model_that_painted_its_parent(workspace, pretrained):
    parent = done(workspace, pretrained, request())
    with pytest.raises(InputError, match="abc123"):
        done(workspace, replace(pretrained, model_id="other"), request(fork=Fork(parent, 3)))


def test_models_without_generation_or_text_say_why_they_paint_nothing():
    assert why_not(preset("tiny", "dream")) is None and why_not(preset("tiny", "fluid")) is None
    assert "clip" in why_not(preset("tiny", "clip")) and "mar" in why_not(preset("tiny", "mar"))


def test_a_stored_decode_with_damaged_settings_says_so(workspace, pretrained):
    stored = done(workspace, pretrained, request())
    for about in ({"settings": {"steps": 0}}, {"stretches": [{"first_step": "x"}]}, {"stretches": 5}):
        with pytest.raises(InputError, match="how it was painted"):
            stretches(replace(stored, about=about))
