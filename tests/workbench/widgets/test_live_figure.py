"""Live figures share plotly's code, pass on every message of plotly's widget, and are redrawn in place."""

import json
import re

import numpy as np
import plotly.graph_objects as go

from workbench.widgets.figures import live, redraw
from workbench.widgets.live_figure import LOADER, LiveFigure


def figure(*heights):
    traces = [go.Bar(y=[height, 1.0]) for height in heights]
    return go.Figure(traces).update_layout(title="Bars", shapes=[{"type": "line"}])


def test_all_share_one_copy_of_the_front_end_and_bring_little_themselves():
    one, other = live(figure(1)), live(figure(2))
    assert one._bundle is other._bundle and len(str(one._esm)) < 10_000
    assert "FigureModel" in one._bundle.source and one.get_state()["_bundle"].startswith("IPY_MODEL_")


def test_no_message_of_plotlys_widget_is_lost_while_the_front_end_is_read():
    words = json.loads(re.search(r"MESSAGES = (\[.*?\])", LOADER, re.DOTALL)[1])
    assert {f"_py2js_{word}" for word in words} == {n for n in LiveFigure.class_trait_names() if "py2js" in n}


def test_a_redraw_makes_it_the_other_figure_whatever_that_is():
    shown = live(figure(1))
    for wanted in (figure(3), figure(4, 5), go.Figure(go.Heatmap(z=[[1, 2]])), figure(6)):
        redraw(shown, wanted)
        assert [trace.type for trace in shown.data] == [trace.type for trace in wanted.data]
        for before, after in zip(shown.data, wanted.data, strict=True):
            kept = {key: value for key, value in before.to_plotly_json().items() if key != "uid"}
            assert kept == after.to_plotly_json()
        assert shown.layout.title == wanted.layout.title
        assert len(shown.layout.shapes) == len(wanted.layout.shapes)
    assert shown.layout.uirevision == "kept", "a reader's zoom stays"


def test_gaps_in_a_table_are_sent_as_json_has_them():
    shown = live(go.Figure(go.Heatmap(z=[[1.0, 2.0]])))
    redraw(shown, go.Figure(go.Heatmap(z=np.array([[1.0, np.nan]]))))
    assert list(shown.data[0].z[0]) == [1.0, None]
