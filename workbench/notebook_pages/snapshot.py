"""Converts a widget to plain HTML for a page without a kernel.

Figures stay figures, players still play, and controls become text.
"""

import base64
import html
import itertools
from typing import Any

import ipywidgets
import plotly.graph_objects as go
import plotly.io

from workbench.player import player_html
from workbench.player.widget import DecodePlayer

PLAYER_FRAME = """<iframe class="player" title="{title}" srcdoc="{page}" onload="
const inside = this.contentDocument.body;
new ResizeObserver(() => this.style.height = inside.scrollHeight + 4 + 'px').observe(inside)"></iframe>"""
IN_FRAME = "body.dream-page { padding: 0; margin: 0; max-width: none } .dream-page h1 { display: none }"
"""Added to the style of the player, since the surrounding page already has a heading."""
ROWS = (ipywidgets.HBox, ipywidgets.GridBox)
NOT_TEXT = (ipywidgets.Box, ipywidgets.HTML, ipywidgets.Image, go.FigureWidget, DecodePlayer)
"""Widgets that are more than a name with a value."""
TITLED = (ipywidgets.Tab, ipywidgets.Accordion, ipywidgets.Stack)


def snapshots(model_ids: list[str], settled: bool = True) -> dict[str, str]:
    """Returns the current HTML of the kernel's widgets by id; `settled` leaves out those that are still working."""
    known = ipywidgets.widgets.widget._instances  # where ipywidgets 8 keeps them
    present = {id: known[id] for id in model_ids if id in known}
    return {
        id: html_of(widget) for id, widget in present.items() if not settled or not getattr(widget, "running", False)
    }


def html_of(widget: Any) -> str:
    """Returns the HTML of a widget for a page that has plotly.js; buttons and hidden widgets are left out."""
    if getattr(getattr(widget, "layout", None), "display", None) == "none":
        return ""
    if isinstance(widget, go.FigureWidget):
        return chart_html(widget.to_plotly_json())
    if isinstance(widget, DecodePlayer):
        return _player(widget)
    if isinstance(widget, TITLED):
        titles = [html.escape(title) for title in widget.titles]
        pairs = zip(titles, widget.children, strict=False)
        return "".join(f"<h4>{title}</h4>{html_of(child)}" for title, child in pairs)
    if isinstance(widget, ipywidgets.Box):
        kind = "row" if isinstance(widget, ROWS) else "column"
        return f'<div class="{kind}">{_children(widget)}</div>'
    return _leaf(widget)


def _children(box: ipywidgets.Box) -> str:
    """Returns the HTML of a box; adjacent controls share lines, other widgets keep their layout."""
    html_parts: list[str] = []
    for as_text, group in itertools.groupby(box.children, lambda child: not isinstance(child, NOT_TEXT)):
        made = [(child, made) for child in group if (made := html_of(child))]
        if as_text:
            html_parts += [f'<div class="controls">{"".join(made for _, made in made)}</div>'] if made else []
        else:
            html_parts += [f'<div style="{_place(child)}">{made}</div>' for child, made in made]
    return "".join(html_parts)


def _place(widget: Any) -> str:
    names = ("flex", "min_width", "max_width")
    given = {name: getattr(widget.layout, name, None) for name in names} if hasattr(widget, "layout") else {}
    styles = {name.replace("_", "-"): value for name, value in given.items() if isinstance(value, str)}
    return html.escape("; ".join(f"{name}: {value}" for name, value in styles.items()), quote=True)


def _player(widget: DecodePlayer) -> str:
    if not widget.data:
        return ""
    title = str(widget.data.get("title", "player"))
    page = player_html(widget.data, title, widget.step).replace("</style>", f"{IN_FRAME}</style>", 1)
    return PLAYER_FRAME.format(title=html.escape(title, quote=True), page=html.escape(page, quote=True))


def chart_html(figure: dict[str, Any]) -> str:
    """Returns the HTML of a chart from the JSON of a figure, for a page that has plotly.js."""
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
