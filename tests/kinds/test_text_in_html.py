"""HTML that the project builds, for pages, notebooks and files to share, keeps text of users text: one row each."""

from html.parser import HTMLParser
from pathlib import Path

import ipywidgets
import numpy as np
import plotly.graph_objects as go
import pytest

from dream.data.emoji.packages import STYLES
from dream.data.emoji.table import Drawing
from dream.data.reading import Extent, PromptReading, PromptWord
from tests.workbench.player.synthetic import race_data
from workbench import reading
from workbench.checkpoints.files import TensorEntry
from workbench.decode.sides import Change, differences_html
from workbench.figures.export import figure_html
from workbench.masking.strip import masks_html
from workbench.masking.study import DrawnMask
from workbench.notebook_pages.page import index_page
from workbench.notebook_pages.snapshot import chart_html, html_of
from workbench.pictures import captioned_pictures
from workbench.player import player_html
from workbench.sources import pictures as cards
from workbench.sources.browse import Broken, Sample
from workbench.sources.emoji_world import count_table, world_table
from workbench.sources.seen import Token
from workbench.trajectories.shown import Tile, gallery
from workbench.widgets import words
from workbench.widgets.checkpoint_views import _facts

HOSTILE = (
    "\"' ><b>h</b><img src=http://127.0.0.1:9/i.png><a href='http://127.0.0.1:9'>l</a></script><script>x()</script>"
)
PICTURE = np.zeros((3, 4, 4), np.uint8)


class Read(HTMLParser):
    """What HTML has beyond text: addresses elsewhere, handlers of events, and the bold and the script of HOSTILE."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.drawn: list[str] = []
        self.path: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.path.append(tag)
        self.outside += [f"{tag} {name}" for name, value in attrs if str(value).startswith("http")]
        self.outside += [f"{tag} {name}" for name, _ in attrs if name.startswith("on") and tag != "iframe"]

    def handle_endtag(self, tag: str) -> None:
        if tag in self.path:
            del self.path[len(self.path) - 1 - self.path[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        if (data == "h" and self.path[-1:] == ["b"]) or data == "x()":
            self.drawn.append(data)


def figure() -> go.Figure:
    return go.Figure(go.Bar(x=[HOSTILE], y=[1], name=HOSTILE), {"title": {"text": "t"}})


def read_prompt() -> PromptReading:
    word = PromptWord(HOSTILE, 0, len(HOSTILE), True, True, True)
    return PromptReading(HOSTILE, (word,), Extent(0, len(HOSTILE) // 2), None, "never")


SAMPLE = Sample(HOSTILE, HOSTILE, PICTURE, PICTURE.transpose(1, 2, 0), 4, 4, HOSTILE)
TOKENS = [Token(1, HOSTILE, "cut"), Token(2, HOSTILE, "begin")]
STYLE = next(iter(STYLES))
DRAWING = Drawing(HOSTILE, HOSTILE, STYLE, (HOSTILE,), HOSTILE, HOSTILE, HOSTILE, "val", b"")
BUILDERS = {
    "what a model reads": lambda: reading.readings_html([read_prompt(), read_prompt()]),
    "remark of a decode": lambda: reading.remark_html([HOSTILE]),
    "card of a sample": lambda: cards.card_grid([cards.sample_card(SAMPLE, TOKENS)]),
    "card of a broken sample": lambda: cards.broken_card(Broken(HOSTILE, HOSTILE, HOSTILE)),
    "pictures with captions": lambda: captioned_pictures({HOSTILE: PICTURE}),
    "differences of two decodes": lambda: differences_html([Change(HOSTILE, HOSTILE, HOSTILE)]),
    "masks on a picture": lambda: masks_html([DrawnMask(0.5, np.eye(2) > 0, True, True)], PICTURE, HOSTILE),
    "things of the emoji": lambda: world_table({HOSTILE: {STYLE: DRAWING}}),
    "numbers of the emoji": lambda: count_table([DRAWING]),
    "gallery of candidates": lambda: gallery([Tile(1, PICTURE, HOSTILE)]),
    "numbers of a widget": lambda: words.reading_cards([(HOSTILE, HOSTILE)]),
    "table of a widget": lambda: words.table({HOSTILE: [HOSTILE]}, HOSTILE),
    "log of a widget": lambda: words.text(HOSTILE, HOSTILE),
    "sheet of a widget": lambda: words.sheet(Path(HOSTILE), HOSTILE, 3),
    "tensor of a widget": lambda: _facts(TensorEntry(HOSTILE, (2,), HOSTILE, 8, Path("x")), None),
    "player to share": lambda: player_html(race_data() | {"title": HOSTILE}, HOSTILE),
    "figure to share": lambda: figure_html(figure()).decode(),
    "figure of a notebook": lambda: chart_html(figure().to_plotly_json()),
    "controls of a notebook": lambda: html_of(ipywidgets.Text(HOSTILE, description=HOSTILE)),
    "label of a notebook": lambda: html_of(ipywidgets.Label(HOSTILE)),
    "tabs of a notebook": lambda: html_of(ipywidgets.Tab([ipywidgets.Label("x")], titles=[HOSTILE])),
    "list of notebooks": lambda: index_page({HOSTILE: HOSTILE}),
}


@pytest.mark.parametrize("builder", BUILDERS)
def test_html_holds_text_of_users_as_text(builder):
    html = BUILDERS[builder]()
    read = Read(html)
    assert html and not read.outside and not read.drawn
    assert "<script>x()" not in html
