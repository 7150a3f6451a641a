"""The page Search: asked with a text, a picture, or both; models and pictures that cannot be asked with."""

import io
import json
import shutil

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from app.search import query as search_query
from app.text import as_text
from dream.config import DreamConfig
from dream.presets import OBJECTIVES
from dream.pretrained import SHIPPED
from tests.app.look_small import settled
from tests.app.opening import page_of
from tests.workbench.search.search_small import captioned_folder


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Opens the page with these inputs, in a workspace of its own and without emoji."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DREAM_CACHE", str(tmp_path / "cache"))

    def opened(address: dict[str, str] | None = None, **inputs: object) -> AppTest:
        app = page_of("search")
        for name, value in {"count": 24, **inputs}.items():
            app.session_state[name if "." in name else f"in.search.{name}"] = value
        for name, value in (address or {}).items():
            app.query_params[f"in.search.{name}"] = value
        return settled(app.run())

    return opened


def words(app: AppTest) -> str:
    assert not app.exception, app.exception
    return "\n".join(element.value for element in (*app.markdown, *app.caption, *app.info, *app.error, *app.warning))


def hits(app: AppTest, name: str) -> list[dict]:
    """What the clickable grid of that name shows."""
    (grid,) = [element for element in app.get("bidi_component") if element.key == f"do.search.hits.{name}"]
    return json.loads(grid.proto.json)["items"]


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (50, 40), "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_the_page_opens_with_a_search_and_shows_the_first_pictures_once_the_text_is_gone(page):
    app = page()
    example = app.button(key="do.search.example.0").label
    assert app.text_input(key="in.search.text").value == example
    assert hits(app, "text")[0]["title"] == example and "rank 1" in words(app)
    app.text_input(key="in.search.text").set_value("").run()
    assert "The first pictures" in words(settled(app)) and len(hits(app, "first")) == 24


def test_pictures_of_ones_own_are_not_read_before_anything_is_asked(page, tmp_path):
    captioned_folder(tmp_path / "pictures", 24)
    app = page(source="pictures")
    assert "Type a text, drop a picture" in words(app) and "work.search.index" not in app.session_state
    example = app.button(key="do.search.example.0").label
    app.button(key="do.search.read").click().run()
    settled(app)
    assert "The first pictures" in words(app) and len(hits(app, "first")) == 24
    assert hits(app, "first")[0]["title"] == example


def test_an_example_is_searched_for_and_finds_its_picture_first(page):
    app = page()
    example = app.button(key="do.search.example.1").label
    app.button(key="do.search.example.1").click().run()
    assert app.text_input(key="in.search.text").value == example
    assert hits(settled(app), "text")[0]["title"] == example and "rank 1" in words(app)


def test_a_text_finds_pictures_with_rank_and_cosine(page):
    app = page(text="a red circle on a white background")
    found = hits(app, "text")
    cosines = [float(item["right"]) for item in found]
    assert [item["left"] for item in found] == [str(rank) for rank in range(1, 16)]
    assert cosines == sorted(cosines, reverse=True)
    assert "Pictures nearest to the text" in words(app) and "of 24" in words(app)


def test_a_clicked_picture_and_a_text_make_a_pair(page):
    app = page({"text": "a red circle on a white background", "picture": "3", "view": search_query.PAIR})
    charts = [chart.proto.spec for chart in app.get("plotly_chart")]
    assert any("Shapley value" in chart for chart in charts) and any("each word" in chart for chart in charts)
    assert any("patches hidden" in chart for chart in charts)
    assert {"Cosine, all visible", "Nothing visible"} <= {metric.label for metric in app.metric}
    for way in ("hide", "show"):
        app.selectbox(key="in.search.way").set_value(way).run()
        assert not settled(app).exception
    app.selectbox(key="in.search.word").set_value("2. red").run()
    titles = [json.loads(chart.proto.spec)["layout"].get("title", {}) for chart in settled(app).get("plotly_chart")]
    assert any("“red”" in title.get("text", "") for title in titles)


