"""A widget as plain HTML, for a page without a kernel: figures stay figures, players play, controls become
words. It knows nothing of notebooks.
"""

import base64
import html
from typing import Any

import ipywidgets
import plotly.graph_objects as go
import plotly.io

from workbench.player import player_html
from workbench.player.widget import DecodePlayer

PLAYER_FRAME = (
    '<iframe class="player" title="{title}" srcdoc="{page}" '
    "onload=\"this.style.height = this.contentDocument.documentElement.scrollHeight + 8 + 'px'\"></iframe>"
)
ROWS = (ipywidgets.HBox, ipywidgets.GridBox)
TITLED = (ipywidgets.Tab, ipywidgets.Accordion, ipywidgets.Stack)


def snapshots(model_ids: list[str]) -> dict[str, str]:
    """HTML of the kernel's widgets of these ids, as they are now; ids that are gone are left out."""
    known = ipywidgets.widgets.widget._instances  # where ipywidgets 8 keeps them
    return {id: html_of(known[id]) for id in model_ids if id in known}


def html_of(widget: Any) -> str:
    """What a widget shows, for a page that has plotly.js; buttons and what is hidden are left out."""
    if getattr(getattr(widget, "layout", None), "display", None) == "none":
        return ""
    if isinstance(widget, go.FigureWidget):
        return figure_html(widget.to_plotly_json())
    if isinstance(widget, DecodePlayer):
        title = str(widget.data.get("title", "player"))
        page = html.escape(player_html(widget.data, title), quote=True)
        return PLAYER_FRAME.format(title=html.escape(title, quote=True), page=page)
    if isinstance(widget, TITLED):
        titles = [html.escape(title) for title in widget.titles]
        parts = zip(titles, widget.children, strict=False)
        return "".join(f"<h4>{title}</h4>{html_of(child)}" for title, child in parts)
    if isinstance(widget, ipywidgets.Box):
        kind = "row" if isinstance(widget, ROWS) else "column"
        return f'<div class="{kind}">{"".join(map(html_of, widget.children))}</div>'
    return _leaf(widget)


def figure_html(figure: dict[str, Any]) -> str:
    """A figure's JSON as a chart of a page that has plotly.js."""
    return plotly.io.to_html(
        figure, include_plotlyjs=False, full_html=False, config={"displaylogo": False}, validate=False
    )


def _leaf(widget: Any) -> str:
    if isinstance(widget, (ipywidgets.HTML, ipywidgets.HTMLMath)):
        return f"<div>{widget.value}</div>"
    if isinstance(widget, ipywidgets.Label):
        return f"<div>{html.escape(widget.value)}</div>"
    if isinstance(widget, ipywidgets.Image):
        kind, content = widget.format, base64.b64encode(widget.value).decode()
        return f'<img alt="" src="data:image/{kind};base64,{content}">'
    name, value = getattr(widget, "description", ""), getattr(widget, "value", None)
    if isinstance(widget, ipywidgets.Button) or value is None or not name:
        return ""
    label = getattr(widget, "label", None) or value
    return f'<span class="control">{html.escape(name)}: <b>{html.escape(str(label))}</b></span>'
