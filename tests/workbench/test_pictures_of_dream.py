"""What Home shows is painted by the shipped model, kept, and painted again where what was kept is damaged."""

from pathlib import Path

import numpy as np
import pytest

from dream.config import MaskingConfig, ObjectiveConfig
from dream.decoding.paint import paint_iter
from dream.decoding.pictures import HATCH
from dream.decoding.previews import previews
from dream.decoding.selection import parse_select_at
from dream.decoding.settings import DecodeSettings
from dream.pretrained import load_pretrained
from workbench import pictures_of_dream as shown
from workbench.figures import home as figures
from workbench.work import Work


@pytest.fixture(scope="module")
def painted():
    """What the models that ship paint."""
    demo, emoji = load_pretrained("demo"), load_pretrained("emoji")
    return Work(lambda work: shown.paint_example(demo, emoji, work)).wait().result


def test_the_best_scored_candidate_is_framed_and_what_each_becomes_is_known(painted):
    assert painted.candidates.shape == painted.finished.shape == (shown.CANDIDATES, 3, 48, 48)
    assert painted.chosen == painted.alignment.argmax()
    assert 0.3 <= painted.compared_at < 0.5
    hatched = [np.isin(each, HATCH).all(axis=1).mean() for each in (painted.candidates, painted.finished)]
    assert hatched[0] > 0.4 and hatched[1] < 0.05


def test_the_choice_that_is_shown_is_the_one_that_the_decode_makes(painted):
    emoji = load_pretrained("emoji")
    own = emoji.config
    point = parse_select_at(shown.CHOICE_AT, own.image.num_tokens, own.decode.steps)
    settings = DecodeSettings.of(
        own.decode, seed=shown.CHOICE_SEED, candidates=shown.CANDIDATES, selection="once", select_steps=(point.step,)
    )
    *_, last = paint_iter(emoji, [shown.CHOICE_PROMPT], settings)
    assert last.candidate.tolist() == [painted.chosen]
    alone = previews(emoji.image_tokenizer, own.image, last).numpy()[0].astype(int)
    assert abs(alone - painted.finished[painted.chosen]).max() <= 1  # rounding among other rows


def test_a_decode_is_shown_from_few_tokens_to_all(painted):
    assert painted.frames.shape == (shown.SHOWN, 3, 30, 30)
    assert painted.decoded[-1] == 1 and (np.diff(painted.decoded) > 0).all()
    hidden = np.isin(painted.frames, HATCH).all(axis=1).mean(axis=(1, 2))
    assert (np.diff(hidden) <= 0).all() and hidden[0] > 0.5


def test_what_was_kept_reads_back(painted, tmp_path):
    path = shown.kept_place(tmp_path / "new")
    shown.save_shown(painted, path)
    again = shown.kept(path)
    assert again.chosen == painted.chosen and (again.frames == painted.frames).all()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"\x93NUMPY"])
def test_a_damaged_file_counts_as_none(content, tmp_path):
    path = tmp_path / "home.npz"
    assert shown.kept(path) is None
    path.write_bytes(content)
    assert shown.kept(path) is None


def test_a_folder_that_cannot_be_written_is_no_failure(painted, tmp_path):
    (tmp_path / "file").write_text("")
    shown.save_shown(painted, Path(tmp_path / "file" / "home.npz"))


def test_more_and_more_is_hidden():
    pictures = shown.hidden_more_and_more(MaskingConfig(), ObjectiveConfig(), [0.0, 0.5, 1.0])
    hidden = [np.isin(picture, HATCH).all(axis=0).mean() for picture in pictures]
    assert hidden[0] < hidden[1] < hidden[2] and 0.3 < hidden[0] < 0.4 < 0.6 < hidden[2] < 0.7


def test_the_figures_show_every_frame_and_frame_the_chosen_one(painted):
    steps, choice = figures.plot_steps(painted), figures.plot_choice(painted)
    assert len(steps.data) == shown.SHOWN and steps.layout.annotations[-1].text == "100%"
    assert len(choice.data) == len(choice.layout.shapes) == 2 * shown.CANDIDATES
    framed = [number for number, shape in enumerate(choice.layout.shapes) if shape.line.width > 1]
    assert framed == [painted.chosen, shown.CANDIDATES + painted.chosen]
    assert "★" in choice.layout.annotations[painted.chosen].text
    assert f"{painted.alignment[0]:.3f}" in choice.data[0].name
