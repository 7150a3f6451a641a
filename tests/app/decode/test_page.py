"""The Decode page: from nothing to a decode, a fork, an edit, its list and its files; and what goes wrong."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from app.keys import handed_key
from dream.decoding.record import load_record
from dream.decoding.settings import DecodeSettings
from dream.presets import preset
from dream.pretrained import load_pretrained
from tests.app.opening import page_of
from tests.dream.decoding.decode_fakes import PROMPTS, save_run, small_pretrained
from workbench.decode.export import decode_png
from workbench.decode.paint import paint_and_store
from workbench.decode.player_data import PLAYER
from workbench.decode.request import DecodeRequest
from workbench.prompts import example_prompts
from workbench.store import list_stored
from workbench.work import Work
from workbench.workspace import Workspace

SETTINGS = DecodeSettings(steps=4, seed=3, guidance_scale=2.0, selection="none")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A workspace with the small model as `runs/small`."""
    folder = tmp_path_factory.mktemp("workspace")
    save_run(small_pretrained(), folder / "runs" / "small")
    return folder


@pytest.fixture
def workspace(run, monkeypatch) -> Workspace:
    """That workspace, with nothing decoded in it yet."""
    import shutil

    monkeypatch.setenv("DREAM_WORKSPACE", str(run))
    shutil.rmtree(run / "decodes", ignore_errors=True)
    return Workspace(run)


def page(**state) -> AppTest:
    """The page, opened with these values in the session."""
    app = page_of("decode", 120)
    app.session_state["in.decode.model"] = "runs/small"
    for name, value in state.items():
        app.session_state[name.replace("__", ".")] = value
    return app.run()


def done(app: AppTest, key: str = "decode.paint") -> AppTest:
    """The page once its work has ended."""
    app.session_state[f"work.{key}"].wait()
    return app.run()


def text(app: AppTest) -> str:
    assert not app.exception
    groups = (app.title, app.markdown, app.caption, app.info, app.warning, app.error, app.subheader)
    return "\n".join(element.value for group in groups for element in group)


def stored(workspace: Workspace, **changes):
    """A decode by the run's model."""
    from dream.pretrained import load_pretrained

    wanted = DecodeRequest("runs/small", "averaged", PROMPTS[0], SETTINGS, **changes)
    opened = load_pretrained(workspace.runs / "small")
    work = Work(lambda one: paint_and_store(one, workspace, opened, wanted)).wait()
    assert work.error is None, work.error
    return work.result


def test_a_prompt_becomes_a_stored_decode_that_is_looked_into(workspace):
    app = page()
    assert "Nothing is shown yet" in text(app) and "Nothing is stored yet" in text(app)
    app.text_area(key="in.decode.prompt").set_value("a  red\ncircle")
    app.number_input(key="in.decode.steps").set_value(4)
    app.number_input(key="in.decode.seed").set_value(7)
    app.button(key="do.decode.go").click().run()
    app = done(app)
    (found,) = list_stored(workspace)
    assert found.prompt == "a red circle" and found.about["settings"]["steps"] == 4
    assert found.about["seed"] == 7 and found.about["model"] == "runs/small"
    app = done(app, "decode.look")
    assert (found.path / PLAYER).is_file() and "attention is the mean" in text(app)
    assert {button.label for button in app.get("download_button")} >= {"PNG", "GIF", "HTML", "JSON"}
    assert "a red circle" in text(app)


def test_a_tab_keeps_nothing_of_the_decodes_that_it_showed_before(workspace):
    def decoded(app: AppTest) -> set[str]:
        app = done(app.button(key="do.decode.go").click().run())
        app = done(app, "decode.look")
        return {key for key in app.session_state._state.filtered_state if not key.startswith(("do.", "in."))}

    app = page()
    assert decoded(app) == decoded(app) == decoded(app)
    assert len(list_stored(workspace)) == 3


