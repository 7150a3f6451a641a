"""Number fields: a number out of range is refused in a sentence, never replaced by the one before it."""

import pytest
from streamlit.testing.v1 import AppTest


def script():
    import streamlit as st

    from app.failures import guarded
    from app.number_fields import NumberFields

    numbers = NumberFields()
    steps = numbers.whole(st.container(), "Steps", 1, 1024, key="in.steps", value=16)
    scale = numbers.real(st.container(), "Guidance scale", 1.0, 100.0, key="in.scale", value=3.0)
    if st.button("Go"):
        with guarded():
            numbers.require()
            st.text(f"ran {steps!r} {scale!r}")


@pytest.mark.parametrize(
    ("key", "typed", "said"),
    [
        ("in.steps", 5000, "Steps must be a whole number from 1 to 1,024, got 5000."),
        ("in.steps", 0, "Steps must be a whole number from 1 to 1,024, got 0."),
        ("in.steps", 2.5, "Steps must be a whole number from 1 to 1,024, got 2.5."),
        ("in.steps", 10**20, "Steps must be a whole number from 1 to 1,024, got 1e+20."),
        ("in.scale", 0.999, "Guidance scale must be a number from 1 to 100, got 0.999."),
        ("in.scale", -3, "Guidance scale must be a number from 1 to 100, got -3."),
    ],
)
def test_a_number_out_of_range_is_refused_at_its_field_and_at_the_button(key, typed, said):
    app = AppTest.from_function(script, default_timeout=180).run()
    app.number_input(key=key).set_value(typed).run()
    assert [caption.value.replace("\\", "") for caption in app.caption] == [f":red[{said}]"]
    app.button[0].click().run()
    assert [error.value.replace("\\", "") for error in app.error] == [said]
    assert not app.text and not app.exception


def test_numbers_in_range_have_the_type_of_their_field():
    app = AppTest.from_function(script, default_timeout=180)
    app.session_state["in.steps"] = 7  # as pages hand over whole numbers
    app.run()
    app.number_input(key="in.scale").set_value(2).run()
    app.button[0].click().run()
    assert [text.value for text in app.text] == ["ran 7 2.0"]
    assert not app.caption and not app.error and not app.exception
