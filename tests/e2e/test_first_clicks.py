"""The first click on each page by someone who has nothing yet: something to look at appears, and no failure."""

import re
import time
from urllib.parse import urlencode

import pytest

from app.browsing import PATIENCE, open_page, press, settle, widget
from app.contents import PAGES
from dream.data.emoji.packages import STYLES
from workbench.jobs.queue import list_jobs, stop_job
from workbench.workspace import Workspace

pytestmark = pytest.mark.browser
PLAYER = ".dream-player canvas"
FIRST = {
    "runs": ("do.runs.train", "text=/dream train --preset/"),
    "home": ("do.home.decode", PLAYER),
    "masking": ("do.masking.again", ".masks"),
    "decode": ("do.decode.go", PLAYER),
    "trajectories": ("do.trajectories.paint", PLAYER),
    "checkpoints": ("do.checkpoints.decode", PLAYER),
    "search": ("do.search.example.1", "text=/Pictures nearest to the text/"),
    "data": ("do.data.later", "text=/Samples 13 to 24/"),
    "evaluate": ("do.evaluate.first", "text=/tasks? to measure|Opening the models|losses/"),
    "train": ("do.train.start", "text=/Queued|next in the queue|Starting|step \\d+ of/"),
}
"""By page: key of the button that is pressed first, and what it brings. Those that begin long work come last."""


@pytest.fixture(scope="module", autouse=True)
def stopped(workspace):
    """Stops the jobs that the clicks have begun."""
    yield
    here = Workspace(workspace)
    for job in list_jobs(here):
        stop_job(here, job.id)
    for _ in range(100):
        if not any(job.active for job in list_jobs(here)):
            return
        time.sleep(0.2)


def test_every_page_has_a_first_click():
    assert set(FIRST) == {name for pages in PAGES.values() for name, _ in pages}


@pytest.mark.parametrize("name", FIRST)
def test_the_first_click_of_a_page_brings_something_to_look_at(browser, address, name):
    page = open_page(browser, f"{address}/{'' if name == 'home' else name}")
    key, brought = FIRST[name]
    press(page, key)
    page.locator(brought).first.wait_for(timeout=PATIENCE)
    settle(page)
    assert page.get_by_test_id("stException").count() == 0
    errors = page.get_by_test_id("stAlertContentError").all_inner_texts()
    assert not errors
    assert not re.search(r"\b(nan|Traceback)\b", page.get_by_test_id("stMain").inner_text())
    page.context.close()


def test_home_paints_an_emoji_and_decode_suggests_the_words_that_its_model_knows(browser, address):
    page = open_page(browser, f"{address}/?{urlencode({'in.home.model': 'emoji', 'in.home.prompt': 'sun, flat'})}")
    press(page, "do.home.decode")
    page.locator(".dp-title", has_text="sun, flat").first.wait_for(timeout=PATIENCE)
    page.get_by_text("Prompts to choose from").first.click(timeout=PATIENCE)
    known = widget(page, "do.decode.known.start").locator("input").first
    known.fill("cat fa", timeout=PATIENCE)
    page.get_by_role("option", name="cat face", exact=True).first.click(timeout=PATIENCE)
    settle(page)
    prompt = widget(page, "in.decode.prompt").locator("input, textarea").first.input_value()
    assert prompt.split(", ")[0] == "cat face" and prompt.split(", ")[1] in STYLES
    page.context.close()
