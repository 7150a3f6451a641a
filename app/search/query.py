"""The query: a text, a picture (dropped or clicked), and the hidden share."""

import hashlib

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from app.background import computed
from app.failures import guarded
from app.keys import SEARCH
from app.links import LINKED, link, linked
from app.search.choice import Ready
from app.text import as_text
from dream.errors import InputError
from workbench.pictures import hatched
from workbench.search.index import UPLOAD_BYTES, Looked, hidden, looked_at, looked_up

PICTURE = SEARCH.name("picture")
"""Key of a dropped picture (name, content); a clicked one is in the address under PLACE."""
PLACE = SEARCH.input("picture")
"""Key of the number of the chosen picture in the index, from 0, in the address."""
TYPED = SEARCH.input("text")
"""Key of the typed text, in the address too."""
WANTED = SEARCH.input("show")
"""Key of the request to read the pictures without a query, in the address."""
OF = SEARCH.name("of")
"""Key of the identity of the index that the picture in the address belongs to."""
VIEW = SEARCH.input("view")
"""Key of the chosen view."""
TEXT, NEAR, PAIR = "Nearest to the text", "Nearest to the picture", "This picture, this text"
DROPPED = SEARCH.name("dropped")
"""Key of the number of pictures removed so far; each removal creates a new upload field."""
TYPES = ("png", "jpg", "jpeg", "webp", "gif", "bmp")


def ask(example: str) -> tuple[str, float]:
    """Shows the fields for text, at first a faint `example`, and hidden share; returns both, the text maybe empty."""
    words, share = st.columns([3, 1], gap="medium")
    text = words.text_input(
        "Text",
        key=TYPED,
        bind=LINKED,
        placeholder=f"{example} ...",
        on_change=_view,
        args=(TEXT,),
        help="Finds the most similar pictures in the model's joint space.",
    )
    percent = share.slider(
        "Hidden share, %",
        0,
        95,
        0,
        step=5,
        key=SEARCH.input("hidden"),
        bind=LINKED,
        help="Hides this share of every picture from the model, at random places; similarity uses the rest. "
        "A larger share hides the same places and more.",
    )
    return text.strip(), percent / 100


def ask_picture() -> None:
    """Shows a field to drop a picture, which is kept in the session."""
    key = SEARCH.action("upload", st.session_state.get(DROPPED, 0))
    st.file_uploader(
        "Picture",
        type=list(TYPES),
        key=key,
        on_change=_take_upload,
        args=(key,),
        max_upload_size=UPLOAD_BYTES // 2**20,
        help="Finds captions and pictures similar to yours. You can also click a picture of the source.",
    )


def chosen_picture() -> bool:
    """Whether a picture has been chosen."""
    return st.session_state.get(PICTURE) is not None or linked(PLACE).isdecimal()


def take_place(there: Ready, place: int) -> None:
    """Chooses a picture of the index as the query."""
    st.session_state[PICTURE] = None
    link(PLACE, str(place))
    _view(PAIR if st.session_state.get(TYPED) else NEAR)


def take_text(text: str) -> None:
    """Chooses a caption as the query text."""
    st.session_state[TYPED] = text
    _view(PAIR if chosen_picture() else TEXT)


def choose_view(text: str, picture: Looked | None) -> str | None:
    """Shows the choice among the available views and returns it; None without a text and a picture."""
    views = [TEXT] * bool(text) + [NEAR] * (picture is not None) + [PAIR] * (bool(text) and picture is not None)
    if len(views) < 2:
        return views[0] if views else None
    if st.session_state.get(VIEW, views[0]) not in views:
        del st.session_state[VIEW]  # that of another query
    return st.segmented_control(
        "View",
        views,
        default=views[0],
        key=VIEW,
        bind=LINKED,
        required=True,
        label_visibility="collapsed",
        help="Pictures similar to the text, captions and pictures similar to the picture, or details of one pair.",
    )


def asked_picture(there: Ready) -> Looked | None:
    """The query picture; None if none is chosen, or it belongs to another index."""
    dropped = st.session_state.get(PICTURE)
    if st.session_state.get(OF, there.identity) != there.identity:
        link(PLACE, "")  # that of other pictures
    st.session_state[OF] = there.identity
    if dropped is None:
        place = int(number) if (number := linked(PLACE)).isdecimal() and len(number) < 9 else -1
        return looked_up(there.index, place) if 0 <= place < len(there.index.names) else None
    name, content = dropped
    digest = hashlib.blake2b(content, digest_size=12).hexdigest()
    return computed(
        SEARCH.name("upload"),
        (there.pretrained.model_id, digest),
        "Encoding the picture",
        lambda work: looked_at(there.pretrained, name, content),
    )


def show_picture(there: Ready, picture: Looked, ratio: float) -> None:
    """Shows the picture as the model sees it, and a button that removes it."""
    mask = hidden(there.pretrained, picture.order[None], ratio)[0].numpy()
    caption = there.index.captions[picture.place] if picture.place is not None else picture.name
    st.image(
        _seen(picture, mask),
        width="stretch",
        caption=as_text(caption),
        alt=f"Query picture with hidden patches hatched: {caption}",
    )
    st.button("Remove picture", key=SEARCH.action("drop"), on_click=_drop, help="Continues with the text alone.")


def _seen(picture: Looked, mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The picture (H, W, 3) with the hidden patches (N,) hatched."""
    side = round(len(mask) ** 0.5)
    return hatched(picture.pixels, mask.reshape(side, side)).transpose(1, 2, 0)


def _take_upload(key: str) -> None:
    with guarded():
        upload = st.session_state.get(key)
        if upload is None:
            return
        if upload.size > UPLOAD_BYTES:
            raise InputError(f"{upload.name} is larger than {UPLOAD_BYTES // 2**20} MB: reduce its size")
        st.session_state[PICTURE] = (upload.name, upload.getvalue())
        link(PLACE, "")
        _view(NEAR)


def _view(view: str) -> None:
    st.session_state[VIEW] = view


def _drop() -> None:
    st.session_state[PICTURE] = None
    link(PLACE, "")
    st.session_state[DROPPED] = st.session_state.get(DROPPED, 0) + 1