def test_an_own_picture_finds_captions_and_pictures_at_any_ratio(page):
    app = page(**{"search.picture": ("mine.png", png()), "hidden": 75})
    assert len(hits(app, "captions")) == 8 and len(hits(app, "picture")) == 12
    assert len(app.image) == 1 and "Click a caption, or type a text" in words(app)


def test_a_file_that_is_no_picture_is_one_sentence(page):
    app = page(**{"search.picture": ("mine.png", b"no picture")})
    assert "mine.png cannot be used as a picture" in words(app)


def test_another_index_forgets_the_picture_of_the_first(page):
    app = page({"picture": "3"})
    assert "Captions nearest to the picture" in words(app)
    app.text_input(key="in.search.text").set_value("red")
    app.number_input(key="in.search.count").set_value(23).run()
    assert "Pictures nearest to the text" in words(settled(app)) and "in.search.picture" not in app.query_params


@pytest.mark.parametrize(
    "address", [{"picture": "900"}, {"picture": "x"}, {"hidden": "99"}, {"view": "all"}, {"count": "zero"}]
)
def test_an_address_with_an_impossible_value_opens_without_it(address, page):
    app = page({"text": "a red circle on a white background", **address})
    assert "Pictures nearest to the text" in words(app) and not app.error


def test_the_number_of_pictures_is_refused_out_of_range_in_a_sentence(page):
    app = page(count=0, text="red")
    assert "Maximum pictures must be a whole number from 1 to" in app.error[0].value
    assert [element.key for element in app.get("bidi_component")] == ["do.focus"]  # no grid of hits


def test_captions_are_text_on_buttons_and_under_the_picture(page, tmp_path):
    captioned_folder(tmp_path / "pictures", 3)
    for name in (tmp_path / "pictures").glob("*.txt"):
        name.write_text("![x](http://127.0.0.1:9/p.png) **b** $x$ :red[r] <b>h</b>")
    app = page({"source": "pictures", "picture": "0"})
    shown = as_text("![x](http://127.0.0.1:9/p.png) **b** $x$ :red[r] <b>h</b>")
    assert app.image[0].captions == [shown] if hasattr(app.image[0], "captions") else shown in str(app.image[0].proto)


@pytest.mark.parametrize("source", ["absent", "bare"])
def test_a_source_that_cannot_be_opened_is_one_sentence(source, page, tmp_path):
    (tmp_path / "bare").mkdir()
    app = page(source=source, text="red")
    assert len(app.error) == 1 and "Traceback" not in words(app)


def test_a_folder_is_searched_and_broken_samples_are_counted(page, tmp_path):
    folder = captioned_folder(tmp_path / "pictures", 8)
    (folder / "003.png").write_bytes(b"cut")
    app = page(source="pictures", text="a red square")
    assert len(hits(app, "text")) == 7 and "1 broken samples were skipped" in words(app)
    assert "with this caption has rank" in words(app)


@pytest.mark.parametrize(("objective", "why"), [("fluid", "for painting only"), ("mar", "on pictures only")])
def test_a_model_without_a_joint_space_says_so_and_what_to_do(objective, why, page, tmp_path):
    folder = shutil.copytree(SHIPPED["demo"], tmp_path / objective)
    state = json.loads((folder / "state.json").read_text())
    config = OBJECTIVES[objective](DreamConfig.from_dict(state["config"]))
    (folder / "state.json").write_text(json.dumps({**state, "config": config.to_dict()}))
    app = page(model=objective, text="red")
    assert len(app.info) == 1 and f"{objective} was trained {why}" in app.info[0].value
    assert "Choose a model trained with" in app.info[0].value and not app.error


def test_what_another_page_hands_over_is_taken(page, tmp_path):
    captioned_folder(tmp_path / "pictures", 3)
    app = page(**{"handed.search": {"source": "pictures", "model": "demo"}})
    assert app.selectbox(key="in.search.source").value == "pictures" and not app.exception


def test_a_text_with_unseen_words_is_marked(page):
    app = page(text="an elephant above a blue square")
    shown = "\n".join(element.proto.body for element in app.get("html"))
    assert 'never saw">elephant</mark>' in shown
