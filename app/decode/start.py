"""Start of a decode from a picture: cells of it to keep or to clear, on the Decode page."""

import re
from collections.abc import Sequence

import streamlit as st

from app.decode.controls import DecodeChoice
from app.keys import DECODE
from app.links import LINKED, link, linked
from app.player import show_player
from workbench.decode.request import KeptPicture, start_of
from workbench.decode.sides import cells_data
from workbench.pictures import Picture, picture_of
from workbench.store import StoredDecode

CELLS, UPLOADED = DECODE.name("cells"), DECODE.name("uploaded")
EDIT, SOURCE, VERB = DECODE.input("edit"), DECODE.input("edit_source"), DECODE.input("edit_verb")
SOURCES = {"shown": "Shown picture", "upload": "Own picture"}
LINKED_CELLS = DECODE.input("edit_cells")
"""Key of the selected cells in the address; a picture of the user's own is not in it."""
CELL_WORDS = r"\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*"
VERBS = {"keep": "Keep cells", "clear": "Clear cells"}


def take_start(picture: Picture, kept: tuple[int, ...]) -> None:
    """Sets the form to start from this picture with these positions kept; only before it is drawn, or in a callback."""
    st.session_state.update({EDIT: True, SOURCE: "upload", VERB: "keep", CELLS: list(kept)})
    st.session_state[UPLOADED] = picture


def show_start(chosen: DecodeChoice, shown: StoredDecode | None) -> KeptPicture | None:
    """Draws the choice of a picture and its cells; returns None if decodes start with every token hidden."""
    st.toggle(
        "Start from a picture",
        key=EDIT,
        bind=LINKED,
        help="Keep some cells of a picture bit for bit, and let the model paint the others.",
    )
    if not st.session_state[EDIT]:
        link(LINKED_CELLS, "")
        return None
    source = st.segmented_control(
        "Picture",
        list(SOURCES),
        default="shown" if shown else "upload",
        format_func=SOURCES.__getitem__,
        key=SOURCE,
        bind=LINKED,
        required=True,
        width="stretch",
        label_visibility="collapsed",
        help="The picture whose cells are kept.",
    )
    base = _from_shown(chosen, shown) if source == "shown" else _from_upload(chosen)
    return None if base is None else _cells(chosen, base)


def _from_shown(chosen: DecodeChoice, shown: StoredDecode | None) -> KeptPicture | None:
    if shown is None:
        st.caption("No picture is shown yet: decode a prompt, open a stored decode, or upload a picture.")
        return None
    base = start_of(shown, ())
    if base.picture.shape[1] != chosen.config.image.size:
        side, size = base.picture.shape[1], chosen.config.image.size
        st.caption(f"The shown picture has {side} x {side} pixels, but this model paints {size} x {size}.")
        return None
    tokens = base.tokens
    if tokens is None or tokens.shape != (chosen.config.image.num_tokens, chosen.config.image.token_dim):
        tokens = None
    return KeptPicture(base.picture, (), tokens)


def _from_upload(chosen: DecodeChoice) -> KeptPicture | None:
    size = chosen.config.image.size
    upload = st.file_uploader(
        "Own picture",
        type=["png", "jpg", "jpeg", "webp", "gif", "bmp"],
        key=DECODE.action("upload"),
        label_visibility="collapsed",
        help=f"Its centre square is scaled to {size} x {size} pixels; at most 20 MB.",
    )
    if upload is not None:
        st.session_state[UPLOADED] = _read(upload.getvalue(), size, upload.name)
    picture = st.session_state.get(UPLOADED)
    if picture is None:
        st.caption(f"Its centre square is scaled to the model's {size} x {size} pixels.")
        return None
    if picture.shape[1] != size:
        st.caption(f"This picture was scaled for another model. Upload it again for {size} x {size} pixels.")
        return None
    return KeptPicture(picture, ())


@st.cache_data(max_entries=8, show_spinner=False)
def _read(content: bytes, size: int, name: str) -> Picture:
    return picture_of(content, size, name)


def _cells(chosen: DecodeChoice, base: KeptPicture) -> KeptPicture:
    config = chosen.config.image
    chosen_verb = st.segmented_control(
        "Selected cells",
        list(VERBS),
        default="keep",
        format_func=VERBS.__getitem__,
        key=VERB,
        bind=LINKED,
        required=True,
        width="stretch",
        label_visibility="collapsed",
        help="Keep the selected cells and paint the others, or clear them and keep the others.",
    )
    verb = chosen_verb or "keep"
    known = st.session_state.setdefault(CELLS, cells_of(linked(LINKED_CELLS)))
    selected = [cell for cell in known if cell < config.num_tokens]
    data = cells_data(base.picture, config.grid, selected, verb)
    event = show_player(data, DECODE.name("start"), events=("cells",))
    if event is not None:
        st.session_state[CELLS] = selected = sorted(event["cells"])
    link(LINKED_CELLS, words_of(selected))
    kept = selected if verb == "keep" else sorted(set(range(config.num_tokens)) - set(selected))
    if not 0 < len(kept) < config.num_tokens:
        st.caption("Click or drag over cells: keep at least one, and leave at least one to paint.")
    else:
        st.caption(f"{len(kept)} of {config.num_tokens} cells are kept; Decode paints the others.")
    return KeptPicture(base.picture, tuple(kept), base.tokens)


def words_of(cells: Sequence[int]) -> str:
    """Cells in ascending order as text: `0-4,7`."""
    runs: list[list[int]] = []
    for cell in cells:
        if runs and cell == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], cell]
        else:
            runs.append([cell])
    return ",".join("-".join(map(str, run)) for run in runs)


def cells_of(words: str) -> list[int]:
    """The cells that `words_of` wrote; what is no such text has none."""
    if not re.fullmatch(CELL_WORDS, words):
        return []
    ends = [[int(end) for end in run.split("-")] for run in words.split(",")]
    return sorted({cell for run in ends for cell in range(run[0], run[-1] + 1)})
