"""Background work of pages: computed once for all tabs, or started by a button and taken once; failed, cancelled."""

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
from app.background import computed
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
    first, second = (AppTest.from_string(script("good", 1), default_timeout=180).run() for _ in range(2))
    assert first.session_state.found == [0] and first.session_state.found is second.session_state.found


def test_a_failure_is_a_sentence_with_a_button_that_tries_again():
    app = AppTest.from_string(script("bad", 2), default_timeout=180).run()
    assert [error.value for error in app.error] == ["No such thing."] and app.markdown[-1].value == "found None"
    before = app.session_state["work.thing"]
    app.button(key="do.thing.again").click().run()
    assert app.session_state["work.thing"] is not before


def test_what_runs_shows_progress_and_a_cancelled_one_can_start_again():
    app = AppTest.from_string(script("slow", 3), default_timeout=180).run()
    assert app.markdown[-1].value == "found None" and app.button(key="do.cancel.thing").label == "Cancel"
    app.button(key="do.cancel.thing").click().run()
    app.session_state["work.thing"].wait(10)
    app.run()
    assert app.info[0].value == "Making it was cancelled."
    app.button(key="do.thing.again").click().run()
    running = app.session_state["work.thing"]
    assert running.running
    running.cancel()
    running.wait(10)


def run(script, **session) -> AppTest:
    app = AppTest.from_function(script, default_timeout=180)
    for key, value in session.items():
        app.session_state[key] = value
    return app.run()


def test_a_job_shows_its_partial_result_while_it_runs_and_its_result_is_taken_once():
    def script():
        import threading

        import streamlit as st

        from app.background import is_running, is_started, show_work, start_work, take_result

        if not is_started("sum"):
            go = st.session_state["go"] = threading.Event()

            def function(running):
                running.tell(0.5, "half way")
                go.wait(60)
                return 7

            start_work("sum", function)
        show_work("sum", waiting="nothing so far")
        st.write(f"running {is_running('sum')}, taken {take_result('sum')} and {take_result('sum')}")

    app = run(script)
    assert app.caption[0].value == "nothing so far"
    assert app.markdown[-1].value == "running True, taken None and None"
    app.session_state["go"].set()
    app.session_state["work.sum"].wait(60)
    assert app.run().markdown[-1].value == "running False, taken 7 and None"
    assert app.run().markdown[-1].value == "running False, taken None and None"


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


def test_a_cancelled_job_says_so_and_leaves_its_partial_result():
    def script():
        import streamlit as st

        from app.background import is_started, show_work, start_work

        def spin(running):
            running.partial = "half of it"
            while True:
                running.check()

        if not is_started("spin", "a"):
            start_work("spin", spin, identity="a").cancel()
        st.session_state["work.spin"].wait(60)
        view = show_work("spin", identity="a", cancelled="Stopped.", again=lambda: st.session_state.update(again=True))
        st.write(f"{view.partial}, failed {view.failed}")

    app = run(script)
    assert app.info[0].value == "Stopped." and app.markdown[0].value == "half of it, failed False"
    app.button(key="do.spin.again").click().run()
    assert app.session_state["again"]


def test_work_for_another_identity_is_not_shown():
    def script():
        import streamlit as st

        from app.background import is_started, show_work, start_work

        start_work("job", lambda running: 7, identity="a").wait(60)
        st.write(
            f"{show_work('job', identity='b').result} {is_started('job', 'b')} {show_work('job', identity='a').result}"
        )

    assert run(script).markdown[0].value == "None False 7"


def test_a_result_that_may_not_start_waits_for_a_click():
    def script():
        import streamlit as st

        from app.background import computed

        ask = lambda: st.button("Read them", key="do.read")  # noqa: E731
        st.write(f"found {computed('asked', 1, 'Reading', lambda work: 7, may_start=ask)}")

    app = run(script)
    assert app.markdown[0].value == "found None"
    assert app.button(key="do.read").click().run().markdown[0].value == "found 7"
