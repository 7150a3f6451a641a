"""Form of a training: data, size, objective, budget and settings, with its command line and start button."""

from typing import Any, cast

import streamlit as st

from app.failures import error_sentence, guarded
from app.keys import TRAIN
from app.train import preview as train_preview
from dream.config import DreamConfig
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
from workbench.workspace import open_workspace

ABOUT_SIZES = {
    "tiny": "3.4 million · ten minutes on two CPU cores",
    "demo": "5.8 million · two hours on two CPU cores",
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
DEFAULTS: dict[str, Any] = {
    "source": "shapes",
    "preset": "tiny",
    "objective": "dream",
    "budget": "minutes",
    "minutes": 10.0,
    "steps": 1000,
    "seed": 0,
    "assignments": "",
    "devices": "auto",
    "strategy": "auto",
    "accelerator": "auto",
    "precision": "32-true",
}


def take(values: dict[str, Any]) -> None:
    """Fills the form with values from another page: assignments, source, preset, objective."""
    if "assignments" in values:
        st.session_state[TRAIN.input("assignments")] = "\n".join(values["assignments"])
    for name in ("source", "preset", "objective"):
        if values.get(name):
            st.session_state[TRAIN.input(name)] = values[name]


def show_setup() -> None:
    """Shows the form, a preview of the data, and the command line with its start button."""
    st.caption("Choose the data, the size and the budget. The command on the right is what will run.")
    for name, value in DEFAULTS.items():
        st.session_state.setdefault(TRAIN.input(name), value)
    if TRAIN.input("name") not in st.session_state:
        st.session_state[TRAIN.input("name")] = free_name(open_workspace(), "shapes")
    left, right = st.columns([3, 2], gap="large")
    with left:
        form = _form()
        config = _checked(form)
        _all_fields(form, config)
    with right:
        _start(form, config is not None)
    if config is not None:
        train_preview.show_preview(form.source, config)


def _form() -> TrainForm:
    """Shows the fields of the form and returns their values."""
    _data_and_model()
    budget = _budget_and_seed()
    st.text_area(
        "Changed settings",
        key=TRAIN.input("assignments"),
        height=96,
        placeholder="one per line, e.g. masking.std=0.3",
        help="Differences from the preset as section.key=value lines, checked when you leave the box.",
    )
    feedback = st.container()
    with st.expander("Devices, strategy, precision"):
        _devices()
    value = {key: st.session_state[TRAIN.input(key)] for key in (*DEFAULTS, "name")}
    form = TrainForm(
        name=value["name"],
        source=value["source"],
        preset=value["preset"],
        objective=value["objective"],
        budget=budget,
        amount=value[budget],
        seed=value["seed"],
        assignments=assignments_in(value["assignments"]),
        devices=value["devices"].strip() or "auto",
        strategy=value["strategy"],
        accelerator=value["accelerator"],
        precision=value["precision"],
    )
    with feedback:
        _show_feedback(form)
    return form


def _data_and_model() -> None:
    source, name = st.columns([3, 2])
    source.text_input(
        "Data",
        key=TRAIN.input("source"),
        help="shapes (drawn, endless), a folder with captions, tar shards ({000..007}), or hf:owner/name.",
    )
    name.text_input("Run name", key=TRAIN.input("name"), help="Name of its folder under runs/ in the workspace.")
    size, objective = st.columns([3, 2])
    size.selectbox(
        "Preset",
        list(SIZES),
        key=TRAIN.input("preset"),
        format_func=lambda key: f"{key} · {ABOUT_SIZES[key]}",
        help="Size and default settings. The published sizes need a GPU and their frozen models.",
    )
    objective.selectbox(
        "Objective",
        list(OBJECTIVES),
        key=TRAIN.input("objective"),
        format_func=lambda key: f"{key} · {ABOUT_OBJECTIVES[key]}",
        help="DREAM, or one of its baselines.",
    )


def _budget_and_seed() -> Budget:
    """Shows the fields and returns the chosen unit of the budget."""
    unit, amount, seed = st.columns([2, 2, 1])
    kind = cast(
        Budget,
        unit.segmented_control(
            "Budget",
            ["minutes", "steps"],
            key=TRAIN.input("budget"),
            required=True,
            help="Minutes are converted to steps after a short measurement; the schedules adapt to them.",
        ),
    )
    if kind == "minutes":
        amount.number_input(
            "Minutes",
            0.1,
            100_000.0,
            step=1.0,
            format="%g",
            key=TRAIN.input("minutes"),
            help="Wall-clock time, including validations and sample sheets.",
        )
    else:
        amount.number_input("Steps", 1, 100_000_000, step=100, key=TRAIN.input("steps"), help="Optimiser steps.")
    seed.number_input("Seed", 0, 2**31 - 1, step=1, key=TRAIN.input("seed"), help="Seed of all random draws.")
    return kind


def _show_feedback(form: TrainForm) -> None:
    try:
        form_config(form)
    except InputError as error:
        st.error(error_sentence(error))
        return
    if form.assignments:
        count = len(form.assignments)
        st.caption(f"✓ {count} setting{'' if count == 1 else 's'} accepted")


def _devices() -> None:
    columns = st.columns(4)
    columns[0].text_input("Devices", key=TRAIN.input("devices"), help="Number of devices, or auto for all.")
    for column, name, choices, text in (
        (columns[1], "strategy", STRATEGIES, "How several devices share the work."),
        (columns[2], "accelerator", ACCELERATORS, "Type of device; auto takes a GPU if there is one."),
        (columns[3], "precision", PRECISIONS, "bf16-mixed is faster on recent GPUs."),
    ):
        column.selectbox(name.capitalize(), choices, key=TRAIN.input(name), help=text)


def _checked(form: TrainForm) -> DreamConfig | None:
    """The form's configuration; None if its settings are invalid."""
    try:
        return form_config(form)
    except InputError:
        return None


def _start(form: TrainForm, ready: bool) -> None:
    here = open_workspace()
    with guarded():
        st.markdown("**Command**")
        st.code(command_line(train_arguments(here, form)), language="bash", wrap_lines=True)
        waiting = sum(training.active for training in list_trainings(here))
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


def _all_fields(form: TrainForm, config: DreamConfig | None) -> None:
    with st.expander("All settings"):
        query = st.text_input(
            "Search",
            key=TRAIN.input("query"),
            placeholder="masking, learning rate, ...",
            help="Words in a field's name or description.",
        )
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
