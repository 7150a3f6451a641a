"""Settings recalled from a dropped PNG or JSON that this workbench wrote, on the Decode page."""

from typing import Any

import streamlit as st

from app.decode.controls import OWN, form_values, put, values_now
from app.decode.start import take_start
from app.failures import guarded
from app.keys import DECODE, LARGEST_SEED
from app.text import as_text
from workbench.decode.recall import Recalled, changes, model_here, read_settings
from workbench.pictures import Picture, picture_of
from workbench.workspace import open_workspace

NAMES = {
    "model": "model",
    "prompt": "prompt",
    "seed": "seed",
    "steps": "steps",
    "guidance": "guidance scale",
    "schedule": "guidance schedule",
    "temperature": "temperature",
    "sampling": "denoising steps",
    "weights": "weights",
}
DROPPED = DECODE.name("dropped")
"""Session key: counts files applied or dismissed, so that the upload box is empty again after each."""


def show_recall(size: int | None) -> None:
    """Draws a box to drop a PNG or JSON saved here; shows what it would change, and changes it on click.

    `size` of the model's pictures in pixels; None while there is no model.
    """
    number = st.session_state.setdefault(DROPPED, 0)
    dropped = st.file_uploader(
        "Drop a PNG or JSON saved here",
        type=["png", "json"],
        key=DECODE.action("recall", number),
        help="Nothing changes until you press Apply. Also takes PNGs of `dream decode`.",
    )
    if dropped is None:
        return
    with guarded():
        _propose(read_settings(dropped.name, dropped.getvalue()), size)


def _propose(recalled: Recalled, size: int | None) -> None:
    model = model_here(open_workspace(), recalled)
    then = _values(recalled, model)
    different = changes({**values_now(), "model": st.session_state.get(DECODE.input("model"))}, then)
    picture = _picture(recalled, size)
    for remark in (*recalled.remarks, *_about_model(recalled, model)):
        st.caption(as_text(remark))
    if different:
        rows = [
            {"setting": NAMES[change.name], "now": as_text(change.now), "file": as_text(change.then)}
            for change in different
        ]
        st.table(rows, hide_index=True, border="horizontal")
    elif picture is None:
        st.caption("The file has the same settings as the form.")
    if picture is not None:
        st.caption(f"The file also has the picture that it started from, with {len(recalled.kept)} cells kept.")
    apply, dismiss = st.columns(2, gap="small")
    apply.button(
        "Apply",
        key=DECODE.action("recall", "apply"),
        type="primary",
        width="stretch",
        on_click=_apply,
        args=(then, picture, recalled.kept),
        disabled=not different and picture is None,
        help="Puts the file's settings into the form.",
    )
    dismiss.button(
        "Dismiss",
        key=DECODE.action("recall", "no"),
        on_click=_next,
        width="stretch",
        help="Forgets the file; the form stays as it is.",
    )


def _values(recalled: Recalled, model: str | None) -> dict[str, Any]:
    values = form_values(recalled.settings, st.session_state.get(OWN, {}))
    if recalled.settings.seed > LARGEST_SEED:
        del values["seed"]
    values |= {"prompt": recalled.prompt, "weights": recalled.weights}
    return {**({"model": model} if model else {}), **values}


def _picture(recalled: Recalled, size: int | None) -> Picture | None:
    if recalled.given_picture is None or not recalled.kept or size is None:
        return None
    return picture_of(recalled.given_picture, size, "the picture inside the file")


def _about_model(recalled: Recalled, model: str | None) -> list[str]:
    if recalled.model and model is None:
        return [f"Its model {recalled.model} is not in this workspace; the form keeps its own model."]
    return []


def _apply(values: dict[str, Any], picture: Picture | None, kept: tuple[int, ...]) -> None:
    put(values)
    if picture is not None:
        take_start(picture, kept)
    _next()


def _next() -> None:
    st.session_state[DROPPED] += 1
