"""Many prompts on the Trajectories page: all their candidates are finished, to judge choosing among them."""

from typing import Any

import streamlit as st

from app.background import is_running, show_work, start_work
from app.failures import error_sentence, guarded
from app.figures import show_panels
from app.keys import TRAJECTORIES
from app.links import LINKED
from app.number_fields import NumberFields
from app.reading import show_reading
from app.text import as_text
from app.trajectories.controls import RaceChoice, learned_from, show_moment
from app.trajectories.shown import delete_choice
from app.trajectories.what_if import opened_finished, show_worth_table
from dream.data.emoji.corpus import SOURCE as EMOJI
from dream.data.emoji.corpus import is_emoji
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from workbench.figures.trajectories import plot_worth
from workbench.prompts import example_prompts
from workbench.store import StoredDecode, open_stored
from workbench.trajectories.finished import Finished
from workbench.trajectories.gain import gain_html, gain_of
from workbench.trajectories.kept import MOST_PROMPTS, prompts_of, study
from workbench.trajectories.prompts import drawn_prompts, typed_prompts
from workbench.trajectories.shown import finished_tiles, gallery
from workbench.trajectories.worth import Worth, scored_index, what_is_seen_over, worth_by_step
from workbench.workspace import open_workspace

STUDY = TRAJECTORIES.name("study")
STUDIED = TRAJECTORIES.name("studied")
"""Session key: id of the stored study that is shown."""
TYPED = "a red circle on a white background\na green cross left of a blue square on a black background"

_key = TRAJECTORIES.input


def render_many(chosen: RaceChoice | None) -> None:
    """Draws the choice of prompts, the study as it grows, and the finished one."""
    if chosen is not None:
        _choose_prompts(chosen)
    view = show_work(
        STUDY,
        _growing,
        waiting="The first prompts are being finished ...",
        cancelled="Stopped, so nothing was stored. Prompts finished until then are shown below.",
        every=1.0,
    )
    if view.running:
        return
    if view.partial is not None and not view.failed:
        _show(view.partial[0], chosen.settings if chosen else None, "stopped")
        return
    id = st.session_state.get(STUDIED)
    if not id:
        st.info(
            "One prompt is an anecdote. This finishes all candidates of many prompts, to judge choosing at "
            "each step, with its uncertainty. Thirty-two prompts take about half a minute on two idle cores; "
            "results appear as they arrive."
        )
        return
    with guarded():
        _studied(open_stored(open_workspace(), id))


def _choose_prompts(chosen: RaceChoice) -> None:
    try:
        prompts = _prompts(chosen)
    except InputError as error:
        st.warning(error_sentence(error))
        return
    pictures, here = len(prompts) * chosen.settings.candidates, open_workspace()
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        pressed = st.button(
            f"Finish {pictures:,} pictures",
            key=TRAJECTORIES.action("study"),
            type="primary",
            disabled=is_running(STUDY),
            help=f"Paints {chosen.settings.candidates} candidates for each of {len(prompts)} prompts.",
        )
        show_moment(chosen.points, chosen.settings)
    if pressed:
        start_work(STUDY, lambda w: study(w, chosen.opened, here, chosen.model, prompts, chosen.settings))
        st.rerun()


def _prompts(chosen: RaceChoice) -> list[str]:
    """Draws the choice of prompts and returns them. Raises InputError for too few or too many."""
    row, usual = st.container(horizontal=True, vertical_alignment="bottom"), _usual_lines(chosen)
    choices = ["drawn", "typed"] if usual == TYPED else ["typed"]
    if st.session_state.get(_key("from"), choices[0]) not in choices:
        del st.session_state[_key("from")]  # that of another model
    with row:
        source = st.segmented_control(
            "Prompts",
            choices,
            default=choices[0],
            key=_key("from"),
            bind=LINKED,
            required=True,
            format_func={"drawn": "drawn shapes", "typed": "typed"}.__getitem__,
            help="Captions from the grammar of drawn shapes, which the judge can read, or your own.",
        )
        if source == "drawn":
            fields = NumberFields()
            options: dict[str, Any] = {"value": 32, "bind": LINKED, "width": 150, "help": "All are different."}
            count = fields.whole(row, "Number of prompts", 2, MOST_PROMPTS, key=_key("count"), **options)
            unseen = st.toggle(
                "Unseen combinations",
                True,
                key=_key("unseen"),
                bind=LINKED,
                help="Only combinations of shape and colour that training never shows.",
            )
    if source == "drawn":
        fields.require()
        return drawn_prompts(chosen.opened.config.data.level, count, chosen.settings.seed, unseen)
    lines = st.text_area(
        "One prompt per line",
        usual,
        key=_key("lines"),
        bind=LINKED,
        height=120,
        max_chars=100_000,
        help="All are scored; captions of drawn shapes and of emoji are also judged.",
    )
    prompts = typed_prompts(lines)
    show_reading(open_workspace().model(chosen.model), prompts)
    return prompts


