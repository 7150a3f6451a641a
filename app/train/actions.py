"""Actions on a training: stop, resume, extend, delete, and links to other pages."""

from typing import cast

import streamlit as st

from app.handing_over import hand_over
from app.keys import TRAIN
from workbench.jobs.job import command_line
from workbench.runs.trainings import Budget, Training, delete_training, resume_arguments, resume_training, stop_training
from workbench.workspace import open_workspace

REMOVE = "Removes it from the queue before it has started."
STOP = "Saves a checkpoint and stops; resume continues from there."
END = "It is not responding. Ends it without a new checkpoint; resume continues from the last one."


def show_actions(training: Training) -> None:
    """Shows a row of buttons for the actions that apply to its current state."""
    has_model = any(training.path.glob("checkpoints/*/state.json"))
    buttons = st.container(horizontal=True)
    with buttons:
        if not training.active and training.run is not None and training.state != "damaged":
            if training.state in ("stopped", "failed", "killed"):
                _resume(training)
            _extend(training)
        if has_model and training.state != "damaged":
            _links(training)
        elif training.run is not None:
            _compare(training)
        if not training.active:
            _delete(training)


def stop(training: Training) -> None:
    """Asks the training to save and stop, and confirms the request."""
    stop_training(open_workspace(), training)
    st.toast(f"{training.name} is being stopped.")


def _resume(training: Training) -> None:
    if st.button(
        "Resume",
        key=TRAIN.action("resume"),
        type="primary",
        help="Continues from the latest checkpoint to the planned end, exactly where it stopped.",
    ):
        resume_training(open_workspace(), training)
        _watch_it(training)


def _extend(training: Training) -> None:
    with st.popover("Extend …", help="Trains for additional steps or minutes."):
        st.session_state.setdefault(TRAIN.input("more.kind"), "minutes")
        st.session_state.setdefault(TRAIN.input("more.minutes"), 5.0)
        st.session_state.setdefault(TRAIN.input("more.steps"), 500)
        kind = cast(
            Budget,
            st.segmented_control(
                "Extend by",
                ["minutes", "steps"],
                key=TRAIN.input("more.kind"),
                required=True,
                help="Unit of the extension.",
            ),
        )
        if kind == "minutes":
            amount = st.number_input(
                "Additional minutes",
                0.1,
                100_000.0,
                step=1.0,
                format="%g",
                key=TRAIN.input("more.minutes"),
                help="Wall-clock time from now.",
            )
        else:
            amount = float(
                st.number_input(
                    "Additional steps",
                    1,
                    100_000_000,
                    step=100,
                    key=TRAIN.input("more.steps"),
                    help="Optimiser steps after the last one.",
                )
            )
        st.code(command_line(resume_arguments(open_workspace(), training, kind, amount)), "bash", wrap_lines=True)
        if st.button("Extend", key=TRAIN.action("extend"), type="primary", help="Adds this command to the queue."):
            resume_training(open_workspace(), training, kind, amount)
            _watch_it(training)


def _links(training: Training) -> None:
    model = open_workspace().shown(training.path)
    if st.button("Decode with it", key=TRAIN.action("decode"), help="Opens the Decode page with this model."):
        hand_over("decode", model=model)
    if st.button("Inspect weights", key=TRAIN.action("checkpoints"), help="Opens its weights on the Checkpoints page."):
        hand_over("checkpoints", path=model)
    _compare(training)


def _compare(training: Training) -> None:
    if st.button("Compare", key=TRAIN.action("compare"), help="Opens it on the Runs page, next to other runs."):
        hand_over("runs", runs=[training.name])


def _delete(training: Training) -> None:
    with st.popover("Delete …", help="Asks for confirmation first."):
        where = open_workspace().shown(training.path)
        st.markdown(
            f"Permanently delete **{training.name}**? Its checkpoints, samples and log in `{where}` are deleted; "
            "other files there stay."
        )
        if st.button("Delete permanently", key=TRAIN.action("delete"), type="primary", help="Cannot be undone."):
            delete_training(open_workspace(), training)
            st.toast(f"{training.name} was deleted.")
            st.rerun()


def _watch_it(training: Training) -> None:
    st.session_state[TRAIN.name("started")] = training.name
    st.rerun()
