"""Every file of a choice says how it was painted, and shows every candidate at every step."""

import io
import json

import pytest
from PIL import Image

from dream.decoding.pictures import read_about
from tests.workbench.trajectories.trajectory_small import PROMPT, painted, race
from workbench.decode.export import can_write_mp4
from workbench.trajectories.export import race_gif, race_html, race_json, race_mp4, race_png, race_sheets
from workbench.trajectories.race import open_race, race_data
from workbench.workspace import Workspace


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return painted(Workspace(tmp_path_factory.mktemp("work")))


def test_the_png_carries_prompt_and_settings(stored, tmp_path):
    (tmp_path / "choice.png").write_bytes(race_png(stored))
    about = read_about(tmp_path / "choice.png")
    assert about["prompt"] == PROMPT and about["settings"]["candidates"] == 3


def test_gif_and_film_have_a_frame_a_step(stored):
    gif = Image.open(io.BytesIO(race_gif(stored)))
    assert gif.n_frames == 4
    if can_write_mp4():
        assert race_mp4(stored)[4:8] == b"ftyp"


def test_the_json_says_who_was_where(stored):
    tree = json.loads(race_json(stored))
    assert tree["prompt"] == PROMPT and len(tree["steps"]) == 4
    assert tree["steps"][-1]["kept"].index(True) == tree["chosen"]
    assert [step["alignment"].count(None) for step in tree["steps"]] == [0, 0, 2, 2]


def test_the_html_plays_offline(stored):
    html = race_html(stored, race_data(open_race(stored), "a race")).decode()
    assert PROMPT in html and "default-src 'none'" in html and "src=" not in html.replace("src=data", "")


def test_sheets_are_of_one_size_whatever_is_dropped():
    shown = race([[1, 1], [1, 0]], [[1, 0], [1, 0]], [[0.3, 0.1], [0.4, 0]], steps=2)
    assert len({sheet.size for sheet in race_sheets(shown)}) == 1
