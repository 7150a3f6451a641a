"""The Decode page from its first visit on: it paints at once, once; its address says what it shows; texts are text."""

import shutil

import pytest
from streamlit.testing.v1 import AppTest

from app.decode.start import cells_of, words_of
from app.keys import handed_key
from app.text import as_text
from dream.decoding.settings import DecodeSettings
from dream.pretrained import load_pretrained
from tests.app.opening import page_of
from workbench.decode.paint import paint_and_store
from workbench.decode.request import DecodeRequest
from workbench.store import StoredDecode, list_stored
from workbench.work import Work
from workbench.workspace import Workspace

ODD = "![x](http://127.0.0.1:9/p.png) **b** $x^2$ :red[r] [l](http://127.0.0.1:9) <b>h</b>"
SHORT = DecodeSettings(steps=3, seed=3, guidance_scale=1.0, selection="none", sampling_steps=2)


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    """An empty workspace."""
    monkeypatch.setenv("DREAM_WORKSPACE", str(tmp_path))
    return Workspace(tmp_path)


def page(address: dict[str, str] | None = None, **state: object) -> AppTest:
    """The page, opened at this address with these values in the session."""
    app = page_of("decode", 120, **state)
    app.query_params.update(address or {})
    return app.run()


def painted(app: AppTest) -> AppTest:
    """The page once its decode has ended."""
    app.session_state["work.decode.paint"].wait(60)
    return app.run()


def stored(workspace: Workspace, prompt: str = "a red circle") -> StoredDecode:
    """A short decode by the shipped model."""
    wanted, opened = DecodeRequest("demo", "averaged", prompt, SHORT), load_pretrained("demo")
    work = Work(lambda one: paint_and_store(one, workspace, opened, wanted)).wait()
    assert work.result is not None, work.error
    return work.result


def test_the_first_visit_paints_the_example_and_no_later_one_does(workspace):
    app = painted(page())
    (found,) = list_stored(workspace)
    assert found.prompt == app.text_area(key="in.decode.prompt").value
    assert app.session_state["decode.shown"] == found.id and not app.exception
    again = page()
    assert "work.decode.paint" not in again.session_state and again.session_state["decode.shown"] == found.id
    again.button(key=f"do.decode.delete.{found.id}").click().run()
    assert list_stored(workspace) == [] and "work.decode.paint" not in again.run().session_state


def test_what_another_page_asks_to_paint_is_painted_without_a_click(workspace):
    stored(workspace)
    app = page(**{handed_key("decode"): {"model": "demo", "prompt": "a purple cross", "paint": True}})
    assert painted(app) and list_stored(workspace)[0].prompt == "a purple cross"


def test_the_address_opens_the_same_and_leaves_out_what_is_the_default(workspace):
    first, _ = stored(workspace), stored(workspace)
    address = {
        "in.decode.prompt": "a blue square",
        "in.decode.steps": "12",
        "in.decode.weights": "raw",
        "in.decode.panel": "Settings",
        "in.decode.shown": first.id,
        "in.decode.step": "2",
    }
    app = page(address)
    assert app.session_state["decode.shown"] == first.id
    assert app.text_area(key="in.decode.prompt").value == "a blue square"
    assert app.number_input(key="in.decode.steps").value == 12
    assert app.selectbox(key="in.decode.weights").value == "raw"
    assert app.session_state["in.decode.panel"] == "settings"
    assert {name: _last(values) for name, values in app.query_params.items()} == address
    app.text_area(key="in.decode.prompt").set_value("a red square").run()
    assert _last(app.run().query_params["in.decode.prompt"]) == "a red square"


