"""The Trajectories page: candidates of a prompt next to each other, their scores, the choice, and what it was worth."""

from contextlib import suppress

import streamlit as st

from app.background import is_running, show_work, start_work, take_result
from app.credits import show_credits
from app.failures import guarded
from app.handing_over import handed
from app.keys import TRAJECTORIES
from app.links import LINKED
from app.player import show_player
from app.trajectories.controls import GO, WHOLE, RaceChoice, learned_from, read_controls, show_examples, take_settings
from app.trajectories.list import VIEW, render_list
from app.trajectories.many import STUDIED, STUDY, render_many
from app.trajectories.opened import first_visit, link_opened, take_linked
from app.trajectories.shown import PLAYER, SHOWN, show_stored
from dream.errors import InputError
from workbench.store import StoredDecode, open_stored
from workbench.trajectories.kept import paint_whole, prompts_of
from workbench.trajectories.race import Race, paint_race, race_data
from workbench.trajectories.shown import candidates_title
from workbench.workspace import open_workspace

RACE = TRAJECTORIES.name("race")
VIEWS = {"one": "One prompt", "many": "Many prompts", "stored": "Stored"}
URLS = TRAJECTORIES.name("urls")


def render() -> None:
    """Draws the page."""
    take_linked()
    _take_handed()
    st.title("Trajectories", anchor=False)
    st.caption(
        "Several candidates of one prompt; after some steps the model scores the *unfinished* pictures, and the best "
        "one continues."
    )
    _take_results()
    view = st.segmented_control(
        "View",
        list(VIEWS),
        format_func=VIEWS.__getitem__,
        default="one",
        key=VIEW,
        bind=LINKED,
        required=True,
        label_visibility="collapsed",
        help="Paint the candidates of one prompt, judge choosing over many prompts, or open stored results.",
    )
    if view == "stored":
        render_list()
    elif view == "one":
        first_visit(is_running(RACE))
        show_examples()
        _one(read_controls(True))
    else:
        render_many(read_controls(False))
    show_credits(*_shown_sources())
    link_opened()


def _shown_sources() -> set[str]:
    """What the models of the controls and of the opened results have learned from."""
    names = {str(st.session_state.get(TRAJECTORIES.input("model")) or "")}
    for id in filter(None, (st.session_state.get(key) for key in (SHOWN, STUDIED))):
        with suppress(InputError):  # deleted; the page says so
            names.add(str(open_stored(open_workspace(), id).about.get("model", "")))
    return {learned_from(name) for name in names - {""}}


def _take_handed() -> None:
    """Takes what another page handed over."""
    values = handed(TRAJECTORIES.page)
    take_settings(values.get("settings", {}), values.get("model", ""), values.get("prompt", ""))
    if values.get("paint"):
        st.session_state[GO] = st.session_state[WHOLE] = True
    if id := values.get("stored"):
        with guarded():
            many = prompts_of(open_stored(open_workspace(), id)) > 1
            st.session_state[STUDIED if many else SHOWN] = id
            st.session_state[VIEW] = "many" if many else "one"


def _take_results() -> None:
    """Shows what has just been finished."""
    for name, shown in ((RACE, SHOWN), (STUDY, STUDIED)):
        stored: StoredDecode | None = take_result(name)
        if stored is not None:
            st.session_state[shown] = stored.id


def _one(chosen: RaceChoice | None) -> None:
    if chosen is not None and chosen.go:
        here, paint = open_workspace(), paint_whole if chosen.whole else paint_race
        st.session_state[URLS] = {}
        start_work(RACE, lambda w: paint(w, chosen.opened, here, chosen.model, chosen.prompt, chosen.settings))
        st.rerun()
    running = show_work(
        RACE,
        _live,
        waiting="The first tokens are being painted ...",
        cancelled="Stopped before it was finished. Paint starts again.",
        every=0.25,
    ).running
    if not running:
        _show_last()


def _live(race: Race) -> None:
    """Draws the candidates and their lines so far, with the player that later plays them."""
    data = race_data(race, candidates_title(race), urls=st.session_state.setdefault(URLS, {}))
    show_player(data, PLAYER, events=())


def _show_last() -> None:
    id = st.session_state.get(SHOWN)
    if not id:
        st.info("Nothing is painted yet. Press one of the examples above, or Paint.")
        return
    with guarded():
        try:
            stored = open_stored(open_workspace(), id)
        except InputError:
            del st.session_state[SHOWN]  # deleted by another tab: said once
            raise
        show_stored(stored)


if __name__ == "__main__":  # Streamlit runs a page's file as __main__
    render()
