"""Masks on a picture, on the Masking page: a drawing or the user's own picture."""

import numpy as np
import streamlit as st

from app.failures import guarded
from app.figures import figure_of, show_figure
from app.keys import MASKING
from workbench.figures import masks as figures
from workbench.masking.form import Settings
from workbench.masking.picture import drawing, uploaded
from workbench.masking.study import draw_masks
from workbench.pictures import exact_url

COUNT = 8
"""Groups shown; of a smaller batch, several are drawn."""
OWN = "Own picture"


def masked_pictures(settings: Settings, progress: float) -> None:
    """Draws a picture under the masks of a batch's groups, with buttons for other draws and pictures."""
    st.session_state.setdefault(MASKING.input("masks"), 0)
    st.session_state.setdefault(MASKING.input("drawing"), 0)
    st.session_state.setdefault(MASKING.input("from"), "Drawing")
    left, middle, right, _ = st.columns([1.6, 1, 1, 1.4], vertical_alignment="bottom")
    with left:
        st.segmented_control(
            "Picture",
            ["Drawing", OWN],
            key=MASKING.input("from"),
            required=True,
            help="A drawing from the shapes data, or your own picture, which stays on this machine.",
        )
    middle.button(
        "Redraw masks",
        key=MASKING.action("again"),
        on_click=_next,
        args=("masks",),
        width="stretch",
        help="Draws other ratios and masks at the same moment.",
    )
    own = st.session_state[MASKING.input("from")] == OWN
    right.button(
        "Change drawing",
        key=MASKING.action("drawing"),
        on_click=_next,
        args=("drawing",),
        width="stretch",
        disabled=own,
        help="Shows another drawing under the same masks.",
    )
    with guarded():
        pixels, words = _own_picture(settings.grid) if own else _drawing(_number("drawing"), settings.grid)
        if pixels is None:
            return
        masks = draw_masks(progress, settings.masking, settings.objective, settings.grid, COUNT, _number("masks"))
        show_figure(
            figure_of(figures.plot_masks, masks, exact_url(pixels)),
            MASKING.name("masks"),
            name="masks",
            alt=f"{words} under {len(masks)} masks; ratios {', '.join(f'{m.ratio:.2f}' for m in masks)}.",
        )
        source = f"{COUNT} batches of one group" if settings.masking.groups == 1 else "the first groups of a batch"
        st.caption(
            f"“{words}”. Above each picture: the ratio drawn ({source}). Below: the loss that it counts for. "
            "The pictures of a group share the ratio; each has its own mask."
        )


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
    return int(st.session_state[MASKING.input(name)])


def _next(name: str) -> None:
    st.session_state[MASKING.input(name)] += 1
