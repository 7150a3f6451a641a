"""One stored choice of the Trajectories page: how it went, and what would have become of the others."""

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app.background import is_running, show_work, start_work
from app.failures import guarded
from app.figures import show_figure
from app.handing_over import hand_over
from app.models import pretrained
from app.player import show_player
from app.trajectories.controls import PAGE, take_settings
from app.trajectories.exports import show_race_exports
from dream.decoding.selection import DecodeSettings
from workbench.figures.trajectories import plot_race, plot_worth
from workbench.store import StoredDecode, delete_stored
from workbench.trajectories.finished import Finished, Opinion
from workbench.trajectories.kept import FILE, has_finished, open_finished, open_finished_race, what_if
from workbench.trajectories.race import Race, open_race, place_name
from workbench.trajectories.shown import all_finished, as_it_went, explained, finished_tiles, gallery, verdict
from workbench.trajectories.worth import (
    COLUMNS,
    Worth,
    random_regret,
    scored_index,
    worth_by_step,
    worth_csv,
    worth_table,
)
from workbench.workspace import open_workspace

FINISH = "trajectories.finish"
METRIC_WIDTH = 176
SHOWN = "trajectories.shown"
"""Session key: the id of the stored choice that is looked at."""


def show_stored(stored: StoredDecode) -> None:
    """A stored choice with its player, and below it what if all were finished."""
    race = _race(str(stored.path), stored.id)
    final = verdict(race)
    st.subheader(stored.prompt, anchor=False)
    st.caption(_settings_line(stored))
    _metrics(race, final)
    finished = has_finished(stored)
    everything = finished and _which(race)
    played = _player(stored, race, final, everything)
    _actions(stored, race, finished, played)
    if finished:
        _finished(stored, race)
    else:
        show_work(FINISH, identity=stored.id, cancelled="Stopped before all candidates were finished.")


@st.cache_resource(max_entries=16, show_spinner=False)
def _race(path: str, id: str) -> Race:
    return open_race(_stored(path, id))


@st.cache_resource(max_entries=16, show_spinner=False)
def _all(path: str, id: str, stamp: int) -> tuple[Finished, list[Worth], Race]:
    stored = _stored(path, id)
    found = open_finished(stored)
    return found, worth_by_step(found), open_finished_race(stored)


def opened_finished(stored: StoredDecode) -> tuple[Finished, list[Worth], Race]:
    """What was finished, what choosing at each step is worth, and the first prompt's race; read once."""
    return _all(str(stored.path), stored.id, (stored.path / FILE).stat().st_mtime_ns)


def _stored(path: str, id: str) -> StoredDecode:
    from workbench.store import open_stored

    assert Path(path).name == id
    return open_stored(open_workspace(), id)


def _settings_line(stored: StoredDecode) -> str:
    s = DecodeSettings.from_dict(stored.about["settings"])
    return (
        f"{stored.about['model']} · {s.candidates} candidates, {s.selection} · {s.steps} steps · "
        f"guidance {s.guidance_scale:g} · temperature {s.temperature:g} · seed {s.seed} · {stored.when}"
    )


def metric_places(count: int) -> list[Any]:
    """Places for so many numbers in a line, which wraps on a narrow page."""
    with st.container(horizontal=True, gap="small"):
        return [st.container(width=METRIC_WIDTH) for _ in range(count)]


def _metrics(race: Race, final: Opinion | None) -> None:
    columns = metric_places(5)
    chosen, choices = race.chosen, race.choices
    columns[0].metric("Chosen", f"no. {chosen}" if chosen >= 0 else "-", help="The candidate that went on.")
    if choices:
        i = choices[-1] if not race.redraws else choices[0]
        scores = np.sort(race.alignment[i][race.alive[i]])[::-1]
        where = place_name(race.steps[i], race.settings.steps, race.decoded[i])
        columns[1].metric("After step", f"{race.steps[i]} of {race.settings.steps}", help=where)
        columns[2].metric("Tokens decoded then", f"{100 * race.decoded[i]:.3g} %", help=where)
        columns[3].metric(
            "Alignment, lead",
            f"{scores[0]:.3f}, {scores[0] - scores[1]:+.3f}" if len(scores) > 1 else "-",
            help="Cosine of the chosen unfinished picture and the prompt; how far ahead of the next it was.",
        )
    columns[4].metric(
        "The judge says",
        str(final) if final else "-",
        help="Of the chosen finished picture; the judge knows drawn shapes of one or two things only.",
    )


def _which(race: Race) -> bool:
    """Whether all candidates are played, not only as far as they were painted."""
    labels = {"all": "all finished", "as it went": "as it went"}
    st.session_state.setdefault(f"in.{PAGE}.played", "all")
    shown = st.segmented_control(
        "Played",
        list(labels),
        format_func=labels.__getitem__,
        key=f"in.{PAGE}.played",
        required=True,
        label_visibility="collapsed",
        help="All candidates to their end, or the dropped ones only as far as they were painted.",
    )
    return shown == "all"


