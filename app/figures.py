"""Figures on pages: in the theme of the page, cached by their values, with downloads below."""

from collections.abc import Callable
from functools import partial
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from app.keys import SAVE, action_key
from workbench.figures import export, style

LOOKS = f"""<style>
[class*="st-key-{SAVE}"] {{ margin-top: -0.9rem; }}
[class*="st-key-{SAVE}"] button {{ min-height: 1.5rem; padding-block: 0; }}
[data-testid="stFullScreenFrame"]:has(.js-plotly-plot):not(:hover) :is(.modebar, [data-testid="stElementToolbar"]) {{
    visibility: hidden;
}}
</style>"""
"""Styles that Streamlit's theme cannot express: the downloads lie right below their figure, and a figure's own buttons
are there for the mouse alone, so that the keyboard stops once per figure, at its downloads."""


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
    config = {
        "displaylogo": False,
        "toImageButtonOptions": {"format": "png", "scale": 2, "filename": name},
        "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"],
    }
    event = st.plotly_chart(figure, key=action_key(key), theme=None, config=config, alt=alt, **options)
    with st.container(key=f"{SAVE}{name}", horizontal=True, horizontal_alignment="right"):
        _downloads(figure, key, name)
    return event


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
