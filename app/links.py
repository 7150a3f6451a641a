"""What a page shows, in its address, so that a reload, a second tab or a colleague sees the same.

Widgets do it themselves: `bind=LINKED` and a key of `PageKeys.input`. This file serves what no widget holds, such as
the stored decode that is open.
"""

from typing import Final

import streamlit as st

LINKED: Final = "query-params"
"""Value of a widget's `bind`: its value stands in the address under the widget's key, unless it is the default."""


def linked(key: str) -> str:
    """The value in the address under a key; empty if there is none."""
    return str(st.query_params.get(key, ""))


def link(key: str, value: str) -> None:
    """Puts a value into the address under a key; an empty one takes it out."""
    if linked(key) == value:
        return
    if value:
        st.query_params[key] = value
    else:
        del st.query_params[key]
