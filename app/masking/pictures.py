"""The masks of the Masking page on a picture: a drawing or the user's own."""

import numpy as np
import streamlit as st

from app.failures import guarded
from app.figures import figure_of, show_figure
from app.masking.controls import KEY
from workbench.figures import masks as figures
from workbench.masking.form import Settings
from workbench.masking.picture import drawing, uploaded
from workbench.masking.study import draw_masks
from workbench.pictures import exact_url

COUNT = 8
"""Groups that are shown; smaller batches are drawn until there are as many."""
OWN = "Own picture"


def masked_pictures(settings: Settings, progress: float) -> None:
    """A picture under the masks of a batch's groups, with buttons for other draws and other pictures."""
    st.session_state.setdefault(KEY + "masks", 0)
    st.session_state.setdefault(KEY + "drawing", 0)
    st.session_state.setdefault(KEY + "from", "Drawing")
    left, middle, right, _ = st.columns([1.6, 1, 1, 1.4], vertical_alignment="bottom")
    with left:
        st.segmented_control(
            "Picture",
            ["Drawing", OWN],
            key=KEY + "from",
            required=True,
            help="A drawing of the shapes data, or a picture of yours; it stays on this machine.",
        )
    middle.button(
        "Draw again",
        key="do.masking.again",
        on_click=_next,
        args=("masks",),
        width="stretch",
        help="Other ratios and other masks at the same moment.",
    )
    own = st.session_state[KEY + "from"] == OWN
    right.button(
        "Another drawing",
        key="do.masking.drawing",
        on_click=_next,
        args=("drawing",),
        width="stretch",
        disabled=own,
        help="Another picture under the same masks.",
    )
    with guarded():
        pixels, words = _own_picture(settings.grid) if own else _drawing(_number("drawing"), settings.grid)
        if pixels is None:
            return
        masks = draw_masks(progress, settings.masking, settings.objective, settings.grid, COUNT, _number("masks"))
        show_figure(
            figure_of(figures.plot_masks, masks, exact_url(pixels)),
            "masking.masks",
            name="masks",
            alt=f"{words} under {len(masks)} masks; ratios {', '.join(f'{m.ratio:.2f}' for m in masks)}.",
        )
        one = f"{COUNT} batches of one group" if settings.masking.groups == 1 else "the first groups of a batch"
        st.caption(
            f"“{words}”. Above each picture the ratio drawn ({one}), below it the loss that it trains. "
            "All pictures of a group share the ratio; each has its own places."
        )


def _own_picture(grid: int) -> tuple[np.ndarray | None, str]:
    file = st.file_uploader(
        "Own picture",
        ["png", "jpg", "jpeg", "webp", "gif", "bmp"],
        key="do.masking.upload",
        max_upload_size=20,
        help="PNG, JPEG, WebP, GIF or BMP of up to 20 MB; its centre square is used.",
    )
    if file is None:
        st.info("Drop a picture above to see it as the encoder would.")
        return None, ""
    return uploaded(file.getvalue(), grid, file.name), file.name


@st.cache_data(max_entries=32, show_spinner=False)
def _drawing(number: int, grid: int) -> tuple[np.ndarray, str]:
    return drawing(number, grid)


def _number(name: str) -> int:
    return int(st.session_state[KEY + name])


def _next(name: str) -> None:
    st.session_state[KEY + name] += 1
