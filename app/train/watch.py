"""Watching trainings: the queue in its order, one training, and what can be done with it."""

from collections.abc import Callable

import streamlit as st

from app.failures import guarded
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
}
LOG_BYTES = 40_000


def show_queue(trainings: list[Training]) -> None:
    """Show the queue, the choice of a training, and that one."""
    if not trainings:
        return
    _fragment(_queue, any(training.active for training in trainings))()
    names = [training.name for training in trainings]
    if st.session_state.get("in.train.watch") not in names:
        st.session_state["in.train.watch"] = names[0]
    name = st.selectbox(
        "Training", names, key="in.train.watch", help="Running ones first, then the queue, then the latest."
    )
    chosen = trainings[names.index(name)]
    _fragment(lambda: _watch(chosen), chosen.active)()
    if chosen.run is not None:
        look = train_live.curve_controls()
        _fragment(lambda: train_live.show_run(chosen, look), chosen.active)()
    _fragment(lambda: _details(chosen), chosen.active)()


def _fragment(show_it: Callable[[], None], live: bool) -> Callable[[], None]:
    """A part of the page that is drawn again every second while it is live."""

    @st.fragment(run_every=1.0 if live else None)
    def part() -> None:
        with guarded():
            show_it()

    return part


def _queue() -> None:
    active = [training for training in list_trainings(open_workspace()) if training.active]
    names = tuple((training.name, training.state == "queued") for training in active)
    if st.session_state.setdefault("train.active", names) != names:
        st.session_state["train.active"] = names
        st.rerun()  # the list of trainings beside it has changed too
    if not active:
        return
    st.markdown("**Running and waiting**")
    for training in active:
        _queue_row(training)


def _queue_row(training: Training) -> None:
    name, state, share, button = st.columns([3, 2, 4, 2], vertical_alignment="center")
    name.markdown(f"**{training.name}**")
    state.badge(f"{SIGNS[training.state]} {training.state}", color=COLOURS[training.state])  # type: ignore[arg-type]
    run = training.run
    if training.state == "queued":
        share.caption(f"number {training.place} in the queue")
    elif run is not None and run.end and training.state in ("running", "stopping"):
        left = f" · {duration(run.seconds_left)} left" if run.seconds_left is not None else ""
        share.progress(min(1.0, run.step / run.end), text=f"step {run.step:,} of {run.end:,}{left}")
    elif training.job is not None:
        share.caption(last_message(training.job) or "model and data are being made ready")
    if training.job is not None and training.job.overdue:
        if button.button("End now", key=f"do.train.end.{training.name}", width="stretch", help=train_actions.END):
            end_job(open_workspace(), training.job.id)
            st.rerun()
        return
    waits = training.state == "queued"
    if button.button(
        "Take out" if waits else "Stop",
        key=f"do.train.queue.{training.name}",
        width="stretch",
        disabled=training.state == "stopping",
        help=train_actions.TAKE_OUT if waits else train_actions.STOP,
    ):
        if waits and training.job is not None:
            stop_job(open_workspace(), training.job.id)
        else:
            train_actions.stop(training)
        st.rerun()


def _watch(before: Training) -> None:
    """How a training stands; the whole page is drawn again where its state has changed."""
    found = [each for each in list_trainings(open_workspace()) if each.name == before.name]
    if not found or (found[0].state, found[0].run is None) != (before.state, before.run is None):
        st.rerun()
    training = found[0]
    _state(training)
    train_actions.show_actions(training)
    if training.run is not None:
        train_live.show_numbers(training)


def _state(training: Training) -> None:
    """The state in a sentence, with what to do about it."""
    if (said := state_words(training)) is not None:
        kind, text = said
        {"information": st.info, "success": st.success, "warning": st.warning, "error": st.error}[kind](text)


def _details(training: Training) -> None:
    if training.job is None:
        return
    with st.expander("Command and log"):
        st.code(training.job.command, language="bash", wrap_lines=True)
        text = log_tail(training.job, LOG_BYTES)
        st.code(text.replace("\r", "\n").strip() or "nothing said yet", language="text", height=260)
