"""What all pages share: failures as sentences, work that is followed, figures with downloads, kept inputs."""

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


def test_work_is_shown_while_it_runs_and_its_result_once_it_is_done():
    def script():
        import threading

        import streamlit as st

        from app.background import follow, start_work, work

        if "go" not in st.session_state:
            go = st.session_state["go"] = threading.Event()

            def function(running):
                running.tell(0.5, "half way")
                go.wait(60)
                return 7

            start_work("sum", function)
        follow("sum", lambda running: st.write("so far"))
        if not work("sum").running:
            st.write(f"result {work('sum').result}")

    app = run(script)
    assert app.markdown[0].value == "so far"
    app.session_state["go"].set()
    app.session_state["work.sum"].wait(60)
    assert app.run().markdown[0].value == "result 7"


def test_starting_work_again_asks_the_first_to_stop():
    def script():
        import streamlit as st

        from app.background import start_work

        def spin(running):
            while True:
                running.check()

        first = start_work("same", spin)
        start_work("same", lambda running: 1).wait(60)
        st.write(first.wait(60).state)

    assert run(script).markdown[0].value == "cancelled"


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
