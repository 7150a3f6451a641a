"""The page Data: samples with their tokens, numbers, broken ones by name, sources that cannot be opened."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from app.data.choice import NEW_MODEL
from tests.app.look_small import settled
from tests.app.opening import page_of
from tests.workbench.search.search_small import captioned_folder


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Opens the page with these inputs, in a workspace of its own."""
    monkeypatch.chdir(tmp_path)

    def opened(**inputs: object) -> AppTest:
        app = page_of("data")
        for name, value in inputs.items():
            app.session_state[f"in.data.{name}"] = value
        return settled(app.run())

    return opened


def html(app: AppTest) -> str:
    return "".join(element.proto.body for element in app.get("html"))


def errors(app: AppTest) -> str:
    assert not app.exception
    return " ".join(element.value for element in app.error)


def test_shapes_are_shown_with_tokens_and_back_from_the_image_tokenizer(page):
    app = page()
    shown = html(app)
    assert not app.exception and not app.error
    assert shown.count('class="card"') == 12 and "from tokens: exact" in shown
    assert 'class="chip begin"' in shown and "background<small>" in shown
    assert app.button(key="do.data.earlier").disabled and not app.button(key="do.data.later").disabled


def test_turning_the_page_shows_other_samples_and_a_new_filter_goes_back_to_the_first(page):
    app = page()
    first = html(app)
    app.button(key="do.data.later").click().run()
    assert app.number_input(key="in.data.page").value == 2 and html(settled(app)) != first
    app.text_input(key="in.data.wanted").set_value("purple").run()
    settled(app)
    assert app.number_input(key="in.data.page").value == 1
    assert html(app).count("purple<small>") >= 12


def test_a_folder_is_paged_and_foreign_words_are_marked(page, tmp_path):
    folder = captioned_folder(tmp_path / "pictures", 8)
    (folder / "000.txt").write_text("<b>zebu</b> " * 9)
    app = page(source="pictures")
    shown = html(app)
    assert "40 x 24" in shown and "chip spelled" in shown and "chip cut" in shown and "<b>zebu" not in shown
    assert any("of 8" in caption.value for caption in app.caption)
    assert app.selectbox(key="in.data.split").options == ["all", "train", "val"]


def test_a_tokenizer_can_be_learned_from_the_source_itself(page, tmp_path):
    captioned_folder(tmp_path / "pictures", 8)
    app = page(source="pictures", eyes=NEW_MODEL)
    assert not errors(app) and "chip spelled" not in html(app)


def test_numbers_of_a_folder(page, tmp_path):
    captioned_folder(tmp_path / "pictures", 8)
    app = page(source="pictures", view="Statistics")
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Good samples"] == "8" and metrics["Broken"] == "0" and metrics["Repeated captions"] == "50.0 %"
    titles = [json.loads(chart.proto.spec)["layout"].get("title", {}).get("text") for chart in app.get("plotly_chart")]
    assert "Caption lengths" in titles and "Picture sizes before cropping" in titles


def test_equal_captions_are_said_to_teach_no_alignment(page, tmp_path):
    folder = captioned_folder(tmp_path / "pictures", 4)
    for path in folder.glob("*.txt"):
        path.write_text("*the* same")
    app = page(source="pictures", view="Statistics")
    assert app.warning[0].value == "These samples teach no alignment."
    assert "all captions are the same ('*the* same')" in app.text[0].value


def test_shapes_count_their_attributes(page):
    app = page(view="Statistics", limit=500)
    assert not errors(app)
    assert any("Attributes of the drawn pictures" in chart.proto.spec for chart in app.get("plotly_chart"))


def test_broken_samples_are_listed_by_kind(page, tmp_path):
    folder = captioned_folder(tmp_path / "pictures", 5)
    (folder / "001.png").write_bytes(b"cut")
    (folder / "002.txt").write_text(" ")
    app = page(source="pictures", view="Broken samples")
    table = app.dataframe[0].value
    assert sorted(table["kind"]) == ["broken picture", "empty caption"] and "001.png" in set(table["name"])
    assert {metric.label for metric in app.metric} == {"Broken picture", "Empty caption"}
    assert app.get("download_button")


