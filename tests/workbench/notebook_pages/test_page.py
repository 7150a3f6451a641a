"""An executed notebook as a page: figures, widgets and players are in it, and it asks no host for a thing."""

import ipywidgets
import nbformat
import plotly.graph_objects as go
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.workbench.player.synthetic import race_data
from workbench.notebook_pages.execution import WIDGET, Executed
from workbench.notebook_pages.page import FIGURE, index_page, page_of, title_of
from workbench.notebook_pages.snapshot import html_of, snapshots
from workbench.player.widget import DecodePlayer
from workbench.widgets.figures import live


def figure(name):
    return go.Figure(go.Scatter(y=[1, 2], name=name))


def executed():
    outputs = [
        new_output("display_data", {WIDGET: {"model_id": "w1"}, "text/plain": "VBox()"}),
        new_output("execute_result", {FIGURE: figure("plain").to_plotly_json()}),
        new_output("execute_result", {"text/html": "<table><tr><td>cell of a table</td></tr></table>"}),
    ]
    cells = [new_markdown_cell("# Why <b>?\n\nProse."), new_code_cell("x = 1", outputs=outputs)]
    return Executed(new_notebook(cells=cells), {"w1": html_of(live(figure("of the widget")))})


def test_a_page_holds_prose_code_tables_figures_and_widgets():
    page = page_of(executed())
    for part in ("Prose.", "x", "cell of a table", "of the widget", '"plain"'):
        assert part in page
    assert page.count("Plotly.newPlot(") >= 2
    assert "Content-Security-Policy" in page and "default-src 'none'" in page
    assert 'src="http' not in page and "<title>Why &lt;b&gt;?</title>" in page


def test_a_page_without_figures_is_small():
    page = page_of(Executed(nbformat.v4.new_notebook(cells=[new_markdown_cell("# A")]), {}))
    assert len(page) < 30_000


def test_controls_become_words_and_what_is_hidden_is_left_out():
    slider = ipywidgets.IntSlider(description="Step <1>", value=3)
    hidden = ipywidgets.HBox([ipywidgets.HTML("secret")], layout={"display": "none"})
    box = ipywidgets.VBox([slider, hidden, ipywidgets.Button(description="Go"), ipywidgets.HTML("<i>said</i>")])
    made = html_of(box)
    assert "Step &lt;1&gt;: <b>3</b>" in made and "<i>said</i>" in made
    assert "secret" not in made and "Go" not in made


def test_every_tab_is_shown_with_its_title():
    tab = ipywidgets.Tab([ipywidgets.HTML("one"), ipywidgets.HTML("two")], titles=["A", "B"])
    assert all(part in html_of(tab) for part in ("one", "two", "<h4>A</h4>"))


def test_a_player_is_a_frame_of_its_own():
    made = html_of(DecodePlayer(data=race_data()))
    assert made.startswith("<iframe") and "srcdoc=" in made and "<script" not in made


def test_snapshots_are_by_id_and_leave_out_what_is_gone():
    shown = ipywidgets.HTML("there")
    assert snapshots([shown.model_id, "gone"]) == {shown.model_id: "<div>there</div>"}


def test_the_index_leads_to_every_page():
    index = index_page({"a.html": "A & B"})
    assert 'href="a.html"' in index and "A &amp; B" in index


def test_a_title_is_the_first_heading():
    assert title_of(new_notebook(cells=[new_markdown_cell("text"), new_markdown_cell("# The title")])) == "The title"
