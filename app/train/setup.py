"""Form of a training: data, size, objective, budget and settings, with its command line and start button."""

import re
from pathlib import Path
from typing import Any, cast

import streamlit as st

from app.emoji_build import emoji_missing, offer_emoji
from app.failures import error_sentence, guarded
from app.keys import TRAIN
from app.links import LINKED, linked
from app.number_fields import NumberFields
from app.text import as_text
from app.train import preview as train_preview
from dream.config import DreamConfig
from dream.data.emoji.corpus import SOURCE as EMOJI
from dream.errors import InputError
from dream.presets import OBJECTIVES, SIZES, preset
from dream.training.request import ACCELERATORS, PRECISIONS, STRATEGIES
from workbench.field_docs import shown_value
from workbench.jobs.job import command_line
from workbench.runs.fields import Field, config_fields, search_fields
from workbench.runs.trainings import (
    Budget,
    TrainForm,
    assignments_in,
    form_config,
    free_name,
    list_trainings,
    start_training,
    train_arguments,
)
from workbench.runs.words import form_needs, plan_words
from workbench.workspace import open_workspace

USUAL_MINUTES = 10.0
ABOUT_SIZES = {
    "tiny": "3.4 million · ten minutes on two CPU cores",
    "demo": "5.8 million · two hours on two CPU cores",
    "emoji": "6.9 million · a nice sheet after thirty minutes on two CPU cores",
    "base": "329 million · published",
    "large": "636 million · published",
    "huge": "1,128 million · published",
    "giant": "2,433 million · published",
}
ABOUT_OBJECTIVES = {
    "dream": "both losses, Masking Warmup",
    "fluid": "generation only",
    "clip": "contrast only, nothing masked",
    "mar": "generation without text",
    "repa": "generation, features aligned to a teacher",
}


SUGGESTED = TRAIN.name("suggested")
"""Session key of what the page has named the run after, and of that name."""
LONGEST_NAME = 40


def take(values: dict[str, Any]) -> None:
    """Fills the form with values from another page: assignments, source, preset, objective."""
    if "assignments" in values:
        st.session_state[TRAIN.input("assignments")] = "\n".join(values["assignments"])
    for name in ("source", "preset", "objective"):
        if values.get(name):
            st.session_state[TRAIN.input(name)] = values[name]


def show_setup() -> None:
    """Shows the form, a preview of the data, and what will happen with its start button."""
    _suggest_name()
    left, right = st.columns([3, 2], gap="large")
    numbers = NumberFields()
    with left:
        form = _form(numbers)
        config = _checked(form)
        _all_fields(form, config)
    if emoji_missing(form.source):
        with right:
            offer_emoji()
        return
    with right:
        _start(form, config is not None and not numbers.faults)
    if config is not None:
        train_preview.show_preview(form.source, config)


def _suggest_name() -> None:
    """Names the run after its source, again when that changes, unless the user has named it."""
    source, name = TRAIN.input("source"), TRAIN.input("name")
    last = Path(str(st.session_state.get(source) or linked(source) or "shapes").strip()).name
    wanted = re.sub(r"\W+", "-", last.partition(".")[0].partition(":")[0]).strip("-")[:LONGEST_NAME] or "run"
    before, given = st.session_state.get(SUGGESTED, ("", ""))
    typed = st.session_state.get(name, linked(name))
    if not typed or (typed == given and wanted != before):
        st.session_state[name] = free_name(open_workspace(), wanted)
        st.session_state[SUGGESTED] = wanted, st.session_state[name]


def _options(name: str, about: str) -> dict[str, Any]:
    """Options of the field of that name, whose value is in the address."""
    return {"key": TRAIN.input(name), "help": about, "bind": LINKED}


def _form(numbers: NumberFields) -> TrainForm:
    """Shows the fields of the form and returns their values."""
    source, name, size, objective = _data_and_model()
    budget, amount, seed = _budget_and_seed(numbers)
    about = "Differences from the preset as section.key=value lines, checked when you leave the box."
    typed = st.text_area(
        "Changed settings",
        height=96,
        placeholder="one per line, e.g. masking.std=0.3",
        **_options("assignments", about),
    )
    feedback = st.container()
    with st.expander("Devices, strategy, precision"):
        devices, strategy, accelerator, precision = _devices()
    form = TrainForm(
        name=name,
        source=source,
        preset=size,
        objective=objective,
        budget=budget,
        amount=amount,
        seed=seed,
        assignments=assignments_in(typed),
        devices=devices.strip() or "auto",
        strategy=strategy,
        accelerator=accelerator,
        precision=precision,
    )
    with feedback:
        _show_feedback(form)
    return form


def _data_and_model() -> tuple[str, str, str, str]:
    """Shows the fields and returns source, name, preset and objective."""
    left, right = st.columns([3, 2])
    about = "shapes (drawn, endless), emoji, a folder with captions, tar shards ({000..007}), or hf:owner/name."
    source = left.text_input("Data", "shapes", **_options("source", about))
    name = right.text_input("Run name", **_options("name", "Name of its folder under runs/ in the workspace."))
    left, right = st.columns([3, 2])
    size = left.selectbox(
        "Preset",
        list(SIZES),
        list(SIZES).index("tiny"),
        format_func=lambda key: f"{key} · {ABOUT_SIZES[key]}",
        on_change=_follow_preset,
        **_options("preset", "Size and default settings. The published sizes need a GPU and their frozen models."),
    )
    objective = right.selectbox(
        "Objective",
        list(OBJECTIVES),
        list(OBJECTIVES).index("dream"),
        format_func=lambda key: f"{key} · {ABOUT_OBJECTIVES[key]}",
        **_options("objective", "DREAM, or one of its baselines."),
    )
    return source, name, size, objective


