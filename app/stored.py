"""What pages show of stored decodes: a small picture, and how many of them are damaged."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.text import as_text
from dream.errors import InputError
from workbench.store import StoredDecode, count_damaged, read_thumbnail
from workbench.workspace import open_workspace


def show_thumbnail(stored: StoredDecode, where: DeltaGenerator, width: int, alt: str) -> None:
    """Draws the small picture of a stored decode; words in its place if its file is damaged, nothing without one."""
    if stored.thumbnail is None:
        return
    try:
        where.image(read_thumbnail(stored.thumbnail), alt=alt, width=width)
    except InputError:
        where.caption("Its small picture is damaged; the decode opens.")


def show_damaged() -> None:
    """Says how many stored decodes are damaged, if any are."""
    here = open_workspace()
    if damaged := count_damaged(here):
        st.caption(f"{damaged} damaged folder(s) in {as_text(here.shown(here.decodes))} are left out.")
