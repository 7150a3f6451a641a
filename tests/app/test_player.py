"""The player on a page: it gets its data, and each event of the user comes back once."""

import json

from streamlit.testing.v1 import AppTest


def page() -> None:
    import streamlit as st

    from app.failures import guarded
    from app.player import show_player
    from tests.workbench.player import synthetic

    mode = st.session_state.get("mode", "player")
    with guarded():
        data = {"mode": "none"} if mode == "wrong" else synthetic.ALL[mode]()
        st.session_state["event"] = show_player(data, "test.player", events=("fork",))


def mounted(at: AppTest):
    """Data that the component got."""
    (component,) = at.get("bidi_component")
    return component.proto, json.loads(component.proto.mixed.json or component.proto.json)


def test_a_page_mounts_the_player_with_its_data():
    at = AppTest.from_function(page, default_timeout=180).run()
    assert not at.exception and not at.error
    proto, given = mounted(at)
    assert given["player"]["mode"] == "player" and given["events"] == ["fork"]
    assert "export default" in proto.js_content and ".dream-player" in proto.css_content
    assert at.session_state["event"] is None


def test_every_mode_mounts():
    for mode in ("race", "cells", "compare"):
        at = AppTest.from_function(page, default_timeout=180)
        at.session_state["mode"] = mode
        assert mounted(at.run())[1]["player"]["mode"] == mode


def test_wrong_data_is_a_sentence_on_the_page():
    at = AppTest.from_function(page, default_timeout=180)
    at.session_state["mode"] = "wrong"
    at.run()
    assert not at.exception
    assert at.error[0].value.startswith("The player cannot show this data: mode must be one of")


def test_an_event_counts_once(monkeypatch):
    import app.player

    found = iter([{"event": {"kind": "fork", "index": 3, "id": 7}}] * 2 + [{"event": None}])
    monkeypatch.setattr(app.player, "_component", lambda **_: next(found))
    at = AppTest.from_function(page, default_timeout=180).run()
    assert at.session_state["event"] == {"kind": "fork", "index": 3, "id": 7}
    assert at.run().session_state["event"] is None
    assert at.run().session_state["event"] is None
