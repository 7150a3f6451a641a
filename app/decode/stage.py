"""Stage of the Decode page: a decode while it is painted, then the player and its exports."""

from functools import partial
from typing import Any

import streamlit as st

from app.background import forget_work, is_started, show_work, start_work, take_result
from app.keys import DECODE
from app.links import link
from app.models import pretrained
from app.player import at_linked_step, show_player
from app.text import as_text
from dream.errors import InputError
from dream.model.pretrained import Pretrained
from workbench.decode import export
from workbench.decode.paint import Painting, paint_and_store
from workbench.decode.player_data import PLAYER, add_inspection, player_data, remarks, was_looked_at
from workbench.decode.request import DecodeRequest
from workbench.pictures import enlarged
from workbench.reading import remark_html, stored_remark
from workbench.store import StoredDecode
from workbench.workspace import open_workspace

PAINT, LOOK, SHOWN = DECODE.name("paint"), DECODE.name("look"), DECODE.name("shown")
STAGE = DECODE.name("stage")
"""Key of the container of the picture."""
LINKED_DECODE, LINKED_STEP = DECODE.input("shown"), DECODE.input("step")
"""Keys in the address: id of the decode that is shown, and the step of its player."""
LIVE_SIDE = 420
"""Largest side in pixels of the picture while it is painted."""


def start_paint(request: DecodeRequest, model: str) -> None:
    """Starts a decode in this tab; the previous one, if it runs, is asked to stop."""
    here, opened = open_workspace(), pretrained(model, ema=request.weights == "averaged")
    start_work(PAINT, lambda running: paint_and_store(running, here, opened, request))


def take_decode() -> StoredDecode | None:
    """The decode that has just been finished, which the page then shows; None on the second call."""
    stored: StoredDecode | None = take_result(PAINT)
    if stored is not None:
        show_instead(stored.id)
    return stored


def show_instead(id: str) -> None:
    """Shows the stored decode with this id from now on, at its last step; none if the id is empty."""
    if id != st.session_state.get(SHOWN):
        link(LINKED_STEP, "")
    st.session_state[SHOWN] = id


def show_running() -> bool:
    """Draws the decode in progress, or its failure; returns whether one is in progress."""
    return show_work(
        PAINT,
        _live,
        waiting="The first tokens are being painted ...",
        cancelled="Cancelled: nothing was stored.",
        every=0.2,
    ).running


def _live(painting: Painting) -> None:
    st.image(enlarged(painting.picture, LIVE_SIDE), alt=f"The picture after step {painting.step} of {painting.steps}")
    st.caption(f"step {painting.step} of {painting.steps} · {painting.decoded_fraction:.0%} of the tokens decoded")


@st.cache_data(max_entries=24, show_spinner=False)
def _data(stored: StoredDecode, stamp: float) -> dict[str, Any]:
    return player_data(stored)


def data_of(stored: StoredDecode) -> dict[str, Any]:
    """Player data of a stored decode; cached until its folder changes."""
    path = stored.path / PLAYER
    return _data(stored, path.stat().st_mtime if path.is_file() else 0.0)


def show_decode(stored: StoredDecode) -> int | None:
    """Draws the player, and the inspection while it is computed; returns the entry to fork at, if it was clicked."""
    data = data_of(stored)
    at = at_linked_step(data, LINKED_STEP)
    event = show_player(at, DECODE.name("player"), events=("fork",), link=LINKED_STEP)
    if was_looked_at(data):
        for remark in remarks(data, stored.about.get("settings", {}).get("steps", 0)):
            st.caption(as_text(remark))
    else:
        _look_inside(stored)
    if said := stored_remark(stored.about):
        st.html(remark_html([said]))
    return event["index"] if event is not None else None


def model_of(stored: StoredDecode) -> Pretrained:
    """Opens the model that painted it. Raises InputError if it is gone or has other weights now."""
    about, why = stored.about, "the record names no model"
    for name in dict.fromkeys([about.get("checkpoint"), about.get("model")]):
        if not name:
            continue
        try:
            opened = pretrained(open_workspace().model(name), ema=about.get("weights", "averaged") == "averaged")
        except InputError as error:
            why = str(error)
            continue
        if opened.model_id == about.get("model_id"):
            return opened
        why = f"{name} has other weights now ({opened.model_id}, it was {about.get('model_id')})"
    raise InputError(f"the model that painted this is not here: {why.rstrip('.')}")


def _look_inside(stored: StoredDecode) -> None:
    """Computes what needs the model, once, in the background; says so if the model is missing."""
    if not is_started(LOOK, stored.id):
        try:
            opened = model_of(stored)
        except InputError as error:
            st.info(f"Previews, attention and denoising paths are left out: {as_text(error)}.")
            return
        start_work(LOOK, lambda running: add_inspection(running, stored, opened), stored.id)
    show_work(
        LOOK,
        identity=stored.id,
        cancelled="Computing previews, attention and denoising paths was cancelled.",
        again=lambda: forget_work(LOOK),
    )


def show_decode_exports(stored: StoredDecode) -> None:
    """Draws a download button per kind of file."""
    files = {
        "PNG": ("png", "image/png", export.decode_png, "The picture, with its settings embedded."),
        "GIF": ("gif", "image/gif", export.decode_gif, "Every step, as a looping GIF."),
        "MP4": ("mp4", "video/mp4", export.decode_mp4, "Every step, as a video (H.264)."),
        "HTML": ("html", "text/html", export.decode_html, "The player above, as one file that works offline."),
        "JSON": ("json", "application/json", export.decode_json, "Settings, reveal order, scores and tokens."),
    }
    if not export.can_write_mp4():
        del files["MP4"]
    row = st.container(horizontal=True, gap="small")
    for label, (suffix, mime, make, about) in files.items():
        row.download_button(
            label,
            data=partial(make, stored),
            file_name=export.file_name(stored, suffix),
            mime=mime,
            key=DECODE.action("export", suffix),
            on_click="ignore",
            help=about,
        )
