"""Stored decodes: a list with search, to reopen or delete; and settings recalled from a file of ours."""

from typing import Any

import streamlit as st

from app.decode.controls import FORM, form_values, put, values_now
from app.decode.stage import SHOWN
from app.decode.start import take_start
from app.failures import guarded
from app.keys import INPUT, LARGEST_SEED
from dream.errors import InputError
from workbench.decode.recall import Recalled, changes, model_here, read_settings
from workbench.decode.request import Picture
from workbench.pictures import picture_of
from workbench.store import StoredDecode, count_damaged, delete_stored, list_stored, open_stored
from workbench.workspace import open_workspace

QUERY, MORE = INPUT + "decode.query", "decode.records_shown"
AT_FIRST, MORE_AT_A_TIME = 8, 12
CARD_WIDTH = 228
"""Pixels; cards stand side by side as the page has room."""
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
DROPPED = "decode.dropped"
"""Session key: counts files taken or dismissed, so that the next one meets an empty place."""


def shown_decode() -> StoredDecode | None:
    """What the page shows; None where there is nothing, or it was deleted elsewhere, which is said."""
    id = st.session_state.get(SHOWN)
    if not id:
        return None
    try:
        return open_stored(open_workspace(), id)
    except InputError as error:
        del st.session_state[SHOWN]
        st.info(f"What was shown is gone: {error}.")
        return None


def show_records() -> None:
    """The list, newest first."""
    here = open_workspace()
    title, search = st.columns([2, 1], vertical_alignment="bottom")
    title.subheader("Stored decodes", anchor=False)
    query = search.text_input(
        "Search",
        key=QUERY,
        placeholder="words of the prompt, a model, seed 5 ...",
        label_visibility="collapsed",
        help="All words must be in the prompt, the model or the settings.",
    )
    found, damaged = list_stored(here, query=query), count_damaged(here)
    if not found:
        st.caption(f"Nothing stored fits '{query}'." if query else "Nothing is stored yet; every decode is, by itself.")
    count = st.session_state.get(MORE, AT_FIRST)
    shelf = st.container(horizontal=True, gap="small")
    for stored in found[:count]:
        with shelf.container(border=True, width=CARD_WIDTH):
            _card(stored)
    if count < len(found):
        st.button(f"Show more ({len(found) - count} left)", key="do.decode.more", on_click=_more, help="Older decodes.")
    if damaged:
        st.caption(f"{damaged} damaged folder(s) in {here.shown(here.decodes)} are left out.")


def _more() -> None:
    st.session_state[MORE] = st.session_state.get(MORE, AT_FIRST) + MORE_AT_A_TIME


def _card(stored: StoredDecode) -> None:
    if stored.thumbnail is not None:
        st.image(str(stored.thumbnail), alt=f"Decode of: {stored.prompt}", width=144)
    st.markdown(stored.prompt.replace("[", "\\[").replace("*", "\\*")[:120])
    parts = [f"seed {stored.about.get('seed')}", str(stored.about.get("model", "")), stored.when]
    if stored.kind == "trajectories":
        parts.insert(0, "choice")
    if stored.about.get("parent"):
        parts.insert(0, f"fork after step {stored.about.get('fork_step')}")
    st.caption(" · ".join(parts))
    left, right = st.columns(2, gap="small")
    left.button(
        "Open",
        key=f"do.decode.open.{stored.id}",
        on_click=_open,
        args=(stored.id,),
        width="stretch",
        disabled=st.session_state.get(SHOWN) == stored.id,
        help="Shows it above, with all its instruments.",
    )
    with right.popover("Delete", width="stretch", help="Asks before it deletes."):
        st.markdown("Delete this decode for good?")
        st.button(
            "Delete it",
            key=f"do.decode.delete.{stored.id}",
            on_click=_delete,
            args=(stored.id,),
            type="primary",
            help="Record, picture and all.",
        )


def _open(id: str) -> None:
    st.session_state[SHOWN] = id


def _delete(id: str) -> None:
    with guarded():
        delete_stored(open_workspace(), id)
    if st.session_state.get(SHOWN) == id:
        del st.session_state[SHOWN]


def show_recall(size: int | None) -> None:
    """A place to drop a PNG or JSON of ours: shows what it would change, and changes it when told.

    `size` of the model's pictures in pixels; None while there is no model.
    """
    number = st.session_state.setdefault(DROPPED, 0)
    given = st.file_uploader(
        "Recall settings: drop a PNG or JSON saved here",
        type=["png", "json"],
        key=f"do.decode.recall.{number}",
        help="Nothing changes until you say so; also takes PNGs of `dream decode`.",
    )
    if given is None:
        return
    with guarded():
        _propose(read_settings(given.name, given.getvalue()), size)


def _propose(recalled: Recalled, size: int | None) -> None:
    model = model_here(open_workspace(), recalled)
    then = _values(recalled, model)
    different = changes({**values_now(), "model": st.session_state.get(FORM + "model")}, then)
    picture = _picture(recalled, size)
    for remark in (*recalled.remarks, *_about_model(recalled, model)):
        st.caption(remark)
    if different:
        rows = [{"setting": NAMES[one.name], "now": one.now, "file": one.then} for one in different]
        st.table(rows, hide_index=True, border="horizontal")
    elif picture is None:
        st.caption("It says what the form says already.")
    if picture is not None:
        st.caption(f"It keeps {len(recalled.kept)} cells of a picture, which comes with it.")
    apply, dismiss = st.columns(2, gap="small")
    apply.button(
        "Apply",
        key="do.decode.recall.apply",
        type="primary",
        width="stretch",
        on_click=_apply,
        args=(then, picture, recalled.kept),
        disabled=not different and picture is None,
        help="Puts the file's settings into the form.",
    )
    dismiss.button(
        "Leave all as it is",
        key="do.decode.recall.no",
        on_click=_next,
        width="stretch",
        help="Forgets the file; the form stays.",
    )


def _values(recalled: Recalled, model: str | None) -> dict[str, Any]:
    values = form_values(recalled.settings, st.session_state.get("decode.own", {}))
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
        return [f"Its model {recalled.model} is not in this workspace; the form's model stays."]
    return []


def _apply(values: dict[str, Any], picture: Picture | None, kept: tuple[int, ...]) -> None:
    put(values)
    if picture is not None:
        take_start(picture, kept)
    _next()


def _next() -> None:
    st.session_state[DROPPED] += 1