def test_another_model_brings_its_settings_and_leaves_what_was_typed(workspace):
    app = page()
    app.number_input(key="in.decode.guidance").set_value(7.0).run()
    app.selectbox(key="in.decode.model").set_value("demo").run()
    assert app.number_input(key="in.decode.guidance").value == 7.0
    assert app.number_input(key="in.decode.sampling").value == 16
    assert [button.label for button in app.button if button.key.startswith("do.decode.example")]


def test_examples_and_new_seeds_fill_the_form(workspace):
    app = page(in__decode__model="demo")
    app.button(key="do.decode.example.2").click().run()
    assert app.text_area(key="in.decode.prompt").value == list(example_prompts("shapes").values())[2]
    before = app.number_input(key="in.decode.seed").value
    seeds = {app.button(key="do.decode.seed").click().run().number_input(key="in.decode.seed").value for _ in "ab"}
    assert seeds != {before}


@pytest.mark.parametrize("objective", ["clip", "mar"])
def test_a_model_that_cannot_paint_says_so_in_a_sentence(workspace, objective):
    small = small_pretrained()
    wanted = preset("tiny", objective).objective
    path = workspace.runs / objective
    if not path.exists():
        save_run(replace(small, config=replace(small.config, objective=wanted)), path)
    app = page(in__decode__model=f"runs/{objective}")
    assert f"objective {objective}" in app.warning[0].value
    assert "do.decode.go" not in [button.key for button in app.button]
    assert "Stored decodes" in text(app)


def test_a_wrong_path_is_said_and_the_list_stays(workspace):
    stored(workspace)
    app = page(in__decode__model="runs/gone")
    assert "no such model" in app.error[0].value.lower() and "runs" in app.error[0].value
    assert "a red circle" in text(app)
    app = page(in__decode__model="/etc")
    assert "outside of the workspace" in app.error[0].value


def test_an_empty_prompt_is_refused_before_anything_starts(workspace):
    app = page()
    app.text_area(key="in.decode.prompt").set_value("  ")
    app.button(key="do.decode.go").click().run()
    assert "prompt is empty" in app.error[0].value and list_stored(workspace) == []


def test_a_fork_is_stored_beside_its_parent_and_compared_with_it(workspace):
    parent = stored(workspace)
    app = page(decode__shown=parent.id)
    app = done(app, "decode.look")
    app.selectbox(key="in.decode.fork.after").set_value(2)
    app.number_input(key="in.decode.fork.seed").set_value(11)
    app.text_input(key="in.decode.fork.prompt").set_value(PROMPTS[1])
    next(button for button in app.button if button.label == "Fork").click().run()
    app = done(app)
    child = list_stored(workspace)[0]
    assert (child.about["parent"], child.about["fork_step"], child.prompt) == (parent.id, 2, PROMPTS[1])
    one, two = load_record(parent.record_path), load_record(child.record_path)
    np.testing.assert_array_equal(one.previews[:2], two.previews[:2])
    assert app.session_state["in.decode.panel"] == "compare"
    assert "A · parent, seed 3" in text(app) and "B · fork after step 2, seed 11" in text(app)
    assert "equal up to step 2; the finished ones differ" in text(app)
    table = next(element.proto.body for element in app.get("html") if "<table" in element.proto.body)
    assert re.findall('scope="row"[^>]*>([^<]+)', table) == ["prompt", "begins with", "seed"]
    assert "the first 2 steps of A" in table
    app.segmented_control(key="in.decode.compare_as").set_value("players").run()
    assert "**A · parent, seed 3**" in text(app) and "**B · fork after step 2, seed 11**" in text(app)


def test_every_panel_shows(workspace):
    parent = stored(workspace)
    app = done(page(decode__shown=parent.id), "decode.look")
    for panel, words in (("compare", "no other decode"), ("settings", ""), ("figures", "")):
        app.session_state["in.decode.panel"] = panel
        assert words in text(app.run())
    assert [json.loads(chart.proto.spec)["layout"]["title"]["text"] for chart in app.get("plotly_chart")] == [
        "Reveal order",
        "Decode by step",
    ]


