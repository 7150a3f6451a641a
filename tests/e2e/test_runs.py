"""Journeys through Train and Runs: the first click, rows that open and delete runs, and a reload of what is shown."""

import re
import shutil

import pytest

from app.browsing import PATIENCE, open_page, press, settle, widget
from dream.presets import tiny
from dream.training.run_log import RunLog
from tests.e2e.pages import choose, type_into, wait_for_text

pytestmark = pytest.mark.browser
ONE_FIGURE = "document.querySelectorAll('.js-plotly-plot').length === 1"
NARROW = (420, 900)


@pytest.fixture(scope="module")
def runs(workspace):
    """Three finished runs, one with a name that Markdown would read as a picture."""
    for number, name in enumerate(("first", "second", "![x](http:__127.0.0.1:9_p.png) **b**")):
        folder = workspace / "runs" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        log = RunLog(folder)
        log.record({"config": tiny().to_dict(), "source": "shapes", "legs": [20], "history": [], "preset": "tiny"})
        for step in (10, 20):
            losses = {"contrastive_loss": 4.0 - number, "generative_loss": 0.8 + 0.001 * step}
            log.row("train", step, **losses, contrastive_share=0.8, samples_per_second=64.0, lr=1e-3)
        log.heartbeat("finished", 20, 20)
    return ["first", "second"]


def opened(browser, address, size=(1440, 900)):
    asked: list[str] = []
    page = open_page(browser, address, size=size)
    page.on("request", lambda request: asked.append(request.url))
    return page, asked


def test_start_is_in_the_first_view_and_a_number_out_of_range_is_refused(browser, address, runs):
    page, _ = opened(browser, f"{address}/train")
    choose(page, "in.train.view", "Set up")
    box = widget(page, "do.train.start").bounding_box()
    assert box is not None and box["y"] + box["height"] < 900
    wait_for_text(page, "Trains tiny")
    type_into(page, "in.train.seed", "-3")
    wait_for_text(page, "Seed must be a whole number")
    assert widget(page, "do.train.start").locator("button").first.is_disabled()
    page.context.close()


def test_a_reload_of_train_and_runs_shows_the_same(browser, address, runs):
    page, _ = opened(browser, f"{address}/train?in.train.view=Watch&in.train.watch=second")
    choose(page, "in.train.axis", "minutes")
    assert "in.train.axis=minutes" in page.url and "in.train.watch=second" in page.url
    page.reload()
    settle(page)
    assert widget(page, "in.train.watch").locator("input").first.input_value() == "second"
    wait_for_text(page, "minutes of training")
    page.goto(f"{address}/runs?in.runs.chosen=second&in.runs.metric=Generative+loss")
    settle(page)
    page.wait_for_function(ONE_FIGURE, timeout=PATIENCE)
    assert "in.runs.chosen=second" in page.url
    page.reload()
    settle(page)
    page.wait_for_function(ONE_FIGURE, timeout=PATIENCE)
    assert widget(page, "in.runs.chosen").get_by_text("second").count()
    page.context.close()


def test_a_pressed_row_opens_its_run(browser, address, runs):
    page, asked = opened(browser, f"{address}/runs")
    table = widget(page, "do.runs.table.3").locator(".dvn-scroller").first
    table.click(position={"x": 150, "y": 52}, timeout=PATIENCE)
    page.wait_for_url(re.compile("/train"), timeout=PATIENCE)
    settle(page)
    assert "in.train.view=Watch" in page.url
    assert all(url.startswith((address, "data:", "blob:", address.replace("http", "ws"))) for url in asked)
    page.context.close()


def test_no_page_is_wider_than_a_phone(browser, address, runs):
    for path in ("runs", "train?in.train.view=Set+up"):
        page, _ = opened(browser, f"{address}/{path}", NARROW)
        main = page.locator("[data-testid=stMain]")
        assert main.evaluate("main => main.scrollWidth <= main.clientWidth")
        page.context.close()


def test_ticked_runs_are_deleted_after_a_question(browser, address, runs, workspace):
    page, _ = opened(browser, f"{address}/runs")
    table = widget(page, "do.runs.table.3").locator(".dvn-scroller").first
    for row in (0, 1):
        table.click(position={"x": 17, "y": 52 + 35 * row}, timeout=PATIENCE)
        settle(page)
    page.get_by_role("button", name="Delete 2 runs").first.click(timeout=PATIENCE)
    wait_for_text(page, "Permanently delete")
    press(page, "do.runs.delete")
    page.get_by_text("Permanently delete").wait_for(state="hidden", timeout=PATIENCE)
    settle(page)
    assert len(list((workspace / "runs").iterdir())) == 1
    page.context.close()


@pytest.mark.parametrize("low", [1e-5, 0.03, 0.97, 4.0])
@pytest.mark.parametrize("factor", [1.0, 1.001, 1.3, 2.0, 7.0, 30.0, 2e3, 1e7])
def test_a_logarithmic_axis_carries_numbers_whatever_its_range(drawing, low, factor):
    import plotly.graph_objects as go

    from workbench.figures.training_parts import scale

    figure = go.Figure(go.Scatter(x=[1, 2], y=[low, low * factor]), {"yaxis": scale(True), "height": 250})
    labels = drawing(figure)
    assert labels and len(set(labels)) == len(labels)
    assert all(float(label.replace("−", "-")) > 0 for label in labels)


@pytest.fixture(scope="module")
def drawing(browser):
    """Draws a figure and returns the labels of its y axis."""
    from plotly.offline import get_plotlyjs

    page = browser.new_page()
    page.set_content("<div id=figure style='width: 500px'></div>")
    page.add_script_tag(content=get_plotlyjs())

    def draw(figure) -> list[str]:
        page.evaluate("spec => Plotly.newPlot('figure', spec.data, spec.layout)", figure.to_plotly_json())
        return page.locator(".ytick text").all_text_contents()

    yield draw
    page.close()