def test_nothing_broken_is_said(page, tmp_path):
    captioned_folder(tmp_path / "pictures", 3)
    assert "No broken samples among the 3 read" in page(source="pictures", view="Broken samples").success[0].value


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("absent", "There is no"),
        ("bare", "No captioned picture in"),
        ("/etc", "is outside of the workspace"),
        ("cut.tar", "No captioned picture in"),
    ],
)
def test_a_source_that_cannot_be_opened_is_one_sentence_and_the_choice_stays(source, says, page, tmp_path):
    (tmp_path / "bare").mkdir()
    (tmp_path / "cut.tar").write_bytes(b"x" * 700)
    app = page(source=source)
    assert says in errors(app) and "Traceback" not in errors(app)
    app.selectbox(key="in.data.source").set_value("shapes").run()
    assert not errors(settled(app)) and html(app)


def test_an_unknown_model_is_one_sentence(page):
    assert "o such model" in errors(page(eyes="absent"))


def test_the_source_is_carried_to_train_and_search(page, tmp_path):
    captioned_folder(tmp_path / "pictures", 8)
    app = page(source="pictures")
    app.button(key="do.data.search").click().run()
    assert not settled(app).exception and app.session_state["in.search.source"] == "pictures"


@pytest.mark.parametrize("view", ["Pictures", "Statistics", "Broken samples"])
def test_captions_that_are_no_text_are_named_in_every_view(page, tmp_path, view):
    folder = captioned_folder(tmp_path / "pictures", 8)
    lines = [json.dumps({"file_name": f"{n:03d}.png", "text": "\ud83d" if n == 3 else f"a cat {n}"}) for n in range(8)]
    (folder / "metadata.jsonl").write_text("\n".join([*lines, "[" * 100_000]))
    for text in folder.glob("*.txt"):
        text.unlink()
    app = page(source="pictures", view=view)
    assert not errors(app)
    if view == "Pictures":
        assert "half of a character" in html(app) and html(app).count('class="card') >= 8
    else:
        metrics = {metric.label: metric.value for metric in app.metric}
        assert metrics.get("Broken", "2") == "2" and metrics.get("Broken caption", "1") == "1"


def test_names_in_the_source_can_be_given(page, tmp_path):
    folder = captioned_folder(tmp_path / "pictures", 8)
    for text in folder.glob("*.txt"):
        text.rename(text.with_suffix(".legend"))
    assert "data.caption" not in errors(page(source="pictures"))
    app = page(source="pictures", caption="legend")
    assert not errors(app) and any("of 8" in caption.value for caption in app.caption)
    app = page(source="pictures", caption="label")
    assert "none named 'label' (data.caption)" in errors(app)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("page", "2", "Samples 13 to 24"),
        ("per", "24", "Samples 1 to 24"),
        ("wanted", "purple", "Samples 1 to 12"),
        ("split", "val", "Samples 1 to 12"),
        ("level", "3", "Samples 1 to 12"),
        ("view", "Broken samples", ""),
        ("page", "x", "Samples 1 to 12"),
        ("per", "7", "Samples 1 to 12"),
        ("split", "none", "Samples 1 to 12"),
        ("view", "All", "Samples 1 to 12"),
    ],
)
def test_the_address_opens_what_it_names_and_the_first_view_for_impossible_values(page, name, value, words):
    app = page_of("data")
    app.query_params[f"in.data.{name}"] = value
    settled(app.run())
    assert not app.exception and not app.error
    assert not words or words in " ".join(caption.value for caption in app.caption)
    possible = value not in ("x", "7", "none", "All")
    assert (f"{app.session_state[f'in.data.{name}']}".removesuffix(".0") == value) == possible


def test_a_folder_in_the_address_is_opened(page, tmp_path):
    captioned_folder(tmp_path / "pictures", 3)
    app = page_of("data")
    app.query_params["in.data.source"] = "pictures"
    settled(app.run())
    assert "in.data.level" not in app.session_state and html(app).count('class="card"') == 3


def test_a_page_below_the_first_is_refused_in_a_sentence(page):
    app = page(page=0)
    assert "Page must be a whole number from 1 to" in errors(app) and 'class="card"' not in html(app)
