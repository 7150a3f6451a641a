"""Whose pictures the emoji are, wherever a page shows them or what was learned from them."""

from functools import cache

import streamlit as st

from dream.data.emoji.packages import NOTICE_FILE

CREDIT = "Learned from emoji of Microsoft (MIT), Google (Apache-2.0) and Twitter (CC BY 4.0)."


def show_credits() -> None:
    """Draws the line of credits, and the whole notice in a fold."""
    with st.popover("Whose pictures these are", width="stretch", type="tertiary"):
        st.caption(CREDIT)
        st.code(_notice(), language=None, wrap_lines=True)


@cache
def _notice() -> str:
    return NOTICE_FILE.read_text(encoding="utf-8")
