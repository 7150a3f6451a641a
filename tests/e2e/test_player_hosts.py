"""The player in its hosts: an offline page, a notebook, and a Streamlit page."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.player_page import readouts, shown
from tests.workbench.player.synthetic import ALL, compare_data, decode_data
from workbench.player import player_html
from workbench.player.widget import ADAPTER, DecodePlayer

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
SYNCED = ("data", "step", "position", "cells", "events", "event")
WIDGET = """
const widget = { render };
const heard = {};
window.model = {
  values: { ...window.defaults, data: window.data }, saved: 0,
  get: (name) => model.values[name],
  set: (name, value) => { model.values[name] = value; heard["change:" + name]?.(); },
  save_changes: () => { model.saved += 1; },
  on: (name, act) => { heard[name] = act; }, off: (name) => { delete heard[name]; },
};
const model = window.model;
window.clear = widget.render({ model, el: document.getElementById("here") });
"""
SCRIPT = """
import streamlit as st
from app.player import show_player
from tests.workbench.player.synthetic import decode_data

here = st.sidebar.radio("Page", ["one", "two"])
data = decode_data()
if here == "one":
    event = show_player(data, "test")
    st.session_state["told"] = st.session_state.get("told", []) + ([event] if event else [])
st.button("Rerun")
st.write("TOLD", len(st.session_state.get("told", [])), str(event if here == "one" else None))
"""


@pytest.mark.parametrize("mode", ALL)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_offline_page_shows_every_mode_and_asks_for_nothing(browser, tmp_path, mode, theme):
    file = tmp_path / "page.html"
    file.write_text(player_html(ALL[mode](), "A page"))
    context = browser.new_context(color_scheme=theme, offline=True)
    page, asked, failures = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda said: failures.append(said.text))
    page.goto(file.as_uri())
    page.wait_for_selector(".dp-stage canvas")
    page.wait_for_timeout(200)
    assert {url for url in asked if not url.startswith("data:")} == {file.as_uri()}
    assert not failures
    assert page.get_by_role("button", name="Fork here").count() == 0  # nobody listens
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(255, 255, 255)" if theme == "light" else "rgb(20, 23, 28)")
    context.close()


def test_the_notebook_widget_tells_and_takes_the_step(browser):
    state = json.dumps({name: DecodePlayer.class_traits()[name].default() for name in SYNCED})
    adapter = ADAPTER.replace("export default { render };", f"window.defaults = {state};{WIDGET}")
    with shown(browser, decode_data(), adapter) as page:
        page.locator(".dp-title").click()
        page.keyboard.press("ArrowLeft")
        assert page.evaluate("[model.values.step, model.values.event.kind, model.saved]") == [6, "step", 1]
        page.evaluate("model.set('step', 2)")
        assert readouts(page)[0] == "3 / 8"
        page.evaluate("model.set('position', 7)")
        page.wait_for_selector("text=Token row 2, column 3")
        page.evaluate("data => model.set('data', data)", compare_data())
        page.wait_for_selector(".dp-compare")
        page.evaluate("window.clear()")
        assert page.locator(".dream-player").count() == 0


@pytest.fixture(scope="module")
def streamlit_page(tmp_path_factory):
    """Address of a small page with a player."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "page.py").write_text(SCRIPT)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "page.py",
        "--server.port",
        str(port),
        "--server.address",
        "127.0.0.1",
        "--server.headless",
        "true",
        "--server.fileWatcherType",
        "none",
        "--browser.gatherUsageStats",
        "false",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    address, end = f"http://127.0.0.1:{port}", time.monotonic() + 90
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=2)
            break
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    yield address
    process.send_signal(signal.SIGTERM)
    process.wait(20)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_in_streamlit_events_come_once_and_the_step_outlives_a_page_change(browser, streamlit_page, theme):
    context = browser.new_context(color_scheme=theme)
    page, failures = context.new_page(), []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto(streamlit_page)
    page.wait_for_selector(".dp-stage canvas", timeout=180_000)
    page.locator(".dp-title").click()
    page.keyboard.press("ArrowLeft")
    page.get_by_text("TOLD 1", exact=False).wait_for()
    assert "'index': 6" in page.get_by_text("TOLD 1").inner_text()
    page.get_by_role("button", name="Rerun").click()
    page.get_by_text("TOLD 1 None").wait_for()
    assert readouts(page)[0] == "7 / 8"
    page.get_by_text("two", exact=True).click()
    page.locator(".dream-player").wait_for(state="detached")
    page.get_by_text("one", exact=True).click()
    page.wait_for_selector(".dp-stage canvas")
    assert readouts(page)[0] == "7 / 8"
    text = page.locator(".dp-title").evaluate("e => getComputedStyle(e).color")
    assert (sum(int(part) for part in text[4:-1].split(",")[:3]) > 380) == (theme == "dark")
    assert not failures
    context.close()
