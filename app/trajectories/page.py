"""Semantically Aligned Decoding live: candidates side by side, their scores, the choice, and what if not."""

import streamlit as st

from app.background import follow, start_work, work
from app.failures import guarded, show_failure
from app.figures import theme
from app.handing_over import handed
from app.trajectories.controls import PAGE, Asked, read_controls, take_settings
from app.trajectories.list import VIEW, render_list
from app.trajectories.many import STUDIED, render_many, take_study
from app.trajectories.shown import SHOWN, show_stored
from dream.errors import InputError
from workbench.figures import style
from workbench.figures.trajectories import plot_race
from workbench.store import StoredDecode, open_stored
from workbench.trajectories.kept import prompts_of
from workbench.trajectories.race import Race, paint_race
from workbench.trajectories.shown import gallery, race_tiles
from workbench.work import Work
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
    running = work(RACE)
    asked = read_controls(view == "one", running is not None and running.running)
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
    """Looks at what has just been finished, once."""
    take_study()
    running = work(RACE)
    if running is None or not isinstance(running.result, StoredDecode):
        return
    if st.session_state.get("trajectories.shown.taken") != running.result.id:
        st.session_state["trajectories.shown.taken"] = st.session_state[SHOWN] = running.result.id


def _one(asked: Asked | None) -> None:
    running = work(RACE)
    if asked is not None and asked.go:
        here = open_workspace()
        start_work(RACE, lambda w: paint_race(w, asked.opened, here, asked.model, asked.prompt, asked.settings))
        st.rerun()
    if running is not None and running.running:
        follow(RACE, _live, every=0.2)
        return
    if running is not None and running.state == "failed" and running.error is not None:
        show_failure(running.error)
    elif running is not None and running.state == "cancelled":
        st.info("Stopped before it was finished, so nothing was stored. Paint starts anew.")
    _show_last()


def _live(running: Work) -> None:
    """The candidates and their lines as they grow."""
    if running.partial is None:
        st.caption("The first tokens are being painted ...")
        return
    st.html(gallery(race_tiles(running.partial)))
    _lines(running.partial)


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
