"""The Trajectories page: candidates of a prompt next to each other, their scores, the choice, and what it was worth."""

import streamlit as st

from app.background import is_running, show_work, start_work, take_result
from app.failures import guarded
from app.figures import theme
from app.handing_over import handed
from app.keys import TRAJECTORIES
from app.trajectories.controls import RaceChoice, read_controls, take_settings
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

RACE = TRAJECTORIES.name("race")
VIEWS = {"one": "One prompt", "many": "Many prompts", "stored": "Stored"}


def render() -> None:
    """Draws the page."""
    _take_handed()
    st.title("Trajectories", anchor=False)
    st.markdown(
        "Several candidates of one prompt are painted at once. After some steps the model itself scores how "
        "well each *unfinished* picture fits the prompt, and only the best one continues: *Semantically Aligned "
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
        help="Paint the candidates of one prompt, judge choosing over many prompts, or open stored results.",
    )
    if view == "stored":
        render_list()
        return
    chosen = read_controls(view == "one", is_running(RACE))
    if view == "one":
        _one(chosen)
    else:
        render_many(chosen)


def _take_handed() -> None:
    """Takes what another page handed over."""
    values = handed(TRAJECTORIES.page)
    take_settings(values.get("settings", {}), values.get("model", ""), values.get("prompt", ""))
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
        here = open_workspace()
        start_work(RACE, lambda w: paint_race(w, chosen.opened, here, chosen.model, chosen.prompt, chosen.settings))
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
    """Draws the candidates and their lines so far."""
    st.html(gallery(race_tiles(race)))
    _lines(race)


def _lines(race: Race | None) -> None:
    figure = style.themed(plot_race(race), theme())
    key = TRAJECTORIES.action("live")
    st.plotly_chart(figure, key=key, theme=None, alt="Alignment of the candidates so far")


def _show_last() -> None:
    id = st.session_state.get(SHOWN)
    if not id:
        st.info(
            "Nothing is painted yet. Press one of the examples above (they take a second or two), or type a "
            "prompt of your own."
        )
        _lines(None)  # so that the chart's own script is loaded before it is needed
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
