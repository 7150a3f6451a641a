"""Many prompts on the Trajectories page: all their candidates are finished, and choosing is judged."""

import streamlit as st

from app.background import is_running, show_work, start_work
from app.failures import error_sentence, guarded
from app.figures import show_figure, theme
from app.trajectories.controls import PAGE, Asked, key, show_moment
from app.trajectories.shown import delete_choice, opened_finished, show_worth_table
from dream.decoding.selection import DecodeSettings
from dream.errors import InputError
from workbench.figures import style
from workbench.figures.trajectories import plot_worth
from workbench.store import StoredDecode, open_stored
from workbench.trajectories.finished import Finished
from workbench.trajectories.kept import MOST_PROMPTS, prompts_of, study
from workbench.trajectories.prompts import drawn_prompts, typed_prompts
from workbench.trajectories.shown import finished_tiles, gallery
from workbench.trajectories.worth import Worth, scored_index, what_is_seen_over, worth_by_step
from workbench.workspace import open_workspace

STUDY = "trajectories.study"
STUDIED = "trajectories.studied"
"""Session key: the id of the stored study that is looked at."""
TYPED = "a red circle on a white background\na green cross left of a blue square on a black background"


def render_many(asked: Asked | None) -> None:
    """The prompts to take, the study as it grows, and the finished one."""
    if asked is not None:
        _ask(asked)
    view = show_work(
        STUDY,
        _growing,
        waiting="The first prompts are being finished ...",
        cancelled="Stopped, so nothing was stored. Any prompts finished until then are shown below.",
        every=1.0,
    )
    if view.running:
        return
    if view.partial is not None and not view.failed:
        found, rows = view.partial
        _show(found, rows, asked.settings if asked else None, "stopped")
        return
    id = st.session_state.get(STUDIED)
    if not id:
        st.info(
            "One prompt is an anecdote. Here all candidates of many prompts are finished, so that choosing "
            "at each step can be judged, with its uncertainty. Thirty-two prompts take about half a minute "
            "on two quiet cores; what is there so far is shown on the way."
        )
        return
    with guarded():
        _studied(open_stored(open_workspace(), id))


def _ask(asked: Asked) -> None:
    state = st.session_state
    for name, value in (("from", "drawn"), ("count", 32), ("unseen", True), ("lines", TYPED)):
        state.setdefault(key(name), value)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = st.segmented_control(
            "Prompts",
            ["drawn", "typed"],
            key=key("from"),
            required=True,
            format_func={"drawn": "drawn shapes", "typed": "typed"}.__getitem__,
            help="Captions from the grammar of drawn shapes, which the judge can read, or your own.",
        )
        if source == "drawn":
            count = st.number_input("How many", 2, MOST_PROMPTS, key=key("count"), width=120, help="Different prompts.")
            unseen = st.toggle(
                "Unseen combinations",
                key=key("unseen"),
                help="Only shapes and colours that training never shows together.",
            )
    if source == "typed":
        lines = st.text_area(
            "One prompt a line",
            key=key("lines"),
            height=120,
            max_chars=100_000,
            help="Those that the grammar of drawn shapes can read are judged; all are scored.",
        )
    try:
        if source == "drawn":
            level = asked.opened.config.data.level
            prompts = drawn_prompts(level, int(count), asked.settings.seed, unseen)
        else:
            prompts = typed_prompts(lines)
    except InputError as error:
        st.warning(error_sentence(error))
        return
    pictures = len(prompts) * asked.settings.candidates
    here = open_workspace()
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        pressed = st.button(
            f"Finish {pictures:,} pictures",
            key=f"do.{PAGE}.study",
            type="primary",
            disabled=is_running(STUDY),
            help=f"{asked.settings.candidates} candidates of each of {len(prompts)} prompts.",
        )
        show_moment(asked.points, asked.settings)
    if pressed:
        start_work(STUDY, lambda w: study(w, asked.opened, here, asked.model, prompts, asked.settings))
        st.rerun()


def _growing(partial: tuple[Finished, list[Worth]]) -> None:
    found, rows = partial
    figure = style.themed(plot_worth(found, rows, title=f"{len(found.prompts)} prompts so far"), theme())
    st.plotly_chart(figure, key=f"do.{PAGE}.growing", theme=None, alt="What choosing is worth so far")


def _studied(stored: StoredDecode) -> None:
    found, _, _ = opened_finished(stored)
    settings = DecodeSettings.from_dict(stored.about["settings"])
    st.subheader(f"{prompts_of(stored)} prompts, {found.candidates} candidates each", anchor=False)
    s = settings
    st.caption(
        f"{stored.about['model']} · {s.steps} steps · guidance {s.guidance_scale:g} · temperature "
        f"{s.temperature:g} · seed {s.seed} · {stored.when}"
    )
    _show(found, None, settings, stored.id)
    with st.popover("Delete", help="Removes this study."):
        if st.button("Delete it for good", key=f"do.{PAGE}.study.delete", help="Cannot be undone."):
            delete_choice(stored.id)
            del st.session_state[STUDIED]
            st.rerun()


def _content(found: Finished) -> tuple[bytes, tuple[str, ...]]:
    return found.scores.tobytes(), found.prompts


@st.cache_data(max_entries=8, show_spinner=False, hash_funcs={Finished: _content})
def _rows(found: Finished, strict: bool) -> list[Worth]:
    return worth_by_step(found, strict)


def _show(found: Finished, rows: list[Worth] | None, settings: DecodeSettings | None, name: str) -> None:
    st.session_state.setdefault(key("strict"), True)
    strict = st.toggle(
        "Malformed pictures are wrong",
        key=key("strict"),
        help="Off: a ragged cross counts as the cross that it resembles. Only judged prompts are concerned.",
    )
    rows = _rows(found, strict)
    step = settings.select_steps[0] if settings and settings.select_steps else found.steps[0]
    index = scored_index(found, step)
    st.markdown(what_is_seen_over(found, rows, index, strict))
    judged = int(found.judged.sum())
    if judged < len(found.prompts):
        st.caption(f"{judged} of {len(found.prompts)} prompts are drawn shapes that the judge can read.")
    show_figure(
        plot_worth(found, rows, rows[index].decoded, strict, "What choosing is worth"),
        f"{PAGE}.many",
        name=f"{name}-worth",
        alt="Rank correlation, regret, AUC, share right and cost of choosing, by step",
    )
    show_worth_table(rows, name)
    _pictures(found, index)


def _pictures(found: Finished, index: int) -> None:
    """The finished candidates of one of the prompts."""
    count = len(found.pictures)
    if count < 2:
        return
    st.session_state[key("looked")] = min(st.session_state.get(key("looked"), 1), count)
    number = st.slider(
        "Prompt looked at",
        1,
        count,
        key=key("looked"),
        help="Its finished candidates, with final score and verdict; the one chosen there is marked.",
    )
    st.markdown(f"*{found.prompts[number - 1]}*")
    chosen = int(found.scores[index, number - 1].argmax())
    st.html(gallery(finished_tiles(found, number - 1, chosen), 88))
