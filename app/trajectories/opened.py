"""Which stored results are open on the Trajectories page: those of the address, or the latest race at first."""

import streamlit as st

from app.keys import TRAJECTORIES
from app.links import link, linked
from app.trajectories.controls import take_example
from app.trajectories.many import STUDIED
from app.trajectories.shown import SHOWN
from workbench.store import list_stored
from workbench.trajectories.kept import prompts_of
from workbench.trajectories.race import KIND
from workbench.workspace import open_workspace

OPENED = TRAJECTORIES.name("opened")
"""Session key: there once the page was opened in this tab."""
VISITED = TRAJECTORIES.name("visited")
"""Session key: there once the view of one prompt was opened in this tab."""
LINKS = {SHOWN: TRAJECTORIES.input("shown"), STUDIED: TRAJECTORIES.input("studied")}
"""Keys in the address of the stored results that are open."""


def take_linked() -> None:
    """Takes what the address names, when the page is opened in a new tab."""
    if OPENED in st.session_state:
        return
    st.session_state[OPENED] = True
    for key, name in LINKS.items():
        if id := linked(name):
            st.session_state[key] = id


def link_opened() -> None:
    """Puts what is open into the address."""
    for key, name in LINKS.items():
        link(name, st.session_state.get(key, ""))


def first_visit(busy: bool) -> None:
    """Opens the latest race of the workspace, or asks for the first example, if nothing else was asked for."""
    state = st.session_state
    if VISITED in state:
        return
    state[VISITED] = True
    asked = [str(name) for name in (*state, *st.query_params) if str(name).startswith(TRAJECTORIES.inputs)]
    if busy or SHOWN in state or set(asked) - {TRAJECTORIES.input("view")}:
        return
    races = (one for one in list_stored(open_workspace(), KIND, "") if prompts_of(one) == 1)
    latest = next(races, None)
    if latest is not None:
        state[SHOWN] = latest.id
    else:
        take_example(0)
