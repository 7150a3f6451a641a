import pytest

from dream.decoding import pictures
from dream.decoding.gallery import Gallery
from dream.decoding.paint import PaintPlan, paint_batches
from dream.decoding.previews import previews
from dream.decoding.settings import DecodeSettings
from tests.dream.decoding.decode_fakes import PROMPTS, small_pretrained

SETTINGS = {
    "plain": DecodeSettings(steps=6),
    "once": DecodeSettings(steps=6, candidates=3, select_steps=(2,)),
    "every": DecodeSettings(steps=6, candidates=3, selection="every", select_steps=(2,)),
    "halving": DecodeSettings(steps=6, candidates=4, selection="halving", select_steps=(2, 4)),
    "none": DecodeSettings(steps=6, candidates=3, selection="none"),
}


@pytest.fixture(scope="module")
def pretrained():
    return small_pretrained()


def watch(pretrained, settings, keep_steps=False):
    """A gallery of a decode in two batches, and the steps of which it wanted to see something."""
    gallery, seen = Gallery(PROMPTS, settings, keep_steps=keep_steps), set()
    for first, record in paint_batches(pretrained, PaintPlan(PROMPTS, settings, range(3), 2), scored="finished"):
        if gallery.wants(record):
            gallery.add(record, previews(pretrained.image_tokenizer, pretrained.config.image, record), first)
            seen.add(record.step)
    return gallery, seen


@pytest.mark.parametrize(("name", "steps"), [("plain", {5}), ("once", {1, 5}), ("halving", {1, 5}), ("none", {5})])
def test_previews_are_wanted_at_the_first_comparison_and_the_end(pretrained, name, steps):
    assert watch(pretrained, SETTINGS[name])[1] == steps


@pytest.mark.parametrize("name", ["once", "halving"])
def test_the_sheet_shows_all_candidates_and_frames_the_one_that_was_finished(pretrained, name):
    gallery, _ = watch(pretrained, SETTINGS[name])
    for row, prompt, (finished,) in zip(gallery.rows(), PROMPTS, gallery.finished(), strict=True):
        assert row.title == prompt and len(row.panels) == SETTINGS[name].candidates + 1
        assert [i for i, panel in enumerate(row.panels) if panel.chosen] == [finished.candidate]
        assert row.panels[-1].caption.startswith("finished: ")
        assert (row.panels[-1].picture == finished.picture).all()


def test_without_a_choice_all_finished_candidates_are_shown(pretrained):
    rows = watch(pretrained, SETTINGS["none"])[0].rows()
    assert [len(row.panels) for row in rows] == [3, 3, 3]
    assert not any(panel.chosen for row in rows for panel in row.panels)


@pytest.mark.parametrize("name", ["plain", "every"])
def test_one_picture_a_prompt_makes_a_grid(pretrained, name):
    rows = watch(pretrained, SETTINGS[name])[0].rows(columns=2)
    assert [len(row.panels) for row in rows] == [2, 1]
    assert rows[0].panels[0].caption.startswith(PROMPTS[0])


@pytest.mark.parametrize("name", SETTINGS)
def test_the_trajectory_has_a_frame_a_step_all_of_one_size(pretrained, name):
    frames = watch(pretrained, SETTINGS[name], keep_steps=True)[0].frames()
    assert len(frames) == 6 and len({frame.size for frame in frames}) == 1


def test_dropped_candidates_are_paled_in_the_trajectory(pretrained, monkeypatch):
    drawn = []
    monkeypatch.setattr(pictures, "draw_sheet", lambda rows, *_, **__: drawn.append(rows))
    watch(pretrained, SETTINGS["halving"], keep_steps=True)[0].frames()
    dropped = [[sum(panel.dropped for panel in row.panels) for row in rows] for rows in drawn]
    assert dropped == [[0] * 3, [0] * 3, [2] * 3, [2] * 3, [3] * 3, [3] * 3]
    assert all(sum(panel.chosen for panel in row.panels) == 1 for row in drawn[-1])
