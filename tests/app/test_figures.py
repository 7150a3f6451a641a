"""Figures on pages: with their data as downloads, in the theme of the page."""

from streamlit.testing.v1 import AppTest


def test_a_figure_has_its_data_as_a_download_and_takes_the_theme():
    def script():
        import plotly.graph_objects as go

        from app.figures import show_figure

        show_figure(go.Figure(go.Scatter(x=[1], y=[2])), "test.figure", alt="one point")

    app = AppTest.from_function(script, default_timeout=180).run()
    assert not app.exception
    assert len(app.get("plotly_chart")) == 1
    assert len(app.get("download_button")) >= 2
