"""Keys of the session: how each kind of them begins, in one place.

Keys of widgets that hold a user's input begin with `in.` and outlive a change of page; keys of buttons,
uploads and charts begin with `do.`.
"""

import streamlit as st

INPUT = "in."
"""Prefix of the keys of widgets whose values outlive a change of page."""
SAVE = "save-"
"""Prefix of the keys of the containers that hold a figure's downloads; they lie on its lower right corner."""
HANDED = "handed."
"""Prefix of the keys under which one page leaves values for another."""
LARGEST_SEED = 2**53 - 1
"""Largest seed of a number field: the browser's numbers are exact up to here."""


def keep_inputs() -> None:
    """Keeps what widgets of other pages hold; Streamlit forgets it otherwise when the page changes."""
    for key in list(st.session_state):
        if str(key).startswith(INPUT):
            st.session_state[key] = st.session_state[key]
