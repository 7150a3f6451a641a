"""Shared by all pages: failures as sentences, figures with downloads, values handed over."""

import pytest
from streamlit.testing.v1 import AppTest


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The workspace."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(script, **session) -> AppTest:
    app = AppTest.from_function(script, default_timeout=60)
    for key, value in session.items():
        app.session_state[key] = value
    return app.run()


def test_a_failure_of_ours_is_one_sentence_without_details():
    def script():
        from app.failures import guarded
        from dream.errors import InputError

        with guarded():
            raise InputError("no such run: runs/x")

    app = run(script)
    assert [error.value for error in app.error] == ["No such run: runs/x."]
    assert not app.exception and not app.expander


def test_any_other_failure_has_its_details_a_click_away_and_in_the_log(folder):
    def script():
        from app.failures import guarded

        with guarded():
            raise ZeroDivisionError("by zero")

    app = run(script)
    assert len(app.error) == 1 and ".workbench/log.txt" in app.error[0].value
    assert "ZeroDivisionError: by zero" in app.expander[0].code[0].value
    assert "ZeroDivisionError: by zero" in (folder / ".workbench" / "log.txt").read_text()
    assert not app.exception


def test_a_figure_has_its_data_as_a_download_and_takes_the_theme():
    def script():
        import plotly.graph_objects as go

        from app.figures import show_figure

        show_figure(go.Figure(go.Scatter(x=[1], y=[2])), "test.figure", alt="one point")

    app = run(script)
    assert not app.exception
    assert len(app.get("plotly_chart")) == 1
    assert len(app.get("download_button")) >= 2


def test_values_handed_to_a_page_are_taken_once():
    def script():
        import streamlit as st

        from app.handing_over import handed

        st.write(str(handed("train")), str(handed("train")))

    app = run(script, **{"handed.train": {"preset": "tiny"}})
    assert app.markdown[0].value == "{'preset': 'tiny'} {}"
