"""Values handed from one page to the next."""

from typing import Any

import streamlit as st

from app.keys import HANDED


def hand_over(page: str, **values: Any) -> None:
    """Opens the page of that address with these values, which it takes with `handed`."""
    st.session_state[HANDED + page] = values
    st.switch_page(f"{page}/page.py")


def handed(page: str) -> dict[str, Any]:
    """What another page left for this one; empty the second time."""
    return st.session_state.pop(HANDED + page, {})
