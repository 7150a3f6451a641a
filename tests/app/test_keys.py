"""Session keys: each page's kinds are kept apart, inputs outlive a change of page, handed values are taken once."""

from streamlit.testing.v1 import AppTest

from app.contents import PAGES
from app.keys import DECODE


def test_a_page_makes_keys_by_kind():
    assert DECODE.input("fork", "seed") == "in.decode.fork.seed" and DECODE.inputs == "in.decode."
    assert DECODE.action("example", 0) == "do.decode.example.0"
    assert DECODE.name("shown") == "decode.shown"


def test_every_page_has_its_keys():
    from app import keys

    named = {value.page for value in vars(keys).values() if isinstance(value, keys.PageKeys)}
    assert named == {name for pages in PAGES.values() for name, _ in pages}


def test_inputs_of_pages_that_are_not_shown_are_kept():
    def script():
        import streamlit as st

        from app.keys import DECODE, keep_inputs

        keep_inputs()
        if st.session_state.get("on the page", True):
            st.text_input("Prompt", key=DECODE.input("prompt"))

    app = AppTest.from_function(script, default_timeout=180).run()
    app.text_input(key="in.decode.prompt").set_value("a cat").run()
    app.session_state["on the page"] = False
    app.run()
    assert app.run().session_state["in.decode.prompt"] == "a cat"


def test_values_handed_to_a_page_are_taken_once():
    def script():
        import streamlit as st

        from app.handing_over import handed

        st.write(str(handed("train")), str(handed("train")))

    app = AppTest.from_function(script, default_timeout=180)
    app.session_state["handed.train"] = {"preset": "tiny"}
    assert app.run().markdown[0].value == "{'preset': 'tiny'} {}"
