"""What is searched for: a text, a picture (dropped, or clicked in the source), and how much is hidden."""

import hashlib

import streamlit as st

from app.background import computed
from app.failures import guarded
from app.search.choice import Ready
from dream.errors import InputError
from workbench.search.index import UPLOAD_BYTES, Looked, hidden, looked_at, looked_up
from workbench.sources.pictures import hidden_in_grey

PICTURE = "search.picture"
"""Key of the picture that was chosen: ("index", identity, place) or ("upload", name, content)."""
WANTED = "search.wanted"
"""Key of whether the pictures are to be read without a text or a picture."""
VIEW = "in.search.view"
"""Key of what is shown of what was found."""
TEXT, NEAR, PAIR = "Nearest to the text", "Nearest to the picture", "This picture, this text"
DROPPED = "search.dropped"
"""Key of how often a picture was given up; each time the place to drop one is a new one."""
TYPES = ("png", "jpg", "jpeg", "webp", "gif", "bmp")


def ask() -> tuple[str, float]:
    """The text (maybe empty) and the mask ratio."""
    words, share = st.columns([3, 1], gap="medium")
    text = words.text_input(
        "Text",
        key="in.search.text",
        placeholder="a red circle above a blue square ...",
        on_change=_view,
        args=(TEXT,),
        help="Finds the pictures that are most similar to it in the model's joint space.",
    )
    st.session_state.setdefault("in.search.hidden", 0)
    percent = share.slider(
        "Hidden share, %",
        0,
        95,
        step=5,
        key="in.search.hidden",
        help="So much of every picture is hidden from the model, at random places; more hides what less hid, "
        "and more. Similarity is told from the rest.",
    )
    return text.strip(), percent / 100


def ask_picture() -> None:
    """A place to drop a picture, which goes into the session."""
    key = f"do.search.upload.{st.session_state.get(DROPPED, 0)}"
    st.file_uploader(
        "Picture",
        type=list(TYPES),
        key=key,
        on_change=_take_upload,
        args=(key,),
        max_upload_size=UPLOAD_BYTES // 2**20,
        help="Finds captions and pictures similar to yours; or click one of the source's pictures.",
    )


def chosen_picture() -> bool:
    """Whether a picture was chosen."""
    return st.session_state.get(PICTURE) is not None


def take_place(there: Ready, place: int) -> None:
    """Makes a picture of the index the one that is asked about."""
    st.session_state[PICTURE] = ("index", there.identity, place)
    _view(PAIR if st.session_state.get("in.search.text") else NEAR)


def take_text(text: str) -> None:
    """Makes a caption the text that is asked about."""
    st.session_state["in.search.text"] = text
    _view(PAIR if chosen_picture() else TEXT)


def choose_view(text: str, picture: Looked | None) -> str | None:
    """Which of the views that there are is shown; none without a text and a picture."""
    views = [TEXT] * bool(text) + [NEAR] * (picture is not None) + [PAIR] * (bool(text) and picture is not None)
    if len(views) < 2:
        return views[0] if views else None
    if st.session_state.get(VIEW) not in views:
        st.session_state[VIEW] = views[0]
    return st.segmented_control(
        "View",
        views,
        key=VIEW,
        required=True,
        label_visibility="collapsed",
        help="Pictures like the text, captions and pictures like the picture, or what makes the two similar.",
    )


def asked_picture(there: Ready) -> Looked | None:
    """The picture that is asked about; none where none was chosen, or it was one of another index."""
    chosen = st.session_state.get(PICTURE)
    if chosen is None:
        return None
    if chosen[0] == "index":
        _, identity, place = chosen
        return looked_up(there.index, place) if identity == there.identity else None
    _, name, content = chosen
    digest = hashlib.blake2b(content, digest_size=12).hexdigest()
    return computed(
        "search.upload",
        (there.pretrained.model_id, digest),
        "Looking at the picture",
        lambda work: looked_at(there.pretrained, name, content),
    )


def show_picture(there: Ready, picture: Looked, ratio: float) -> None:
    """The picture as the model sees it, and a button that drops it."""
    mask = hidden(there.pretrained, picture.order[None], ratio)[0].numpy()
    caption = there.index.captions[picture.place] if picture.place is not None else picture.name
    st.image(
        hidden_in_grey(picture.pixels, mask),
        width="stretch",
        caption=caption,
        alt=f"The picture asked about, hidden parts grey: {caption}",
    )
    st.button("Without picture", key="do.search.drop", on_click=_drop, help="Goes on with the text alone.")


def _take_upload(key: str) -> None:
    with guarded():
        upload = st.session_state.get(key)
        if upload is None:
            return
        if upload.size > UPLOAD_BYTES:
            raise InputError(f"{upload.name} is larger than {UPLOAD_BYTES // 2**20} MB: save it smaller")
        st.session_state[PICTURE] = ("upload", upload.name, upload.getvalue())
        _view(NEAR)


def _view(view: str) -> None:
    st.session_state[VIEW] = view


def _drop() -> None:
    st.session_state[PICTURE] = None
    st.session_state[DROPPED] = st.session_state.get(DROPPED, 0) + 1
