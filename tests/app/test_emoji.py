"""The emoji on pages: what is offered before they are built, and what is shown after."""

import io
import itertools

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from app import emoji_build
from app.credits import CREDIT
from app.data.choice import NEW_MODEL
from dream.data.emoji.table import Drawing, table_path, write_table
from dream.errors import InputError
from dream.presets import preset
from tests.app.look_small import settled
from tests.app.opening import page_of


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch) -> None:
    """An empty workspace, and a cache without emoji."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path / "cache"))


def build(report=None) -> str:
    """Three things in two styles, one of them held out."""
    drawings = []
    for label, style in itertools.product(("red heart", "dog", "$x^2$ <i>"), ("ink", "flat")):
        stored = io.BytesIO()
        Image.new("RGB", (64, 64), (len(label) * 20, 90, len(style) * 30)).save(stored, "WEBP", lossless=True)
        split = "unseen" if label == "dog" else "val" if style == "flat" else "train"
        told = (label, style, ("a tag",), label, "animals", "pets", split)
        drawings.append(Drawing(f"{label}.{style}", *told, stored.getvalue()))
    write_table(table_path(), drawings)
    return str(table_path())


def opened(page: str, **inputs: object) -> AppTest:
    app = page_of(page)
    for name, value in inputs.items():
        app.session_state[f"in.{page}.{name}"] = value
    return settled(app.run())


def html(app: AppTest) -> str:
    assert not app.exception
    return "".join(element.proto.body for element in app.get("html"))


@pytest.mark.parametrize("page", ["data", "search", "train"])
def test_before_they_are_built_a_page_offers_to_build_them(page):
    app = opened(page, source="emoji")
    assert not app.error and not app.exception
    assert "Build the emoji" in [button.label for button in app.button]


def test_the_button_builds_them_and_the_page_shows_them(monkeypatch):
    monkeypatch.setattr(emoji_build, "build_emoji", build)
    app = opened("data", source="emoji")
    app.button(key="do.emoji.build.go").click().run()
    app.session_state["work.emoji.build"].wait(30)
    app = settled(app.run())
    assert "By group and style" in app.segmented_control(key="in.data.view").options
    app.session_state["in.data.view"] = "By group and style"
    shown = html(settled(app.run()))
    assert shown.count('class="unseen"') == 2 and "$x^2$ &lt;i&gt;" in shown


def test_a_build_that_fails_is_a_sentence_and_can_be_tried_again(monkeypatch):
    def fail(report) -> None:
        raise InputError("the emoji are fetched with npm, which is not installed")

    monkeypatch.setattr(emoji_build, "build_emoji", fail)
    app = opened("data", source="emoji")
    app.button(key="do.emoji.build.go").click().run()
    app.session_state["work.emoji.build"].wait(30)
    app = settled(app.run())
    assert any("npm, which is not installed" in error.value for error in app.error)
    assert "Build the emoji" in [button.label for button in app.button]


def test_the_preset_emoji_takes_its_source_and_its_minutes():
    build()
    app = opened("train")
    app.selectbox(key="in.train.preset").set_value("emoji").run()
    assert not app.exception
    assert app.text_input(key="in.train.source").value == "emoji" == app.text_input(key="in.train.name").value
    assert app.number_input(key="in.train.minutes").value == preset("emoji").train.minutes


def test_the_preset_leaves_a_typed_source_alone():
    app = opened("train", source="elsewhere", minutes=12.0)
    app.selectbox(key="in.train.preset").set_value("emoji").run()
    assert app.text_input(key="in.train.source").value == "elsewhere"
    assert app.number_input(key="in.train.minutes").value == 12.0


def test_another_source_has_no_view_by_group_and_style():
    build()
    app = opened("data", source="emoji", view="By group and style")
    assert 'class="emoji-world"' in html(app)
    app.selectbox(key="in.data.source").set_value("shapes").run()
    assert 'class="emoji-world"' not in html(settled(app))
    assert app.segmented_control(key="in.data.view").value == "Pictures"


def test_the_tokenizers_follow_the_source_unless_they_were_chosen():
    build()
    app = opened("data")
    assert app.selectbox(key="in.data.eyes").value == "demo"
    app.selectbox(key="in.data.source").set_value("emoji").run()
    assert settled(app).selectbox(key="in.data.eyes").value == "emoji"
    app.selectbox(key="in.data.eyes").set_value(NEW_MODEL).run()
    app.selectbox(key="in.data.source").set_value("shapes").run()
    assert settled(app).selectbox(key="in.data.eyes").value == NEW_MODEL


@pytest.mark.parametrize("page", ["data", "search", "train"])
def test_artists_are_named_where_their_pictures_show(page):
    build()
    named = [caption.value for caption in opened(page, source="emoji").caption]
    assert CREDIT in named
    assert CREDIT not in [caption.value for caption in opened(page, source="shapes", model="demo").caption]
