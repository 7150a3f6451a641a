"""Watch view: the queue in order, one training, and the actions on it."""

from collections.abc import Callable

import streamlit as st

from app.failures import guarded
from app.keys import TRAIN
from app.links import link, linked
from app.text import as_text
from app.train import actions as train_actions
from app.train import live as train_live
from dream.console import duration
from workbench.jobs.job import last_message, log_tail
from workbench.jobs.queue import end_job, stop_job
from workbench.runs.trainings import Training, list_trainings
from workbench.runs.words import SIGNS, state_words
from workbench.workspace import open_workspace

COLOURS = {
    "queued": "gray",
    "starting": "blue",
    "running": "green",
    "stopping": "orange",
    "finished": "green",
    "stopped": "gray",
    "failed": "red",
    "killed": "orange",
    "damaged": "red",
    "deleted": "gray",
}
LOG_BYTES = 40_000


def show_queue(trainings: list[Training]) -> None:
    """Shows the queue, a selection box of trainings, and the chosen one."""
    if not trainings:
        return
    _fragment(_queue, any(training.active for training in trainings))()
    names = [training.name for training in trainings]
    key = TRAIN.input("watch")
    wanted = st.session_state.get(key, linked(key))
    if key not in st.session_state and wanted in names:
        st.session_state[key] = wanted
    if wanted not in names:
        if wanted:
            st.warning(f"{as_text(wanted)} is no longer there: it was deleted or renamed. The latest is shown instead.")
        st.session_state[key] = names[0]
    about = "Running trainings first, then the queue, then the latest."
    name = st.selectbox("Training", names, key=key, help=about)
    link(key, name)
    chosen = trainings[names.index(name)]
    _fragment(lambda: _watch(chosen), chosen.active)()
    if chosen.run is not None:
        settings = train_live.curve_controls()
        _fragment(lambda: train_live.show_run(chosen, settings), chosen.active)()
    _fragment(lambda: _details(chosen), chosen.active)()


def _fragment(show: Callable[[], None], live: bool) -> Callable[[], None]:
    """Section of the page that reruns every second while it is live."""

    @st.fragment(run_every=1.0 if live else None)
    def section() -> None:
        with guarded():
            show()

    return section


def _queue() -> None:
    active = [training for training in list_trainings(open_workspace()) if training.active]
    names = tuple((training.name, training.state == "queued") for training in active)
    if st.session_state.setdefault(TRAIN.name("active"), names) != names:
        st.session_state[TRAIN.name("active")] = names
        st.rerun()  # the list of trainings has changed too
    if not active:
        return
    st.markdown("**Running and queued**")
    for training in active:
        _queue_row(training)


def _queue_row(training: Training) -> None:
    name, state, share, button = st.columns([3, 2, 4, 2], vertical_alignment="center")
    name.markdown(f"**{as_text(training.name)}**")
    state.badge(f"{SIGNS[training.state]} {training.state}", color=COLOURS[training.state])  # type: ignore[arg-type]
    run = training.run
    if training.state == "queued":
        share.caption(f"number {training.place} in the queue")
    elif run is not None and run.end and training.state in ("running", "stopping"):
        left = f" · {duration(run.seconds_left)} left" if run.seconds_left is not None else ""
        share.progress(min(1.0, run.step / run.end), text=f"step {run.step:,} of {run.end:,}{left}")
    elif training.job is not None:
        share.caption(as_text(last_message(training.job) or "loading the model and data"))
    if training.elsewhere:
        button.caption("runs elsewhere")
        return
    if training.job is not None and training.job.overdue:
        if button.button("End now", key=TRAIN.action("end", training.name), width="stretch", help=train_actions.END):
            end_job(open_workspace(), training.job.id)
            st.rerun()
        return
    queued = training.state == "queued"
    if button.button(
        "Remove" if queued else "Stop",
        key=TRAIN.action("queue", training.name),
        width="stretch",
        disabled=training.state == "stopping",
        help=train_actions.REMOVE if queued else train_actions.STOP,
    ):
        if queued and training.job is not None:
            stop_job(open_workspace(), training.job.id)
        else:
            train_actions.stop(training)
        st.rerun()


def _watch(before: Training) -> None:
    """Shows a training's state; reruns the whole page when the state has changed."""
    training = next((each for each in list_trainings(open_workspace()) if each.name == before.name), None)
    if training is None or (training.state, training.run is None) != (before.state, before.run is None):
        st.rerun()
    _state(training)
    train_actions.show_actions(training)
    if training.run is not None:
        train_live.show_numbers(training)


def _state(training: Training) -> None:
    """Shows the state as a sentence with what to do about it."""
    if (message := state_words(training)) is not None:
        kind, text = message
        {"information": st.info, "success": st.success, "warning": st.warning, "error": st.error}[kind](as_text(text))


def _details(training: Training) -> None:
    if training.job is None:
        return
    with st.expander("Command and log"):
        st.code(training.job.command, language="bash", wrap_lines=True)
        text = log_tail(training.job, LOG_BYTES)
        st.code(text.replace("\r", "\n").strip() or "no output yet", language="text", height=260)