def _last(values: str | list[str]) -> str:
    return values if isinstance(values, str) else values[-1]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("steps", "5000", "Steps must be a whole number from 1 to 1,024, got 5000."),
        ("steps", "2.5", "Steps must be a whole number from 1 to 1,024, got 2.5."),
        ("steps", "nan", ""),
        ("steps", "many", ""),
        ("guidance", "-1", "Guidance scale must be a number from 1 to 100, got -1."),
        ("weights", "both", ""),
        ("schedule", "wild", ""),
        ("panel", "Nothing", ""),
        ("shown", "../../etc", "gone"),
        ("step", "99", ""),
        ("model", "runs/gone", "No such model"),
        ("compare_with", "nothing", ""),
    ],
)
def test_what_is_wrong_in_an_address_is_the_default_or_one_sentence(workspace, name, value, said):
    stored(workspace)
    app = page({f"in.decode.{name}": value})
    elements = (*app.caption, *app.error, *app.info)
    text = "\n".join(element.value for element in elements).replace("\\", "")
    assert not app.exception and said in text and (said or not app.error)
    assert "work.decode.paint" not in app.session_state


def test_a_number_out_of_range_paints_nothing(workspace):
    stored(workspace)
    app = page()
    app.number_input(key="in.decode.sampling").set_value(10**6).run()
    app.button(key="do.decode.go").click().run()
    assert "Denoising steps must be" in app.error[0].value and "work.decode.paint" not in app.session_state


def test_prompts_painted_before_are_in_the_menu_newest_first_and_each_once(workspace):
    for prompt in ("a red circle", ODD, "a red circle"):
        stored(workspace, prompt)
    app = page()
    recent = [button for button in app.button if (button.key or "").startswith("do.decode.recent")]
    assert [button.label for button in recent] == ["a red circle", as_text(ODD)]
    recent[1].click().run()
    assert app.text_area(key="in.decode.prompt").value == ODD


def test_a_prompt_is_shown_as_it_is_written(workspace):
    stored(workspace, ODD)
    app = page()
    for panel in ("fork", "compare", "settings"):
        app.session_state["in.decode.panel"] = panel
        app.run()
        elements = (*app.markdown, *app.caption, *app.info, *app.error, *app.button)
        shown = [getattr(element, "value", "") or "" for element in elements] + [b.label for b in app.button]
        assert any(as_text(ODD)[:60] in str(text) for text in shown)
        assert not [text for text in shown if "![x](" in str(text) or "**b**" in str(text)]


def test_a_link_of_another_workspace_paints_nothing_and_says_what_is_missing(workspace):
    found = stored(workspace)
    shutil.rmtree(found.path)
    app = page({"in.decode.shown": found.id})
    assert "The decode shown is gone" in app.info[0].value and "work.decode.paint" not in app.session_state
    assert "in.decode.shown" not in app.query_params


def test_the_fields_of_a_fork_and_the_cells_of_a_start_are_in_the_address(workspace):
    found = stored(workspace)
    shown = {"in.decode.shown": found.id, "in.decode.panel": "fork", "in.decode.fork.seed": "9"}
    app = page({**shown, "in.decode.edit": "true", "in.decode.edit_cells": "0-2,7", "in.decode.edit_verb": "clear"})
    fields = {name: app.number_input(key=f"in.decode.fork.{name}").value for name in ("seed", "guidance")}
    assert fields == {"seed": 9, "guidance": 1.0} and not app.exception
    assert app.text_input(key="in.decode.fork.prompt").value == found.prompt
    assert app.session_state["decode.cells"] == [0, 1, 2, 7]
    app.toggle(key="in.decode.edit").set_value(False).run()
    assert "in.decode.edit_cells" not in app.query_params


@pytest.mark.parametrize("cells", [[], [0], [0, 1], [0, 1, 2, 4, 6, 7], [3, 5, 9]])
def test_cells_come_back_from_the_address(cells):
    assert cells_of(words_of(cells)) == cells


@pytest.mark.parametrize("words", ["", "x", "1-", "-1", "1,,2", "1-2-3", "9" * 9])
def test_an_address_without_cells_has_none(words):
    assert cells_of(words) == []
