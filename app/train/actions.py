"""What can be done with a training: stop, resume, extend, delete, and where to go on with it."""

from typing import cast

import streamlit as st

from app.handing_over import hand_over
from workbench.jobs.job import command_line
from workbench.runs.trainings import Budget, Training, delete_training, resume_arguments, resume_training, stop_training
from workbench.workspace import open_workspace

TAKE_OUT = "Takes it out of the queue; it has not begun."
STOP = "Saves a checkpoint and ends; resume goes on from there."
END = "It has not answered. This ends it without a new checkpoint; resume goes on from the last one."


def show_actions(training: Training) -> None:
    """A row of buttons; those that make no sense now are left out."""
    has_model = any(training.path.glob("checkpoints/*/state.json"))
    buttons = st.container(horizontal=True)
    with buttons:
        if not training.active and training.run is not None and training.state != "damaged":
            if training.state in ("stopped", "failed", "killed"):
                _resume(training)
            _extend(training)
        if has_model and training.state != "damaged":
            _go_on(training)
        elif training.run is not None:
            _compare(training)
        if not training.active:
            _delete(training)


def stop(training: Training) -> None:
    """Asks it to save and end, and says so."""
    stop_training(open_workspace(), training)
    st.toast(f"{training.name} was asked to stop.")


def _resume(training: Training) -> None:
    if st.button(
        "Resume",
        key="do.train.resume",
        type="primary",
        help="Goes on from the newest checkpoint to the planned end, as if it had never stopped.",
    ):
        resume_training(open_workspace(), training)
        _watch_it(training)


def _extend(training: Training) -> None:
    with st.popover("Go on for …", help="Trains for so many steps or minutes more."):
        st.session_state.setdefault("in.train.more.kind", "minutes")
        st.session_state.setdefault("in.train.more.minutes", 5.0)
        st.session_state.setdefault("in.train.more.steps", 500)
        kind = cast(
            Budget,
            st.segmented_control(
                "More", ["minutes", "steps"], key="in.train.more.kind", required=True, help="What is counted."
            ),
        )
        if kind == "minutes":
            amount = st.number_input(
                "Minutes more",
                0.1,
                100_000.0,
                step=1.0,
                format="%g",
                key="in.train.more.minutes",
                help="Wall-clock time from now.",
            )
        else:
            amount = float(
                st.number_input(
                    "Steps more", 1, 100_000_000, step=100, key="in.train.more.steps", help="Beyond those done."
                )
            )
        st.code(command_line(resume_arguments(open_workspace(), training, kind, amount)), "bash", wrap_lines=True)
        if st.button("Go on", key="do.train.extend", type="primary", help="Puts this into the queue."):
            resume_training(open_workspace(), training, kind, amount)
            _watch_it(training)


def _go_on(training: Training) -> None:
    model = open_workspace().shown(training.path)
    if st.button("Decode with it", key="do.train.decode", help="Opens the Decode page with this model."):
        hand_over("decode", model=model)
    if st.button("Checkpoints", key="do.train.checkpoints", help="Opens its weights on the Checkpoints page."):
        hand_over("checkpoints", path=model)
    _compare(training)


def _compare(training: Training) -> None:
    if st.button("Compare", key="do.train.compare", help="Opens it on the Runs page, beside others."):
        hand_over("runs", runs=[training.name])


def _delete(training: Training) -> None:
    with st.popover("Delete …", help="Asks before anything is deleted."):
        where = open_workspace().shown(training.path)
        st.markdown(
            f"Delete **{training.name}** for good? Checkpoints, samples and log in `{where}` go; "
            "other files there stay."
        )
        if st.button("Delete for good", key="do.train.delete", type="primary", help="Cannot be undone."):
            delete_training(open_workspace(), training)
            st.toast(f"{training.name} was deleted.")
            st.rerun()


def _watch_it(training: Training) -> None:
    st.session_state["train.started"] = training.name
    st.rerun()
