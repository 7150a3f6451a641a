"""The Decode page: a prompt painted step by step, then everything that happened inside, on one slider."""

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.background import is_running
from app.decode.controls import DecodeChoice, form_values, own_values, put, show_decode_form
from app.decode.fork import fork_at
from app.decode.panels import PANEL, PANELS_BOX, show_panel
from app.decode.recall import show_recall
from app.decode.records import show_records, shown_decode, take_first
from app.decode.stage import (
    PAINT,
    STAGE,
    show_decode,
    show_decode_exports,
    show_instead,
    show_running,
    start_paint,
    take_decode,
)
from app.decode.start import show_start
from app.failures import guarded
from app.handing_over import handed
from app.keys import DECODE, FORM
from app.models import state_of
from app.reveal import bring_into_view, reveal_asked
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from dream.pretrained import SHIPPED
from workbench.decode.request import check_decode_request, single
from workbench.store import StoredDecode
from workbench.workspace import open_workspace

FORM_WIDTH = 300  # pixels; the stage takes the rest, and goes below the form on a narrow page
AT_ONCE = DECODE.name("at_once")  # session key: whether this run paints what is in the form without a click


def render() -> None:
    """Draws the page."""
    with guarded():
        _take_handed()
    finished = take_decode()
    if finished is not None:
        st.session_state[PANEL] = "compare" if "parent" in finished.about else "fork"
    st.title("Decode", anchor=False)
    st.caption(
        "A picture begins with every token hidden; each step reveals a few, guided by prompt and visible tokens."
    )
    row = st.container(horizontal=True, gap="large")
    form, stage = row.container(width=FORM_WIDTH, key=f"{FORM}decode"), row.container(width="stretch", key=STAGE)
    first = take_first()
    with form:
        shown = shown_decode()
        top, button, below = st.container(), st.container(), st.container()
        chosen = None
        with guarded():
            chosen = show_decode_form(top, below)
        if chosen is not None:
            at_once = st.session_state.pop(AT_ONCE, False) or (first and chosen.model in SHIPPED)
            with guarded():
                _decode(chosen, shown, button, at_once)
        with st.expander("Recall settings"):
            show_recall(chosen.config.image.size if chosen else None)
    with stage:
        if not show_running():
            _stage(shown)
    st.divider()
    show_records()
    reveal_asked()


def _take_handed() -> None:
    """Takes what another page handed over."""
    values = handed("decode")
    if settings := values.get("settings"):
        put(form_values(single(DecodeSettings.from_dict(settings)), _own(values.get("model", ""))))
    put({name: values[name] for name in ("model", "prompt") if values.get(name)})
    if values.get("stored"):
        show_instead(values["stored"])
    if values.get("paint"):
        st.session_state[AT_ONCE] = True


def _own(model: str) -> dict[str, Any]:
    """Own settings of a model; none if it cannot be opened, which the form says."""
    try:
        return own_values(state_of(open_workspace().model(model)).config) if model else {}
    except InputError:
        return {}


def _decode(chosen: DecodeChoice, shown: StoredDecode | None, where: DeltaGenerator, at_once: bool) -> None:
    """Draws the Decode button there, and the picture that a decode may start from; paints on a click or at once."""
    start = show_start(chosen, shown)
    pressed = where.button(
        "Decode",
        key=DECODE.action("go"),
        type="primary",
        width="stretch",
        disabled=is_running(PAINT),
        help="Paints the prompt with these settings.",
    )
    if pressed or (at_once and not is_running(PAINT)):
        request = chosen.request(start)
        check_decode_request(chosen.config, request)
        start_paint(request, chosen.model)
        if pressed:
            bring_into_view(STAGE)
        st.rerun()


def _stage(shown: StoredDecode | None) -> None:
    if shown is None:
        st.info(
            "Nothing is shown yet. Press **Decode**: the shipped model takes about a second. Then scrub through "
            "the steps, see what each token attended to, and fork the decode."
        )
        return
    with guarded():
        entry = show_decode(shown)
        if entry is not None:
            fork_at(shown, entry)
            st.session_state[PANEL] = "fork"
            bring_into_view(PANELS_BOX)
        show_decode_exports(shown)
        with st.container(key=PANELS_BOX):
            show_panel(shown)


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
