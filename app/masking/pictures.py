"""Masks on a picture, on the Masking page: a drawing or the user's own picture."""

import numpy as np
import streamlit as st

from app.failures import guarded
from app.keys import MASKING
from app.links import LINKED, link, linked
from app.text import as_text
from workbench.masking.form import Settings
from workbench.masking.picture import drawing, uploaded
from workbench.masking.strip import masks_html
from workbench.masking.study import draw_masks

COUNT = 8
"""Groups shown; of a smaller batch, several are drawn."""
OWN = "Own picture"


def masked_pictures(settings: Settings, progress: float) -> None:
    """Draws a picture under the masks of a batch's groups, with buttons for other draws and pictures."""
    strip = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        own = _picture_controls()
    with guarded():
        pixels, words = _own_picture(settings.grid) if own else _drawing(_number("drawing"), settings.grid)
        if pixels is None:
            return
        masks = draw_masks(progress, settings.masking, settings.objective, settings.grid, COUNT, _number("masks"))
        strip.html(masks_html(masks, pixels, words))
        source = f"{COUNT} batches of one group" if settings.masking.groups == 1 else "the first groups of a batch"
        strip.caption(
            f"Masks of {source} on “{as_text(words)}”; hatched cells are hidden. Below each: what it trains.",
            help="The pictures of a group share the ratio; each has its own mask.",
        )


def _picture_controls() -> bool:
    """Draws buttons for other draws and pictures; returns whether the user's own picture is wanted."""
    wanted = st.segmented_control(
        "Picture",
        ["Drawing", OWN],
        default="Drawing",
        key=MASKING.input("from"),
        bind=LINKED,
        required=True,
        help="A drawing from the shapes data, or your own picture, which stays on this machine.",
    )
    st.button(
        "Redraw masks",
        key=MASKING.action("again"),
        on_click=_next,
        args=("masks",),
        help="Draws other ratios and masks at the same moment.",
    )
    st.button(
        "Change drawing",
        key=MASKING.action("drawing"),
        on_click=_next,
        args=("drawing",),
        disabled=wanted == OWN,
        help="Shows another drawing under the same masks.",
    )
    return wanted == OWN


def _own_picture(grid: int) -> tuple[np.ndarray | None, str]:
    file = st.file_uploader(
        "Own picture",
        ["png", "jpg", "jpeg", "webp", "gif", "bmp"],
        key=MASKING.action("upload"),
        max_upload_size=20,
        help="PNG, JPEG, WebP, GIF or BMP of up to 20 MB; its central square is used.",
    )
    if file is None:
        st.info("Drop a picture above to see what the encoder would see of it.")
        return None, ""
    return uploaded(file.getvalue(), grid, file.name), file.name


@st.cache_data(max_entries=32, show_spinner=False)
def _drawing(number: int, grid: int) -> tuple[np.ndarray, str]:
    return drawing(number, grid)


def _number(name: str) -> int:
    number = linked(MASKING.input(name))
    return int(number) if number.isdecimal() and len(number) < 6 else 0


def _next(name: str) -> None:
    link(MASKING.input(name), str(_number(name) + 1))
