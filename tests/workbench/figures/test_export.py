"""A figure's data as CSV, and the figure as a file that opens without a network."""

import csv
import io

import numpy as np
import plotly.graph_objects as go
import pytest

from dream.errors import RunError
from workbench.figures import export, style


def rows(figure: go.Figure) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(export.figure_csv(figure).decode())))


def test_every_point_of_every_trace_has_a_row():
    figure = go.Figure([go.Scatter(x=[1, 2], y=[3, 4], name="a"), go.Bar(x=["p"], y=[5], name="b")])
    assert rows(figure) == [
        {"trace": "a", "x": "1", "y": "3"},
        {"trace": "a", "x": "2", "y": "4"},
        {"trace": "b", "x": "p", "y": "5"},
    ]


def test_a_heat_map_has_a_row_a_cell_with_its_coordinates():
    cells = np.arange(6).reshape(2, 3)
    found = rows(go.Figure(go.Heatmap(z=cells, x=[10, 20, 30], y=[0, 1])))
    assert [(row["x"], row["y"], row["z"]) for row in found][:4] == [
        ("10", "0", "0"),
        ("20", "0", "1"),
        ("30", "0", "2"),
        ("10", "1", "3"),
    ]
    assert len(rows(go.Figure(go.Heatmap(z=cells)))) == 6


def test_an_empty_figure_is_a_header_alone():
    assert export.figure_csv(go.Figure()).decode().strip() == "trace"


def test_html_asks_no_other_host():
    html = export.figure_html(go.Figure(go.Scatter(x=[1], y=[2]))).decode()
    assert "<script src=" not in html and "cdn." not in html.split("plotly.js v")[0]


def test_png_without_a_browser_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(export, "find_browser", lambda: None)
    assert not export.can_draw_png()
    with pytest.raises(RunError, match="Chromium"):
        export.figure_png(go.Figure())


def test_a_name_stands_in_the_data_as_it_was_written():
    figure = go.Figure(go.Scatter(x=[1], y=[2], name=style.figure_text("<b>R&D</b> $x$")))
    assert rows(figure) == [{"trace": "<b>R&D</b> $x$", "x": "1", "y": "2"}]
