"""Figures on pages: in the theme of the page, cached by their values, with downloads below."""

from collections.abc import Callable
from functools import partial
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from app.keys import FORM, SAVE, TILES, action_key
from app.text import as_text
from workbench.figures import export, style
from workbench.figures.panels import heading_of, legend_of, pieces_of
from workbench.palette import NEUTRAL

LOOKS = f"""<style>
[class*="st-key-{SAVE}"] {{ margin-top: -0.9rem; }}
[class*="st-key-{SAVE}"] button {{ min-height: 1.5rem; padding-block: 0; }}
[data-testid="stFullScreenFrame"]:has(.js-plotly-plot):not(:hover) :is(.modebar, [data-testid="stElementToolbar"]) {{
    visibility: hidden;
}}
@media (max-width: 640px) {{
    [data-testid="stHorizontalBlock"] {{ row-gap: 1rem; }}
    [class*="st-key-{TILES}"] > * > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"],
    [class*="st-key-{TILES}"][data-testid="stHorizontalBlock"] > [data-testid="stLayoutWrapper"] {{
        min-width: calc(50% - 1rem) !important; flex: 1 1 calc(50% - 1rem) !important; max-width: calc(50% - 0.5rem);
    }}
    [data-testid="stLayoutWrapper"]:has(> [class*="st-key-{FORM}"]) {{ flex: 1 1 100% !important; }}
}}
[data-testid="stHeaderActionElements"] {{ display: none; }}
[data-testid="stImage"] img, .card .frame img, .js-plotly-plot .cartesianlayer image {{
    outline: 1px solid {style.faded(NEUTRAL, 0.45)}; outline-offset: -1px;
}}
</style>"""
"""Styles that Streamlit's theme cannot express: the downloads lie right below their figure, and a figure's own buttons
are there for the mouse alone, so that the keyboard stops once per figure, at its downloads. White pictures have an edge
on a white page, and rows of tiles stay rows on a phone."""


def theme() -> str:
    """`light` or `dark`, as the page is shown."""
    return "dark" if st.context.theme.type == "dark" else "light"


def figure_of(plot: Callable[..., go.Figure], *values: Any) -> go.Figure:
    """Figure that `plot` makes of plain values, in the page's theme; cached, so that equal values are drawn once.

    All tabs share the figure: do not change it.
    """
    return _figure_of(f"{plot.__module__}.{plot.__qualname__}", values, theme(), plot)


@st.cache_resource(max_entries=64, show_spinner=False)
def _figure_of(name: str, values: tuple[Any, ...], theme: str, _plot: Callable[..., go.Figure]) -> go.Figure:
    return style.themed(_plot(*values), theme)


def show_figure(figure: go.Figure, key: str, *, alt: str, name: str = "", **options: Any) -> Any:
    """Draws the figure in the page's theme, with its downloads below; returns Streamlit's selection event.

    `key` is a page's name for the figure (`PageKeys.name`), `alt` describes it to readers who cannot see it, and
    `name` is the file name of its downloads (default: the key).
    """
    name = name or key.replace(".", "-")
    style.themed(figure, theme())
    event = st.plotly_chart(figure, key=action_key(key), theme=None, config=_config(name), alt=alt, **options)
    _save(figure, key, name)
    return event


def show_panels(
    figure: go.Figure,
    key: str,
    *,
    alt: str,
    name: str = "",
    columns: int = 2,
    height: int = 260,
    below: Callable[[int], None] | None = None,
) -> None:
    """Draws the panels of a figure side by side, below each other where the page is narrow; else as `show_figure`.

    `columns` is their number on a wide page, `height` that of a panel in pixels; `below` draws below each panel.
    """
    name = name or key.replace(".", "-")
    pieces = pieces_of(style.themed(figure, theme()), height)
    if not pieces:
        show_figure(figure, key, alt=alt, name=name)
        return
    title, note = heading_of(figure)
    st.markdown(f"**{as_text(title)}** :gray[{as_text(note)}]")
    if entries := legend_of(figure):
        marks = (f'<span><b style="color: {e.colour}">{e.mark}</b> {e.name}</span>' for e in entries)
        st.html(f'<div style="display: flex; flex-wrap: wrap; gap: 0 1.2rem">{"".join(marks)}</div>')
    for start in range(0, len(pieces), columns):
        for number, place in enumerate(st.columns(min(columns, len(pieces))), start):
            if number < len(pieces):
                with place:
                    st.plotly_chart(
                        pieces[number], key=action_key(key, number), theme=None, config=_config(name), alt=alt
                    )
                    if below is not None:
                        below(number)
    _save(figure, key, name)


def _config(name: str) -> dict[str, Any]:
    return {
        "displaylogo": False,
        "toImageButtonOptions": {"format": "png", "scale": 2, "filename": name},
        "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"],
    }


def _save(figure: go.Figure, key: str, name: str) -> None:
    with st.container(key=f"{SAVE}{name}", horizontal=True, horizontal_alignment="right"):
        _downloads(figure, key, name)


def _downloads(figure: go.Figure, key: str, name: str) -> None:
    """A menu of the figure's files; each is made on click."""
    with st.popover("Save", type="tertiary", width="content", help="Saves this figure or its data as a file."):
        for label, suffix, mime, make in (
            ("HTML (works offline)", "html", "text/html", export.figure_html),
            ("Data as CSV", "csv", "text/csv", export.figure_csv),
            ("PNG", "png", "image/png", export.figure_png),
        ):
            if suffix == "png" and not export.can_draw_png():
                st.caption("PNG: use the camera at the top right of the chart.")
                continue
            st.download_button(
                label,
                data=partial(make, figure),
                file_name=f"{name}.{suffix}",
                mime=mime,
                key=action_key(key, suffix),
                on_click="ignore",
                width="stretch",
            )
