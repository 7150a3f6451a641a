"""Home and Decode in a browser: the first press paints, a reload and a second tab show the same, keys keep focus."""

import pytest

from app.browsing import PATIENCE, open_page, press, settle, widget
from tests.e2e.pages import choose, type_into, wait_for_text

pytestmark = pytest.mark.browser
PROMPT = "a purple cross on a grey background"
TOP = "key => document.querySelector(`.st-key-${key}`).getBoundingClientRect().top"


@pytest.fixture(scope="module")
def page(browser, address):
    """A tab at Decode on a workspace that had nothing stored."""
    found = open_page(browser, address, size=(1440, 900))
    yield found
    assert found.locator("[data-testid=stException]").count() == 0
    found.context.close()


def await_picture(page, prompt: str) -> None:
    """Waits until the player shows a decode of the prompt."""
    page.locator(".dp-title", has_text=prompt).first.wait_for(timeout=PATIENCE)
    settle(page)


def step(page) -> str:
    return page.locator(".dp-readouts output").first.inner_text()


FOCUSED = """() => {
  let found = document.activeElement;
  while (found?.shadowRoot?.activeElement) found = found.shadowRoot.activeElement;
  return found.innerText?.trim() || found.tagName;
}"""


def focused(page) -> str:
    """Text of what has the keyboard focus, also inside the player."""
    return page.evaluate(FOCUSED)


def test_a_press_on_home_paints(page):
    type_into(page, "in.home.prompt", PROMPT)
    widget(page, "do.home.decode").locator("button").first.click()
    await_picture(page, PROMPT)
    assert "/decode" in page.url and "8 / 8" in step(page)


def test_a_reload_and_a_second_tab_show_the_same(page, browser):
    page.get_by_text("Settings", exact=True).first.click()
    type_into(page, "in.decode.steps", "12")
    choose(page, "in.decode.panel", "Figures")
    page.locator(".dream-player").first.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function("location.search.includes('in.decode.step=4')", timeout=PATIENCE)
    type_into(page, "in.decode.query", "purple")  # a run of the page: the step stays in the address
    page.wait_for_function("location.search.includes('in.decode.step=4')", timeout=PATIENCE)
    page.reload()
    settle(page)
    second = open_page(browser, page.url, size=(1440, 900))
    for tab in (page, second):
        await_picture(tab, PROMPT)
        wait_for_text(tab, "Decode by step")
        assert step(tab) == "4 / 8"
        assert "seed 0 · 12 steps" in tab.locator("body").inner_text()
        assert widget(tab, "in.decode.prompt").locator("textarea").input_value() == PROMPT
    second.context.close()


def test_a_number_out_of_range_is_refused_and_not_replaced(page):
    page.get_by_text("Settings", exact=True).first.click()
    for typed in ("5000", "99999999999999999999"):
        type_into(page, "in.decode.steps", typed)
        press(page, "do.decode.go")
        wait_for_text(page, "Steps must be a whole number from 1 to 1,024, got")
    assert step(page) == "4 / 8"
    type_into(page, "in.decode.steps", "8")


def test_fork_here_and_open_bring_what_they_changed_into_view_and_keep_the_focus(page):
    page.get_by_role("button", name="Fork here").press("Enter")
    page.wait_for_function(f"({TOP})('decode-panels') < innerHeight - 200", timeout=PATIENCE)
    assert focused(page) == "Fork here"
    press(page, "do.decode.fork")
    wait_for_text(page, "B · fork after step 4, seed 1")
    settle(page)
    parent = page.locator("[class*=st-key-do-decode-open]").last.locator("button").first
    parent.press("Enter")
    page.wait_for_function(f"({TOP})('decode-stage') > 0", timeout=PATIENCE)
    settle(page)
    assert 0 < page.evaluate(TOP, "decode-stage") < 300
    assert focused(page) == "Open"


def test_keys_for_the_next_page_keep_the_focus(page):
    forward = page.get_by_role("button", name="Next ›")
    forward.press("Enter")
    page.wait_for_url("**/trajectories", timeout=PATIENCE)
    settle(page)
    assert focused(page).startswith("Next ›") and "in.decode" not in page.url
    page.keyboard.press("Alt+PageUp")
    page.wait_for_url("**/decode?*", timeout=PATIENCE)
    settle(page)
    assert focused(page).startswith("Next ›") and "in.decode.shown" in page.url
    widget(page, "in.decode.prompt").locator("textarea").focus()
    page.keyboard.press("Alt+PageDown")
    page.wait_for_url("**/trajectories*", timeout=PATIENCE)
    page.wait_for_function("document.activeElement.dataset.testid === 'stMain'", timeout=PATIENCE)


def test_markdown_in_a_prompt_asks_no_other_host(browser, address):
    odd = "![x](http://127.0.0.1:9/p.png) **b** $x^2$ :red[r] <b>h</b>"
    tab, asked = open_page(browser, f"{address}/decode"), []
    tab.on("request", lambda request: asked.append(request.url))
    type_into(tab, "in.decode.prompt", odd)
    press(tab, "do.decode.go")
    await_picture(tab, "![x]")
    for panel in ("Fork", "Compare", "Figures", "Settings"):
        choose(tab, "in.decode.panel", panel)
    tab.get_by_role("button", name="Prompts to choose from").click()
    settle(tab)
    assert odd[:20] in tab.locator("body").inner_text()
    assert not [url for url in asked if not url.startswith((address, "data:", "blob:"))]
    tab.context.close()