def _follow_preset() -> None:
    """The preset `emoji` is for the source of that name: takes it, and its minutes, unless others were typed."""
    source, minutes = TRAIN.input("source"), TRAIN.input("minutes")
    own = preset(EMOJI).train.minutes
    if st.session_state[TRAIN.input("preset")] == EMOJI and st.session_state.get(source, "shapes") == "shapes":
        st.session_state[source] = EMOJI
        if st.session_state.get(minutes, USUAL_MINUTES) == USUAL_MINUTES:
            st.session_state[minutes] = own


def _budget_and_seed(numbers: NumberFields) -> tuple[Budget, float, int]:
    """Shows the fields; returns the unit of the budget, how many of it, and the seed."""
    left, middle, right = st.columns([2, 2, 1])
    about = "Minutes are converted to steps after a short measurement; the schedules adapt to them."
    kind = cast(
        Budget,
        left.segmented_control(
            "Budget", ["minutes", "steps"], default="minutes", required=True, **_options("budget", about)
        ),
    )
    if kind == "minutes":
        options = _options("minutes", "Wall-clock time, including validations and sample sheets.")
        amount = numbers.real(middle, "Minutes", 0.1, 100_000.0, value=USUAL_MINUTES, step=1, format="%g", **options)
    else:
        options = _options("steps", "Optimiser steps.")
        amount = numbers.whole(middle, "Steps", 1, 100_000_000, value=1000, step=100, **options)
    seed = numbers.whole(right, "Seed", 0, 2**31 - 1, value=0, **_options("seed", "Seed of all random draws."))
    return kind, amount, seed


def _show_feedback(form: TrainForm) -> None:
    try:
        form_config(form)
    except InputError as error:
        st.error(error_sentence(error))
        return
    if form.assignments:
        count = len(form.assignments)
        st.caption(f"✓ {count} setting{'' if count == 1 else 's'} accepted")


def _devices() -> tuple[str, str, str, str]:
    """Shows the fields and returns devices, strategy, accelerator and precision."""
    columns = st.columns(4)
    devices = columns[0].text_input("Devices", "auto", **_options("devices", "Number of devices, or auto for all."))
    strategy, accelerator, precision = (
        column.selectbox(name.capitalize(), choices, choices.index(usual), **_options(name, text))
        for column, name, choices, usual, text in (
            (columns[1], "strategy", list(STRATEGIES), "auto", "How several devices share the work."),
            (
                columns[2],
                "accelerator",
                list(ACCELERATORS),
                "auto",
                "Type of device; auto takes a GPU if there is one.",
            ),
            (columns[3], "precision", list(PRECISIONS), "32-true", "bf16-mixed is faster on recent GPUs."),
        )
    )
    return devices, strategy, accelerator, precision


def _checked(form: TrainForm) -> DreamConfig | None:
    """The form's configuration; None if its settings are invalid."""
    try:
        return form_config(form)
    except InputError:
        return None


def _start(form: TrainForm, ready: bool) -> None:
    here = open_workspace()
    with guarded():
        trainings = list_trainings(here)
        waiting = sum(training.active for training in trainings)
        if ready:
            st.markdown(as_text(plan_words(form, trainings)))
            st.caption(as_text(form_needs(form)))
        command = command_line(train_arguments(here, form))
        label = f"Add to the queue ({waiting} ahead)" if waiting else "Start"
        if st.button(
            label,
            key=TRAIN.action("start"),
            type="primary",
            disabled=not ready,
            width="stretch",
            help="Runs this command in the background, even if you close the page. One training runs at a time.",
        ):
            st.session_state[TRAIN.name("started")] = start_training(here, form).name
            del st.session_state[TRAIN.input("name")]  # the next training gets a new name
            st.rerun()
        st.caption("The same in a terminal:")
        st.code(command, language="bash", wrap_lines=True)


def _all_fields(form: TrainForm, config: DreamConfig | None) -> None:
    with st.expander("All settings"):
        about = "Words in a field's name or description."
        query = st.text_input("Search", placeholder="masking, learning rate, ...", **_options("query", about))
        base = preset(form.preset, form.objective)
        fields = search_fields(config_fields(config or base, base), query)
        if not fields:
            st.caption("No field matches these words.")
            return
        st.dataframe(
            [{"field": f.key, "value": _shown(f), "type": f.kind, "description": f.doc} for f in fields],
            hide_index=True,
            height=320,
            key=TRAIN.action("fields"),
            alt="Configuration fields",
            column_config={"description": st.column_config.TextColumn(width="large")},
        )
        st.caption(f"{len(fields)} fields of {form.preset}, objective {form.objective}; * changed above.")


def _shown(field: Field) -> str:
    return shown_value(field.value) + (" *" if field.changed else "")
