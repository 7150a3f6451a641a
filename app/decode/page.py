"""A prompt painted step by step, then everything that happened inside, on one slider."""

import streamlit as st

from app.background import is_running
from app.decode.controls import DecodeChoice, form_values, put, show_decode_form
from app.decode.fork import fork_at, show_compare, show_fork
from app.decode.records import show_recall, show_records, shown_decode
from app.decode.stage import (
    PAINT,
    SHOWN,
    data_of,
    show_decode,
    show_decode_exports,
    show_running,
    start_paint,
    take_decode,
)
from app.decode.start import show_start
from app.failures import guarded
from app.figures import show_figure
from app.handing_over import hand_over, handed
from app.keys import INPUT
from dream.decoding.selection import DecodeSettings
from workbench.decode.request import check_decode_request, single
from workbench.figures.decoding import plot_course, plot_order
from workbench.store import StoredDecode

FORM_WIDTH = 300  # pixels; the stage takes the rest, and stands below where there is little
PANEL = INPUT + "decode.panel"
PANELS = {"fork": "Fork", "compare": "Compare", "figures": "Figures", "settings": "Settings"}


def render() -> None:
    """Show the page."""
    with guarded():
        _take_handed()
    finished = take_decode()
    if finished is not None:
        st.session_state[PANEL] = "compare" if "parent" in finished.about else "fork"
    st.title("Decode", anchor=False)
    st.markdown(
        "A picture begins with every token hidden. Step by step a few are revealed, each drawn by diffusion "
        "from what the decoder makes of the prompt and of what is visible already."
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
    """What another page sent here."""
    given = handed("decode")
    if settings := given.get("settings"):
        put(form_values(single(DecodeSettings.from_dict(settings)), {}))
    put({name: given[name] for name in ("model", "prompt") if given.get(name)})
    if given.get("stored"):
        st.session_state[SHOWN] = given["stored"]


def _decode(chosen: DecodeChoice, shown: StoredDecode | None) -> None:
    """The button, above the picture that a decode may start from."""
    place = st.container()
    start = show_start(chosen, shown)
    if place.button(
        "Decode",
        key="do.decode.go",
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
            "Nothing is shown yet. Press **Decode**: with the model that ships it takes about a second. Then "
            "scrub through its steps, see where each token looked, and fork it."
        )
        return
    with guarded():
        entry = show_decode(shown)
        if entry is not None:
            fork_at(shown, entry)
            st.session_state[PANEL] = "fork"
        show_decode_exports(shown)
        _panel(shown)


def _panel(shown: StoredDecode) -> None:
    st.session_state.setdefault(PANEL, "compare" if "parent" in shown.about else "fork")
    panel = st.segmented_control(
        "More",
        list(PANELS),
        format_func=PANELS.__getitem__,
        key=PANEL,
        required=True,
        label_visibility="collapsed",
        help="Go on from a step otherwise, lay it beside another decode, or see it as figures.",
    )
    if panel == "fork":
        show_fork(shown)
    elif panel == "compare":
        show_compare(shown)
    elif panel == "figures":
        _figures(shown)
    else:
        _settings(shown)


def _figures(shown: StoredDecode) -> None:
    data = data_of(shown)
    left, right = st.columns(2)
    with left:
        show_figure(plot_order(data), "decode.order", alt="Map of the step that revealed each token")
    with right:
        show_figure(plot_course(data), "decode.course", alt="Tokens revealed, guidance and alignment by step")


def _settings(shown: StoredDecode) -> None:
    st.json({"id": shown.id, "prompt": shown.prompt, **shown.about})
    if st.button(
        "Choose among candidates for this prompt",
        key="do.decode.trajectories",
        help="Opens the Trajectories page with this model and prompt.",
    ):
        hand_over("trajectories", model=shown.about.get("model", ""), prompt=shown.prompt)


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