def _player(stored: StoredDecode, race: Race, final: Opinion | None, everything: bool) -> dict[str, Any]:
    stamp = (stored.path / FILE).stat().st_mtime_ns if everything else 0
    data = _played(stored, race, final, everything, stamp)
    show_player(data, f"{PAGE}.player", events=())
    return data


@st.cache_resource(
    max_entries=16, show_spinner=False, hash_funcs={StoredDecode: lambda s: str(s.path), Race: lambda race: 0}
)
def _played(stored: StoredDecode, race: Race, final: Opinion | None, everything: bool, stamp: int) -> dict[str, Any]:
    if not everything:
        return as_it_went(race, final)
    found, _, full = opened_finished(stored)
    return all_finished(race, found, full)


def _actions(stored: StoredDecode, race: Race, finished: bool, played: dict[str, Any]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if not finished:
            st.button(
                "What if all were finished?",
                key=f"do.{PAGE}.finish",
                type="primary",
                disabled=is_running(FINISH),
                on_click=_finish,
                args=(stored,),
                help="Finishes the dropped candidates too, judges them, and times it.",
            )
        if st.button(
            "Open the winner in Decode",
            key=f"do.{PAGE}.decode",
            disabled=race.chosen < 0,
            help="Step through the chosen picture there: order, attention, forks.",
        ):
            hand_over(
                "decode",
                model=stored.about["model"],
                prompt=stored.prompt,
                stored=stored.id,
                settings=stored.about["settings"],
            )
        st.button(
            "Take these settings",
            key=f"do.{PAGE}.take",
            on_click=take_settings,
            args=(stored.about["settings"], stored.about["model"], stored.prompt),
            help="Puts its prompt and settings into the controls above.",
        )
        show_race_exports(stored, played)
        with st.popover("Delete", help="Removes this stored choice."):
            st.button(
                "Delete it for good",
                key=f"do.{PAGE}.delete",
                on_click=delete_choice,
                args=(stored.id,),
                help="Cannot be undone.",
            )


def _finish(stored: StoredDecode) -> None:
    here = open_workspace()
    with guarded():
        opened = pretrained(here.model(stored.about["model"]))
        start_work(FINISH, lambda running: what_if(running, opened, here, stored), identity=stored.id)


def delete_choice(id: str) -> None:
    """Deletes a stored choice and shows it no longer."""
    with guarded():
        delete_stored(open_workspace(), id)
    if st.session_state.get(SHOWN) == id:
        del st.session_state[SHOWN]


def _finished(stored: StoredDecode, race: Race) -> None:
    found, rows, full = opened_finished(stored)
    first = race.choices[0] if race.choices else 0
    index = scored_index(found, race.steps[first])
    st.subheader("What if all were finished", anchor=False)
    st.markdown(explained(found, race, index))
    _worth_metrics(found, rows[index])
    st.html(gallery(finished_tiles(found, 0, -1 if race.redraws else race.chosen)))
    show_figure(
        plot_worth(found, rows, rows[index].decoded),
        f"{PAGE}.worth",
        name=f"{stored.id}-worth",
        alt="Rank correlation, regret and cost of choosing at each step, over the share of tokens decoded",
    )
    with st.expander("All lines as a figure, and the numbers"):
        show_figure(
            plot_race(full, "Alignment of all candidates to the end"),
            f"{PAGE}.lines",
            name=f"{stored.id}-alignment",
            alt="Alignment of every candidate by decoded share",
        )
        show_worth_table(rows, stored.id)


def _worth_metrics(found: Finished, row: Worth) -> None:
    columns = metric_places(5)
    columns[0].metric(
        "Rank correlation", _number(row.rank.value), help="Spearman's, of the scores there and at the end."
    )
    columns[1].metric(
        "Regret (cosine)",
        _number(row.regret.value),
        help=f"Best final score less the chosen one's; a random one's is {random_regret(found):.3f}.",
    )
    columns[2].metric(
        "AUC",
        _number(row.auc.value) if row.auc else "-",
        help=("How well the score there tells right from wrong ones; none where all are right or all wrong."),
    )
    columns[3].metric(
        "Time, chosen there",
        f"{row.seconds:.2f} s",
        help=f"Measured: all {found.candidates} up to there, then one; {row.slower:.2f} times a plain "
        f"picture. Counted in steps it is {row.picture_steps:.2f} times.",
    )
    columns[4].metric(
        "Time, all or one",
        f"{row.seconds_all:.2f} or {row.seconds_plain:.2f} s",
        help="Finishing all, and painting a single picture without a choice; measured once, on this machine "
        "as busy as it was.",
    )


def show_worth_table(rows: list[Worth], name: str) -> None:
    """The numbers behind the figure, with their download."""
    cells = worth_table(rows)
    st.dataframe({n: [row[i] for row in cells] for i, n in enumerate(COLUMNS)}, hide_index=True, key=f"do.{PAGE}.table")
    st.download_button(
        "Table as CSV",
        data=worth_csv(rows),
        file_name=f"{name}.csv",
        mime="text/csv",
        on_click="ignore",
        key=f"do.{PAGE}.csv",
        help="A row a step; low and high are the ends of 95 % intervals over prompts.",
    )


def _number(value: float) -> str:
    return f"{value:.3f}" if value == value else "-"