def test_a_decode_by_a_model_that_is_gone_shows_what_was_stored(workspace):
    found = stored(workspace)
    about = json.loads((found.path / "about.json").read_text())
    about["about"] |= {"model": "runs/gone", "checkpoint": "runs/gone"}
    (found.path / "about.json").write_text(json.dumps(about))
    app = page(decode__shown=found.id)
    assert "attention and denoising paths are left out" in text(app)


def test_a_damaged_record_is_one_sentence_and_can_be_deleted(workspace):
    found = stored(workspace)
    for file in (found.record_path / "tokens").rglob("c/*/*/*/*"):
        file.write_bytes(b"x")
    app = page(decode__shown=found.id)
    assert "damaged" in app.error[0].value
    app.button(key=f"do.decode.delete.{found.id}").click().run()
    assert list_stored(workspace) == [] and "Nothing is stored yet" in text(app)


def test_stored_decodes_are_searched_opened_and_deleted(workspace):
    first, second = stored(workspace), stored(workspace)
    app = page()
    app.button(key=f"do.decode.open.{first.id}").click().run()
    assert app.session_state["decode.shown"] == first.id
    app.text_input(key="in.decode.query").set_value("purple").run()
    assert "No stored decode matches" in text(app)
    app.text_input(key="in.decode.query").set_value("seed 3").run()
    app.button(key=f"do.decode.delete.{first.id}").click().run()
    assert list_stored(workspace) == [second] and not app.session_state["decode.shown"]


def test_what_was_deleted_elsewhere_is_said_once(workspace):
    app = page(decode__shown="20200101-000000-gone")
    assert "is gone" in text(app) and "Nothing is shown yet" in text(app)
    assert "is gone" not in text(app.run())


def test_a_file_of_ours_changes_the_form_only_when_told(workspace):
    content = decode_png(stored(workspace))
    app = page()
    app.text_area(key="in.decode.prompt").set_value("mine").run()
    app.file_uploader(key="do.decode.recall.0").set_value(("a.png", content, "image/png")).run()
    rows = app.table[0].value.set_index("setting")
    assert rows.loc["prompt", "now"] == "mine" and rows.loc["prompt", "file"] == PROMPTS[0]
    assert rows.loc["steps", "file"] == "4" and "model" not in rows.index
    assert app.text_area(key="in.decode.prompt").value == "mine"
    app.button(key="do.decode.recall.no").click().run()
    assert app.text_area(key="in.decode.prompt").value == "mine"
    app.file_uploader(key="do.decode.recall.1").set_value(("a.png", content, "image/png")).run()
    app.button(key="do.decode.recall.apply").click().run()
    assert app.text_area(key="in.decode.prompt").value == PROMPTS[0]
    assert app.number_input(key="in.decode.steps").value == 4


