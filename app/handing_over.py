"""Values that one page hands to another when it opens it."""

from typing import Any

import streamlit as st
from streamlit.navigation.page import Page

from app.keys import handed_key


def hand_over(page: str, **values: Any) -> None:
    """Opens the page of that address with these values, which it takes by calling `handed`."""
    st.session_state[handed_key(page)] = values
    switch_page(f"{page}/page.py")


def switch_page(page: str | Page) -> None:
    """Opens a page with an empty address, where Streamlit's own refuses to drop what widgets have put there."""
    st.switch_page(page, query_params={})


def handed(page: str) -> dict[str, Any]:
    """Values that another page left for this one; empty on the second call."""
    return st.session_state.pop(handed_key(page), {})