def _usual_lines(chosen: RaceChoice) -> str:
    """Prompts that the model of the emoji knows, or such of drawn shapes, in the place of those of another model."""
    source = learned_from(chosen.model)
    emoji = "\n".join(example_prompts(EMOJI).values())
    usual = emoji if is_emoji(source) else TYPED
    if st.session_state.get(_key("lines")) in {emoji, TYPED} - {usual}:
        st.session_state[_key("lines")] = usual
    return usual


def _growing(partial: tuple[Finished, list[Worth]]) -> None:
    finished, rows = partial
    st.caption(f"{len(finished.prompts)} prompts so far")
    gains = [gain for row in rows[len(rows) // 3 : len(rows) // 3 + 1] if (gain := gain_of(finished, row))]
    for gain in gains:
        st.html(gain_html(gain))
    st.html(gallery(finished_tiles(finished, len(finished.pictures) - 1, -1), 88))


def _studied(stored: StoredDecode) -> None:
    finished, _, _ = opened_finished(stored)
    settings = DecodeSettings.from_dict(stored.about["settings"])
    st.subheader(f"{prompts_of(stored)} prompts, {finished.candidates} candidates each", anchor=False)
    st.caption(
        f"{as_text(stored.about['model'])} · {settings.steps} steps · guidance {settings.guidance_scale:g} · "
        f"temperature {settings.temperature:g} · seed {settings.seed} · {stored.when}"
    )
    _show(finished, settings, stored.id)
    with st.popover("Delete", help="Asks for confirmation first."):
        if st.button("Delete permanently", key=TRAJECTORIES.action("study", "delete"), help="Cannot be undone."):
            delete_choice(stored.id)
            del st.session_state[STUDIED]
            st.rerun()


def _content(finished: Finished) -> tuple[bytes, tuple[str, ...]]:
    return finished.scores.tobytes(), finished.prompts


@st.cache_data(max_entries=8, show_spinner=False, hash_funcs={Finished: _content})
def _rows(finished: Finished, strict: bool) -> list[Worth]:
    return worth_by_step(finished, strict)


def _show(finished: Finished, settings: DecodeSettings | None, name: str) -> None:
    strict = st.toggle(
        "Malformed pictures are wrong",
        True,
        key=_key("strict"),
        bind=LINKED,
        help="Off: a malformed cross counts as a cross. Affects judged prompts only.",
    )
    rows = _rows(finished, strict)
    step = settings.select_steps[0] if settings and settings.select_steps else finished.steps[0]
    _choose(finished, rows, scored_index(finished, step), strict)
    judged = int(finished.judged.sum())
    if judged < len(finished.prompts):
        st.caption(f"{judged} of {len(finished.prompts)} prompts are captions that a judge knows.")
    numbers = st.expander("Numbers at every step", key=_key("numbers"), on_change="rerun", bind=LINKED)
    if not numbers.open:
        return
    with numbers:
        show_panels(
            plot_worth(finished, rows, None, strict, "What choosing is worth"),
            TRAJECTORIES.name("many"),
            name=f"{name}-worth",
            alt="Rank correlation, regret, AUC, share right and cost of choosing, by step",
        )
        show_worth_table(rows, name)


@st.fragment
def _choose(finished: Finished, rows: list[Worth], index: int, strict: bool) -> None:
    """Draws the moment of the choice, what choosing there gives, and the candidates of one prompt."""
    of = finished.settings.steps
    names = {
        step: f"step {step} of {of}, {100 * rows[i].decoded:.3g} % of the tokens"
        for i, step in enumerate(finished.steps)
    }
    if len(names) > 1:
        if st.session_state.get(_key("choose")) not in (None, *names):
            del st.session_state[_key("choose")]  # of another study
        step = st.select_slider(
            "Choose after",
            list(names),
            finished.steps[index],
            format_func=names.__getitem__,
            key=_key("choose"),
            bind=LINKED,
            help="When candidates are compared: early is cheap, late is reliable.",
        )
        index = finished.steps.index(step)
    if (gain := gain_of(finished, rows[index], strict)) is not None:
        st.html(gain_html(gain))
    st.caption(as_text(what_is_seen_over(finished, rows, index, strict)))
    _pictures(finished, index)


def _pictures(finished: Finished, index: int) -> None:
    """Draws the finished candidates of one of the prompts."""
    count = len(finished.pictures)
    if count < 2:
        return
    st.session_state[_key("looked")] = min(st.session_state.get(_key("looked"), 1), count)
    number = st.slider(
        "Prompt shown",
        1,
        count,
        key=_key("looked"),
        bind=LINKED,
        help="Its finished candidates, with final score and the judge's verdict; the chosen one is marked.",
    )
    st.markdown(f"*{as_text(finished.prompts[number - 1])}*")
    chosen = int(finished.scores[index, number - 1].argmax())
    st.html(gallery(finished_tiles(finished, number - 1, chosen), 88))
