"""Results that pages ask for: made once for all, and every way of not coming has a way on."""

import pytest
from streamlit.testing.v1 import AppTest


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The workspace."""
    monkeypatch.chdir(tmp_path)


def script(way: str, number: int) -> str:
    return f"""
import time
import streamlit as st
from app.data.work import computed
from dream.errors import InputError

def make(work):
    if {way!r} == "bad":
        raise InputError("no such thing")
    while {way!r} == "slow":
        work.tell(0.5, "halfway")
        time.sleep(0.01)
    return [0]

st.session_state.found = found = computed("thing", {number}, "Making it", make)
st.markdown(f"found {{found}}")
"""


def test_a_result_is_the_same_object_for_every_session():
    first, second = (AppTest.from_string(script("good", 1), default_timeout=60).run() for _ in range(2))
    assert first.session_state.found == [0] and first.session_state.found is second.session_state.found


def test_a_failure_is_a_sentence_with_a_button_that_tries_again():
    app = AppTest.from_string(script("bad", 2), default_timeout=60).run()
    assert [error.value for error in app.error] == ["No such thing."] and app.markdown[-1].value == "found None"
    before = app.session_state["work.thing"]
    app.button(key="do.thing.anew").click().run()
    assert app.session_state["work.thing"] is not before


def test_what_runs_shows_progress_and_a_cancelled_one_can_start_again():
    app = AppTest.from_string(script("slow", 3), default_timeout=60).run()
    assert app.markdown[-1].value == "found None" and app.button(key="do.cancel.thing").label == "Cancel"
    app.button(key="do.cancel.thing").click().run()
    app.session_state["work.thing"].wait(10)
    app.run()
    assert app.warning[0].value == "Making it was cancelled."
    app.button(key="do.thing.anew").click().run()
    running = app.session_state["work.thing"]
    assert running.running
    running.cancel()
    running.wait(10)
