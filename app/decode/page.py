"""The Decode page: a prompt painted step by step, then everything that happened inside, on one slider."""

import streamlit as st

from app.background import is_running
from app.decode.controls import DecodeChoice, form_values, put, show_decode_form
from app.decode.fork import fork_at
from app.decode.panels import PANEL, show_panel
from app.decode.recall import show_recall
from app.decode.records import show_records, shown_decode
from app.decode.stage import PAINT, SHOWN, show_decode, show_decode_exports, show_running, start_paint, take_decode
from app.decode.start import show_start
from app.failures import guarded
from app.handing_over import handed
from app.keys import DECODE
from dream.decoding.selection import DecodeSettings
from workbench.decode.request import check_decode_request, single
from workbench.store import StoredDecode

FORM_WIDTH = 300  # pixels; the stage takes the rest, and goes below the form on a narrow page


def render() -> None:
    """Draws the page."""
    with guarded():
        _take_handed()
    finished = take_decode()
    if finished is not None:
        st.session_state[PANEL] = "compare" if "parent" in finished.about else "fork"
    st.title("Decode", anchor=False)
    st.markdown(
        "A picture begins with every token hidden. Each step reveals a few tokens, drawn by diffusion and "
        "conditioned on the prompt and on the tokens that are visible already."
    )
    row = st.container(horizontal=True, gap="large")
    form, stage = row.container(width=FORM_WIDTH), row.container(width="stretch")
    with form:
        shown = shown_decode()
        chosen = None
        with guarded():
            chosen = show_decode_form()
        if chosen is not None:
            with guarded():
                _decode(chosen, shown)
        show_recall(chosen.config.image.size if chosen else None)
    with stage:
        if not show_running():
            _stage(shown)
    st.divider()
    show_records()


def _take_handed() -> None:
    """Takes what another page handed over."""
    values = handed("decode")
    if settings := values.get("settings"):
        put(form_values(single(DecodeSettings.from_dict(settings)), {}))
    put({name: values[name] for name in ("model", "prompt") if values.get(name)})
    if values.get("stored"):
        st.session_state[SHOWN] = values["stored"]


def _decode(chosen: DecodeChoice, shown: StoredDecode | None) -> None:
    """Draws the Decode button above the picture that a decode may start from."""
    button = st.container()
    start = show_start(chosen, shown)
    if button.button(
        "Decode",
        key=DECODE.action("go"),
        type="primary",
        width="stretch",
        disabled=is_running(PAINT),
        help="Paints the prompt with these settings.",
    ):
        request = chosen.request(start)
        check_decode_request(chosen.config, request)
        start_paint(request, chosen.model)
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
        show_decode_exports(shown)
        show_panel(shown)


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
