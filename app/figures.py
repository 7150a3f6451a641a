"""Figures on pages: in the reader's theme, drawn once for equal values, with their downloads below."""

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from app.keys import SAVE
from workbench.figures import export, style

LOOKS = f"""<style>
[class*="st-key-{SAVE}"] {{ margin-top: -3.4rem; pointer-events: none; }}
[class*="st-key-{SAVE}"] button {{ pointer-events: auto; opacity: 0.75; }}
</style>"""
"""Styles that Streamlit's theme cannot express."""


def theme() -> str:
    """`light` or `dark`, as the reader's page is."""
    return "dark" if st.context.theme.type == "dark" else "light"


def figure_of(plot: Callable[..., go.Figure], *given: Any) -> go.Figure:
    """What `plot` makes of plain values, in the page's theme; the same values are not drawn twice.

    All tabs share it: it must not be changed.
    """
    return _figure_of(f"{plot.__module__}.{plot.__qualname__}", given, theme(), plot)


@st.cache_resource(max_entries=64, show_spinner=False)
def _figure_of(name: str, given: tuple[Any, ...], theme: str, _plot: Callable[..., go.Figure]) -> go.Figure:
    return style.themed(_plot(*given), theme)


def show_figure(figure: go.Figure, key: str, *, alt: str, name: str = "", **options: Any) -> Any:
    """The figure in the page's theme, with its downloads below; what was selected in it, if anything.

    `alt` says what a reader who cannot see it should know; `name` is the files' name (default: the key).
    """
    name = name or key.replace(".", "-")
    style.themed(figure, theme())
    config = {
        "displaylogo": False,
        "toImageButtonOptions": {"format": "png", "scale": 2, "filename": name},
        "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"],
    }
    event = st.plotly_chart(figure, key=f"do.{key}", theme=None, config=config, alt=alt, **options)
    with st.container(key=f"{SAVE}{name}", horizontal=True, horizontal_alignment="right"):
        _downloads(figure, key, name)
    return event


def _downloads(figure: go.Figure, key: str, name: str) -> None:
    """A small button with the figure as files; each is made when it is asked for."""
    with st.popover("Save", type="tertiary", width="content", help="This figure and its data as files."):
        for label, suffix, mime, make in (
            ("HTML, works offline", "html", "text/html", export.figure_html),
            ("Data as CSV", "csv", "text/csv", export.figure_csv),
            ("PNG", "png", "image/png", export.figure_png),
        ):
            if suffix == "png" and not export.can_draw_png():
                st.caption("PNG: by the camera at the chart's upper right.")
                continue
            st.download_button(
                label,
                data=lambda make=make: make(figure),
                file_name=f"{name}.{suffix}",
                mime=mime,
                key=f"do.{key}.{suffix}",
                on_click="ignore",
                width="stretch",
            )
