"""What pages show of stored decodes: a small picture, and how many of them are damaged."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.text import as_text
from dream.data.content import MOST_PICTURE, read_data
from dream.data.samples import BadSample
from dream.data.transforms import BrokenPicture, read_image
from dream.errors import InputError
from workbench.store import StoredDecode, count_damaged
from workbench.workspace import open_workspace


def show_thumbnail(stored: StoredDecode, where: DeltaGenerator, width: int, alt: str) -> None:
    """Draws the small picture of a stored decode; words in its place if its file is damaged, nothing without one."""
    if stored.thumbnail is None:
        return
    try:
        content = read_data(stored.thumbnail, MOST_PICTURE)
        read_image(content, ("PNG",))
    except (OSError, InputError, BadSample, BrokenPicture):
        where.caption("Its small picture is damaged; the decode opens.")
        return
    where.image(content, alt=alt, width=width)


def show_damaged() -> None:
    """Says how many stored decodes are damaged, if any are."""
    here = open_workspace()
    if damaged := count_damaged(here):
        st.caption(f"{damaged} damaged folder(s) in {as_text(here.shown(here.decodes))} are left out.")
