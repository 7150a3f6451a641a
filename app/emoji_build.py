"""The button that builds the emoji, on every page that could show them."""

import streamlit as st

from app.background import is_running, show_work, start_work, take_result
from app.credits import show_credits
from app.keys import action_key
from dream.data.emoji.build import build_emoji
from dream.data.emoji.corpus import SOURCE, is_emoji
from dream.data.emoji.table import table_path
from workbench.work import Work

BUILD = "emoji.build"
"""Name of the work."""


def emoji_missing(source: str) -> bool:
    """Whether a source is the emoji, and these are not built on this machine."""
    return is_emoji(source.strip()) and not table_path().is_file()


def offer_emoji() -> None:
    """Draws what the emoji are and the button that builds them; its progress while it works."""
    if take_result(BUILD) is not None:
        st.rerun()
    with st.container(border=True):
        st.markdown(
            "**Emoji: 1,900 things in the styles of six artists, 10,681 captioned pictures.** They are drawn on this "
            "machine from the artists' own packages: once, about three minutes, 80 MB through npm. Nothing else is "
            "sent or fetched."
        )
        if not is_running(BUILD):
            key = action_key(BUILD, "go")
            if st.button("Build the emoji", key=key, type="primary", help="Fetches the packages and draws them."):
                start_work(BUILD, _build)
                st.rerun()
        show_work(BUILD, cancelled="The emoji were not built: it was cancelled, and nothing was written.")
        show_credits(SOURCE)


def _build(work: Work[str]) -> str:
    return str(build_emoji(report=work.tell))
