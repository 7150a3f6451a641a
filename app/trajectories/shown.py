"""One stored choice on the Trajectories page: its player, its numbers, and what can be done with it."""

from pathlib import Path
from typing import Any

import streamlit as st

from app.background import is_running, show_work, start_work
from app.failures import guarded
from app.handing_over import hand_over
from app.keys import TRAJECTORIES
from app.links import LINKED, link, linked
from app.models import pretrained
from app.player import show_player
from app.text import as_text
from app.trajectories.controls import take_settings
from app.trajectories.exports import show_race_exports
from app.trajectories.how_often import show_how_often
from app.trajectories.what_if import opened_finished, show_choice_numbers
from dream.decoding.settings import DecodeSettings
from workbench.reading import remark_html, stored_remark
from workbench.store import StoredDecode, delete_stored, open_stored
from workbench.trajectories.kept import FILE, has_finished, what_if
from workbench.trajectories.prompts import example_of
from workbench.trajectories.race import Race, open_race
from workbench.trajectories.shown import all_finished, as_it_went, settings_words, verdict
from workbench.workspace import open_workspace

FINISH = TRAJECTORIES.name("finish")
PLAYER = TRAJECTORIES.name("player")
"""Name of the player, of what is painted and of what is stored."""
SHOWN = TRAJECTORIES.name("shown")
"""Session key: id of the stored choice that is shown."""
PLACE = TRAJECTORIES.name("place")
"""Session key: id of the race in the player, and the indices of its step and of the reader's moment of choice."""
STEP, CHOICE = TRAJECTORIES.input("step"), TRAJECTORIES.input("choice")
"""Keys in the address of the player's step, and of the step after which the reader chooses."""


def show_stored(stored: StoredDecode) -> None:
    """Draws a stored choice with its player; once all candidates are finished, the moment of the choice can move."""
    race = _race(str(stored.path), stored.id)
    st.subheader(as_text(stored.prompt), anchor=False)
    st.caption(as_text(_settings_line(stored)))
    if example := example_of(stored.about["model"], stored.prompt, stored.about["settings"]):
        st.markdown(f"**{example.name}.** {as_text(example.what)}")
    if said := stored_remark(stored.about):
        st.html(remark_html([said]))
    finished = has_finished(stored)
    stamp = (stored.path / FILE).stat().st_mtime_ns if finished else 0
    data = _player_data(stored, race, finished, stamp)
    _play(stored.id, data)
    _actions(stored, race, finished, data)
    show_how_often(stored, race)
    if finished:
        numbers = st.expander(
            "Numbers at every step", key=TRAJECTORIES.input("numbers"), on_change="rerun", bind=LINKED
        )
        if numbers.open:
            with numbers:
                show_choice_numbers(stored, race)
    else:
        show_work(FINISH, identity=stored.id, cancelled="Stopped before all candidates were finished.")


def delete_choice(id: str) -> None:
    """Deletes a stored choice and stops showing it."""
    with guarded():
        delete_stored(open_workspace(), id)
    if st.session_state.get(SHOWN) == id:
        del st.session_state[SHOWN]


@st.cache_resource(max_entries=16, show_spinner=False)
def _race(path: str, id: str) -> Race:
    assert Path(path).name == id
    return open_race(open_stored(open_workspace(), id))


def _settings_line(stored: StoredDecode) -> str:
    settings = DecodeSettings.from_dict(stored.about["settings"])
    return " · ".join([stored.about["model"], *settings_words(settings), stored.when])


@st.fragment
def _play(id: str, data: dict[str, Any]) -> None:
    """Draws the player; its step and its moment of choice stand in the address."""
    state = st.session_state
    if PLACE not in state:  # a new tab: as the address says
        state[PLACE] = (id, _index(data, STEP), _index(data, CHOICE))
    elif state[PLACE][0] != id:
        state[PLACE] = (id, None, None)
    _, step, choice = state[PLACE]
    choose = data.get("choose")
    given = {**data, "at": step}
    if choose and choice is not None:
        given["choose"] = {**choose, "now": choice}
    event = show_player(given, PLAYER, events=("step", "choose"))
    if event is not None:
        step, choice = (event["index"], choice) if event["kind"] == "step" else (step, event["index"])
        state[PLACE] = (id, step, choice)
    for key, index, usual in ((STEP, step, len(data["steps"]) - 1), (CHOICE, choice, choose and choose["at"])):
        link(key, "" if index in (None, usual) else str(data["steps"][index]["step"]))


def _index(data: dict[str, Any], key: str) -> int | None:
    """Index of the step that the address names under a key; None if it names none of this race's."""
    return next((i for i, step in enumerate(data["steps"]) if str(step["step"]) == linked(key)), None)


@st.cache_resource(
    max_entries=16, show_spinner=False, hash_funcs={StoredDecode: lambda s: str(s.path), Race: lambda race: 0}
)
def _player_data(stored: StoredDecode, race: Race, whole: bool, stamp: int) -> dict[str, Any]:
    if not whole:
        return as_it_went(race, verdict(race))
    finished, rows, full = opened_finished(stored)
    return all_finished(race, finished, full, rows)


def _actions(stored: StoredDecode, race: Race, finished: bool, played: dict[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if not finished:
            st.button(
                "Finish all candidates",
                key=TRAJECTORIES.action("finish"),
                type="primary",
                disabled=is_running(FINISH),
                on_click=_finish,
                args=(stored,),
                help="Finishes the dropped candidates too, judges them, and measures the time.",
            )
        if st.button(
            "Open the winner in Decode",
            key=TRAJECTORIES.action("decode"),
            disabled=race.chosen < 0,
            help="Steps through the chosen picture there: order, attention, forks.",
        ):
            hand_over(
                "decode",
                model=stored.about["model"],
                prompt=stored.prompt,
                stored=stored.id,
                settings=stored.about["settings"],
            )
        st.button(
            "Use these settings",
            key=TRAJECTORIES.action("take"),
            on_click=take_settings,
            args=(stored.about["settings"], stored.about["model"], stored.prompt),
            help="Puts its prompt and settings into the controls above.",
        )
        show_race_exports(stored, played)
        with st.popover("Delete", help="Asks for confirmation first."):
            st.button(
                "Delete permanently",
                key=TRAJECTORIES.action("delete"),
                on_click=delete_choice,
                args=(stored.id,),
                help="Cannot be undone.",
            )


def _finish(stored: StoredDecode) -> None:
    here = open_workspace()
    with guarded():
        opened = pretrained(here.model(stored.about["model"]))
        start_work(FINISH, lambda running: what_if(running, opened, here, stored), identity=stored.id)
