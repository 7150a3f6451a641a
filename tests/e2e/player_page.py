"""A page with only the player, and readings of it."""

import base64
import io
import json
from contextlib import contextmanager

import numpy as np
from PIL import Image

from workbench.player import player_css, player_script

MOUNT = """
window.events = [];
const here = document.getElementById("here");
window.player = mount(here, window.data, (event) => window.events.push(event), window.kinds);
"""
PAGE = """<!doctype html><style>{css}</style>
<input id="outside"><div id="here"></div><div style="height: 3000px"></div>
<script>window.data = {data}; window.kinds = {kinds};</script><script type="module">{script}</script>"""
PIXELS = """canvas => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]"""


@contextmanager
def shown(browser, data, adapter=MOUNT, kinds=None, **options):
    """Opens a page with the player, which collects its events in `events`."""
    context = browser.new_context(viewport={"width": 1180, "height": 900}, **options)
    page = context.new_page()
    failures = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda said: failures.append(said.text) if said.type == "error" else None)
    page.set_content(
        PAGE.format(css=player_css(), data=json.dumps(data), kinds=json.dumps(kinds), script=player_script(adapter))
    )
    page.wait_for_selector(".dp-stage canvas")
    yield page
    assert not failures
    context.close()


def pixels(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGBA"))


def drawn(page, selector: str) -> np.ndarray:
    """Pixels of a square canvas."""
    values = np.array(page.locator(selector).evaluate(PIXELS), np.uint8)
    side = round((values.size / 4) ** 0.5)
    return values.reshape(side, side, 4)


def readouts(page) -> list[str]:
    return page.locator(".dp-readouts output").all_inner_texts()


def events(page) -> list[dict]:
    return page.evaluate("window.events")


def cells_of(page, selector: str) -> int:
    """Cells outlined by a path."""
    return (page.locator(selector).first.get_attribute("d") or "").count("z")
