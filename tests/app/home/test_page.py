"""Home shows what DREAM is, lets the shipped model be played with, shows the runs, and leads on."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from app.home import pictures as home_pictures
from app.home.page import LEARNED
from app.text import as_text
from dream.__main__ import COMMANDS
from dream.errors import RunError
from dream.pretrained import SHIPPED
from dream.training.run_log import RunLog
from tests.app.opening import MAIN
from workbench import pictures_of_dream
from workbench.prompts import example_prompts

PAINTED = pictures_of_dream.ShownDecode(
    decoded=np.array([0.2, 1.0]),
    frames=np.zeros((2, 3, 8, 8), np.uint8),
    candidates=np.zeros((4, 3, 8, 8), np.uint8),
    finished=np.zeros((4, 3, 8, 8), np.uint8),
    alignment=np.array([0.1, 0.3, 0.2, 0.25]),
    chosen=1,
    compared_at=0.32,
)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty workspace, with a model that paints at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(home_pictures.dream_shown, "paint_example", lambda steps, choice, work: PAINTED)
    return tmp_path


def opened(model: str = "") -> AppTest:
    """The page with a shipped model chosen, and what it lets the model paint done."""
    app = AppTest.from_file(MAIN, default_timeout=180)
    if model and len(SHIPPED) > 1:
        app.session_state["in.home.model"] = model
    app.run()
    if "work.home.pictures" in app.session_state:
        app.session_state["work.home.pictures"].wait(30)
        app.run()
    return app


def shown(app: AppTest) -> str:
    """Everything written on the page."""
    assert not app.exception
    elements = (*app.title, *app.markdown, *app.caption, *app.info, *app.warning, *app.error)
    return "\n".join(element.value for element in elements)


def charts(app: AppTest) -> list:
    """The figures of the page."""
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def test_shows_dream_in_three_pictures_and_names_the_commands(folder):
    app = opened()
    text = shown(app)
    assert len(charts(app)) == 3
    assert "half-hidden" in text and "few tokens at a time" in text and "chooses before" in text
    for name in COMMANDS:
        assert f"dream {name}" in text
    assert any("dream train" in block.value for block in app.code)
    assert f"No runs in {as_text(folder / 'runs')}" in text


def test_what_was_painted_is_kept_and_not_painted_again(folder, monkeypatch):
    opened()
    monkeypatch.setattr(
        home_pictures.dream_shown, "paint_example", lambda steps, choice, work: pytest.fail("painted again")
    )
    app = AppTest.from_file(MAIN, default_timeout=180).run()
    assert len(charts(app)) == 3 and "work.home.pictures" not in app.session_state


def test_while_the_model_paints_the_rest_of_the_page_is_there(folder, monkeypatch):
    waits = lambda steps, choice, work: [work.check() for _ in iter(int, 1)]  # noqa: E731
    monkeypatch.setattr(home_pictures.dream_shown, "paint_example", waits)
    app = AppTest.from_file(MAIN, default_timeout=180).run()
    assert "painting this" in shown(app) and len(charts(app)) == 1
    app.button(key="do.cancel.home.pictures").click().run()
    app.session_state["work.home.pictures"].wait(30)
    assert "Stopped before" in shown(app.run())
    monkeypatch.setattr(home_pictures.dream_shown, "paint_example", lambda steps, choice, work: PAINTED)
    app.button(key="do.home.pictures.again").click().run()
    app.session_state["work.home.pictures"].wait(30)
    assert len(charts(app.run())) == 3


def test_a_failed_painting_is_one_sentence_and_can_be_tried_again(folder, monkeypatch):
    def fails(steps, choice, work):
        raise RunError("the model cannot paint")

    monkeypatch.setattr(home_pictures.dream_shown, "paint_example", fails)
    app = opened()
    assert "The model cannot paint." in [error.value for error in app.error]
    assert app.button(key="do.home.pictures.again").label == "Try again"
    assert "Runs on this machine" in [heading.value for heading in app.subheader]


@pytest.mark.parametrize("model", SHIPPED)
def test_a_prompt_is_handed_to_the_decode_page(folder, model):
    app = opened(model)
    short, prompt = list(example_prompts(LEARNED[model][1]).items())[1]
    assert app.text_input(key="in.home.prompt").value != prompt
    app.pills(key=f"do.home.example.{model}").set_value(short).run()
    assert app.text_input(key="in.home.prompt").value == prompt
    app.button(key="do.home.decode").click().run()
    assert not app.exception
    assert app.title[0].value == "Decode"
    assert app.selectbox(key="in.decode.model").value == model
    assert app.text_area(key="in.decode.prompt").value == prompt


@pytest.mark.skipif(len(SHIPPED) < 2, reason="one model ships")
def test_an_example_follows_the_chosen_model_and_a_typed_prompt_stays(folder):
    app = opened("demo")
    assert app.text_input(key="in.home.prompt").value in example_prompts("shapes").values()
    app.segmented_control(key="in.home.model").set_value("emoji").run()
    assert app.text_input(key="in.home.prompt").value in example_prompts("emoji").values()
    app.session_state["in.home.prompt"] = "a blue heart"
    app.segmented_control(key="in.home.model").set_value("demo").run()
    assert app.text_input(key="in.home.prompt").value == "a blue heart"


def test_an_empty_prompt_is_asked_for(folder):
    app = opened()
    app.text_input(key="in.home.prompt").set_value("  ")
    app.button(key="do.home.decode").click().run()
    assert "Type a prompt first." in shown(app)


@pytest.mark.parametrize(("page", "title"), [("masking", "Masking"), ("train", "Train")])
def test_leads_to_the_pages(folder, page, title):
    app = opened()
    app.button(key=f"do.home.to.{page}").click().run()
    assert app.title[0].value.startswith(title)


def test_shows_the_runs_with_their_steps_and_newest_sheets(folder):
    for name in ("emoji", "young"):
        (folder / "runs" / name / "samples").mkdir(parents=True)
        (folder / "runs" / name / "config.json").write_text('{"config": {}}')
    Image.new("RGB", (8, 8), "red").save(folder / "runs" / "emoji" / "samples" / "step-00000120.png")
    RunLog(folder / "runs" / "emoji").heartbeat("finished", step=1200, end=1200)
    (folder / "runs" / "not-a-run").mkdir()
    app = opened()
    text = shown(app)
    assert "**emoji**" in text and "finished · step 1,200 of 1,200" in text
    assert "**young**" in text and "starting · step 0 · " in text
    assert "not-a-run" not in text
    assert len(app.image) == 1
    assert app.button(key="do.home.paint.emoji").disabled  # it has no checkpoint


def test_runs_of_one_name_in_two_folders_are_told_apart_and_a_damaged_one_says_so(folder):
    for name in ("a/seed-0", "b/seed-0", "bad"):
        (folder / "runs" / name).mkdir(parents=True)
        (folder / "runs" / name / "config.json").write_text("{" if name == "bad" else '{"config": {}}')
    app = opened()
    text = shown(app)
    assert "**a/seed-0**" in text and "**b/seed-0**" in text
    assert [warning.value for warning in app.warning if "Damaged" in warning.value]


def test_a_run_in_progress_shows_how_far_it_is(folder):
    (folder / "runs" / "now").mkdir(parents=True)
    (folder / "runs" / "now" / "config.json").write_text('{"config": {}}')
    RunLog(folder / "runs" / "now").heartbeat("running", step=300, end=1200)
    app = opened()
    assert "running · step 300 of 1,200" in shown(app)


def test_of_many_runs_the_newest_are_shown(folder):
    for number in range(8):
        run = folder / "runs" / f"run-{number}"
        run.mkdir(parents=True)
        (run / "config.json").write_text('{"config": {}}')
    app = opened()
    assert app.button(key="do.home.runs").label == "Show all 8 runs"
    assert len([button for button in app.button if button.label == "Show curves"]) == 6
