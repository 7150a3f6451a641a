"""The app opens, and its first page shows the commands and the runs."""

from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dream.__main__ import COMMANDS
from dream.training.run_log import RunLog

MAIN = str(Path(__file__).parents[2] / "app" / "main.py")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working directory the app is opened in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(app: AppTest) -> str:
    """Everything written on the page."""
    assert not app.exception
    return "\n".join(element.value for element in (*app.title, *app.markdown, *app.caption, *app.info))


def test_names_every_command_and_says_how_to_make_the_first_run(folder):
    app = AppTest.from_file(MAIN, default_timeout=60).run()
    text = shown(app)
    for name in COMMANDS:
        assert f"dream {name}" in text
    assert f"No runs in {folder / 'runs'}" in text
    assert "dream train" in app.code[0].value


def test_shows_the_runs_with_their_steps_and_newest_sheets(folder):
    for name in ("emoji", "young"):
        (folder / "runs" / name / "samples").mkdir(parents=True)
        (folder / "runs" / name / "config.json").write_text("{}")
    Image.new("RGB", (8, 8), "red").save(folder / "runs" / "emoji" / "samples" / "step-00000120.png")
    RunLog(folder / "runs" / "emoji").heartbeat("finished", step=1200, end=1200)
    (folder / "runs" / "not-a-run").mkdir()
    app = AppTest.from_file(MAIN, default_timeout=60).run()
    text = shown(app)
    assert "**emoji**" in text and "finished · step 1,200 of 1,200" in text
    assert "**young**" in text and "starting · step 0 · " in text
    assert "not-a-run" not in text
    assert len(app.image) == 1
