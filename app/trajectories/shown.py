"""One stored choice on the Trajectories page: its player, its numbers, and what can be done with it."""

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app.background import is_running, show_work, start_work
from app.failures import guarded
from app.handing_over import hand_over
from app.keys import TRAJECTORIES
from app.models import pretrained
from app.player import show_player
from app.trajectories.controls import take_settings
from app.trajectories.exports import show_race_exports
from app.trajectories.what_if import metric_columns, opened_finished, show_finished
from dream.decoding.selection import DecodeSettings
from workbench.reading import remark_html, stored_remark
from workbench.store import StoredDecode, delete_stored, open_stored
from workbench.trajectories.finished import Opinion
from workbench.trajectories.kept import FILE, has_finished, what_if
from workbench.trajectories.race import Race, open_race, place_name
from workbench.trajectories.shown import all_finished, as_it_went, verdict
from workbench.workspace import open_workspace

FINISH = TRAJECTORIES.name("finish")
PLAYED = TRAJECTORIES.input("played")
SHOWN = TRAJECTORIES.name("shown")
"""Session key: id of the stored choice that is shown."""


def show_stored(stored: StoredDecode) -> None:
    """Draws a stored choice with its player, and below it the comparison with finishing all candidates."""
    race = _race(str(stored.path), stored.id)
    final = verdict(race)
    st.subheader(stored.prompt, anchor=False)
    st.caption(_settings_line(stored))
    if said := stored_remark(stored.about):
        st.html(remark_html([said]))
    _metrics(race, final)
    finished = has_finished(stored)
    everything = finished and _plays_all()
    played = _player(stored, race, final, everything)
    _actions(stored, race, finished, played)
    if finished:
        show_finished(stored, race)
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
    s = DecodeSettings.from_dict(stored.about["settings"])
    return (
        f"{stored.about['model']} · {s.candidates} candidates, {s.selection} · {s.steps} steps · "
        f"guidance {s.guidance_scale:g} · temperature {s.temperature:g} · seed {s.seed} · {stored.when}"
    )


def _metrics(race: Race, final: Opinion | None) -> None:
    columns = metric_columns(5)
    chosen, choices = race.chosen, race.choices
    columns[0].metric("Chosen", f"no. {chosen}" if chosen >= 0 else "-", help="The candidate that continued.")
    if choices:
        i = choices[-1] if not race.redraws else choices[0]
        scores = np.sort(race.alignment[i][race.alive[i]])[::-1]
        where = place_name(race.steps[i], race.settings.steps, race.decoded[i])
        columns[1].metric("After step", f"{race.steps[i]} of {race.settings.steps}", help=where)
        columns[2].metric("Tokens decoded then", f"{100 * race.decoded[i]:.3g} %", help=where)
        columns[3].metric(
            "Alignment, lead",
            f"{scores[0]:.3f}, {scores[0] - scores[1]:+.3f}" if len(scores) > 1 else "-",
            help="Cosine of the chosen unfinished picture and the prompt, and its lead over the second best.",
        )
    columns[4].metric(
        "Judge's verdict",
        str(final) if final else "-",
        help="On the chosen finished picture. The judge knows only drawn shapes, one or two per picture.",
    )


def _plays_all() -> bool:
    """Draws the choice of what is played; returns whether it is all candidates, each to its end."""
    labels = {"all": "all finished", "as it went": "as it went"}
    st.session_state.setdefault(PLAYED, "all")
    played = st.segmented_control(
        "Playback",
        list(labels),
        format_func=labels.__getitem__,
        key=PLAYED,
        required=True,
        label_visibility="collapsed",
        help="All candidates to their end, or the dropped ones only up to the choice.",
    )
    return played == "all"


def _player(stored: StoredDecode, race: Race, final: Opinion | None, everything: bool) -> dict[str, Any]:
    stamp = (stored.path / FILE).stat().st_mtime_ns if everything else 0
    data = _player_data(stored, race, final, everything, stamp)
    show_player(data, TRAJECTORIES.name("player"), events=())
    return data


@st.cache_resource(
    max_entries=16, show_spinner=False, hash_funcs={StoredDecode: lambda s: str(s.path), Race: lambda race: 0}
)
def _player_data(
    stored: StoredDecode, race: Race, final: Opinion | None, everything: bool, stamp: int
) -> dict[str, Any]:
    if not everything:
        return as_it_went(race, final)
    finished, _, full = opened_finished(stored)
    return all_finished(race, finished, full)


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