def test_a_png_that_is_not_ours_is_refused(workspace, tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    app = page()
    app.file_uploader(key="do.decode.recall.0").set_value(
        ("a.png", (tmp_path / "a.png").read_bytes(), "image/png")
    ).run()
    assert "does not say how it was painted" in app.error[0].value


def test_a_part_of_the_picture_shown_is_kept(workspace):
    parent = stored(workspace)
    app = page(decode__shown=parent.id, decode__cells=[0, 1, 2], in__decode__edit=True)
    assert "3 of 16 cells are kept" in text(app)
    app.segmented_control(key="in.decode.edit_verb").set_value("clear").run()
    assert "13 of 16 cells are kept" in text(app)
    app.button(key="do.decode.go").click().run()
    done(app)
    child = list_stored(workspace)[0]
    assert child.about["kept"] == list(range(3, 16))
    one, two = (load_record(each.record_path).finished(0)[1][0] for each in (parent, child))
    np.testing.assert_array_equal(one[3:], two[3:])


def test_an_own_picture_is_kept_and_what_is_none_is_refused(workspace, tmp_path):
    app = page(in__decode__edit=True, decode__cells=[5])
    assert "centre square" in text(app)
    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    app.file_uploader(key="do.decode.upload").set_value(("a.png", content, "image/png")).run()
    assert "1 of 16 cells are kept" in text(app)
    app.button(key="do.decode.go").click().run()
    done(app)
    picture = load_record(list_stored(workspace)[0].record_path).previews[-1, 0, 0]
    np.testing.assert_array_equal(picture[:, 4:8, 4:8], np.full((3, 4, 4), [[[255]], [[0]], [[0]]]))
    app.file_uploader(key="do.decode.upload").set_value(("b.png", b"x", "image/png")).run()
    assert "cannot be used as a picture" in app.error[0].value


def test_what_another_page_hands_over_is_in_the_form_and_on_the_stage(workspace):
    found = stored(workspace)
    values = {"model": "demo", "prompt": "a star", "settings": {"steps": 9, "candidates": 4, "select_steps": [2]}}
    app = page(**{handed_key("decode"): {**values, "stored": found.id}})
    assert app.text_area(key="in.decode.prompt").value == "a star"
    assert app.number_input(key="in.decode.steps").value == 9
    assert app.selectbox(key="in.decode.model").value == "demo"
    assert app.session_state["decode.shown"] == found.id


def test_what_is_handed_over_without_a_number_of_denoising_steps_takes_the_models_own(workspace):
    settings = DecodeSettings(steps=8, candidates=8, select_steps=(4,)).to_dict()
    given = {"model": "emoji", "prompt": "a star", "settings": settings, "stored": stored(workspace).id}
    app = page(**{handed_key("decode"): given})
    own = load_pretrained("emoji").config.head.sampling_steps
    assert own != 16 and app.number_input(key="in.decode.sampling").value == own


@pytest.mark.parametrize("content", [b"", b"not a png", b"\x89PNG\r\n\x1a\n"])
def test_a_damaged_small_picture_hides_neither_its_decode_nor_another(workspace, content):
    first, second = stored(workspace), stored(workspace)
    first.thumbnail.write_bytes(content)
    app = page()
    assert "small picture is damaged" in text(app) and not app.error
    opens = {button.key for button in app.button if button.key.startswith("do.decode.open.")}
    assert opens == {f"do.decode.open.{one.id}" for one in (first, second)}


def test_a_decode_that_fails_is_said_and_one_that_is_cancelled_too(workspace):
    app = page()

    def fails(_):
        raise ZeroDivisionError("by hand")

    app.session_state["work.decode.paint"] = Work(fails).wait()
    assert "Unexpected error" in app.run().error[0].value

    def waits(work):
        while True:
            work.check()

    work = Work(waits)
    work.cancel()
    app.session_state["work.decode.paint"] = work.wait()
    assert "Cancelled: nothing was stored" in text(app.run())


def test_while_it_is_painted_the_page_says_how_far_it_is(workspace):
    import threading

    go = threading.Event()
    app = page()
    app.session_state["work.decode.paint"] = work = Work(lambda one: go.wait(60) and stored(workspace))
    app.run()
    assert "first tokens are being painted" in text(app)
    assert app.button(key="do.decode.go").disabled
    assert "do.cancel.decode.paint" in [button.key for button in app.button]
    go.set()
    work.wait()
    assert app.run().session_state["decode.shown"] == list_stored(workspace)[0].id


def html(app: AppTest) -> str:
    """What the page shows as HTML of its own."""
    assert not app.exception
    return "\n".join(element.proto.body for element in app.get("html"))


def test_a_prompt_with_unseen_words_is_marked_as_it_is_typed_and_next_to_its_picture(workspace):
    app = page(in__decode__prompt=PROMPTS[0])
    assert "reading" not in html(app)
    app.text_area(key="in.decode.prompt").set_value("a red <b>cube</b>").run()
    assert 'never saw">cube</mark>' in html(app) and "<b>" not in html(app)
    app.button(key="do.decode.go").click().run()
    app = done(app)
    app.text_area(key="in.decode.prompt").set_value(PROMPTS[0]).run()
    assert "<mark" not in html(app) and "never saw: &#x27;b&#x27;, &#x27;cube&#x27;." in html(app)
