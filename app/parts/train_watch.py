"""Watching trainings: the queue in its order, one training, and what can be done with it."""

from collections.abc import Callable

import streamlit as st

from app.parts import train_actions, train_live
from app.session import duration, guarded, sentence, workspace
from workbench.launch import last_words, log_tail, stop_job
from workbench.training import Training, list_trainings

COLOURS = {
    "queued": "gray", "starting": "blue", "running": "green", "stopping": "orange", "finished": "green",
    "stopped": "gray", "failed": "red", "killed": "orange", "damaged": "red",
}  # fmt: skip
SIGNS = {
    "queued": "…", "starting": "▷", "running": "▶", "stopping": "◼", "finished": "✓", "stopped": "◼",
    "failed": "✕", "killed": "✕", "damaged": "⚠",
}  # fmt: skip
"""A state is said by a sign and a word; colour only repeats it."""
LOG_BYTES = 40_000


def show(trainings: list[Training]) -> None:
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
        look = train_live.controls()
        _fragment(lambda: train_live.show(chosen, look), chosen.active)()
    _fragment(lambda: _details(chosen), chosen.active)()


def _fragment(show_it: Callable[[], None], live: bool) -> Callable[[], None]:
    """A part of the page that is drawn again every second while it is live."""

    @st.fragment(run_every=1.0 if live else None)
    def part() -> None:
        with guarded():
            show_it()

    return part


def _queue() -> None:
    active = [training for training in list_trainings(workspace()) if training.active]
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
        share.caption(last_words(training.job) or "model and data are being made ready")
    waits = training.state == "queued"
    if button.button(
        "Take out" if waits else "Stop", key=f"do.train.queue.{training.name}", width="stretch",
        disabled=training.state == "stopping",
        help=train_actions.TAKE_OUT if waits else train_actions.STOP,
    ):  # fmt: skip
        if waits and training.job is not None:
            stop_job(workspace(), training.job.id)
        else:
            train_actions.stop(training)
        st.rerun()


def _watch(before: Training) -> None:
    """How a training stands; the whole page is drawn again where its state has changed."""
    found = [each for each in list_trainings(workspace()) if each.name == before.name]
    if not found or (found[0].state, found[0].run is None) != (before.state, before.run is None):
        st.rerun()
    training = found[0]
    _state(training)
    train_actions.show(training)
    if training.run is not None:
        train_live.show_numbers(training)


def _state(training: Training) -> None:
    """The state in a sentence, with what to do about it."""
    job = training.job
    if training.state == "queued":
        before = training.place - 1
        wait = f"{before} before it" if before else "it is the next"
        st.info(f"Waits in the queue: {wait}. It starts by itself.")
    elif training.state == "starting":
        said = last_words(job) if job is not None else ""
        st.info(f"Starting: model, data and first steps take some seconds. {sentence_of(said)}")
    elif training.state == "stopping":
        st.info("Stopping: it finishes its step, saves a checkpoint and ends.")
    elif training.state == "failed":
        st.error(f"Failed: {sentence_of(training.sentence)}")
    elif training.state == "damaged":
        st.error(f"Damaged: {sentence_of(training.sentence)}")
    elif training.state == "killed":
        st.warning(f"Killed: {sentence_of(training.sentence)}")
    elif training.state == "stopped":
        st.info(
            "Stopped. Resume goes on as if it had never stopped." if training.run is not None
            else "Taken out before it began: nothing was written."
        )  # fmt: skip
    elif training.state == "finished":
        st.success("Finished. Paint with it, compare it, or let it go on.")


def sentence_of(text: str) -> str:
    """A text as a sentence; empty stays empty."""
    return sentence(RuntimeError(text)) if text else ""


def _details(training: Training) -> None:
    if training.job is None:
        return
    with st.expander("Command and log"):
        st.code(training.job.command, language="bash", wrap_lines=True)
        text = log_tail(training.job, LOG_BYTES)
        st.code(text.replace("\r", "\n").strip() or "nothing said yet", language="text", height=260)
