"""Exports a figure: its data as CSV, or the figure as offline HTML or PNG."""

import html
import importlib.util
import os
import shutil
from collections.abc import Iterable
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dream.errors import RunError
from workbench.csv_files import csv_of

COORDINATES = ("x", "y", "z", "labels", "parents", "values", "text")
"""Data fields of a trace, in the order of the columns."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def figure_csv(figure: go.Figure) -> bytes:
    """Returns one row per point: name of the trace, then coordinates; for a heat map one row per cell."""
    rows = [row for trace in figure.data for row in _rows(trace)]
    columns = ["trace", *(name for name in COORDINATES if any(name in row for row in rows))]
    return csv_of(columns, ([_written(row.get(column)) for column in columns] for row in rows))


def figure_html(figure: go.Figure) -> bytes:
    """Returns one HTML file that opens without a network."""
    return figure.to_html(include_plotlyjs=True, config={"displaylogo": False}).encode()


def can_draw_png() -> bool:
    """Returns whether kaleido and a browser are installed; without them the chart's own camera button makes PNGs."""
    return importlib.util.find_spec("kaleido") is not None and find_browser() is not None


def figure_png(figure: go.Figure, width: int = 1200, scale: float = 2) -> bytes:
    """Returns the figure as PNG, `width` pixels wide before scaling.

    Raises RunError if kaleido or a browser is missing.
    """
    browser = find_browser()
    if browser is None or not can_draw_png():
        raise RunError(
            "PNG export needs kaleido (pip install -e '.[export]') and Chromium; "
            "the camera button of the chart needs neither"
        )
    os.environ.setdefault("BROWSER_PATH", browser)
    return figure.to_image(format="png", width=width, height=figure.layout.height or 500, scale=scale)


def find_browser() -> str | None:
    """Returns the path of Chromium on this machine, or BROWSER_PATH if it is set."""
    set_by_user = os.environ.get("BROWSER_PATH")
    return set_by_user or next(filter(None, map(shutil.which, BROWSERS)), None)


def _written(value: Any) -> Any:
    """Returns text as users wrote it: figures hold it escaped (`style.figure_text`)."""
    return html.unescape(value) if isinstance(value, str) else value


def _rows(trace: Any) -> Iterable[dict[str, Any]]:
    name = trace.name or trace.type
    fields = {field: trace[field] for field in COORDINATES if field in trace and trace[field] is not None}
    if "z" in fields:
        cells = np.asarray(fields["z"])
        xs, ys = fields.get("x", range(cells.shape[1])), fields.get("y", range(cells.shape[0]))
        for y, row in zip(ys, cells, strict=True):
            for x, value in zip(xs, row, strict=True):
                yield {"trace": name, "x": x, "y": y, "z": value}
        return
    columns = {field: list(value) for field, value in fields.items() if not isinstance(value, str)}
    for i in range(max(map(len, columns.values()), default=0)):
        yield {"trace": name, **{field: values[i] for field, values in columns.items() if i < len(values)}}
