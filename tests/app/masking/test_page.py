"""The Masking page: every control moves the figures, presets and runs fill the controls, settings go on."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dream.config import MaskingConfig
from dream.overrides import override
from dream.presets import preset
from dream.training.run_log import RunLog
from tests.app.opening import page_of


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty workspace."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened(**address: str) -> AppTest:
    """The page with all of it unfolded, at this address, without going through Home first (where a model paints)."""
    app = page_of("masking", **{"in.masking.more": True, "in.masking.written": True})
    for name, value in address.items():
        app.query_params[f"in.masking.{name}"] = value
    return app.run()


def masks(app: AppTest) -> str:
    """The strip of masks, as HTML."""
    found = [element.proto.body for element in app.get("html") if 'class="masks"' in element.proto.body]
    return found[0] if found else ""


def metrics(app: AppTest) -> dict[str, str]:
    """The readings."""
    assert not app.exception
    return {metric.label: metric.value for metric in app.metric}


def charts(app: AppTest) -> list:
    """The figures of the page."""
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def command(app: AppTest) -> str:
    """The command line that the page shows."""
    return next(code.value for code in app.code if code.language == "bash")


def masking_of(app: AppTest, size: str = "tiny") -> MaskingConfig:
    """The masking that the command stands for."""
    words = command(app).replace("\\\n", " ").split()
    return override(preset(size), words[words.index("--set") + 1 :] if "--set" in words else []).masking


def test_opens_with_the_published_masking(folder):
    app = opened()
    assert app.pills(key="in.masking.preset").value == "Paper"
    assert metrics(app)["Location"] == "0.40" and metrics(app)["True mean ratio"] == "0.47"
    assert len(charts(app)) == 4 and masks(app) and not app.error
    assert masking_of(app) == MaskingConfig()


def test_the_moment_moves_readings_and_figures(folder):
    app = opened()
    app.slider(key="in.masking.moment").set_value(0).run()
    assert metrics(app)["Location"] == "0.00" and metrics(app)["Generation draws"] == "27%"
    titles = [chart["layout"]["title"]["text"] for chart in charts(app)]
    assert any(title.startswith("Draws at 0% of the training") for title in titles)


@pytest.mark.parametrize(
    ("name", "reading", "value"),
    [
        ("tiny", "Batch has both", "100.0%"),
        ("Constant (MAR)", "Generation draws", "100%"),
        ("None (CLIP)", "Location", "-"),
    ],
)
def test_a_preset_fills_the_controls(folder, name, reading, value):
    app = opened()
    app.pills(key="in.masking.preset").set_value(name).run()
    assert app.pills(key="in.masking.preset").value == name
    assert metrics(app)[reading] == value


def test_turning_a_control_leaves_the_preset_and_shows_in_the_texts(folder):
    app = opened()
    app.slider(key="in.masking.std").set_value(0.3)
    app.segmented_control(key="in.masking.shape").set_value("cosine")
    app.slider(key="in.masking.times").set_value((10, 60))
    app.toggle(key="in.masking.stratified").set_value(True)
    app.select_slider(key="in.masking.groups").set_value(16).run()
    assert app.pills(key="in.masking.preset").value is None
    assert masking_of(app) == MaskingConfig(
        std=0.3, shape="cosine", hold=0.1, warmup_end=0.6, stratified=True, groups=16
    )
    python = next(code.value for code in app.code if code.language == "python")
    assert "std=0.3" in python and "groups=16" in python


def test_groups_shared_out_never_exceed_the_groups(folder):
    app = opened()
    app.pills(key="in.masking.preset").set_value("tiny").run()
    app.slider(key="in.masking.for_generation").set_value(8)
    app.select_slider(key="in.masking.groups").set_value(4).run()
    assert app.slider(key="in.masking.for_generation").value == 4
    assert masking_of(app).generation_share == 1.0


def test_ratios_many_spreads_from_the_location_are_drawn_as_any_others(folder):
    app = opened()
    app.slider(key="in.masking.std").set_value(0.05)
    app.slider(key="in.masking.interval").set_value((0.6, 1.0)).run()
    assert not app.exception and not app.error
    mean = next(float(metric.value) for metric in app.metric if metric.label == "True mean ratio")
    assert 0.6 <= mean < 0.65


def test_the_shipped_models_draws_can_be_laid_over_and_its_settings_used(folder):
    app = opened()
    app.selectbox(key="in.masking.run").set_value("demo (shipped)").run()
    names = [trace.get("name") for chart in charts(app) for trace in chart["data"]]
    assert "demo" in names and "both, demo" in names
    app.button(key="do.masking.use").click().run()
    assert app.pills(key="in.masking.preset").value == "tiny"
    assert app.number_input(key="in.masking.grid").value == 5


def test_a_run_without_ratios_says_so_and_the_page_stays(folder):
    (folder / "runs" / "young").mkdir(parents=True)
    RunLog(folder / "runs" / "young").record({"config": preset("tiny").to_dict(), "history": []})
    app = opened()
    app.selectbox(key="in.masking.run").set_value("young").run()
    assert "no mask ratios yet" in app.error[0].value
    assert len(charts(app)) == 4 and app.button(key="do.masking.use").disabled


def test_ridges_stand_in_for_the_heat_map(folder):
    app = opened()
    app.segmented_control(key="in.masking.view").set_value("Ridges").run()
    assert not any(trace["type"] == "heatmap" for trace in charts(app)[0]["data"])


def test_at_first_three_controls_a_sentence_masks_and_one_figure_are_shown(folder):
    app = page_of("masking").run()
    assert len(charts(app)) == 1 and masks(app).count("<figure>") == 8 and not app.metric and not app.code
    assert app.markdown[0].value.startswith("At **30%** of the training **47%** of a picture is hidden")


def test_the_address_holds_what_differs_from_the_first_view(folder):
    app = opened()
    app.slider(key="in.masking.moment").set_value(60)
    app.pills(key="in.masking.preset").set_value("tiny").run()
    app.button(key="do.masking.again").click().run()
    shared = {name.removeprefix("in.masking."): value for name, value in app.query_params.items()}
    assert {"moment", "groups", "stratified", "shared", "masks"} <= set(shared) and "std" not in shared
    again = opened(**{name: value[0] if isinstance(value, list) else value for name, value in shared.items()})
    assert masks(again) == masks(app) and masking_of(again) == masking_of(app) == preset("tiny").masking
    assert again.pills(key="in.masking.preset").value == "tiny"


@pytest.mark.parametrize(
    ("name", "value"),
    [("moment", "900"), ("moment", "x"), ("schedule", "quick"), ("masks", "-3"), ("run", "gone"), ("groups", "7")],
)
def test_an_address_with_an_impossible_value_opens_the_first_view(folder, name, value):
    app = opened(**{name: value})
    assert not app.exception and not app.error and metrics(app)["True mean ratio"] == "0.47"


@pytest.mark.parametrize("tokens", [1, 33, 2.5])
def test_tokens_per_side_out_of_range_are_refused_in_a_sentence(folder, tokens):
    app = opened()
    app.number_input(key="in.masking.grid").set_value(tokens).run()
    assert f"Tokens per side must be a whole number from 2 to 32, got {tokens}" in app.error[0].value
    assert not app.exception and not masks(app)


def test_other_draws_and_other_drawings(folder):
    app = opened()
    first = masks(app)
    app.button(key="do.masking.again").click().run()
    second = masks(app)
    picture = first.partition("--picture: ")[2].partition(")")[0]
    assert first != second and picture and picture in second
    app.button(key="do.masking.drawing").click().run()
    assert picture not in masks(app)


def test_an_own_picture_is_masked_and_a_broken_one_refused(folder):
    app = opened()
    app.segmented_control(key="in.masking.from").set_value("Own picture").run()
    assert "Drop a picture" in app.info[0].value and not masks(app)
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(file, format="PNG")
    app.file_uploader(key="do.masking.upload").upload("mine.png", file.getvalue(), "image/png").run()
    assert masks(app) and not app.exception
    app.file_uploader(key="do.masking.upload").upload("mine.png", b"broken", "image/png").run()
    assert "mine.png cannot be used as a picture" in app.error[0].value and app.button(key="do.masking.train")


def test_train_with_this_carries_the_settings_to_the_train_page(folder):
    app = opened()
    app.slider(key="in.masking.std").set_value(0.3).run()
    app.button(key="do.masking.train").click().run()
    assert not app.exception
    assert app.title[0].value == "Train"
