"""Whose pictures the emoji are, wherever a page shows them or what was learned from them."""

from functools import cache

import streamlit as st

from dream.data.emoji.corpus import is_emoji
from dream.data.emoji.packages import NOTICE_FILE

CREDIT = "Learned from emoji of Microsoft (MIT), Google (Apache-2.0) and Twitter (CC BY 4.0)."


def show_credits(*sources: str) -> None:
    """Draws the credits in a fold if one of the sources, shown or learned from, is the emoji."""
    if not any(map(is_emoji, sources)):
        return
    with st.popover("Whose pictures these are", width="stretch", type="tertiary"):
        st.caption(CREDIT)
        st.code(_notice(), language=None, wrap_lines=True)


@cache
def _notice() -> str:
    return NOTICE_FILE.read_text(encoding="utf-8")
