"""Actions on a training: stop, resume, extend, delete, and links to other pages."""

from typing import Any, cast

import streamlit as st

from app.handing_over import hand_over
from app.keys import TRAIN, handed_key
from app.links import LINKED
from app.number_fields import NumberFields
from app.text import as_text
from app.train.live import run_feed
from workbench.jobs.job import command_line
from workbench.runs.advice import advised_settings, form_again
from workbench.runs.trainings import Budget, Training, delete_training, resume_arguments, resume_training, stop_training
from workbench.runs.words import extension_words
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
            _try_again(training)
        if has_model and training.state != "damaged":
            _links(training)
        elif training.run is not None:
            _compare(training)
        if not training.active:
            _delete(training)


def stop(training: Training) -> None:
    """Asks the training to save and stop, and confirms the request."""
    stop_training(open_workspace(), training)
    st.toast(f"{as_text(training.name)} is being stopped.")


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
    with st.popover("Go on for …", help="Trains for additional steps or minutes."):
        kind = cast(
            Budget,
            st.segmented_control(
                "Go on for",
                ["minutes", "steps"],
                default="minutes",
                key=TRAIN.input("more.kind"),
                bind=LINKED,
                required=True,
                help="Unit of the extension.",
            ),
        )
        fields, here = NumberFields(), open_workspace()
        if kind == "minutes":
            about = "Wall-clock time from now, including validations and sample sheets."
            key = TRAIN.input("more.minutes")
            options: dict[str, Any] = {"value": 5, "step": 1, "format": "%g", "bind": LINKED}
            amount = fields.real(st.container(), "Minutes", 0.1, 100_000.0, key=key, help=about, **options)
        else:
            about = "Optimiser steps after the last one."
            key = TRAIN.input("more.steps")
            options = {"value": 500, "step": 100, "bind": LINKED}
            amount = fields.whole(st.container(), "Steps", 1, 100_000_000, key=key, help=about, **options)
        if not fields.faults:
            st.markdown(extension_words(training, run_feed(str(training.path)).curves()[1], kind, amount))
            st.code(command_line(resume_arguments(here, training, kind, amount)), "bash", wrap_lines=True)
        if st.button(
            "Go on",
            key=TRAIN.action("extend"),
            type="primary",
            disabled=bool(fields.faults),
            help="Adds this command to the queue.",
        ):
            resume_training(here, training, kind, amount)
            _watch_it(training)


def _try_again(training: Training) -> None:
    """A button that fills the form with the settings that the message of a diverged training advises."""
    changes = advised_settings(training)
    if changes and st.button(
        f"Set up again with {as_text(', '.join(change.removeprefix('train.') for change in changes))}",
        key=TRAIN.action("again"),
        help="Fills the form with this training's data, preset and settings, and these changes.",
    ):
        st.session_state[handed_key("train")] = form_again(training, changes)
        st.rerun()


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
        where = as_text(open_workspace().shown(training.path))
        st.markdown(
            f"Permanently delete **{as_text(training.name)}**? Its checkpoints, samples and log in {where} are "
            "deleted; other files there stay."
        )
        if st.button("Delete permanently", key=TRAIN.action("delete"), type="primary", help="Cannot be undone."):
            delete_training(open_workspace(), training)
            st.toast(f"{as_text(training.name)} was deleted.")
            st.rerun()


def _watch_it(training: Training) -> None:
    st.session_state[TRAIN.name("started")] = training.name
    st.rerun()
