"""Semantically Aligned Decoding live: candidates side by side, their scores, the choice, and what if not."""

import streamlit as st

from app.background import is_running, show_work, start_work, take_result
from app.failures import guarded
from app.figures import theme
from app.handing_over import handed
from app.trajectories.controls import PAGE, Asked, read_controls, take_settings
from app.trajectories.list import VIEW, render_list
from app.trajectories.many import STUDIED, STUDY, render_many
from app.trajectories.shown import SHOWN, show_stored
from dream.errors import InputError
from workbench.figures import style
from workbench.figures.trajectories import plot_race
from workbench.store import StoredDecode, open_stored
from workbench.trajectories.kept import prompts_of
from workbench.trajectories.race import Race, paint_race
from workbench.trajectories.shown import gallery, race_tiles
from workbench.workspace import open_workspace

RACE = "trajectories.race"
VIEWS = {"one": "One prompt", "many": "Many prompts", "stored": "StoredDecode"}


def render() -> None:
    """Show the page."""
    _take_handed()
    st.title("Trajectories", anchor=False)
    st.markdown(
        "Several tries of one prompt are painted side by side. After some steps the model itself says how "
        "well each *unfinished* picture fits the prompt, and only the best goes on: *Semantically Aligned "
        "Decoding*."
    )
    _take_results()
    st.session_state.setdefault(VIEW, "one")
    view = st.segmented_control(
        "View",
        list(VIEWS),
        format_func=VIEWS.__getitem__,
        key=VIEW,
        required=True,
        label_visibility="collapsed",
        help="One race to watch, many to judge choosing by, or those kept.",
    )
    if view == "stored":
        render_list()
        return
    asked = read_controls(view == "one", is_running(RACE))
    if view == "one":
        _one(asked)
    else:
        render_many(asked)


def _take_handed() -> None:
    """What another page sent here."""
    given = handed(PAGE)
    take_settings(given.get("settings", {}), given.get("model", ""), given.get("prompt", ""))
    if id := given.get("stored"):
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


def _one(asked: Asked | None) -> None:
    if asked is not None and asked.go:
        here = open_workspace()
        start_work(RACE, lambda w: paint_race(w, asked.opened, here, asked.model, asked.prompt, asked.settings))
        st.rerun()
    running = show_work(
        RACE,
        _live,
        waiting="The first tokens are being painted ...",
        cancelled="Stopped before it was finished, so nothing was stored. Paint starts again.",
        every=0.2,
    ).running
    if not running:
        _show_last()


def _live(race: Race) -> None:
    """The candidates and their lines as they grow."""
    st.html(gallery(race_tiles(race)))
    _lines(race)


def _lines(race: Race | None) -> None:
    figure = style.themed(plot_race(race), theme())
    st.plotly_chart(figure, key=f"do.{PAGE}.live", theme=None, alt="Alignment of the candidates so far")


def _show_last() -> None:
    id = st.session_state.get(SHOWN)
    if not id:
        st.info(
            "Nothing is painted yet. Start with one of the examples above (they take a second or two), or "
            "with a prompt of your own."
        )
        _lines(None)  # so that the chart's own script is here before it is needed
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
